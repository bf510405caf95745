/** com.microsoft's Inverse; compiled, the routine `inverse_<dtype>` of native/routines.h. */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import { inputType, requireDType, shapeError } from '../checks.ts';
import { defineOp, type InferContext } from '../define-op.ts';
import { FLOATS } from '../math/dtypes.ts';
import { given } from '../math/loops.ts';
import { sample } from '../nn/samples.ts';
import { MICROSOFT } from './alias.ts';

/** Rows the routine has room for. */
const MAX_ROWS = 64;

/** Inverse by elimination beside the identity, the largest pivot of a column first; `m` is changed. */
function inverseOf(m: Float64Array, n: number): Float64Array {
  const out = new Float64Array(n * n);
  for (let c = 0; c < n; c++) out[c * n + c] = 1;
  const eachOf = (
    row: number,
    other: number,
    change: (x: number, y: number) => [number, number],
  ) => {
    for (const matrix of [m, out]) {
      for (let k = 0; k < n; k++) {
        const [i, j] = [row * n + k, other * n + k];
        [matrix[i], matrix[j]] = change(matrix[i] as number, matrix[j] as number);
      }
    }
  };
  for (let c = 0; c < n; c++) {
    let pivot = c;
    for (let r = c + 1; r < n; r++) {
      if (Math.abs(m[r * n + c] as number) > Math.abs(m[pivot * n + c] as number)) pivot = r;
    }
    if (pivot !== c) eachOf(c, pivot, (x, y) => [y, x]);
    const top = m[c * n + c] as number;
    for (let k = 0; k < n; k++) {
      m[c * n + k] = (m[c * n + k] as number) / top;
      out[c * n + k] = (out[c * n + k] as number) / top;
    }
    for (let r = 0; r < n; r++) {
      if (r === c) continue;
      const factor = m[r * n + c] as number;
      eachOf(r, c, (x, y) => [x - factor * y, y]);
    }
  }
  return out;
}

export const inverse = defineOp({
  kind: 'core',
  name: 'Inverse',
  domain: MICROSOFT,
  doc: 'Inverses of square matrices.',
  since: 1,
  attrs: {},
  infer: (ctx: InferContext) => {
    const { dtype, shape } = inputType(ctx, 0);
    requireDType(ctx, { dtype, shape }, FLOATS);
    if (shape.length < 2 || shape.at(-1) !== shape.at(-2)) {
      shapeError(ctx, `[${shape.join(',')}] are not square matrices`);
    }
    return [{ dtype, shape }];
  },
  lower: (ctx) => {
    const { dtype, shape } = inputType(ctx, 0);
    const rows = at(shape, shape.length - 1);
    if (rows > MAX_ROWS) return `matrices of more than ${MAX_ROWS} rows have no compiled form`;
    const dims = [elementCount(shape.slice(0, -2)), rows];
    return [{ kind: 'routine', routine: `inverse_${dtype}`, dims, scalars: [] }];
  },
  reference: (inputs) => {
    const x = given(inputs, 0);
    const n = at(x.shape, x.shape.length - 1);
    const values = toNumbers(x);
    const out = Array.from({ length: elementCount(x.shape.slice(0, -2)) }, (_, i) => [
      ...inverseOf(values.slice(i * n * n, (i + 1) * n * n), n),
    ]);
    return [fromNumbers(x.dtype, x.shape, out.flat())];
  },
  tolerance: { f32: { relative: 1e-4, absolute: 1e-5 } },
  cases: () => [
    { note: 'one matrix', inputs: [fromNumbers('f32', [2, 2], [0, 2, 3, 4])] },
    { note: 'a batch', inputs: [sample([2, 3, 3])] },
    { note: 'f64', inputs: [sample([4, 4], 2, 'f64')] },
  ],
});
