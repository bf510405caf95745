/**
 * Normalisations. Along known axes they are what they were; along unknown ones they are written out as
 * means over what is meant.
 */
import { atBound } from './at-bound.ts';
import { type Int, isKnown } from './ints.ts';
import { Parts, wideOf } from './parts.ts';
import { axisIn, given, intOf, type Rule, sizeAt, type Use } from './rule.ts';
import type { Sized } from './sized.ts';

const areKnown = (x: Sized, axes: readonly number[]): boolean =>
  axes.every((axis) => isKnown(sizeAt(x, axis)));

const from = (first: number, rank: number): number[] =>
  Array.from({ length: rank - first }, (_, i) => first + i);

interface Spread {
  /** Without its mean, where that is asked for. */
  readonly centred: Sized;
  readonly mean: Sized;
  readonly inverse: Sized;
}

/** 1 / sqrt(variance + epsilon), or of the mean square. */
function spreadOf(
  use: Use,
  x: Sized,
  axes: readonly number[],
  epsilon: number,
  isCentred: boolean,
): Spread {
  const parts = new Parts(use);
  const dtype = use.s.dtype(x);
  const mean = parts.reduce('ReduceMean', x, axes);
  const centred = isCentred ? parts.op('Sub', [x, mean]) : x;
  const square = parts.reduce('ReduceMean', parts.op('Mul', [centred, centred]), axes);
  const raised = parts.op('Add', [square, parts.number(epsilon, dtype)]);
  return { centred, mean, inverse: parts.op('Reciprocal', [parts.op('Sqrt', [raised])]) };
}

/** A parameter with one element per channel, to be broadcast to the data. */
function perChannel(use: Use, parameter: Sized, rank: number): Sized {
  const parts = new Parts(use);
  const ones = new Array<Int>(rank - 2).fill(1);
  return parts.reshape(parameter, [sizeAt(parameter, 0), ...ones]);
}

const layerNorm =
  (isCentred: boolean, statistics: readonly ('mean' | 'inverse')[]): Rule =>
  (use) => {
    const parts = new Parts(use);
    const x = given(use, 0);
    const rank = x.sizes.length;
    const axes = from(axisIn(use, intOf(use, 'axis', -1), rank), rank);
    if (areKnown(x, axes)) return atBound(use);
    const wide = wideOf(use.s.dtype(x));
    const { centred, mean, inverse } = spreadOf(
      use,
      parts.cast(x, wide),
      axes,
      intOf(use, 'epsilon'),
      isCentred,
    );
    const scale = given(use, 1);
    const bias = use.inputs[2] ?? null;
    const unit = parts.op('Mul', [centred, inverse]);
    const scaled = parts.op('Mul', [unit, parts.cast(scale, wide)]);
    const y = bias === null ? scaled : parts.op('Add', [scaled, parts.cast(bias, wide)]);
    const extra = statistics.map((which) => (which === 'mean' ? mean : inverse));
    return [parts.cast(y, use.s.dtype(scale)), ...extra].slice(0, Math.max(1, use.outputs));
  };

/** InstanceNormalization is GroupNormalization with a group per channel. */
const groupNorm: Rule = (use) => {
  const parts = new Parts(use);
  const x = given(use, 0);
  const rank = x.sizes.length;
  const channels = sizeAt(x, 1);
  const isInstance = use.op === 'InstanceNormalization';
  if (areKnown(x, from(isInstance ? 2 : 1, rank))) return atBound(use);
  const wide = wideOf(use.s.dtype(x));
  const groups = isInstance ? channels : intOf(use, 'num_groups');
  const data = parts.cast(x, wide);
  const grouped = isInstance
    ? data
    : parts.reshape(data, [
        sizeAt(x, 0),
        groups,
        use.ints.div(channels, groups),
        ...x.sizes.slice(2),
      ]);
  const axes = from(2, grouped.sizes.length);
  const { centred, inverse } = spreadOf(use, grouped, axes, intOf(use, 'epsilon'), true);
  const unit = parts.op('Mul', [centred, inverse]);
  const [scale, bias] = [1, 2].map((k) =>
    perChannel(use, parts.cast(given(use, k), wide), rank),
  ) as [Sized, Sized];
  const y = parts.op('Add', [parts.op('Mul', [parts.reshape(unit, x.sizes), scale]), bias]);
  return [parts.cast(y, use.s.dtype(x))];
};

const MVN_EPSILON = 1e-9;

const meanVariance: Rule = (use) => {
  const parts = new Parts(use);
  const x = given(use, 0);
  const asked = use.attrs['axes'] as readonly number[];
  const axes = [...new Set(asked.map((axis) => axisIn(use, axis, x.sizes.length)))];
  if (areKnown(x, axes)) return atBound(use);
  const wide = wideOf(use.s.dtype(x));
  const data = parts.cast(x, wide);
  const centred = parts.op('Sub', [data, parts.reduce('ReduceMean', data, axes)]);
  const variance = parts.reduce('ReduceMean', parts.op('Mul', [centred, centred]), axes);
  const deviation = parts.op('Add', [
    parts.op('Sqrt', [variance]),
    parts.number(MVN_EPSILON, wide),
  ]);
  return [parts.cast(parts.op('Div', [centred, deviation]), use.s.dtype(x))];
};

/** Room of 0 adds nothing to a norm. */
const lpNorm: Rule = (use) => {
  const x = given(use, 0);
  const axis = axisIn(use, intOf(use, 'axis', -1), x.sizes.length);
  return atBound(use, [use.s.masked(x, 0, [axis])]);
};

/** Nor to the sums over neighbouring channels. */
const localResponse: Rule = (use) => atBound(use, [use.s.masked(given(use, 0), 0, [1])]);

/** Every channel by itself; in training by numbers of its own, beside which the running ones move on. */
const batchNorm: Rule = (use) => {
  const parts = new Parts(use);
  const x = given(use, 0);
  const rank = x.sizes.length;
  const axes = from(0, rank).filter((axis) => axis !== 1);
  if (intOf(use, 'training_mode') === 0 || areKnown(x, axes)) return atBound(use);
  const wide = wideOf(use.s.dtype(x));
  const data = parts.cast(x, wide);
  const mean = parts.reduce('ReduceMean', data, axes);
  const centred = parts.op('Sub', [data, mean]);
  const variance = parts.reduce('ReduceMean', parts.op('Mul', [centred, centred]), axes);
  const raised = parts.op('Add', [variance, parts.number(intOf(use, 'epsilon'), wide)]);
  const inverse = parts.op('Reciprocal', [parts.op('Sqrt', [raised])]);
  // A vector has one channel.
  const spread = (k: number): Sized => {
    const parameter = parts.cast(given(use, k), wide);
    return rank < 2 ? parameter : perChannel(use, parameter, rank);
  };
  const factor = parts.op('Mul', [spread(1), inverse]);
  const y = parts.op('Add', [parts.op('Mul', [centred, factor]), spread(2)]);
  const share = intOf(use, 'momentum');
  const running = (k: number, now: Sized): Sized => {
    const old = given(use, k);
    const kept = parts.op('Mul', [parts.cast(old, wide), parts.number(share, wide)]);
    const own = parts.reshape(now, [rank < 2 ? 1 : sizeAt(x, 1)]);
    const added = parts.op('Mul', [own, parts.number(1 - share, wide)]);
    return parts.cast(parts.op('Add', [kept, added]), use.s.dtype(old));
  };
  const all = [parts.cast(y, use.s.dtype(x)), running(3, mean), running(4, variance)];
  return all.slice(0, Math.max(1, use.outputs));
};

export const NORMALIZATION: ReadonlyMap<string, Rule> = new Map([
  ['LayerNormalization', layerNorm(true, ['mean', 'inverse'])],
  ['RMSNormalization', layerNorm(false, [])],
  ['SimplifiedLayerNormalization', layerNorm(false, ['inverse'])],
  ['InstanceNormalization', groupNorm],
  ['GroupNormalization', groupNorm],
  ['MeanVarianceNormalization', meanVariance],
  ['LpNormalization', lpNorm],
  ['LRN', localResponse],
  ['BatchNormalization', batchNorm],
]);

/** Pools over all of the spatial axes. */
const globalPool =
  (op: string): Rule =>
  (use) => {
    const x = given(use, 0);
    const axes = from(2, x.sizes.length);
    if (areKnown(x, axes)) return atBound(use);
    return [new Parts(use).reduce(op, x, axes)];
  };

const globalLp: Rule = (use) => {
  const x = given(use, 0);
  return atBound(use, [use.s.masked(x, 0, from(2, x.sizes.length))]);
};

export const GLOBAL_POOLS: ReadonlyMap<string, Rule> = new Map([
  ['GlobalAveragePool', globalPool('ReduceMean')],
  ['GlobalMaxPool', globalPool('ReduceMax')],
  ['GlobalLpPool', globalLp],
]);
