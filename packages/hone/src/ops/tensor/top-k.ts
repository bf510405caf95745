/** TopK. */
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { constantInts, inputType, int, intAttr, normalizeAxis, shapeError } from '../checks.ts';
import { defineOp, type InferContext } from '../define-op.ts';
import { type Element, elementsOf, newElements, tensorOf } from './elements.ts';
import { attrToInput } from './reshape.ts';

function outShape(ctx: InferContext): number[] {
  const { shape } = inputType(ctx, 0);
  const axis = normalizeAxis(ctx, intAttr(ctx.attrs, 'axis'), shape.length);
  const [k = -1] = constantInts(ctx, 1, 'k');
  const extent = shape[axis];
  if (extent === undefined || !(k >= 0 && k <= extent)) {
    shapeError(ctx, `the first ${k} of ${extent ?? 'a scalar'}`);
  }
  return shape.map((size, i) => (i === axis ? k : size));
}

export const TopK = defineOp({
  kind: 'host',
  name: 'TopK',
  doc: 'The k largest (or smallest) elements along an axis and their positions; of equals, the first.',
  since: 11,
  attrs: { axis: int(-1), largest: int(1), sorted: int(1) },
  reason: 'sorting has no routine yet',
  upgrade: (b, node) => attrToInput(b, node, 'k', 1),
  infer: (ctx) => {
    const shape = outShape(ctx);
    return [
      { dtype: inputType(ctx, 0).dtype, shape },
      { dtype: 'i64', shape },
    ];
  },
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
          const [a, b] = [values[at(p)] as Element, values[at(q)] as Element];
          if (a === b) return p - q;
          return a < b ? sign : -sign;
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
      { note: 'smallest', inputs: [x, two], attrs: { largest: 0 }, outputs: 2 },
      { note: 'axis 0', inputs: [x, two], attrs: { axis: 0 }, outputs: 2 },
      { note: 'i64', inputs: [fromNumbers('i64', [3], [5, 9, 9]), two], outputs: 2 },
    ];
  },
});
