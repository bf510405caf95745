/**
 * Discrete Fourier transforms as matrices: DFT and STFT become one matrix product, in doubles, with
 * complex numbers as pairs; forward ones of real numbers two of half as many rows and columns.
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
  const [cosines, sines] = halfMatrices(length, points).map((matrix) =>
    b.constant(fromNumbers('f64', [half, points], matrix)),
  ) as [ValueId, ValueId];
  const parts = [
    b.op('MatMul', [b.op('Add', [head, tail]), cosines]),
    b.op('MatMul', [b.op('Sub', [head, tail]), sines]),
  ].map((part) => {
    const narrow = b.op('Cast', [part], { to: dtypeCode(dtype) });
    return b.reshape(narrow, [at(shape, 0), points, 1]);
  });
  return b.reshape(b.op('Concat', parts, { axis: 2 }), [at(shape, 0), 2 * points]);
}

/**
 * Cosines and sines (of the forward transform, so negated) of points 0 … length / 2. A point that is
 * its own mirror is added to itself: half of it counts; its sines are zeros and meet x - x, which is
 * not 0 for what is no number.
 */
function halfMatrices(length: number, points: number): readonly [Float64Array, Float64Array] {
  const half = Math.floor(length / 2) + 1;
  const cosines = new Float64Array(half * points);
  const sines = new Float64Array(half * points);
  for (let n = 0; n < half; n++) {
    const weight = (2 * n) % length === 0 ? 0.5 : 1;
    for (let k = 0; k < points; k++) {
      const [cos, sin] = turn((n * k) % length, length);
      cosines[n * points + k] = weight * cos;
      sines[n * points + k] = -weight * sin;
    }
  }
  return [cosines, sines];
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
