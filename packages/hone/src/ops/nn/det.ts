/** Det: determinants; compiled, the routine `det_<dtype>` of native/routines.h. */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import { inputType, requireDType, shapeError } from '../checks.ts';
import { defineOp } from '../define-op.ts';
import { FLOATS } from '../math/dtypes.ts';
import { given } from '../math/loops.ts';
import { sample } from './samples.ts';

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

/** Rows the routine has room for. */
const MAX_ROWS = 64;

export const det = defineOp({
  kind: 'core',
  name: 'Det',
  doc: 'Determinants of square matrices.',
  since: 22,
  attrs: {},
  infer: (ctx) => {
    const { dtype, shape } = inputType(ctx, 0);
    requireDType(ctx, { dtype, shape }, FLOATS);
    if (shape.length < 2 || shape.at(-1) !== shape.at(-2)) {
      shapeError(ctx, `[${shape.join(',')}] are not square matrices`);
    }
    return [{ dtype, shape: shape.slice(0, -2) }];
  },
  lower: (ctx) => {
    const { dtype, shape } = inputType(ctx, 0);
    const rows = at(shape, shape.length - 1);
    if (rows > MAX_ROWS) return `matrices of more than ${MAX_ROWS} rows have no compiled form`;
    const dims = [elementCount(shape.slice(0, -2)), rows];
    return [{ kind: 'routine', routine: `det_${dtype}`, dims, scalars: [] }];
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
