/**
 * Recurrent layers: sequences end where they are meant to, which is what the operators' own lengths are
 * for. Rows that are not meant have length 0; features and hidden units that are not meant have weights,
 * biases and states of 0, so that others never feel them.
 */
import { atBound } from './at-bound.ts';
import { common } from './elementwise.ts';
import { type Int, isKnown, mostOf } from './ints.ts';
import { Parts } from './parts.ts';
import { given, intOf, type Rule, sizeAt, type Use } from './rule.ts';
import { boundsOf, type Sized } from './sized.ts';

/** Places of inputs: data, weights, biases, lengths, initial h and c, peepholes. */
const [X, W, R, B, LENGTHS, H, C, P] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
/** Gates of LSTM that look through peepholes. */
const PEEPHOLES = 3;

interface Layer {
  readonly gates: number;
  readonly hasCell: boolean;
}

interface Extents {
  readonly steps: Int;
  readonly batch: Int;
  readonly features: Int;
  readonly hidden: Int;
  readonly directions: number;
}

interface Axes {
  readonly isFirst: boolean;
  readonly step: number;
  readonly batch: number;
  /** Of initial states: of the batch, and of directions. */
  readonly stateBatch: number;
  readonly stateDirection: number;
}

function axesOf(use: Use): Axes {
  const isFirst = intOf(use, 'layout') !== 0;
  return isFirst
    ? { isFirst, step: 1, batch: 0, stateBatch: 0, stateDirection: 1 }
    : { isFirst, step: 0, batch: 1, stateBatch: 1, stateDirection: 0 };
}

/** Of numbers that have to be equal one that is known, or the one with the lowest bound. */
function agreed(all: readonly Int[]): Int {
  const known = all.find(isKnown);
  if (known !== undefined) return known;
  return all.reduce((a, b) => (mostOf(b) < mostOf(a) ? b : a));
}

function extentsOf(use: Use, { gates }: Layer, axes: Axes): Extents {
  const [x, w, r] = [given(use, X), given(use, W), given(use, R)];
  const lists = [
    [x, axes.batch],
    [use.inputs[LENGTHS], 0],
    [use.inputs[H], axes.stateBatch],
    [use.inputs[C], axes.stateBatch],
  ] as const;
  const batches = lists.flatMap(([input, axis]) => (input == null ? [] : [sizeAt(input, axis)]));
  const declared = intOf(use, 'hidden_size', -1);
  /** Units by the rows that they have in another input. */
  const unitsIn = (k: number, rows: number): readonly Int[] => {
    const size = use.inputs[k]?.sizes[1];
    return size !== undefined && isKnown(size) ? [Math.floor(size / rows)] : [];
  };
  const units = [
    ...(declared < 0 ? [] : [declared]),
    sizeAt(r, 2),
    ...[H, C].flatMap((k) => use.inputs[k]?.sizes[2] ?? []),
    ...[unitsIn(W, gates), unitsIn(R, gates), unitsIn(B, 2 * gates), unitsIn(P, PEEPHOLES)].flat(),
  ];
  return {
    steps: sizeAt(x, axes.step),
    batch: batches.reduce((a, b) => common(use, a, b), 1 as Int),
    features: agreed([sizeAt(x, 2), sizeAt(w, 2)]),
    hidden: agreed(units),
    directions: use.attrs['direction'] === 'bidirectional' ? 2 : 1,
  };
}

/** `count` groups of hidden units along an axis, each with its own room, which is 0. */
function grouped(use: Use, x: Sized, axis: number, count: number, hidden: Int): Sized {
  const { s } = use;
  if (isKnown(hidden)) return s.first(x, axis, count * hidden);
  const apart = x.sizes.toSpliced(axis, 1, count, hidden);
  const filled = s.masked(s.reshaped(x, apart), 0, [axis + 1]);
  const sizes = x.sizes.with(axis, count * mostOf(hidden));
  return { id: s.reshape(filled.id, boundsOf(sizes)), sizes };
}

/** An axis at an extent, what is not meant of it 0. */
function filled({ s }: Use, x: Sized, axis: number, size: Int): Sized {
  return s.masked(s.first(x, axis, size), 0, [axis]);
}

/** The weights, biases, peepholes and states as they are used. */
function prepared(use: Use, { gates }: Layer, axes: Axes, extents: Extents): (Sized | null)[] {
  const { s } = use;
  const { batch, features, hidden, directions } = extents;
  const count = Math.max(use.inputs.length, LENGTHS + 1);
  const out = Array.from({ length: count }, (_, k): Sized | null => use.inputs[k] ?? null);
  const change = (k: number, way: (x: Sized) => Sized): void => {
    const input = out[k];
    if (input != null) out[k] = way(input);
  };
  change(X, (x) => filled(use, s.fit(x, axes.batch, batch), 2, features));
  for (const k of [W, R, B, P]) change(k, (x) => s.first(x, 0, directions));
  change(W, (x) => filled(use, grouped(use, x, 1, gates, hidden), 2, features));
  change(R, (x) => filled(use, grouped(use, x, 1, gates, hidden), 2, hidden));
  change(B, (x) => grouped(use, x, 1, 2 * gates, hidden));
  change(P, (x) => grouped(use, x, 1, PEEPHOLES, hidden));
  for (const k of [H, C]) {
    change(k, (x) => {
      const one = s.first(s.fit(x, axes.stateBatch, batch), axes.stateDirection, directions);
      return filled(use, one, 2, hidden);
    });
  }
  return out;
}

/**
 * Units that are not meant have sums of 0, and the state that these make. It stays finite unless an
 * activation is far from 0 there, which Affine alone can be.
 */
function checkRoom(use: Use): void {
  const names = use.attrs['activations'];
  const betas = use.attrs['activation_beta'];
  const isAffine = Array.isArray(names) && names.some((name) => /^affine$/i.test(String(name)));
  const isFar = Array.isArray(betas) && betas.some((beta) => !(Number(beta) >= 0 && beta <= 1));
  if (isAffine && isFar) use.s.cannot('a number of hidden units with an Affine far from 0');
}

function recurrent(use: Use, layer: Layer): readonly Sized[] {
  const { s } = use;
  const parts = new Parts(use);
  const axes = axesOf(use);
  const extents = extentsOf(use, layer, axes);
  const { steps, batch, hidden, directions } = extents;
  if (!isKnown(hidden)) checkRoom(use);
  const inputs = prepared(use, layer, axes, extents);
  const lengths = use.inputs[LENGTHS] ?? null;
  if (lengths !== null || !isKnown(steps)) {
    const own = lengths === null ? parts.int(steps, 'i32') : s.fit(lengths, 0, batch);
    const whole = parts.op('Expand', [own, parts.list([batch])]);
    inputs[LENGTHS] = s.masked(whole, 0);
  }
  const last: Int[] = axes.isFirst ? [batch, directions, hidden] : [directions, batch, hidden];
  const all: Int[] = axes.isFirst
    ? [batch, steps, directions, hidden]
    : [steps, directions, batch, hidden];
  return atBound(use, inputs, [all, last, last].slice(0, Math.max(1, use.outputs)));
}

/** The weights in f32, their last axes swapped; a scale and a zero point for all, or for each row. */
function realWeights(use: Use, [w, s, z]: readonly [number, number, number]): Sized {
  const parts = new Parts(use);
  const weights = given(use, w);
  const [directions, , rows] = weights.sizes as readonly [Int, Int, Int];
  const spread = (x: Sized): Sized => {
    const count = use.ints.product(x.sizes);
    if (count === 1) return parts.reshape(x, [1, 1, 1]);
    const isShort = isKnown(count) && count <= 2;
    return parts.reshape(x, isShort ? [count, 1, 1] : [directions, 1, rows]);
  };
  const real = (x: Sized): Sized => parts.cast(x, 'f32');
  const zero = use.inputs[z];
  const shifted =
    zero == null ? real(weights) : parts.op('Sub', [real(weights), spread(real(zero))]);
  const scaled = parts.op('Mul', [shifted, spread(given(use, s))]);
  return parts.op('Transpose', [scaled], { perm: [0, 2, 1] });
}

/** It is an LSTM of dequantised weights. */
const dynamicQuantizeLstm: Rule = (use) => {
  const weights = [realWeights(use, [W, 8, 9]), realWeights(use, [R, 10, 11])];
  const inputs = [given(use, X), ...weights, ...use.inputs.slice(B, P + 1)];
  return use.apply({ op: 'LSTM', attrs: use.attrs, inputs, outputs: use.outputs });
};

const rule =
  (gates: number, hasCell = false): Rule =>
  (use) =>
    recurrent(use, { gates, hasCell });

export const RECURRENT: ReadonlyMap<string, Rule> = new Map([
  ['RNN', rule(1)],
  ['GRU', rule(3)],
  ['LSTM', rule(4, true)],
  ['com.microsoft:DynamicQuantizeLSTM', dynamicQuantizeLstm],
]);
