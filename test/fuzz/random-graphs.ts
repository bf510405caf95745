/**
 * Seeded random graphs of many operators: images, matrices, or tensors of any dtype. The same seed
 * gives the same graph. Values stay finite and of moderate size.
 */
import type { ValueId } from 'hone/graph/types';
import type { DType } from 'hone-runtime/base/dtype';
import { seededRandom } from 'hone-runtime/base/random';
import { operatorCase } from './case-step.ts';
import { branch, repetition } from './control-steps.ts';
import { Growth, type RandomGraph, type Step } from './growth.ts';
import * as image from './image-steps.ts';
import * as matrix from './matrix-steps.ts';
import * as scalar from './scalar-steps.ts';
import * as tensor from './tensor-steps.ts';

/** [weight, step]. */
type Menu = readonly (readonly [number, Step])[];

const IMAGE: Menu = [
  [14, image.convolution],
  [3, image.wideConvolution],
  [1, image.transposedConvolution],
  [2, image.batchNorm],
  [2, image.channelAffine],
  [3, image.pooling],
  [2, image.squeezeExcite],
  [1, image.imageNorm],
  [2, image.resize],
  [5, image.channelConcat],
  [2, image.sideConcat],
  [3, image.channelSlice],
  [1, image.spatialSlice],
  [1, image.channelShuffle],
  [1, image.depthSpace],
  [2, image.channelsLast],
  [1, image.prelu],
  [0.5, image.gridSample],
];

const MATRIX: Menu = [
  [8, matrix.linear],
  [3, matrix.product],
  [4, matrix.gemm],
  [2, matrix.attention],
  [4, matrix.rowNorm],
  [2, matrix.softmax],
  [1, matrix.einsum],
  [1, matrix.recurrence],
  [2, matrix.quantised],
];

const TENSOR: Menu = [
  [4, tensor.transpose],
  [4, tensor.reshape],
  [3, tensor.slice],
  [2, tensor.split],
  [4, tensor.concat],
  [2, tensor.pad],
  [2, tensor.gather],
  [1, tensor.gatherElements],
  [1, tensor.scatter],
  [1, tensor.expand],
  [2, tensor.selectElements],
  [4, tensor.reduce],
  [1, tensor.oneHot],
  [1, image.otherConvolution],
  [1, matrix.softmax],
];

const SCALAR: Menu = [
  [6, scalar.activation],
  [3, scalar.elementFunction],
  [1, scalar.writtenActivation],
  [8, scalar.binary],
  [4, scalar.withConstant],
  [1, scalar.divide],
  [1, scalar.several],
  [1, scalar.power],
  [2, scalar.choice],
];

const DTYPES: Menu = [
  [2, scalar.logic],
  [1, scalar.bits],
  [3, scalar.cast],
  [2, scalar.castBack],
];

/** Sub-graphs of all of these, one inside the other at times. */
const INNER: readonly (readonly [number, Menu])[] = [
  [4, SCALAR],
  [3, TENSOR],
  [2, MATRIX],
  [1, IMAGE],
];
const inner: Step = (g) => {
  if (g.chance(0.06)) weighted(g, CONTROL)(g);
  else weighted(g, weighted(g, INNER))(g);
};
const CONTROL: Menu = [
  [1, branch(inner)],
  [1, repetition(inner)],
];

/** Any operator. */
const CASES: Menu = [[1, operatorCase]];

interface Theme {
  readonly weight: number;
  readonly start: (g: Growth) => void;
  /** How much of each menu. */
  readonly menus: readonly (readonly [number, Menu])[];
}

const BATCHES = [1, 1, 1, 2, 3];

const THEMES: readonly Theme[] = [
  {
    weight: 5,
    start(g) {
      const c = g.among([1, 3, 4, 8, 16, 16, 20, 24, 32, 32, 33, 48]);
      const large = g.chance(0.08);
      const [h, w] = large
        ? [g.between(26, 31), g.between(26, 31)]
        : [g.between(1, 16), g.between(1, 16)];
      g.input(g.float, [large ? 1 : g.among(BATCHES), large ? Math.min(c, 32) : c, h, w]);
    },
    menus: [
      [70, IMAGE],
      [20, SCALAR],
      [6, TENSOR],
      [3, MATRIX],
      [1, DTYPES],
      [1, CASES],
      [3, CONTROL],
    ],
  },
  {
    weight: 3,
    start(g) {
      const [s, d] = [g.between(1, 20), g.among([1, 4, 8, 16, 17, 24, 32, 33, 48, 64, 70])];
      g.input(g.float, g.chance(0.5) ? [s, d] : [g.among(BATCHES), s, d]);
    },
    menus: [
      [60, MATRIX],
      [20, SCALAR],
      [15, TENSOR],
      [5, DTYPES],
      [2, CASES],
      [5, CONTROL],
    ],
  },
  {
    weight: 3,
    start(g) {
      const dtypes: readonly DType[] = [
        'f32',
        'f32',
        'f32',
        'i64',
        'i32',
        'u8',
        'f16',
        'bf16',
        'bool',
        'f64',
      ];
      const least = g.chance(0.04) ? 0 : 1;
      const shape = Array.from({ length: g.between(0, 5) }, () => g.between(least, 7));
      g.input(g.among(dtypes), shape);
      if (g.chance(0.5)) g.input(g.float, shape);
    },
    menus: [
      [45, TENSOR],
      [30, SCALAR],
      [20, DTYPES],
      [5, MATRIX],
      [12, CASES],
      [6, CONTROL],
    ],
  },
];

const STEPS = 14;
/** Of one graph in ten: long chains and many values that live at once. */
const MANY_STEPS = 40;

export function randomGraph(seed: number): RandomGraph {
  const g = new Growth(seededRandom(seed));
  const theme = weighted(
    g,
    THEMES.map((item) => [item.weight, item] as const),
  );
  theme.start(g);
  const steps = g.chance(0.1) ? g.between(STEPS, MANY_STEPS) : g.between(2, STEPS);
  for (let n = 0; n < steps; n++) weighted(g, weighted(g, theme.menus))(g);
  return g.finish(chooseOutputs(g));
}

function weighted<T>(g: Growth, items: readonly (readonly [number, T])[]): T {
  let point = g.random.next() * items.reduce((sum, [weight]) => sum + weight, 0);
  for (const [weight, item] of items) {
    point -= weight;
    if (point < 0) return item;
  }
  return (items.at(-1) as readonly [number, T])[1];
}

/** The newest value, some others, sometimes one that is an input, a constant or an alias. */
function chooseOutputs(g: Growth): ValueId[] {
  const outputs = new Set<ValueId>([(g.values.at(-1) as Growth['values'][number]).id]);
  const extra = g.chance(0.5) ? g.between(1, 3) : 0;
  for (let n = 0; n < extra; n++) outputs.add(g.among(g.values).id);
  if (g.chance(0.1)) {
    const alias = g.op('Identity', [g.among([...outputs])]);
    if (alias !== undefined) outputs.add(alias.id);
  }
  if (g.chance(0.02)) outputs.add(g.constant([3]));
  return [...outputs];
}
