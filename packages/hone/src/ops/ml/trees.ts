/**
 * ai.onnx.ml: ensembles of decision trees. All trees of all rows walk one level at a time: a level is a
 * gather of each node's feature, threshold and ways, so that it compiles to plain kernels.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { int, intAttr, requiredInt, text, textAttr } from '../checks.ts';
import { type AttrSpec, defineOp, type InferContext, type OpDef } from '../define-op.ts';
import { given } from '../math/loops.ts';
import { tensor, uniform } from '../math/samples.ts';
import {
  floats,
  ML,
  numbersOf,
  numericInput,
  rowsOf,
  strings,
  tensorAttr,
  tensorNumbers,
  tensorOf,
} from './attributes.ts';
import {
  classify,
  classifyNodes,
  type ClassScores,
  inferClassifier,
  LABEL_ATTRS,
  labelsOf,
} from './classes.ts';
import { toF32, transformOf, transformRow, transformScores } from './post-transform.ts';
import { MODES, newTable, oldTable, type TreeTable } from './tree-table.ts';

type Node = { readonly node: string; readonly op: string };
type Aggregate = 'AVERAGE' | 'SUM' | 'MIN' | 'MAX';
const AGGREGATES: readonly Aggregate[] = ['AVERAGE', 'SUM', 'MIN', 'MAX'];

const ints: AttrSpec = { type: 'ints' };

function listOf(dtype: DType, values: readonly number[]): Tensor {
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

/** Scores [N, targets] in f32 (or f64) before base values. */
function ensembleNodes(
  b: OpBuilder,
  x: ValueId,
  table: TreeTable,
  aggregate: Aggregate,
  dtype: 'f32' | 'f64',
): ValueId {
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
  const leaves = b.constant(
    fromNumbers(dtype, [table.leaves.length, targets], table.leaves.flat()),
  );
  const values = b.op('Gather', [leaves, b.op('Gather', [column('i32', table.leaf), pos])]);
  const reduce = { AVERAGE: 'ReduceMean', SUM: 'ReduceSum', MIN: 'ReduceMin', MAX: 'ReduceMax' }[
    aggregate
  ];
  return b.op(reduce, [values, b.ints([1])], { keepdims: 0 });
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

/** One row through every tree. */
function walk(table: TreeTable, row: ArrayLike<number>, aggregate: Aggregate): readonly number[] {
  const ends = table.roots.map((root) => {
    let i = root;
    while (at(table.yes, i) !== i) {
      const value = row[at(table.feature, i)] as number;
      const isYes =
        saysYes(at(table.mode, i), value, at(table.threshold, i)) ||
        (Number.isNaN(value) && at(table.missingYes, i));
      i = at(isYes ? table.yes : table.no, i);
    }
    return at(table.leaves, at(table.leaf, i));
  });
  return at(ends, 0).map((_, k) => {
    const values = ends.map((leaf) => at(leaf, k));
    if (aggregate === 'MIN') return Math.min(...values);
    if (aggregate === 'MAX') return Math.max(...values);
    const sum = values.reduce((a, c) => a + c, 0);
    return aggregate === 'AVERAGE' ? sum / values.length : sum;
  });
}

function walkAll(table: TreeTable, x: Tensor, aggregate: Aggregate): readonly number[][] {
  const [n, features] = rowsOf(x.shape);
  const values = toNumbers(x);
  return Array.from({ length: n }, (_, row) => [
    ...walk(table, values.subarray(row * features, (row + 1) * features), aggregate),
  ]);
}

function rowsInput(b: OpBuilder, x: ValueId, dtype: 'f32' | 'f64'): ValueId {
  const [n, features] = rowsOf(b.typeOf(x).shape);
  const flat = b.op('Reshape', [x, b.ints([n, features])]);
  return dtype === 'f64' && b.typeOf(x).dtype === 'f64' ? flat : toF32(b, flat);
}

/** Thresholds are rounded to f32 where rows are f32, as the compiled form has them. */
function inPrecision(table: TreeTable, dtype: 'f32' | 'f64'): TreeTable {
  if (dtype === 'f64') return table;
  return { ...table, threshold: table.threshold.map(Math.fround) };
}

function aggregateOf(value: unknown): Aggregate {
  return AGGREGATES.find((name, i) => name === value || i === value) ?? 'SUM';
}

const treeEnsemble = defineOp({
  kind: 'composite',
  name: 'TreeEnsemble',
  domain: ML,
  doc: 'Sum (or mean, least, largest) of the leaves that each row reaches in every tree.',
  since: 5,
  attrs: {
    aggregate_function: int(1),
    leaf_targetids: ints,
    leaf_weights: tensorAttr,
    membership_values: tensorAttr,
    n_targets: int(1),
    nodes_falseleafs: ints,
    nodes_falsenodeids: ints,
    nodes_featureids: ints,
    nodes_hitrates: tensorAttr,
    nodes_missing_value_tracks_true: ints,
    nodes_modes: tensorAttr,
    nodes_splits: tensorAttr,
    nodes_trueleafs: ints,
    nodes_truenodeids: ints,
    post_transform: int(0),
    tree_roots: ints,
  },
  infer(ctx) {
    const { dtype, shape } = numericInput(ctx);
    const [n, features] = rowsOf(shape);
    newTable(ctx, ctx.attrs, features);
    return [
      { dtype: dtype === 'f64' ? 'f64' : 'f32', shape: [n, intAttr(ctx.attrs, 'n_targets')] },
    ];
  },
  decompose(b, inputs, ctx) {
    const { dtype, shape } = numericInput(ctx);
    const wide = dtype === 'f64' ? 'f64' : 'f32';
    const table = newTable(ctx, ctx.attrs, rowsOf(shape)[1]);
    const x = rowsInput(b, at(inputs, 0) as ValueId, wide);
    const scores = ensembleNodes(b, x, table, aggregateOf(ctx.attrs['aggregate_function']), wide);
    const kind = transformOf(ctx, ctx.attrs['post_transform']);
    if (wide === 'f64' && kind !== 'NONE') return 'scores in f64 are not transformed';
    return [transformScores(b, kind, scores)];
  },
  reference(inputs, attrs, ctx) {
    const x = given(inputs, 0);
    const node = { node: ctx.node, op: 'TreeEnsemble' };
    const dtype = x.dtype === 'f64' ? 'f64' : 'f32';
    const table = inPrecision(newTable(node, attrs, rowsOf(x.shape)[1]), dtype);
    const kind = transformOf(node, attrs['post_transform']);
    const rows = walkAll(table, x, aggregateOf(attrs['aggregate_function']));
    const out = rows.map((row) => transformRow(kind, row));
    return [fromNumbers(dtype, [rows.length, intAttr(attrs, 'n_targets')], out.flat())];
  },
  cases: () => [
    {
      note: 'modes, sets, missing values, two trees',
      inputs: [fromNumbers('f32', [5, 2], [1, 0.5, 2, -1, 3, 7, Number.NaN, 0, 4, 9])],
      attrs: {
        n_targets: 2,
        nodes_featureids: [0, 1, 1],
        nodes_modes: tensor('u8', [3], [6, 0, 3]),
        nodes_splits: fromNumbers('f32', [3], [0, 0.5, 5]),
        nodes_truenodeids: [0, 1, 2],
        nodes_trueleafs: [1, 1, 1],
        nodes_falsenodeids: [1, 2, 3],
        nodes_falseleafs: [0, 1, 1],
        nodes_missing_value_tracks_true: [1, 0, 0],
        tree_roots: [0, 2],
        membership_values: fromNumbers('f32', [3], [1, 3, Number.NaN]),
        leaf_targetids: [0, 1, 0, 1],
        leaf_weights: fromNumbers('f32', [4], [1, 2, 4, 8]),
      },
    },
  ],
});

const NODE_ATTRS: Readonly<Record<string, AttrSpec>> = {
  base_values: floats,
  base_values_as_tensor: tensorAttr,
  nodes_falsenodeids: ints,
  nodes_featureids: ints,
  nodes_hitrates: floats,
  nodes_hitrates_as_tensor: tensorAttr,
  nodes_missing_value_tracks_true: ints,
  nodes_modes: strings,
  nodes_nodeids: ints,
  nodes_treeids: ints,
  nodes_truenodeids: ints,
  nodes_values: floats,
  nodes_values_as_tensor: tensorAttr,
  post_transform: text('NONE'),
};

function baseValues(attrs: Attrs): readonly number[] {
  return tensorNumbers(attrs, 'base_values_as_tensor') ?? numbersOf(attrs, 'base_values') ?? [];
}

/** f64 where rows and the attributes are: then nothing is rounded in between. */
function precisionOf(attrs: Attrs, dtype: DType): 'f32' | 'f64' {
  return dtype === 'f64' && tensorOf(attrs, 'nodes_values_as_tensor')?.dtype === 'f64'
    ? 'f64'
    : 'f32';
}

function addBase(row: readonly number[], base: readonly number[]): readonly number[] {
  return row.map((value, k) => value + (base[base.length === 1 ? 0 : k] ?? 0));
}

function withBase(b: OpBuilder, scores: ValueId, base: readonly number[], dtype: DType): ValueId {
  if (base.length === 0) return scores;
  return b.op('Add', [scores, b.constant(listOf(dtype, base))]);
}

const TARGETS = {
  trees: 'target_treeids',
  nodes: 'target_nodeids',
  ids: 'target_ids',
  weights: 'target_weights',
};

function regressorTable(ctx: Node, attrs: Attrs, features: number): TreeTable {
  return oldTable(ctx, attrs, features, intAttr(attrs, 'n_targets'), TARGETS);
}

const treeEnsembleRegressor = defineOp({
  kind: 'composite',
  name: 'TreeEnsembleRegressor',
  domain: ML,
  doc: 'The leaves that each row reaches in every tree, aggregated per target.',
  since: 3,
  attrs: {
    ...NODE_ATTRS,
    aggregate_function: text('SUM'),
    n_targets: requiredInt,
    target_ids: ints,
    target_nodeids: ints,
    target_treeids: ints,
    target_weights: floats,
    target_weights_as_tensor: tensorAttr,
  },
  infer(ctx) {
    const [n, features] = rowsOf(numericInput(ctx).shape);
    regressorTable(ctx, ctx.attrs, features);
    return [{ dtype: 'f32', shape: [n, intAttr(ctx.attrs, 'n_targets')] }];
  },
  decompose(b, inputs, ctx) {
    const { dtype, shape } = numericInput(ctx);
    const wide = precisionOf(ctx.attrs, dtype);
    const table = regressorTable(ctx, ctx.attrs, rowsOf(shape)[1]);
    const x = rowsInput(b, at(inputs, 0) as ValueId, wide);
    const sum = ensembleNodes(b, x, table, aggregateOf(ctx.attrs['aggregate_function']), wide);
    const scores = toF32(b, withBase(b, sum, baseValues(ctx.attrs), wide));
    return [transformScores(b, transformOf(ctx, textAttr(ctx.attrs, 'post_transform')), scores)];
  },
  reference(inputs, attrs, ctx) {
    const x = given(inputs, 0);
    const node = { node: ctx.node, op: 'TreeEnsembleRegressor' };
    const table = inPrecision(
      regressorTable(node, attrs, rowsOf(x.shape)[1]),
      precisionOf(attrs, x.dtype),
    );
    const kind = transformOf(node, textAttr(attrs, 'post_transform'));
    const rows = walkAll(table, x, aggregateOf(attrs['aggregate_function'])).map((row) =>
      transformRow(kind, addBase(row, baseValues(attrs))),
    );
    return [fromNumbers('f32', [rows.length, intAttr(attrs, 'n_targets')], rows.flat())];
  },
  cases: () =>
    ['SUM', 'AVERAGE', 'MIN', 'MAX'].map((aggregate_function) => ({
      note: aggregate_function,
      inputs: [uniform([6, 3])],
      attrs: {
        ...SAMPLE_TREES,
        ...leavesAs('target'),
        n_targets: 2,
        aggregate_function,
        base_values: [0.5, -1],
      },
    })),
});

/** Two trees over three features: nodes 0, 3 and 4 split, the others are leaves. */
const SAMPLE_TREES: Attrs = {
  nodes_treeids: [0, 0, 0, 1, 1, 1, 1, 1],
  nodes_nodeids: [0, 1, 2, 0, 1, 2, 3, 4],
  nodes_featureids: [0, 0, 0, 1, 2, 0, 0, 0],
  nodes_values: [0.25, 0, 0, -0.5, 0.75, 0, 0, 0],
  nodes_modes: ['BRANCH_LEQ', 'LEAF', 'LEAF', 'BRANCH_LT', 'BRANCH_LEQ', 'LEAF', 'LEAF', 'LEAF'],
  nodes_truenodeids: [1, 0, 0, 1, 2, 0, 0, 0],
  nodes_falsenodeids: [2, 0, 0, 4, 3, 0, 0, 0],
};

function leavesAs(what: 'target' | 'class', ids: readonly number[] = [0, 1, 0, 1, 0]): Attrs {
  return {
    [`${what}_treeids`]: [0, 0, 1, 1, 1],
    [`${what}_nodeids`]: [1, 2, 2, 3, 4],
    [`${what}_ids`]: ids,
    [`${what}_weights`]: [1, -2, 0.5, 4, -0.25],
  };
}

const CLASSES = {
  trees: 'class_treeids',
  nodes: 'class_nodeids',
  ids: 'class_ids',
  weights: 'class_weights',
};

interface Classes {
  readonly table: TreeTable;
  readonly mode: ClassScores;
  readonly base: readonly number[];
}

/** All weights of a two-class model may belong to one class: then its score stands for both. */
function classesOf(ctx: Node, attrs: Attrs, features: number, count: number): Classes {
  const ids = [...new Set(numbersOf(attrs, 'class_ids') ?? [])];
  const base = baseValues(attrs);
  if (count !== 2 || ids.length !== 1) {
    return { table: oldTable(ctx, attrs, features, count, CLASSES), mode: 'each', base };
  }
  const one = { ...attrs, class_ids: (numbersOf(attrs, 'class_ids') ?? []).map(() => 0) };
  const weights =
    tensorNumbers(attrs, 'class_weights_as_tensor') ?? numbersOf(attrs, 'class_weights') ?? [];
  const mode = weights.every((weight) => weight >= 0) ? 'share' : 'signed';
  return { table: oldTable(ctx, one, features, 1, CLASSES), mode, base: base.slice(-1) };
}

function classifierInput(ctx: InferContext): readonly [number, number] {
  return rowsOf(numericInput(ctx).shape);
}

const treeEnsembleClassifier = defineOp({
  kind: 'composite',
  name: 'TreeEnsembleClassifier',
  domain: ML,
  doc: 'The class with the highest sum of leaves, and the sums.',
  since: 3,
  attrs: {
    ...NODE_ATTRS,
    ...LABEL_ATTRS,
    class_ids: ints,
    class_nodeids: ints,
    class_treeids: ints,
    class_weights: floats,
    class_weights_as_tensor: tensorAttr,
    classlabels_int64s: ints,
  },
  infer(ctx) {
    const [n, features] = classifierInput(ctx);
    const count = labelsOf(ctx, ctx.attrs).data.length;
    const { mode } = classesOf(ctx, ctx.attrs, features, count);
    return inferClassifier(ctx, n, mode === 'each' ? count : 1);
  },
  decompose(b, inputs, ctx) {
    const { dtype, shape } = numericInput(ctx);
    const wide = precisionOf(ctx.attrs, dtype);
    const labels = labelsOf(ctx, ctx.attrs);
    const { table, mode, base } = classesOf(ctx, ctx.attrs, rowsOf(shape)[1], labels.data.length);
    const x = rowsInput(b, at(inputs, 0) as ValueId, wide);
    const scores = toF32(b, withBase(b, ensembleNodes(b, x, table, 'SUM', wide), base, wide));
    const kind = transformOf(ctx, textAttr(ctx.attrs, 'post_transform'));
    return classifyNodes(b, scores, kind, labels, mode);
  },
  reference(inputs, attrs, ctx) {
    const x = given(inputs, 0);
    const node = { node: ctx.node, op: 'TreeEnsembleClassifier' };
    const labels = labelsOf(node, attrs);
    const all = classesOf(node, attrs, rowsOf(x.shape)[1], labels.data.length);
    const table = inPrecision(all.table, precisionOf(attrs, x.dtype));
    const rows = walkAll(table, x, 'SUM').map((row) => addBase(row, all.base));
    return classify(rows, transformOf(node, textAttr(attrs, 'post_transform')), labels, all.mode);
  },
  cases: () => [
    {
      note: 'three classes',
      inputs: [uniform([6, 3])],
      attrs: {
        ...SAMPLE_TREES,
        ...leavesAs('class', [0, 1, 2, 1, 0]),
        classlabels_int64s: [5, 6, 7],
        post_transform: 'SOFTMAX',
      },
      outputs: 2,
    },
    {
      note: 'two classes by one score',
      inputs: [uniform([6, 3])],
      attrs: {
        ...SAMPLE_TREES,
        ...leavesAs('class', [0, 0, 0, 0, 0]),
        classlabels_int64s: [0, 1],
        post_transform: 'LOGISTIC',
      },
      outputs: 2,
    },
    {
      note: 'labels are texts',
      inputs: [uniform([3, 3])],
      attrs: { ...SAMPLE_TREES, ...leavesAs('class'), classlabels_strings: ['no', 'yes'] },
      outputs: 2,
    },
  ],
});

export const TREES: readonly OpDef[] = [
  treeEnsemble,
  treeEnsembleRegressor,
  treeEnsembleClassifier,
];
