/**
 * Seeded random graphs of the operators that passes rewrite: convolutions, affine maps, paddings,
 * transposes, concatenations, reductions and reshapes of small f32 tensors, with shared values.
 */
import type { Graph, ValueId } from 'hone/graph/types';
import type { OpBuilder } from 'hone/ops/builder';
import { opBuilder } from 'hone/ops/registry';
import { type Random, seededRandom } from 'hone-runtime/base/random';
import { elementCount, fromNumbers } from 'hone-runtime/base/tensor';

const MAX_ELEMENTS = 2000;

interface Growing {
  readonly b: OpBuilder;
  readonly random: Random;
  readonly values: ValueId[];
}

type Grow = (g: Growing, x: ValueId) => ValueId | undefined;

function pick<T>(random: Random, items: readonly T[]): T {
  return items[random.integer(items.length)] as T;
}

function constant({ b, random }: Growing, shape: readonly number[]): ValueId {
  const values = Array.from({ length: elementCount(shape) }, () => 0.5 + random.integer(4) / 2);
  return b.constant(fromNumbers('f32', shape, values));
}

const unary: Grow = ({ b, random }, x) =>
  b.op(pick(random, ['Relu', 'Neg', 'Sigmoid', 'Identity', 'Abs']), [x]);

const affine: Grow = (g, x) => {
  const { shape } = g.b.typeOf(x);
  const axis = g.random.integer(shape.length + 1);
  const own = shape.map((extent, i) => (i === axis ? extent : 1));
  const k = constant(g, own.slice(g.random.integer(2) === 0 ? 0 : Math.min(axis, shape.length)));
  const op = pick(g.random, ['Add', 'Sub', 'Mul', 'Div']);
  return g.b.op(op, g.random.integer(4) === 0 && op !== 'Div' ? [k, x] : [x, k]);
};

const batchNorm: Grow = (g, x) => {
  const { shape } = g.b.typeOf(x);
  if (shape.length < 2) return undefined;
  const parameters = Array.from({ length: 4 }, () => constant(g, [shape[1] ?? 1]));
  return g.b.op('BatchNormalization', [x, ...parameters]);
};

const transpose: Grow = ({ b, random }, x) => {
  const rank = b.typeOf(x).shape.length;
  const nhwc = rank === 4 && random.integer(4) > 0;
  if (nhwc)
    return b.op('Transpose', [x], {
      perm: pick(random, [
        [0, 2, 3, 1],
        [0, 3, 1, 2],
      ]),
    });
  const perm = Array.from({ length: rank }, (_, i) => i);
  for (let i = rank - 1; i > 0; i--) {
    const j = random.integer(i + 1);
    [perm[i], perm[j]] = [perm[j] as number, perm[i] as number];
  }
  return b.op('Transpose', [x], { perm });
};

const convolution: Grow = (g, x) => {
  const { shape } = g.b.typeOf(x);
  const [, channels = 1, height = 1, width = 1] = shape;
  if (shape.length !== 4) return undefined;
  const kernel = [
    pick(g.random, [1, Math.min(2, height)]),
    pick(g.random, [1, Math.min(2, width)]),
  ];
  const pads = Array.from({ length: 4 }, () => g.random.integer(2));
  if (g.random.integer(4) === 0) {
    const group = g.random.integer(2) === 0 ? channels : 1;
    const weights = constant(g, [channels, group === 1 ? 2 : 1, ...kernel]);
    return g.b.op('ConvTranspose', [x, weights], { group });
  }
  const group = g.random.integer(3) === 0 ? channels : 1;
  const out = group === 1 ? 1 + g.random.integer(3) : channels;
  const weights = constant(g, [out, channels / group, ...kernel]);
  const bias = g.random.integer(2) === 0 ? [constant(g, [out])] : [];
  return g.b.op('Conv', [x, weights, ...bias], { group, pads });
};

const pad: Grow = ({ b, random }, x) => {
  const rank = b.typeOf(x).shape.length;
  const spatial = (i: number): boolean => random.integer(4) === 0 || i % rank > 1;
  const pads = Array.from({ length: 2 * rank }, (_, i) => (spatial(i) ? random.integer(2) : 0));
  return b.op('Pad', [x, b.ints(pads)]);
};

const pool: Grow = ({ b, random }, x) => {
  const { shape } = b.typeOf(x);
  if (shape.length !== 4 || shape.some((extent) => extent < 2 && extent !== shape[0]))
    return undefined;
  if (shape.slice(2).some((extent) => extent < 2)) return undefined;
  return b.op(pick(random, ['MaxPool', 'AveragePool']), [x], { kernel_shape: [2, 2] });
};

const binary: Grow = ({ b, random, values }, x) => {
  const same = values.filter((y) => b.typeOf(y).shape.join() === b.typeOf(x).shape.join());
  return b.op(pick(random, ['Add', 'Mul', 'Max']), [x, pick(random, same)]);
};

const concat: Grow = ({ b, random, values }, x) => {
  const { shape } = b.typeOf(x);
  const axis = random.integer(shape.length);
  const fits = values.filter((y) => {
    const other = b.typeOf(y).shape;
    return other.length === shape.length && other.every((n, i) => i === axis || n === shape[i]);
  });
  return b.op('Concat', [x, pick(random, fits)], { axis: axis - random.integer(2) * shape.length });
};

const reduce: Grow = ({ b, random }, x) => {
  const rank = b.typeOf(x).shape.length;
  if (rank < 2) return undefined;
  const axis = random.integer(rank);
  const op = pick(random, ['ReduceMean', 'ReduceMax', 'ReduceSum']);
  return b.op(op, [x, b.ints([axis])], { keepdims: random.integer(2) });
};

const reshape: Grow = ({ b, random }, x) => {
  const { shape } = b.typeOf(x);
  if (random.integer(3) === 0)
    return b.op('Flatten', [x], { axis: random.integer(shape.length + 1) });
  if (random.integer(2) === 0) return b.op('Unsqueeze', [x, b.ints([0])]);
  const [first = 1, second = 1, ...rest] = shape;
  return b.op('Reshape', [x, b.ints([first * second, ...rest])]);
};

const slice: Grow = ({ b, random }, x) => {
  const { shape } = b.typeOf(x);
  const axis = random.integer(shape.length);
  if ((shape[axis] ?? 1) < 2) return undefined;
  return b.op('Slice', [x, b.ints([1]), b.ints([9]), b.ints([axis])]);
};

const GROWS: readonly Grow[] = [
  unary,
  unary,
  affine,
  affine,
  batchNorm,
  transpose,
  transpose,
  transpose,
  convolution,
  convolution,
  pad,
  pool,
  binary,
  concat,
  reduce,
  reshape,
  slice,
];

export function randomGraph(seed: number): Graph {
  const random = seededRandom(seed);
  const b = opBuilder('fuzz');
  const f32 = (shape: readonly number[]) => ({ dtype: 'f32', shape }) as const;
  const x = b.graph.input('x', f32([1, 2, 3, 4]));
  const z = b.graph.input('z', f32([1, 3, 4, 2]));
  const g: Growing = { b, random, values: [x, z] };
  const steps = 3 + random.integer(10);
  for (let n = 0; n < steps; n++) {
    // The newest value mostly, so that chains arise.
    const last = g.values[g.values.length - 1] ?? x;
    const from = random.integer(4) === 0 ? pick(random, g.values) : last;
    const made = pick(random, GROWS)(g, from);
    if (made === undefined || elementCount(b.typeOf(made).shape) > MAX_ELEMENTS) continue;
    if (b.typeOf(made).shape.length > 0) g.values.push(made);
  }
  const outputs = [g.values[g.values.length - 1] ?? x];
  if (random.integer(2) === 0) outputs.push(pick(random, g.values));
  return b.graph.finish([...new Set(outputs)]);
}
