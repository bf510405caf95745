/**
 * Fourier transforms of as many points as data says, and frames of signals of unknown length: the
 * transform's matrix is computed by the run.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { checkNone } from './checks.ts';
import { expanded } from './expand.ts';
import { type Int, isKnown, mostOf } from './ints.ts';
import { Parts, wideOf } from './parts.ts';
import { axisIn, given, intOf, intsOf, knownInts, type Rule, sizeAt, type Use } from './rule.ts';
import { isBounded, type Sized } from './sized.ts';

interface Transform {
  /** Points that are read, and that are made. */
  readonly from: Int;
  readonly to: Int;
  readonly length: Int;
  readonly isInverse: boolean;
  /** Reads only half of a spectrum, or gives only that. */
  readonly isHalf: boolean;
}

const half = (use: Use, length: Int): Int => use.ints.add(use.ints.div(length, 2), 1);

function transformOf(use: Use, x: Sized, axis: number): Transform {
  const { ints, s } = use;
  const points = sizeAt(x, axis);
  const isInverse = intOf(use, 'inverse') !== 0;
  const isHalf = intOf(use, 'onesided') !== 0;
  const isSpectrum = isInverse && isHalf;
  const asked = use.inputs[1] == null ? undefined : at(intsOf(use, 1, 'the length'), 0);
  const own = isSpectrum ? ints.max(ints.mul(ints.sub(points, 1), 2), 0) : points;
  const sizes = s.bounded(x.sizes.with(axis, asked ?? own), { dtype: s.dtype(x) });
  const length = at(sizes, axis);
  return {
    from: isSpectrum ? half(use, length) : length,
    to: isHalf && !isInverse ? half(use, length) : length,
    length,
    isInverse,
    isHalf,
  };
}

/** Cosines and sines of the turns that points make of each other, [from, to]. */
function waves(use: Use, { from, to, length }: Transform, dtype: 'f32' | 'f64'): [Sized, Sized] {
  const { s, ints } = use;
  const parts = new Parts(use);
  const row: Sized = { id: s.iota(mostOf(from), 2, 0), sizes: [from, 1] };
  const column: Sized = { id: s.iota(mostOf(to), 2, 1), sizes: [1, to] };
  const most = ints.max(length, 1);
  const steps = parts.op('Mod', [parts.op('Mul', [row, column]), parts.int(most, 'i64')]);
  const share = parts.op('Div', [parts.cast(steps, 'f64'), parts.int(most, 'f64')]);
  const turn = parts.op('Mul', [share, parts.number(2 * Math.PI, 'f64')]);
  return [parts.cast(parts.op('Cos', [turn]), dtype), parts.cast(parts.op('Sin', [turn]), dtype)];
}

/** Of half a spectrum each point but the ends stands for two. */
function doubled(use: Use, x: Sized, { from, length }: Transform): Sized {
  const { s, ints } = use;
  const parts = new Parts(use);
  const dtype = s.dtype(x);
  const place: Sized = { id: s.iota(mostOf(from)), sizes: [from] };
  const isFirst = parts.op('Equal', [place, parts.number(0, 'i64')]);
  const isLast = parts.op('Equal', [
    parts.op('Mul', [place, parts.number(2, 'i64')]),
    { id: ints.id(length), sizes: [] },
  ]);
  const isEnd = parts.op('Or', [isFirst, isLast]);
  const weight = parts.op('Where', [isEnd, parts.number(1, dtype), parts.number(2, dtype)]);
  return parts.op('Mul', [x, weight]);
}

/**
 * Numbers per point that only the run knows, 1 or 2: complex numbers, with parts of 0 where they are real.
 * Half a spectrum is that of real numbers. A run checks it.
 */
function complex(use: Use, x: Sized, most: 1 | 2): Sized {
  const { s } = use;
  const last = x.sizes.length - 1;
  const count = sizeAt(x, last);
  if (isKnown(count)) return x;
  const says = `${s.node}: numbers per point, 1${most === 1 ? '' : ' or 2'}`;
  const source = { tensor: '', axis: last, origin: '', option: '' } as const;
  s.checked(count, { min: 1, max: most }, source, says);
  const filled = s.first(s.masked(x, 0, [last]), last, most);
  return { id: filled.id, sizes: x.sizes.with(last, most) };
}

const dft: Rule = (whole) => {
  const isSpectrum = intOf(whole, 'onesided') !== 0 && intOf(whole, 'inverse') === 0;
  const x = complex(whole, given(whole, 0), isSpectrum ? 1 : 2);
  return transformed({ ...whole, inputs: [x, ...whole.inputs.slice(1)] }, x);
};

function transformed(use: Use, x: Sized): readonly Sized[] {
  const { s, ints } = use;
  const parts = new Parts(use);
  const rank = x.sizes.length;
  const asked = use.inputs[2] == null ? [] : knownInts(use, 2, 'the axis');
  const axis = axisIn(use, asked[0] ?? -2, rank);
  const count = sizeAt(x, rank - 1);
  const transform = transformOf(use, x, axis);
  const { from, length, isInverse, isHalf } = transform;
  if (isKnown(sizeAt(x, axis)) && isKnown(length) && use.def.kind === 'composite')
    return expanded(use, use.def);
  const dtype = s.dtype(x);
  const wide = wideOf(dtype) === 'f64' ? 'f64' : 'f32';
  const whole = s.first(s.masked(parts.cast(x, wide), 0, [axis]), axis, from);
  const others = x.sizes.flatMap((_, i) => (i === axis || i === rank - 1 ? [] : [i]));
  const perm = [...others, axis, rank - 1];
  const rows = parts.op('Transpose', [whole], { perm });
  const part = (k: number): Sized => {
    const own = parts.op('Gather', [rows, { id: ints.id(k), sizes: [] }], { axis: -1 });
    return isInverse && isHalf ? doubled(use, own, transform) : own;
  };
  const [cos, sin] = waves(use, transform, wide);
  const product = (a: Sized, b: Sized): Sized => parts.op('MatMul', [a, b]);
  const re = part(0);
  const im = count === 2 ? part(1) : undefined;
  // Forward the imaginary part of a turn is negative.
  const [reIm, imRe] = isInverse ? (['Sub', 'Add'] as const) : (['Add', 'Sub'] as const);
  const real =
    im === undefined ? product(re, cos) : parts.op(reIm, [product(re, cos), product(im, sin)]);
  const results = [real];
  if (!(isInverse && isHalf)) {
    const own = im === undefined ? parts.number(0, wide) : product(im, cos);
    results.push(parts.op(imRe, [own, product(re, sin)]));
  }
  const scaled = results.map((y) => {
    const own = isInverse ? parts.op('Div', [y, parts.int(ints.max(length, 1), wide)]) : y;
    return parts.op('Unsqueeze', [own, parts.list([rank - 1])]);
  });
  const [only] = scaled;
  const joined =
    scaled.length === 1 && only !== undefined ? only : parts.op('Concat', scaled, { axis: -1 });
  const back = parts.op('Transpose', [joined], { perm: perm.map((_, i) => perm.indexOf(i)) });
  return [parts.cast(back, dtype)];
}

/** Positions of windows of `size`, one row per window. */
function frames(use: Use, count: Int, size: Int, step: Int, last: number): Sized {
  const { s, ints } = use;
  const begins = s.b.op('Mul', [s.iota(mostOf(count), 2, 0), ints.id(step)]);
  const places = s.b.op('Add', [begins, s.iota(mostOf(size), 2, 1)]);
  const safe = s.b.op('Min', [places, ints.id(Math.max(0, last))]);
  return { id: safe, sizes: [count, size] };
}

/** The tensor with an axis in frames, its elements at an axis behind. */
function framed(use: Use, x: Sized, axis: number, size: Int, step: Int): Sized {
  const { s, ints } = use;
  const n = sizeAt(x, axis);
  const reach = ints.max(ints.sub(ints.add(n, step), size), 0);
  const count = ints.within(ints.div(reach, step), 0, mostOf(n));
  const places = frames(use, count, size, step, mostOf(n) - 1);
  const sizes = [...x.sizes.slice(0, axis), count, size, ...x.sizes.slice(axis + 1)];
  s.room(sizes);
  return s.made(s.op('Gather', [x.id, places.id], { axis }), sizes);
}

/** No signal is as long. */
const MAX_STEP = 2 ** 31;

const stft: Rule = (whole) => {
  const { s } = whole;
  const isHalf = intOf(whole, 'onesided', 1) !== 0;
  const own = given(whole, 0);
  const signal = own.sizes.length === 3 ? complex(whole, own, isHalf ? 1 : 2) : own;
  const use: Use = { ...whole, inputs: [signal, ...whole.inputs.slice(1)] };
  const parts = new Parts(use);
  const window = use.inputs[2] ?? null;
  const said = at(intsOf(use, 1, 'the step of frames'), 0);
  if (mostOf(said) < 1) return s.cannot('frames without a step');
  if (!isKnown(said)) checkNone(use, use.ints.whereLess(said, 1, 1, 0), 'frames without a step');
  const step = use.ints.clamp(said, 1, MAX_STEP);
  const samples = sizeAt(signal, 1);
  const asked = use.inputs[3] == null ? undefined : at(intsOf(use, 3, 'the length of frames'), 0);
  const length =
    asked ?? (window === null ? s.cannot('frames without a length') : sizeAt(window, 0));
  if ([samples, length, step].every(isKnown) && use.def.kind === 'composite')
    return expanded(use, use.def);
  if (mostOf(samples) === 0) return s.cannot('a signal without samples');
  const three = signal.sizes.length === 3 ? signal : parts.reshape(signal, [...signal.sizes, 1]);
  const cut = framed(use, three, 1, use.ints.clamp(length, 0, samples), step);
  const weighed =
    window === null ? cut : parts.op('Mul', [cut, parts.reshape(window, [sizeAt(window, 0), 1])]);
  const axis: Sized = { id: use.ints.id(2), sizes: [] };
  const attrs = { onesided: intOf(use, 'onesided', 1), inverse: 0 };
  return use.apply({ op: 'DFT', inputs: [weighed, null, axis], attrs });
};

const unfold: Rule = (use) => {
  const parts = new Parts(use);
  const x = given(use, 0);
  const rank = x.sizes.length;
  const axis = axisIn(use, intOf(use, 'dim', -1), rank);
  if (!isBounded(x) || mostOf(sizeAt(x, axis)) === 0) return use.s.cannot('nothing to unfold');
  const cut = framed(use, x, axis, intOf(use, 'size'), intOf(use, 'step', 1));
  const perm = [...x.sizes.keys(), rank].filter((i) => i !== axis + 1);
  return [parts.op('Transpose', [cut], { perm: [...perm, axis + 1] })];
};

export const SIGNAL: ReadonlyMap<string, Rule> = new Map([
  ['DFT', dft],
  ['STFT', stft],
  ['com.microsoft:UnfoldTensor', unfold],
]);
