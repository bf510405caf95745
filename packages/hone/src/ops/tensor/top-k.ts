/** TopK: the routine `topk_<dtype>` of native/routines.h, or `sort_<dtype>` where all are asked for. */
import { type DType, dtypeBytes, isFloat } from 'hone-runtime/base/dtype';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import {
  constantInt,
  inputType,
  int,
  intAttr,
  normalizeAxis,
  requireDType,
  shapeError,
} from '../checks.ts';
import { defineOp, type InferContext } from '../define-op.ts';
import { NUMBERS } from '../math/dtypes.ts';
import { compiled } from './bodies.ts';
import { type Element, elementsOf, newElements, tensorOf } from './elements.ts';
import { attrToInput } from './reshape.ts';

/** All of fewer elements come off a heap as fast as merges sort them. */
const SORT_FROM = 64;

function outShape(ctx: InferContext): number[] {
  const { shape } = inputType(ctx, 0);
  const axis = normalizeAxis(ctx, intAttr(ctx.attrs, 'axis'), shape.length);
  const k = constantInt(ctx, 1, 'k');
  const extent = shape[axis];
  if (extent === undefined || !(k >= 0 && k <= extent)) {
    shapeError(ctx, `the first ${k} of ${extent ?? 'a scalar'}`);
  }
  return shape.map((size, i) => (i === axis ? k : size));
}

/** Order of the larger first; NaN counts as larger than any number. */
function descending(a: Element, b: Element): number {
  if (a > b) return -1;
  if (a < b) return 1;
  return Number(Number.isNaN(b)) - Number(Number.isNaN(a));
}

/** Numbers of which many are equal, out of order; some floats are not numbers. */
function repeating(dtype: DType, rows: number, count: number): Tensor {
  const values = Array.from({ length: rows * count }, (_, i) =>
    i % 29 === 0 && isFloat(dtype) ? Number.NaN : (i * 37) % 50,
  );
  return fromNumbers(dtype, [rows, count], values);
}

export const TopK = defineOp({
  kind: 'core',
  name: 'TopK',
  doc: 'The k largest (or smallest) elements along an axis and their positions; of equals, the first.',
  since: 11,
  attrs: { axis: int(-1), largest: int(1), sorted: int(1) },
  upgrade: (b, node) => attrToInput(b, node, 'k', 1),
  infer: (ctx) => {
    requireDType(ctx, inputType(ctx, 0), NUMBERS);
    const shape = outShape(ctx);
    return [
      { dtype: inputType(ctx, 0).dtype, shape },
      { dtype: 'i64', shape },
    ];
  },
  lower: (ctx) =>
    compiled(ctx, () => {
      const { dtype, shape } = inputType(ctx, 0);
      const axis = normalizeAxis(ctx, intAttr(ctx.attrs, 'axis'), shape.length);
      const k = outShape(ctx)[axis] as number;
      const outer = elementCount(shape.slice(0, axis));
      const inner = elementCount(shape.slice(axis + 1));
      const largest = intAttr(ctx.attrs, 'largest') !== 0 ? 1 : 0;
      const extent = shape[axis] as number;
      if (k === extent && inner === 1 && extent >= SORT_FROM) {
        const workspaceBytes = outer * extent * (8 + dtypeBytes(dtype));
        const sorted = [outer, extent, largest];
        return [
          { kind: 'routine', routine: `sort_${dtype}`, dims: sorted, scalars: [], workspaceBytes },
        ];
      }
      const dims = [outer, extent, inner, k, largest];
      return [{ kind: 'routine', routine: `topk_${dtype}`, dims, scalars: [] }];
    }),
  reference: ([x, count], attrs) => {
    const source = x as Tensor;
    const rank = source.shape.length;
    const axis = (intAttr(attrs, 'axis') + rank) % rank;
    const k = toNumbers(count as Tensor)[0] as number;
    const extent = source.shape[axis] as number;
    const inner = elementCount(source.shape.slice(axis + 1));
    const outer = elementCount(source.shape.slice(0, axis));
    const shape = source.shape.map((size, i) => (i === axis ? k : size));
    const stored = elementsOf(source);
    const values: ArrayLike<Element> =
      source.dtype === 'i64' || source.dtype === 'u64' ? stored : toNumbers(source);
    const sign = intAttr(attrs, 'largest') !== 0 ? 1 : -1;
    const out = newElements(source.dtype, elementCount(shape));
    const positions = newElements('i64', elementCount(shape));
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        const at = (p: number): number => (o * extent + p) * inner + i;
        const order = Array.from({ length: extent }, (_, p) => p).sort((p, q) => {
          return sign * descending(values[at(p)] as Element, values[at(q)] as Element) || p - q;
        });
        for (let p = 0; p < k; p++) {
          const from = order[p] as number;
          const to = (o * k + p) * inner + i;
          out[to] = stored[at(from)] as Element;
          positions[to] = BigInt(from);
        }
      }
    }
    return [tensorOf(source.dtype, shape, out), tensorOf('i64', shape, positions)];
  },
  cases: () => {
    const x = fromNumbers('f32', [2, 4], [3, 1, 3, 2, -1, 0, 7, 7]);
    const two = fromNumbers('i64', [1], [2]);
    return [
      { inputs: [x, two], outputs: 2 },
      { note: 'all of them', inputs: [x, fromNumbers('i64', [1], [4])], outputs: 2 },
      { note: 'smallest', inputs: [x, two], attrs: { largest: 0 }, outputs: 2 },
      { note: 'axis 0', inputs: [x, two], attrs: { axis: 0 }, outputs: 2 },
      {
        note: 'NaN',
        inputs: [fromNumbers('f32', [4], [1, Number.NaN, 2, Number.NaN]), two],
        outputs: 2,
      },
      { note: 'i64', inputs: [fromNumbers('i64', [3], [5, 9, 9]), two], outputs: 2 },
      ...(['f32', 'f16', 'bf16', 'f64', 'i64', 'u8', 'i32'] as const).flatMap((dtype, i) =>
        [1, 3].map((rows) => ({
          note: `a sort of ${dtype}, ${rows} rows`,
          inputs: [repeating(dtype, rows, 100 + 61 * i), fromNumbers('i64', [1], [100 + 61 * i])],
          attrs: { largest: (i + rows) % 2 },
          outputs: 2,
        })),
      ),
    ];
  },
});
