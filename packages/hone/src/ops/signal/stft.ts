/** STFT: transforms of overlapping frames of a signal. */
import { at } from 'hone-runtime/base/diagnostics';
import { fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs } from '../../graph/types.ts';
import {
  constantInt,
  inputType,
  int,
  intAttr,
  optionalConstantInt,
  optionalType,
  requireDType,
  shapeError,
} from '../checks.ts';
import { defineOp, type InferContext } from '../define-op.ts';
import { FLOATS } from '../math/dtypes.ts';
import { given } from '../math/loops.ts';
import { i64, uniform } from '../math/samples.ts';
import { resultOf, type Transform, transformLine, transformRows, whyTooLarge } from './fourier.ts';

interface Geometry {
  readonly frames: number;
  readonly step: number;
  readonly transform: Transform;
  readonly shape: readonly number[];
}

function geometry(
  ctx: { node: string; op: string },
  attrs: Attrs,
  signal: readonly number[],
  given: { step: number; window: readonly number[] | undefined; length: number | undefined },
): Geometry {
  const { step, window } = given;
  const [batch = 0, samples = 0, parts = 1] = signal;
  const rank = signal.length;
  if (rank < 2 || rank > 3 || (parts !== 1 && parts !== 2)) {
    shapeError(ctx, `signal [${signal.join(',')}] is not [batch, samples, 1 or 2]`);
  }
  const length = given.length ?? window?.[0] ?? 0;
  if (!(step >= 1 && length >= 1 && length <= samples)) {
    shapeError(ctx, `frames of ${length} in steps of ${step} from ${samples} samples`);
  }
  if (window !== undefined && (window.length !== 1 || window[0] !== length)) {
    shapeError(ctx, `the window [${window.join(',')}] is not one of ${length}`);
  }
  const onesided = intAttr(attrs, 'onesided') !== 0;
  if (onesided && parts === 2) shapeError(ctx, 'half a spectrum of complex numbers');
  const transform: Transform = { points: length, parts, length, inverse: false, onesided };
  const frames = 1 + Math.floor((samples - length) / step);
  const out = resultOf(transform);
  return { frames, step, transform, shape: [batch, frames, out.points, out.parts] };
}

function geometryOf(ctx: InferContext): Geometry {
  return geometry(ctx, ctx.attrs, inputType(ctx, 0).shape, {
    step: constantInt(ctx, 1, 'frame_step'),
    window: optionalType(ctx, 2)?.shape,
    length: optionalConstantInt(ctx, 3, 'frame_length'),
  });
}

export const stft = defineOp({
  kind: 'composite',
  name: 'STFT',
  doc: 'Discrete Fourier transforms of overlapping frames, each times a window.',
  since: 17,
  attrs: { onesided: int(1) },
  infer: (ctx) => {
    const { dtype, shape } = inputType(ctx, 0);
    requireDType(ctx, { dtype, shape }, FLOATS);
    const window = optionalType(ctx, 2);
    if (window !== undefined) requireDType(ctx, window, [dtype], 'the window');
    return [{ dtype, shape: geometryOf(ctx).shape }];
  },
  decompose: (b, [x = null, , window = null], ctx) => {
    const { frames, step, transform, shape } = geometryOf(ctx);
    const reason = whyTooLarge(transform);
    if (reason !== null) return reason;
    const { length, parts } = transform;
    const [batch = 0, samples = 0] = inputType(ctx, 0).shape;
    const positions = Array.from(
      { length: frames * length },
      (_, i) => Math.floor(i / length) * step + (i % length),
    );
    const signal = b.reshape(x, [batch, samples, parts]);
    const where = b.constant(fromNumbers('i64', [frames, length], positions));
    const cut = b.op('Gather', [signal, where], { axis: 1 });
    const weighed = window === null ? cut : b.op('Mul', [cut, b.reshape(window, [length, 1])]);
    const rows = b.reshape(weighed, [batch * frames, length * parts]);
    return [b.reshape(transformRows(b, rows, transform), shape)];
  },
  reference: (inputs, attrs, ctx) => {
    const x = given(inputs, 0);
    const window = inputs[2] ? toNumbers(inputs[2]) : undefined;
    const node = { node: ctx.node, op: 'STFT' };
    const { frames, step, transform, shape } = geometry(node, attrs, x.shape, {
      step: toNumbers(given(inputs, 1))[0] ?? 0,
      window: inputs[2]?.shape,
      length: inputs[3] ? toNumbers(inputs[3])[0] : undefined,
    });
    const { length, parts } = transform;
    const values = toNumbers(x);
    const samples = at(x.shape, 1);
    const out: number[] = [];
    for (let batch = 0; batch < at(shape, 0); batch++) {
      for (let frame = 0; frame < frames; frame++) {
        const read = (part: number): Float64Array =>
          Float64Array.from({ length }, (_, n) => {
            const position = (batch * samples + frame * step + n) * parts + part;
            return part < parts ? (values[position] as number) * (window?.[n] ?? 1) : 0;
          });
        const { re, im } = transformLine({ re: read(0), im: read(1) }, transform);
        re.forEach((value, k) => {
          out.push(value, im[k] as number);
        });
      }
    }
    return [fromNumbers(x.dtype, shape, out)];
  },
  cases: () => [
    { note: 'no window', inputs: [uniform([2, 20, 1]), i64([], [4]), null, i64([], [8])] },
    { note: 'window', inputs: [uniform([1, 20, 1]), i64([], [3]), uniform([6], 0, 1)] },
    {
      note: 'complex',
      inputs: [uniform([1, 12, 2]), i64([], [4]), uniform([5], 0, 1), i64([], [5])],
      attrs: { onesided: 0 },
    },
  ],
});
