/**
 * Walks through ensembles of decision trees: as operators, and in plain loops. All trees of all rows walk
 * one level at a time: a level is a gather of each node's feature, threshold and ways, so that it compiles
 * to plain kernels.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { rowsOf } from './attributes.ts';
import { toF32 } from './post-transform.ts';
import { MODES, type TreeTable } from './tree-table.ts';

export type Aggregate = 'AVERAGE' | 'SUM' | 'MIN' | 'MAX';
const AGGREGATES: readonly Aggregate[] = ['AVERAGE', 'SUM', 'MIN', 'MAX'];

export function listOf(dtype: DType, values: readonly number[]): Tensor {
  return fromNumbers(dtype, [values.length], values);
}

/** Which trees say yes: [N, T] bools from values and thresholds of one dtype. */
function compareNodes(
  b: OpBuilder,
  table: TreeTable,
  pos: ValueId,
  value: ValueId,
  limit: ValueId,
): ValueId {
  const used = [...new Set(table.mode.filter((_, i) => table.yes[i] !== i))].sort();
  const compare = (mode: number): ValueId => {
    switch (at(MODES, mode)) {
      case 'LEQ':
        return b.op('LessOrEqual', [value, limit]);
      case 'LT':
        return b.op('Less', [value, limit]);
      case 'GTE':
        return b.op('GreaterOrEqual', [value, limit]);
      case 'GT':
        return b.op('Greater', [value, limit]);
      case 'EQ':
        return b.op('Equal', [value, limit]);
      default:
        return b.op('Not', [b.op('Equal', [value, limit])]);
    }
  };
  if (used.length === 1) return compare(at(used, 0));
  const codes = b.op('Gather', [b.constant(listOf('i32', table.mode)), pos]);
  return used
    .map((mode) => b.op('And', [b.op('Equal', [codes, b.scalar(mode, 'i32')]), compare(mode)]))
    .reduce((left, right) => b.op('Or', [left, right]));
}

export interface EnsembleNodes {
  /** [N, targets] before base values; 0 where no leaf votes. */
  readonly scores: ValueId;
  /** [N, targets] bools: did a leaf vote for the target? Absent: one always does. */
  readonly voted?: ValueId;
}

/** Is there for each target a tree all whose leaves vote for it? */
function alwaysVotes(table: TreeTable): boolean {
  const votesOf = (root: number): boolean[] => {
    const all = at(table.votes, 0).map(() => true);
    const seen = new Set<number>();
    const open = [root];
    for (let i = open.pop(); i !== undefined; i = open.pop()) {
      if (seen.has(i)) continue;
      seen.add(i);
      if (at(table.yes, i) === i) {
        at(table.votes, at(table.leaf, i)).forEach((vote, k) => {
          all[k] = at(all, k) && vote;
        });
      } else open.push(at(table.yes, i), at(table.no, i));
    }
    return all;
  };
  const trees = table.roots.map(votesOf);
  return at(table.votes, 0).every((_, k) => trees.some((tree) => at(tree, k)));
}

/** Of leaves that do not vote: what changes neither the least nor the largest. */
function neutralOf(aggregate: Aggregate): number {
  if (aggregate === 'MIN') return Number.POSITIVE_INFINITY;
  return aggregate === 'MAX' ? Number.NEGATIVE_INFINITY : 0;
}

/** Scores in f32 (or f64). */
export function ensembleNodes(
  b: OpBuilder,
  x: ValueId,
  table: TreeTable,
  aggregate: Aggregate,
  dtype: 'f32' | 'f64',
): EnsembleNodes {
  const [n = 0] = b.typeOf(x).shape;
  const trees = table.roots.length;
  const start = b.constant(fromNumbers('i32', [1, trees], table.roots));
  let pos = b.op('Expand', [start, b.ints([n, trees])]);
  const column = (type: DType, values: readonly number[]): ValueId =>
    b.constant(listOf(type, values));
  const feature = column('i32', table.feature);
  const threshold = column(dtype, table.threshold);
  const [yes, no] = [column('i32', table.yes), column('i32', table.no)];
  const missing = table.missingYes.some(Boolean)
    ? column('bool', table.missingYes.map(Number))
    : undefined;
  for (let level = 0; level < table.depth; level++) {
    const value = b.op('GatherElements', [x, b.op('Gather', [feature, pos])], { axis: 1 });
    const said = compareNodes(b, table, pos, value, b.op('Gather', [threshold, pos]));
    const isYes =
      missing === undefined
        ? said
        : b.op('Or', [said, b.op('And', [b.op('IsNaN', [value]), b.op('Gather', [missing, pos])])]);
    pos = b.op('Where', [isYes, b.op('Gather', [yes, pos]), b.op('Gather', [no, pos])]);
  }
  const targets = at(table.leaves, 0).length;
  const neutral = neutralOf(aggregate);
  const values = table.leaves.map((row, leaf) =>
    row.map((value, k) => (at(at(table.votes, leaf), k) ? value : neutral)),
  );
  const place = b.op('Gather', [column('i32', table.leaf), pos]);
  /** One row of a table for every tree, folded over the trees. */
  const folded = (type: DType, rows: readonly (readonly number[])[], reduce: string): ValueId => {
    const leaves = b.constant(fromNumbers(type, [rows.length, targets], rows.flat()));
    const picked = b.op('Gather', [leaves, place]);
    return b.op(reduce, [picked, b.ints([1])], { keepdims: 0 });
  };
  const reduce = { AVERAGE: 'ReduceMean', SUM: 'ReduceSum', MIN: 'ReduceMin', MAX: 'ReduceMax' }[
    aggregate
  ];
  const scores = folded(dtype, values, reduce);
  if (alwaysVotes(table)) return { scores };
  const counts = folded(
    'f32',
    table.votes.map((row) => row.map(Number)),
    'ReduceMax',
  );
  const voted = b.op('Greater', [counts, b.scalar(0)]);
  if (neutral === 0) return { scores, voted };
  return { scores: b.op('Where', [voted, scores, b.scalar(0, dtype)]), voted };
}

function saysYes(mode: number, value: number, limit: number): boolean {
  switch (at(MODES, mode)) {
    case 'LEQ':
      return value <= limit;
    case 'LT':
      return value < limit;
    case 'GTE':
      return value >= limit;
    case 'GT':
      return value > limit;
    case 'EQ':
      return value === limit;
    default:
      return value !== limit;
  }
}

/** What a row comes to: a score for each target, and whether a leaf voted for it. */
export interface Walked {
  readonly scores: readonly number[];
  readonly voted: readonly boolean[];
}

/** One row through every tree. */
function walk(table: TreeTable, row: ArrayLike<number>, aggregate: Aggregate): Walked {
  const ends = table.roots.map((root) => {
    let i = root;
    while (at(table.yes, i) !== i) {
      const value = row[at(table.feature, i)] as number;
      const isYes =
        saysYes(at(table.mode, i), value, at(table.threshold, i)) ||
        (Number.isNaN(value) && at(table.missingYes, i));
      i = at(isYes ? table.yes : table.no, i);
    }
    return at(table.leaf, i);
  });
  const scores = at(table.leaves, 0).map((_, k) => {
    const values = ends
      .filter((leaf) => at(at(table.votes, leaf), k))
      .map((leaf) => at(at(table.leaves, leaf), k));
    if (values.length === 0) return 0;
    if (aggregate === 'MIN') return Math.min(...values);
    if (aggregate === 'MAX') return Math.max(...values);
    const sum = values.reduce((a, c) => a + c, 0);
    return aggregate === 'AVERAGE' ? sum / ends.length : sum;
  });
  const voted = scores.map((_, k) => ends.some((leaf) => at(at(table.votes, leaf), k)));
  return { scores, voted };
}

export function walkAll(table: TreeTable, x: Tensor, aggregate: Aggregate): readonly Walked[] {
  const [n, features] = rowsOf(x.shape);
  const values = toNumbers(x);
  return Array.from({ length: n }, (_, row) =>
    walk(table, values.subarray(row * features, (row + 1) * features), aggregate),
  );
}

export function rowsInput(b: OpBuilder, x: ValueId, dtype: 'f32' | 'f64'): ValueId {
  const [n, features] = rowsOf(b.typeOf(x).shape);
  const flat = b.reshape(x, [n, features]);
  return dtype === 'f64' && b.typeOf(x).dtype === 'f64' ? flat : toF32(b, flat);
}

/** Thresholds are rounded to f32 where rows are f32, as the compiled form has them. */
export function inPrecision(table: TreeTable, dtype: 'f32' | 'f64'): TreeTable {
  if (dtype === 'f64') return table;
  return { ...table, threshold: table.threshold.map(Math.fround) };
}

export function aggregateOf(value: unknown): Aggregate {
  return AGGREGATES.find((name, i) => name === value || i === value) ?? 'SUM';
}
