/**
 * ai.onnx.ml: ensembles of decision trees. Where the specification is silent they do what ONNX Runtime does:
 * leaves that say nothing of a target do not count for it, and a target that no leaf votes for is 0, without
 * its base value.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import { fromNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { int, intAttr, requiredInt, shapeError, text, textAttr } from '../checks.ts';
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
  EACH,
  inferClassifier,
  LABEL_ATTRS,
  labelsOf,
} from './classes.ts';
import {
  regressionTransform,
  toF32,
  transformOf,
  transformRow,
  transformScores,
} from './post-transform.ts';
import { newTable, oldTable, type TreeTable } from './tree-table.ts';
import {
  aggregateOf,
  ensembleNodes,
  inPrecision,
  listOf,
  rowsInput,
  walkAll,
  type Walked,
} from './tree-walk.ts';

type Node = { readonly node: string; readonly op: string };

const ints: AttrSpec = { type: 'ints' };

/** As many as a tree's leaves may have; anything else is no model. */
function targetsOf(ctx: Node, attrs: Attrs): number {
  const targets = intAttr(attrs, 'n_targets');
  if (targets < 1) shapeError(ctx, `n_targets is ${targets}`);
  return targets;
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
    const aggregate = aggregateOf(ctx.attrs['aggregate_function']);
    const made = ensembleNodes(b, x, table, aggregate, wide);
    if (typeof made === 'string') return made;
    const kind = regressionTransform(ctx, ctx.attrs['post_transform'], ctx.attrs['n_targets']);
    if (wide === 'f64' && kind !== 'NONE') return 'scores in f64 are not transformed';
    return [transformScores(b, kind, made.scores)];
  },
  reference(inputs, attrs, ctx) {
    const x = given(inputs, 0);
    const node = { node: ctx.node, op: 'TreeEnsemble' };
    const dtype = x.dtype === 'f64' ? 'f64' : 'f32';
    const table = inPrecision(newTable(node, attrs, rowsOf(x.shape)[1]), dtype);
    const kind = regressionTransform(node, attrs['post_transform'], attrs['n_targets']);
    const rows = walkAll(table, x, aggregateOf(attrs['aggregate_function']));
    const out = rows.map((row) => transformRow(kind, row.scores));
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

/** One for each of `count` scores, one for all, or none. */
function baseValues(ctx: Node, attrs: Attrs, count: number): readonly number[] {
  const base =
    tensorNumbers(attrs, 'base_values_as_tensor') ?? numbersOf(attrs, 'base_values') ?? [];
  if (base.length > 1 && base.length !== count) {
    shapeError(ctx, `${base.length} base values for ${count} scores`);
  }
  return base;
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

/** With base values, but for targets of several that no leaf votes for. */
function regression({ scores, voted }: Walked, base: readonly number[]): readonly number[] {
  const sums = addBase(scores, base);
  return scores.length === 1 ? sums : sums.map((sum, k) => (at(voted, k) ? sum : 0));
}

const TARGETS = {
  trees: 'target_treeids',
  nodes: 'target_nodeids',
  ids: 'target_ids',
  weights: 'target_weights',
};

function regressorTable(ctx: Node, attrs: Attrs, features: number): TreeTable {
  return oldTable(ctx, attrs, features, targetsOf(ctx, attrs), TARGETS);
}

function regressorBase(ctx: Node, attrs: Attrs): readonly number[] {
  return baseValues(ctx, attrs, intAttr(attrs, 'n_targets'));
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
    regressorBase(ctx, ctx.attrs);
    return [{ dtype: 'f32', shape: [n, intAttr(ctx.attrs, 'n_targets')] }];
  },
  decompose(b, inputs, ctx) {
    const { dtype, shape } = numericInput(ctx);
    const wide = precisionOf(ctx.attrs, dtype);
    const table = regressorTable(ctx, ctx.attrs, rowsOf(shape)[1]);
    const x = rowsInput(b, at(inputs, 0) as ValueId, wide);
    const aggregate = aggregateOf(ctx.attrs['aggregate_function']);
    const made = ensembleNodes(b, x, table, aggregate, wide);
    if (typeof made === 'string') return made;
    const { scores, voted } = made;
    const targets = intAttr(ctx.attrs, 'n_targets');
    const base = regressorBase(ctx, ctx.attrs);
    const sum = withBase(b, scores, base, wide);
    const isOpen = voted !== undefined && targets > 1 && base.length > 0;
    const counted = isOpen ? b.op('Where', [voted, sum, b.scalar(0, wide)]) : sum;
    const kind = regressionTransform(ctx, ctx.attrs['post_transform'], targets);
    return [transformScores(b, kind, toF32(b, counted))];
  },
  reference(inputs, attrs, ctx) {
    const x = given(inputs, 0);
    const node = { node: ctx.node, op: 'TreeEnsembleRegressor' };
    const table = inPrecision(
      regressorTable(node, attrs, rowsOf(x.shape)[1]),
      precisionOf(attrs, x.dtype),
    );
    const kind = regressionTransform(node, attrs['post_transform'], attrs['n_targets']);
    const rows = walkAll(table, x, aggregateOf(attrs['aggregate_function'])).map((row) =>
      transformRow(kind, regression(row, regressorBase(node, attrs))),
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

/**
 * All weights of a two-class model may belong to one class: then its score stands for both. It is a share
 * where no weight is negative.
 */
function classesOf(ctx: Node, attrs: Attrs, features: number, count: number): Classes {
  const ids = [...new Set(numbersOf(attrs, 'class_ids') ?? [])];
  const base = baseValues(ctx, attrs, count);
  if (count !== 2 || ids.length !== 1) {
    return { table: oldTable(ctx, attrs, features, count, CLASSES), mode: EACH, base };
  }
  const one = { ...attrs, class_ids: (numbersOf(attrs, 'class_ids') ?? []).map(() => 0) };
  const weights =
    tensorNumbers(attrs, 'class_weights_as_tensor') ?? numbersOf(attrs, 'class_weights') ?? [];
  const isShare = weights.every((weight) => weight >= 0);
  const other = ids[0] === 1 ? 'zero' : isShare ? 'rest' : 'negative';
  const mode = { above: isShare ? 0.5 : 0, other } as const;
  return { table: oldTable(ctx, one, features, 1, CLASSES), mode, base: base.slice(-1) };
}

/** Scores that the class is chosen by: a class that no leaf votes for is none, unless it has a base value. */
function chosenBy({ scores, voted }: Walked, base: readonly number[]): readonly number[] {
  if (base.length > 0 || scores.length < 3) return addBase(scores, base);
  return scores.map((score, k) => (at(voted, k) ? score : Number.NEGATIVE_INFINITY));
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
    return inferClassifier(ctx, n, mode === EACH ? count : 1);
  },
  decompose(b, inputs, ctx) {
    const { dtype, shape } = numericInput(ctx);
    const wide = precisionOf(ctx.attrs, dtype);
    const labels = labelsOf(ctx, ctx.attrs);
    const { table, mode, base } = classesOf(ctx, ctx.attrs, rowsOf(shape)[1], labels.data.length);
    const x = rowsInput(b, at(inputs, 0) as ValueId, wide);
    const made = ensembleNodes(b, x, table, 'SUM', wide);
    if (typeof made === 'string') return made;
    const { scores, voted } = made;
    const sum = toF32(b, withBase(b, scores, base, wide));
    const kind = transformOf(ctx, textAttr(ctx.attrs, 'post_transform'));
    const isOpen = voted !== undefined && base.length === 0 && labels.data.length > 2;
    const lowest = b.scalar(Number.NEGATIVE_INFINITY);
    const chosen = isOpen ? b.op('Where', [voted, sum, lowest]) : sum;
    return classifyNodes(b, sum, kind, labels, mode, chosen);
  },
  reference(inputs, attrs, ctx) {
    const x = given(inputs, 0);
    const node = { node: ctx.node, op: 'TreeEnsembleClassifier' };
    const labels = labelsOf(node, attrs);
    const all = classesOf(node, attrs, rowsOf(x.shape)[1], labels.data.length);
    const table = inPrecision(all.table, precisionOf(attrs, x.dtype));
    const walked = walkAll(table, x, 'SUM');
    const rows = walked.map(({ scores }) => addBase(scores, all.base));
    const chosen = walked.map((row) => chosenBy(row, all.base));
    const kind = transformOf(node, textAttr(attrs, 'post_transform'));
    return classify(rows, kind, labels, all.mode, chosen);
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
      note: 'a class for each tree',
      inputs: [uniform([6, 3])],
      attrs: {
        ...SAMPLE_TREES,
        ...leavesAs('class', [0, 0, 1, 1, 1]),
        classlabels_int64s: [5, 6],
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
      note: 'two classes by votes for the second',
      inputs: [uniform([6, 3])],
      attrs: {
        ...SAMPLE_TREES,
        ...leavesAs('class', [1, 1, 1, 1, 1]),
        class_weights: [1, 0.25, 0.5, 0, 0.25],
        classlabels_int64s: [0, 1],
        post_transform: 'SOFTMAX',
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
