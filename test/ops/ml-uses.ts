/** Random uses of ai.onnx.ml's operators: attributes, inputs and dtypes from a seed. */
import type { Attrs } from 'hone/graph/types';
import type { DType } from 'hone-runtime/base/dtype';
import { type Random, seededRandom } from 'hone-runtime/base/random';
import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import type { NodeUse } from '../support/peer-node.ts';

const ML = 'ai.onnx.ml';
const TRANSFORMS = ['NONE', 'SOFTMAX', 'LOGISTIC', 'SOFTMAX_ZERO', 'PROBIT'] as const;

type Make = (random: Random) => NodeUse;

function among<T>(random: Random, items: readonly T[]): T {
  return items[random.integer(items.length)] as T;
}

function list<T>(length: number, item: (i: number) => T): T[] {
  return Array.from({ length }, (_, i) => item(i));
}

/** Numbers with few digits, so that they are the same in every precision. */
function coarse(random: Random, span = 2): number {
  return Math.round((random.next() * 2 - 1) * span * 16) / 16;
}

function numbers(random: Random, count: number, span = 2): number[] {
  return list(count, () => coarse(random, span));
}

function data(random: Random, dtype: DType, shape: readonly number[], span = 2): Tensor {
  const isFloat = dtype === 'f32' || dtype === 'f64';
  const values = list(elementCount(shape), () =>
    isFloat ? (random.next() * 2 - 1) * span : random.integer(7) - 3,
  );
  return fromNumbers(dtype, shape, values);
}

function texts(shape: readonly number[], values: readonly string[]): Tensor {
  return { dtype: 'string', shape, data: values };
}

const NUMERIC: readonly DType[] = ['f32', 'f64', 'i64', 'i32'];

function rowsShape(random: Random): readonly [number, number] {
  return [1 + random.integer(5), 1 + random.integer(5)];
}

function labels(random: Random, count: number, ints: string): Attrs {
  return random.integer(2) === 0
    ? { [ints]: list(count, (i) => 3 * i - 2) }
    : { classlabels_strings: list(count, (i) => `class ${i}`) };
}

const scaler: Make = (random) => {
  const [n, c] = rowsShape(random);
  const width = (): number => (random.integer(2) ? 1 : c);
  const offset = numbers(random, width());
  const scale = numbers(random, offset.length);
  const inputs = [data(random, among(random, NUMERIC), [n, c])];
  return { op: 'Scaler', domain: ML, inputs, attrs: { offset, scale } };
};

const normalizer: Make = (random) => {
  const [n, c] = rowsShape(random);
  const shape = random.integer(4) === 0 ? [c] : [n, c];
  const inputs = [data(random, among(random, NUMERIC), shape)];
  return {
    op: 'Normalizer',
    domain: ML,
    inputs,
    attrs: { norm: among(random, ['MAX', 'L1', 'L2']) },
  };
};

const imputer: Make = (random) => {
  const [n, c] = rowsShape(random);
  const count = random.integer(2) ? 1 : c;
  if (random.integer(2)) {
    const attrs = {
      imputed_value_int64s: list(count, () => random.integer(9)),
      replaced_value_int64: 1,
    };
    return { op: 'Imputer', domain: ML, inputs: [data(random, 'i64', [n, c])], attrs };
  }
  const replaced = random.integer(2) ? Number.NaN : 0.5;
  const values = list(n * c, () => (random.integer(3) ? coarse(random) : replaced));
  const attrs = { imputed_value_floats: numbers(random, count), replaced_value_float: replaced };
  return { op: 'Imputer', domain: ML, inputs: [fromNumbers('f32', [n, c], values)], attrs };
};

const binarizer: Make = (random) => ({
  op: 'Binarizer',
  domain: ML,
  inputs: [data(random, 'f32', rowsShape(random))],
  attrs: { threshold: coarse(random) },
});

const oneHot: Make = (random) => {
  const shape = random.integer(2) ? [1 + random.integer(4)] : rowsShape(random);
  const count = elementCount(shape);
  if (random.integer(2)) {
    const values = list(count, () => among(random, ['a', 'b', 'c', 'd']));
    return {
      op: 'OneHotEncoder',
      domain: ML,
      inputs: [texts(shape, values)],
      attrs: { cats_strings: ['c', 'a', 'b'] },
    };
  }
  const dtype = among(random, NUMERIC);
  const inputs = [
    fromNumbers(
      dtype,
      shape,
      list(count, () => random.integer(6)),
    ),
  ];
  return { op: 'OneHotEncoder', domain: ML, inputs, attrs: { cats_int64s: [4, 1, 3, 0] } };
};

const KEYS: Readonly<Record<string, (random: Random, i: number) => number | string>> = {
  strings: (_, i) => `key ${i}`,
  int64s: (_, i) => 2 * i - 1,
  floats: (_, i) => i * 0.25 - 1,
};

const labelEncoder: Make = (random) => {
  const [keys, values] = among(random, [
    ['strings', 'int64s'],
    ['strings', 'floats'],
    ['strings', 'strings'],
    ['int64s', 'strings'],
    ['int64s', 'floats'],
    ['int64s', 'int64s'],
    ['floats', 'strings'],
    ['floats', 'int64s'],
    ['floats', 'floats'],
  ] as const);
  const count = 1 + random.integer(5);
  const shape = random.integer(2) ? [4] : [2, 3];
  const column = (kind: string): (number | string)[] =>
    list(count, (i) => KEYS[kind]?.(random, i) ?? 0);
  const drawn = list(
    elementCount(shape),
    () => KEYS[keys]?.(random, random.integer(count + 2)) ?? 0,
  );
  const dtype = ({ strings: 'string', int64s: 'i64', floats: 'f32' } as const)[keys];
  const x =
    dtype === 'string'
      ? texts(shape, drawn as string[])
      : fromNumbers(dtype, shape, drawn as number[]);
  const otherwise =
    random.integer(2) === 0
      ? {}
      : {
          strings: { default_string: 'none' },
          int64s: { default_int64: 77 },
          floats: { default_float: 0.5 },
        }[values];
  const attrs = {
    [`keys_${keys}`]: column(keys),
    [`values_${values}`]: column(values).toReversed(),
    ...otherwise,
  } as Attrs;
  return { op: 'LabelEncoder', domain: ML, inputs: [x], attrs };
};

const categoryMapper: Make = (random) => {
  const shape = [1 + random.integer(5)];
  const attrs = {
    cats_int64s: [5, 6, 9],
    cats_strings: ['five', 'six', 'nine'],
    default_int64: -7,
    default_string: '?',
  };
  const inputs = random.integer(2)
    ? [
        texts(
          shape,
          list(shape[0] ?? 1, () => among(random, ['five', 'nine', 'ten'])),
        ),
      ]
    : [
        fromNumbers(
          'i64',
          shape,
          list(shape[0] ?? 1, () => 5 + random.integer(5)),
        ),
      ];
  return { op: 'CategoryMapper', domain: ML, inputs, attrs };
};

const arrayFeatureExtractor: Make = (random) => {
  const [n, c] = rowsShape(random);
  const count = 1 + random.integer(4);
  const dtype = among(random, NUMERIC);
  const shape = random.integer(3) === 0 ? [c] : [n, c];
  const places = fromNumbers(
    'i64',
    [count],
    list(count, () => random.integer(c)),
  );
  const x =
    random.integer(4) === 0
      ? texts(
          shape,
          list(elementCount(shape), (i) => `t${i}`),
        )
      : data(random, dtype, shape);
  // Which texts are picked has to be known.
  return {
    op: 'ArrayFeatureExtractor',
    domain: ML,
    inputs: [x, places],
    attrs: {},
    constants: [1],
  };
};

const featureVectorizer: Make = (random) => {
  const n = 1 + random.integer(4);
  const widths = list(1 + random.integer(3), () => 1 + random.integer(4));
  const dtype = among(random, NUMERIC);
  const inputs = widths.map((width) => data(random, dtype, [n, width]));
  return { op: 'FeatureVectorizer', domain: ML, inputs, attrs: { inputdimensions: widths } };
};

const linearRegressor: Make = (random) => {
  const [n, c] = rowsShape(random);
  const targets = 1 + random.integer(3);
  const intercepts = random.integer(3) === 0 ? {} : { intercepts: numbers(random, targets) };
  const attrs = {
    coefficients: numbers(random, targets * c),
    targets,
    post_transform: among(random, TRANSFORMS.slice(0, 4)),
    ...intercepts,
  };
  return { op: 'LinearRegressor', domain: ML, inputs: [data(random, 'f32', [n, c])], attrs };
};

const linearClassifier: Make = (random) => {
  const [n, c] = rowsShape(random);
  const isPair = random.integer(3) === 0;
  const classes = isPair ? 2 : 2 + random.integer(3);
  const rows = isPair ? 1 : classes;
  const attrs = {
    ...labels(random, classes, 'classlabels_ints'),
    coefficients: numbers(random, rows * c),
    intercepts: numbers(random, rows),
    multi_class: random.integer(2),
    post_transform: among(random, TRANSFORMS.slice(0, 4)),
  };
  const inputs = [data(random, among(random, NUMERIC), [n, c])];
  return { op: 'LinearClassifier', domain: ML, inputs, attrs, outputs: 2 };
};

const KERNELS = ['LINEAR', 'POLY', 'RBF', 'SIGMOID'];

function kernelAttrs(random: Random): Attrs {
  return {
    kernel_type: among(random, KERNELS),
    kernel_params: [0.25 + random.integer(3) / 8, coarse(random, 1), 1 + random.integer(3)],
  };
}

const svmRegressor: Make = (random) => {
  const [n, c] = rowsShape(random);
  const count = 1 + random.integer(4);
  const attrs = {
    ...kernelAttrs(random),
    coefficients: numbers(random, count),
    n_supports: count,
    support_vectors: numbers(random, count * c),
    rho: numbers(random, 1),
    one_class: random.integer(4) === 0 ? 1 : 0,
  };
  return { op: 'SVMRegressor', domain: ML, inputs: [data(random, 'f32', [n, c])], attrs };
};

const svmClassifier: Make = (random) => {
  const [n, c] = rowsShape(random);
  const isLinear = random.integer(4) === 0;
  // Of two classes of a linear machine the peer does not choose the higher one.
  const classes = isLinear ? 3 + random.integer(2) : 2 + random.integer(3);
  const inputs = [data(random, 'f32', [n, c])];
  const own = list(classes, () => 1 + random.integer(3));
  const count = own.reduce((a, b) => a + b, 0);
  const pairs = (classes * (classes - 1)) / 2;
  const isProbable = !isLinear && random.integer(2) === 0;
  const attrs = {
    ...labels(random, classes, 'classlabels_ints'),
    ...kernelAttrs(random),
    post_transform: among(random, TRANSFORMS.slice(0, 4)),
    ...(isLinear
      ? {
          kernel_type: 'LINEAR',
          coefficients: numbers(random, classes * c),
          rho: numbers(random, 1),
        }
      : {
          coefficients: numbers(random, (classes - 1) * count),
          support_vectors: numbers(random, count * c),
          vectors_per_class: own,
          rho: numbers(random, pairs),
        }),
    ...(isProbable
      ? { prob_a: list(pairs, () => -1 - random.next()), prob_b: numbers(random, pairs, 0.5) }
      : {}),
  };
  return { op: 'SVMClassifier', domain: ML, inputs, attrs, outputs: 2 };
};

/** Splits and leaves of a few trees in the attributes of ai.onnx.ml 3. */
interface Forest {
  readonly attrs: Attrs;
  /** Trees and numbers of the leaves. */
  readonly leaves: readonly (readonly [number, number])[];
}

function forest(random: Random, features: number): Forest {
  const modes = ['LEQ', 'LT', 'GTE', 'GT', 'EQ', 'NEQ'].map((mode) => `BRANCH_${mode}`);
  const common = random.integer(4) === 0 ? undefined : among(random, modes);
  const missing = random.integer(3) === 0;
  const columns = {
    trees: [] as number[],
    ids: [] as number[],
    features: [] as number[],
    values: [] as number[],
    modes: [] as string[],
    yes: [] as number[],
    no: [] as number[],
    tracks: [] as number[],
  };
  const leaves: (readonly [number, number])[] = [];
  const trees = 1 + random.integer(4);
  for (let tree = 0; tree < trees; tree++) {
    let next = 0;
    const grow = (depth: number): number => {
      const id = next++;
      const row = columns.trees.length;
      const isLeaf = depth === 0 || random.integer(4) === 0;
      columns.trees.push(tree);
      columns.ids.push(id);
      columns.features.push(isLeaf ? 0 : random.integer(features));
      columns.values.push(isLeaf ? 0 : (random.integer(9) - 4) / 4);
      columns.modes.push(isLeaf ? 'LEAF' : (common ?? among(random, modes)));
      columns.tracks.push(missing && !isLeaf ? random.integer(2) : 0);
      columns.yes.push(0);
      columns.no.push(0);
      if (isLeaf) {
        leaves.push([tree, id]);
        return id;
      }
      columns.yes[row] = grow(depth - 1);
      columns.no[row] = grow(depth - 1);
      return id;
    };
    grow(1 + random.integer(3));
  }
  return {
    leaves,
    attrs: {
      nodes_treeids: columns.trees,
      nodes_nodeids: columns.ids,
      nodes_featureids: columns.features,
      nodes_values: columns.values,
      nodes_modes: columns.modes,
      nodes_truenodeids: columns.yes,
      nodes_falsenodeids: columns.no,
      ...(missing ? { nodes_missing_value_tracks_true: columns.tracks } : {}),
    },
  };
}

/** Rows on the same grid as the splits; some elements missing. */
function forestRows(random: Random, features: number, attrs: Attrs): Tensor {
  const n = 1 + random.integer(6);
  const hasMissing = attrs['nodes_missing_value_tracks_true'] !== undefined;
  const values = list(n * features, () =>
    hasMissing && random.integer(4) === 0 ? Number.NaN : (random.integer(9) - 4) / 4,
  );
  const dtype = hasMissing ? 'f32' : among(random, ['f32', 'f64', 'i64', 'i32'] as const);
  return fromNumbers(dtype, [n, features], dtype.startsWith('i') ? values.map(Math.round) : values);
}

interface Votes {
  readonly trees: number[];
  readonly nodes: number[];
  readonly ids: number[];
  readonly weights: number[];
}

/** Every leaf votes for one to all of the targets. */
function votes(
  random: Random,
  leaves: Forest['leaves'],
  targets: number,
  positive: boolean,
): Votes {
  const out: Votes = { trees: [], nodes: [], ids: [], weights: [] };
  const style = targets === 1 ? 0 : random.integer(3);
  for (const [tree, node] of leaves) {
    for (let id = 0; id < targets; id++) {
      // For all, for one by tree, or for any.
      const isTaken =
        style === 0 || (style === 1 ? tree % targets === id : random.integer(2) === 0);
      if (!isTaken) continue;
      out.trees.push(tree);
      out.nodes.push(node);
      out.ids.push(id);
      out.weights.push(positive ? Math.abs(coarse(random, 1)) : coarse(random, 1));
    }
  }
  if (out.ids.length === 0) {
    const [tree = 0, node = 0] = leaves[0] ?? [];
    out.trees.push(tree);
    out.nodes.push(node);
    out.ids.push(0);
    out.weights.push(0.5);
  }
  return out;
}

const treeRegressor: Make = (random) => {
  const features = 1 + random.integer(4);
  const { attrs: nodes, leaves } = forest(random, features);
  const targets = 1 + random.integer(3);
  const own = votes(random, leaves, targets, false);
  const attrs = {
    ...nodes,
    n_targets: targets,
    aggregate_function: among(random, ['SUM', 'AVERAGE', 'MIN', 'MAX']),
    post_transform: among(random, TRANSFORMS.slice(0, 4)),
    target_treeids: own.trees,
    target_nodeids: own.nodes,
    target_ids: own.ids,
    target_weights: own.weights,
    ...(random.integer(2) ? { base_values: numbers(random, targets) } : {}),
  };
  const inputs = [forestRows(random, features, nodes)];
  return { op: 'TreeEnsembleRegressor', domain: ML, inputs, attrs };
};

const treeClassifier: Make = (random) => {
  const features = 1 + random.integer(4);
  const { attrs: nodes, leaves } = forest(random, features);
  const isPair = random.integer(3) === 0;
  // Of two classes that both have votes the peer does not choose the higher one; nor does it add base
  // values to the second one as it does to the first.
  const classes = isPair ? 2 : 3 + random.integer(2);
  const drawn = votes(random, leaves, isPair ? 1 : classes, random.integer(2) === 0);
  const place = isPair ? random.integer(2) : 0;
  const base = isPair ? 1 : classes;
  const attrs = {
    ...nodes,
    ...labels(random, classes, 'classlabels_int64s'),
    post_transform: among(random, TRANSFORMS.slice(0, 4)),
    class_treeids: drawn.trees,
    class_nodeids: drawn.nodes,
    class_ids: drawn.ids.map((id) => id + place),
    class_weights: drawn.weights,
    ...(random.integer(3) === 0 && place === 0 ? { base_values: numbers(random, base) } : {}),
  };
  const inputs = [forestRows(random, features, nodes)];
  return { op: 'TreeEnsembleClassifier', domain: ML, inputs, attrs, outputs: 2 };
};

const MAKERS: readonly Make[] = [
  ...[scaler, normalizer, imputer, binarizer, oneHot, labelEncoder, labelEncoder, categoryMapper],
  ...[
    arrayFeatureExtractor,
    featureVectorizer,
    linearRegressor,
    linearClassifier,
    linearClassifier,
  ],
  ...[
    svmRegressor,
    svmClassifier,
    svmClassifier,
    treeRegressor,
    treeRegressor,
    treeClassifier,
    treeClassifier,
  ],
];

/** The use of a seed; uses of consecutive seeds are of all operators in turn. */
export function mlUse(seed: number): NodeUse {
  const make = MAKERS[seed % MAKERS.length] as Make;
  return make(seededRandom(seed));
}
