/** Det and MaxUnpool: operators that have no compiled form yet. */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs } from '../../graph/types.ts';
import {
  constantInts,
  inputType,
  ints,
  intsAttr,
  optionalType,
  requireDType,
  shapeError,
} from '../checks.ts';
import { defineOp } from '../define-op.ts';
import { FLOATS } from '../math/dtypes.ts';
import { given, outputOf } from '../math/loops.ts';
import { forEachIndex } from './index-loop.ts';
import { sample } from './samples.ts';
import { explicitPads, type NodeRef, spatialAttr } from './window.ts';

/** Determinant by elimination with the largest pivot; `m` is changed. */
function determinant(m: Float64Array, n: number): number {
  let product = 1;
  for (let c = 0; c < n; c++) {
    let pivot = c;
    for (let r = c + 1; r < n; r++) {
      if (Math.abs(m[r * n + c] as number) > Math.abs(m[pivot * n + c] as number)) pivot = r;
    }
    const top = m[pivot * n + c] as number;
    if (top === 0) return 0;
    product *= pivot === c ? top : -top;
    for (let k = 0; k < n; k++) {
      const kept = m[c * n + k] as number;
      m[c * n + k] = m[pivot * n + k] as number;
      m[pivot * n + k] = kept;
    }
    for (let r = c + 1; r < n; r++) {
      const factor = (m[r * n + c] as number) / top;
      for (let k = c; k < n; k++) {
        m[r * n + k] = (m[r * n + k] as number) - factor * (m[c * n + k] as number);
      }
    }
  }
  return product;
}

export const det = defineOp({
  kind: 'host',
  name: 'Det',
  doc: 'Determinants of square matrices.',
  since: 22,
  reason: 'elimination has no compiled routine yet',
  attrs: {},
  infer: (ctx) => {
    const { dtype, shape } = inputType(ctx, 0);
    requireDType(ctx, { dtype, shape }, FLOATS);
    if (shape.length < 2 || shape.at(-1) !== shape.at(-2)) {
      shapeError(ctx, `[${shape.join(',')}] are not square matrices`);
    }
    return [{ dtype, shape: shape.slice(0, -2) }];
  },
  reference: (inputs) => {
    const x = given(inputs, 0);
    const n = at(x.shape, x.shape.length - 1);
    const values = toNumbers(x);
    const batch = x.shape.slice(0, -2);
    const out = Array.from({ length: elementCount(batch) }, (_, i) =>
      determinant(values.slice(i * n * n, (i + 1) * n * n), n),
    );
    return [fromNumbers(x.dtype, batch, out)];
  },
  cases: () => [
    { note: 'one matrix', inputs: [fromNumbers('f32', [2, 2], [1, 2, 3, 4])] },
    { note: 'a batch', inputs: [sample([2, 3, 3])] },
  ],
});

/** Extents before pooling, of which the indices speak. */
function unpooled(ctx: NodeRef, attrs: Attrs, shape: readonly number[]): readonly number[] {
  const rank = shape.length - 2;
  const kernel = intsAttr(attrs, 'kernel_shape') ?? [];
  if (rank < 1 || kernel.length !== rank) {
    shapeError(ctx, `kernel_shape [${kernel.join(',')}] does not fit [${shape.join(',')}]`);
  }
  const stride = spatialAttr(ctx, attrs, 'strides', rank);
  const { begin, end } = explicitPads(ctx, attrs, rank);
  const spatial = kernel.map(
    (k, i) => (at(shape, i + 2) - 1) * at(stride, i) + k - at(begin, i) - at(end, i),
  );
  return [...shape.slice(0, 2), ...spatial];
}

export const maxUnpool = defineOp({
  kind: 'host',
  name: 'MaxUnpool',
  doc: 'Puts pooled elements back where they came from, zeros elsewhere.',
  since: 22,
  reason: 'scattering by positions from data has no compiled routine yet',
  attrs: { kernel_shape: { type: 'ints', required: true }, pads: ints(), strides: ints() },
  infer: (ctx) => {
    const x = inputType(ctx, 0);
    requireDType(ctx, x, FLOATS);
    if (inputType(ctx, 1).shape.join() !== x.shape.join()) {
      shapeError(ctx, `indices have shape [${inputType(ctx, 1).shape.join(',')}], not the input's`);
    }
    const inner = unpooled(ctx, ctx.attrs, x.shape);
    if (optionalType(ctx, 2) === undefined) return [{ dtype: x.dtype, shape: inner }];
    const shape = constantInts(ctx, 2, 'output_shape');
    if (shape.length !== inner.length || shape.some((extent, i) => extent < at(inner, i))) {
      shapeError(ctx, `output_shape [${shape.join(',')}] does not hold [${inner.join(',')}]`);
    }
    return [{ dtype: x.dtype, shape }];
  },
  reference: (inputs, attrs, ctx) => {
    const [x, indices] = [given(inputs, 0), toNumbers(given(inputs, 1))];
    const inner = unpooled({ node: ctx.node, op: 'MaxUnpool' }, attrs, x.shape);
    const placed = new Float64Array(elementCount(inner));
    toNumbers(x).forEach((value, i) => {
      const to = indices[i] as number;
      if (to < 0 || to >= placed.length) {
        shapeError({ node: ctx.node, op: 'MaxUnpool' }, `index ${to} is outside ${placed.length}`);
      }
      placed[to] = value;
    });
    const { shape } = outputOf(ctx);
    const out = new Float64Array(elementCount(shape));
    forEachIndex(inner, (index, flat) => {
      const to = index.reduce((sum, position, i) => sum * at(shape, i) + position, 0);
      out[to] = placed[flat] as number;
    });
    return [fromNumbers(x.dtype, shape, out)];
  },
  cases: () => [
    {
      note: 'by twos',
      inputs: [
        fromNumbers('f32', [1, 1, 2, 2], [1, 2, 3, 4]),
        fromNumbers('i64', [1, 1, 2, 2], [5, 7, 8, 10]),
      ],
      attrs: { kernel_shape: [2, 2], strides: [2, 2] },
    },
  ],
});
