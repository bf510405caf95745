/**
 * Discrete Fourier transforms as matrices: DFT and STFT become one matrix product, in doubles, with
 * complex numbers as pairs. Those of real numbers become two of half as many rows and columns, or, for
 * half a spectrum of an even length, four of a quarter.
 * Quadratic in the length, exact in its zeros and ones.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { dtypeCode } from 'hone-runtime/base/dtype';
import { fromNumbers } from 'hone-runtime/base/tensor';
import type { ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';

export interface Transform {
  /** Points given, and numbers per point: 1 real, 2 complex. */
  readonly points: number;
  readonly parts: 1 | 2;
  /** Length of the transform: points beyond it are cut off, missing ones are zeros. */
  readonly length: number;
  readonly inverse: boolean;
  /** Forward: the first half of the spectrum only. Inverse: half a spectrum in, reals out. */
  readonly onesided: boolean;
}

/** Points that come out, and numbers per point. */
export function resultOf(t: Transform): { readonly points: number; readonly parts: 1 | 2 } {
  if (!t.onesided) return { points: t.length, parts: 2 };
  if (t.inverse) return { points: t.length, parts: 1 };
  return { points: Math.floor(t.length / 2) + 1, parts: 2 };
}

/** Points that count: of half a spectrum no more than half, of others as many as the transform has. */
export function pointsRead({ points, length, inverse, onesided }: Transform): number {
  return Math.min(points, inverse && onesided ? Math.floor(length / 2) + 1 : length);
}

/** Larger matrices are not compiled. */
const MAX_ELEMENTS = 2 ** 24;

/** Why a transform has no compiled form, or null. */
export function whyTooLarge(t: Transform): string | null {
  const out = resultOf(t);
  const count = t.points * t.parts * out.points * out.parts;
  return count > MAX_ELEMENTS ? `a transform of ${t.length} points has no compiled form yet` : null;
}

/** Cosine and sine of a part of a turn; exact at the quarters. */
function turn(part: number, whole: number): readonly [number, number] {
  const quarters = (4 * part) / whole;
  if (Number.isInteger(quarters)) {
    const at = ((quarters % 4) + 4) % 4;
    return [[1, 0] as const, [0, 1] as const, [-1, 0] as const, [0, -1] as const][at] ?? [1, 0];
  }
  const angle = (2 * Math.PI * part) / whole;
  return [Math.cos(angle), Math.sin(angle)];
}

/** [points · parts, result's points · parts]: a row of numbers times it is the transform. */
function matrixOf(t: Transform): Float64Array {
  const out = resultOf(t);
  const columns = out.points * out.parts;
  const matrix = new Float64Array(t.points * t.parts * columns);
  const scale = t.inverse ? 1 / t.length : 1;
  const isReal = t.inverse && t.onesided;
  for (let n = 0; n < pointsRead(t); n++) {
    // The missing half of a real signal's spectrum mirrors this one.
    const isAlone = !isReal || n === 0 || 2 * n === t.length;
    const weight = isAlone ? scale : 2 * scale;
    for (let k = 0; k < out.points; k++) {
      const [cos, sine] = turn((n * k) % t.length, t.length);
      const sin = t.inverse ? sine : -sine;
      const entries = [
        [cos, sin],
        [-sin, cos],
      ];
      for (let from = 0; from < t.parts; from++) {
        for (let to = 0; to < out.parts; to++) {
          const at = (n * t.parts + from) * columns + k * out.parts + to;
          matrix[at] = weight * (entries[from]?.[to] ?? 0);
        }
      }
    }
  }
  return matrix;
}

/** The transform of rows [.., points · parts], as rows of the same dtype. */
export function transformRows(b: OpBuilder, rows: ValueId, t: Transform): ValueId {
  const out = resultOf(t);
  const { dtype } = b.typeOf(rows);
  if (t.parts === 1 && !t.inverse) return transformReal(b, rows, t);
  const shape = [t.points * t.parts, out.points * out.parts];
  const matrix = b.constant(fromNumbers('f64', shape, matrixOf(t)));
  const wide = b.op('Cast', [rows], { to: dtypeCode('f64') });
  return b.op('Cast', [b.op('MatMul', [wide, matrix])], { to: dtypeCode(dtype) });
}

/**
 * The transform of real rows [.., points]: cosines are the same at n and length - n and sines are
 * opposite, so the one multiply x[n] + x[length - n], the others x[n] - x[length - n].
 */
function transformReal(b: OpBuilder, rows: ValueId, t: Transform): ValueId {
  const { length } = t;
  const { points } = resultOf(t);
  const { dtype, shape } = b.typeOf(rows);
  const half = Math.floor(length / 2) + 1;
  const missing = Math.max(0, length - t.points);
  const given = b.op('Cast', [rows], { to: dtypeCode('f64') });
  const wide = missing === 0 ? given : b.op('Pad', [given, b.ints([0, 0, 0, missing])]);
  const head = b.op('Slice', [wide, b.ints([0]), b.ints([half]), b.ints([1])]);
  const mirror = b.ints(Array.from({ length: half }, (_, n) => (length - n) % length));
  const tail = b.op('Gather', [wide, mirror], { axis: 1 });
  const sums = b.op('Add', [head, tail]);
  const differences = b.op('Sub', [head, tail]);
  const product = t.onesided && length % 2 === 0 ? splitProduct : wholeProduct;
  const narrow = (part: ValueId): ValueId => b.op('Cast', [part], { to: dtypeCode(dtype) });
  const real = product(b, sums, 'cosine', length, points).map(narrow);
  const imaginary = product(b, differences, 'sine', length, points).map(narrow);
  // Ranges of the spectrum one behind the other, in each the two parts side by side.
  const pairs = real.map((part, i) => {
    const count = at(b.typeOf(part).shape, 1);
    const parts = [part, at(imaginary, i)].map((x) => b.reshape(x, [at(shape, 0), count, 1]));
    return b.reshape(b.op('Concat', parts, { axis: 2 }), [at(shape, 0), 2 * count]);
  });
  return pairs.length === 1 ? at(pairs, 0) : b.op('Concat', pairs, { axis: 1 });
}

type Wave = 'cosine' | 'sine';

/** Products of points 0 … length / 2 with waves, as ranges of the spectrum in order. */
type Product = (
  b: OpBuilder,
  rows: ValueId,
  wave: Wave,
  length: number,
  points: number,
) => readonly ValueId[];

const wholeProduct: Product = (b, rows, wave, length, points) => [
  b.op('MatMul', [rows, waves(b, { wave, length, from: 0, step: 1, columns: points })]),
];

/**
 * Half a spectrum of an even length. Waves k and length / 2 - k are the same but for the sign of
 * every other point, so even and odd points are multiplied apart, each for half of the waves.
 */
const splitProduct: Product = (b, rows, wave, length, points) => {
  const columns = Math.floor((points + 1) / 2);
  const [even, odd] = [0, 1].map((from) => {
    const ends = [[from], [points], [1], [2]].map((list) => b.ints(list));
    const matrix = waves(b, { wave, length, from, step: 2, columns });
    return b.op('MatMul', [b.op('Slice', [rows, ...ends]), matrix]);
  }) as [ValueId, ValueId];
  const differences = b.op('Sub', wave === 'cosine' ? [even, odd] : [odd, even]);
  // The last of an odd number of points is its own mirror.
  const last = points - columns - 1;
  const backwards = [[last], [-points - 1], [1], [-1]].map((list) => b.ints(list));
  return [b.op('Add', [even, odd]), b.op('Slice', [differences, ...backwards])];
};

/**
 * Cosines, or sines of the forward transform (so negated), of every `step`th point from `from` to
 * length / 2. A point that is its own mirror is added to itself: half of it counts; its sines are
 * zeros and meet x - x, which is not 0 for what is no number.
 */
function waves(
  b: OpBuilder,
  p: { wave: Wave; length: number; from: number; step: number; columns: number },
): ValueId {
  const { length, columns } = p;
  const rows = Math.floor((Math.floor(length / 2) - p.from) / p.step) + 1;
  const matrix = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const n = p.from + row * p.step;
    const weight = (2 * n) % length === 0 ? 0.5 : 1;
    for (let k = 0; k < columns; k++) {
      const [cos, sin] = turn((n * k) % length, length);
      matrix[row * columns + k] = weight * (p.wave === 'cosine' ? cos : -sin);
    }
  }
  return b.constant(fromNumbers('f64', [rows, columns], matrix));
}

/** A complex number per point. */
export interface Line {
  readonly re: Float64Array;
  readonly im: Float64Array;
}

/** By definition, for the references. */
export function transformLine(line: Line, t: Transform): Line {
  const full = t.inverse && t.onesided ? mirrored(line, t.length) : line;
  const out = resultOf(t);
  const re = new Float64Array(out.points);
  const im = new Float64Array(out.points);
  const sign = t.inverse ? 1 : -1;
  const scale = t.inverse ? 1 / t.length : 1;
  for (let k = 0; k < out.points; k++) {
    for (let n = 0; n < Math.min(full.re.length, t.length); n++) {
      // Exact at the quarters: what is infinite is no number there, and not nearly 0 times infinite.
      const [cos, sine] = turn((n * k) % t.length, t.length);
      const [a, c, sin] = [full.re[n] as number, full.im[n] as number, sign * sine];
      re[k] = (re[k] as number) + scale * (a * cos - c * sin);
      im[k] = (im[k] as number) + scale * (a * sin + c * cos);
    }
  }
  return { re, im };
}

/** The whole spectrum of a real signal from its first half. */
function mirrored({ re, im }: Line, length: number): Line {
  const half = Math.floor(length / 2) + 1;
  const pick = (from: Float64Array, sign: 1 | -1): Float64Array =>
    Float64Array.from({ length }, (_, n) =>
      n < half ? (from[n] ?? 0) : sign * (from[length - n] ?? 0),
    );
  return { re: pick(re, 1), im: pick(im, -1) };
}
