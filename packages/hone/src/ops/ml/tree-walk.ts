/**
 * Walks through ensembles of decision trees: as operators, and in plain loops. TreeLeaves finds the leaf of
 * each row in each tree; tables of weights by leaf are read and folded by plain kernels.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { rowsOf } from './attributes.ts';
import { toF32 } from './post-transform.ts';
import { MIXED } from './tree-check.ts';
import { splitCode, TREE_LEAVES } from './tree-leaves.ts';
import { type Leaf, saysYes, type TreeTable } from './tree-table.ts';

export type Aggregate = 'AVERAGE' | 'SUM' | 'MIN' | 'MAX';
/** Most values in a table of leaves by targets. */
const MAX_VALUES = 2 ** 24;

const AGGREGATES: readonly Aggregate[] = ['AVERAGE', 'SUM', 'MIN', 'MAX'];

export function listOf(dtype: DType, values: readonly number[]): Tensor {
  return fromNumbers(dtype, [values.length], values);
}

export interface EnsembleNodes {
  /** [N, targets] before base values; 0 where no leaf votes. */
  readonly scores: ValueId;
  /** [N, targets] bools: did a leaf vote for the target? Absent: one always does. */
  readonly voted?: ValueId;
}

/** Leaves of each tree. */
function leavesOf(table: TreeTable, root: number): readonly number[] {
  const found: number[] = [];
  const seen = new Set<number>();
  const open = [root];
  for (let i = open.pop(); i !== undefined; i = open.pop()) {
    if (seen.has(i)) continue;
    seen.add(i);
    if (isLeaf(table, i)) found.push(at(table.leaf, i));
    else open.push(at(table.yes, i), at(table.no, i));
  }
  return found;
}

function isLeaf(table: TreeTable, node: number): boolean {
  return at(table.yes, node) === node && at(table.no, node) === node;
}

/** Is there for each target a tree all whose leaves vote for it? */
function alwaysVotes(table: TreeTable): boolean {
  const sure = new Set<number>();
  for (const root of table.roots) {
    const leaves = leavesOf(table, root).map((leaf) => at(table.leaves, leaf).targets);
    for (const target of leaves[0] ?? []) {
      if (leaves.every((targets) => targets.includes(target))) sure.add(target);
    }
  }
  return sure.size === table.targets;
}

/** The one target that all leaves of a tree vote for, for each tree; undefined where there is none. */
function targetOfTrees(table: TreeTable): readonly number[] | undefined {
  const out: number[] = [];
  for (const root of table.roots) {
    const leaves = leavesOf(table, root).map((leaf) => at(table.leaves, leaf).targets);
    const target = leaves[0]?.[0];
    const isOne = leaves.every((targets) => targets.length === 1 && targets[0] === target);
    if (target === undefined || !isOne) return undefined;
    out.push(target);
  }
  return out;
}

/** Of leaves that do not vote: what changes neither the least nor the largest. */
function neutralOf(aggregate: Aggregate): number {
  if (aggregate === 'MIN') return Number.POSITIVE_INFINITY;
  return aggregate === 'MAX' ? Number.NEGATIVE_INFINITY : 0;
}

/** Trees in the order that they are walked in; a tree of -1 says 0. */
interface Walkers {
  readonly roots: readonly number[];
  /** Trees of each target, one behind the other; 0: every tree speaks of every target. */
  readonly each: number;
}

/**
 * Trees that speak of one target each, target after target, filled up with trees that say nothing: then the
 * table of leaves has one number for each. Undefined where they do not, or a target has no tree.
 */
function apart(table: TreeTable, aggregate: Aggregate): Walkers | undefined {
  const owners = targetOfTrees(table);
  if (owners === undefined) return undefined;
  const own = Array.from({ length: table.targets }, (): number[] => []);
  for (const [tree, target] of owners.entries()) at(own, target).push(at(table.roots, tree));
  const each = Math.max(...own.map((roots) => roots.length));
  const isEven = own.every((roots) => roots.length === each);
  if (own.some((roots) => roots.length === 0) || (!isEven && aggregate !== 'SUM')) return undefined;
  const fill = (roots: readonly number[]): number[] =>
    Array.from({ length: each }, (_, i) => roots[i] ?? -1);
  return { roots: own.flatMap(fill), each };
}

/** The leaf of each row in each tree, i32 [N, trees]; a tree of -1 is a leaf behind the others. */
function leavesReached(
  b: OpBuilder,
  x: ValueId,
  table: TreeTable,
  roots: readonly number[],
  dtype: 'f32' | 'f64',
): ValueId {
  const nodes = table.feature.length;
  const split = table.mode.filter((_, i) => !isLeaf(table, i));
  const [first = 0] = split;
  const isShared = split.every((mode) => mode === first);
  const rows = new Int32Array((nodes + 1) * 4);
  for (let i = 0; i < nodes; i++) {
    const code = isLeaf(table, i)
      ? at(table.leaf, i)
      : splitCode(at(table.mode, i), at(table.missingYes, i));
    rows.set([at(table.feature, i), at(table.yes, i), at(table.no, i), code], i * 4);
  }
  rows.set([0, nodes, nodes, table.leaves.length], nodes * 4);
  const operands = [
    x,
    b.constant({ dtype: 'i32', shape: [nodes + 1, 4], data: rows }),
    b.constant(listOf(dtype, [...table.threshold, 0])),
    b.constant(
      listOf(
        'i32',
        roots.map((root) => (root < 0 ? nodes : root)),
      ),
    ),
  ];
  return b.op(TREE_LEAVES, operands, { mode: isShared ? first : MIXED }, { domain: 'hone' });
}

/** Scores in f32 (or f64). */
export function ensembleNodes(
  b: OpBuilder,
  x: ValueId,
  table: TreeTable,
  aggregate: Aggregate,
  dtype: 'f32' | 'f64',
): EnsembleNodes | string {
  const [n = 0] = b.typeOf(x).shape;
  const { targets } = table;
  const reduce = { AVERAGE: 'ReduceMean', SUM: 'ReduceSum', MIN: 'ReduceMin', MAX: 'ReduceMax' }[
    aggregate
  ];
  const ordered = apart(table, aggregate);
  if (ordered !== undefined) {
    const place = leavesReached(b, x, table, ordered.roots, dtype);
    const weights = [...table.leaves.map(({ weights: [own = 0] }) => own), 0];
    const picked = b.op('Gather', [b.constant(listOf(dtype, weights)), place]);
    const perTarget = b.reshape(picked, [n, targets, ordered.each]);
    return { scores: b.op(reduce, [perTarget, b.ints([2])], { keepdims: 0 }) };
  }
  if (table.leaves.length * targets > MAX_VALUES) {
    return `${table.leaves.length} leaves that speak of several of ${targets} targets are too many`;
  }
  const place = leavesReached(b, x, table, table.roots, dtype);
  const neutral = neutralOf(aggregate);
  /** One row of a table for every tree, folded over the trees. */
  const folded = (type: DType, rowOf: (leaf: Leaf) => readonly number[], fold: string): ValueId => {
    const rows = table.leaves.flatMap(rowOf);
    const leaves = b.constant(fromNumbers(type, [table.leaves.length, targets], rows));
    const picked = b.op('Gather', [leaves, place]);
    return b.op(fold, [picked, b.ints([1])], { keepdims: 0 });
  };
  const dense = (other: number, own: (leaf: Leaf, k: number) => number) => (leaf: Leaf) => {
    const row = new Array<number>(targets).fill(other);
    leaf.targets.forEach((target, k) => {
      row[target] = own(leaf, k);
    });
    return row;
  };
  const scores = folded(
    dtype,
    dense(neutral, ({ weights }, k) => at(weights, k)),
    reduce,
  );
  if (alwaysVotes(table)) return { scores };
  const counts = folded(
    'f32',
    dense(0, () => 1),
    'ReduceMax',
  );
  const voted = b.op('Greater', [counts, b.scalar(0)]);
  if (neutral === 0) return { scores, voted };
  return { scores: b.op('Where', [voted, scores, b.scalar(0, dtype)]), voted };
}

/** What a row comes to: a score for each target, and whether a leaf voted for it. */
export interface Walked {
  readonly scores: readonly number[];
  readonly voted: readonly boolean[];
}

function aggregated(values: readonly number[], aggregate: Aggregate, trees: number): number {
  if (values.length === 0) return 0;
  if (aggregate === 'MIN') return Math.min(...values);
  if (aggregate === 'MAX') return Math.max(...values);
  const sum = values.reduce((a, c) => a + c, 0);
  return aggregate === 'AVERAGE' ? sum / trees : sum;
}

/** One row through every tree. */
function walk(table: TreeTable, row: ArrayLike<number>, aggregate: Aggregate): Walked {
  const ends = table.roots.map((root) => {
    let i = root;
    while (!isLeaf(table, i)) {
      const value = row[at(table.feature, i)] as number;
      const isYes =
        saysYes(at(table.mode, i), value, at(table.threshold, i)) ||
        (Number.isNaN(value) && at(table.missingYes, i));
      i = at(isYes ? table.yes : table.no, i);
    }
    return at(table.leaf, i);
  });
  const scores: number[] = [];
  const voted: boolean[] = [];
  for (let k = 0; k < table.targets; k++) {
    const values = ends.flatMap((end) => {
      const leaf = at(table.leaves, end);
      const place = leaf.targets.indexOf(k);
      return place < 0 ? [] : [at(leaf.weights, place)];
    });
    voted.push(values.length > 0);
    scores.push(aggregated(values, aggregate, ends.length));
  }
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
