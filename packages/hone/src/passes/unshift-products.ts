/**
 * Takes the zero points out of integer products: ConvInteger or MatMulInteger (x, w, zero of x, zero
 * of w) of u8 data and constant weights becomes a product of the stored elements, less the zero point
 * of x times the sum of each channel's weights. What pads the data is then its zero point, in memory.
 *
 * Why: the integer kernels multiply u8 data as it is stored by i8 weights without a zero point.
 * Exact, for all of it are integers. Weights that do not fit i8 around their zero point (asymmetric
 * u8 weights) are moved by a number for each channel, and that number times the sum of the data
 * under the kernel is added again (`windowSums`); those of groups become the sum of two products.
 * Left alone: i8 data, weights with a batch, and sums that could leave 32 bits on the way.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, Node, ValueId } from '../graph/types.ts';
import { padByZero } from './pad-quantized.ts';
import { type Pass, type Rebuild, rewriteGraph } from './pass.ts';
import { windowSums } from './window-sums.ts';

export const unshiftProducts: Pass = {
  name: 'unshift-products',
  run: (graph, ctx) =>
    rewriteGraph(graph, ctx, (node, r) => {
      if (!isProduct(node.op) || node.domain !== '') return undefined;
      const made = unshifted(node, node.op, r);
      return made === undefined ? undefined : [made];
    }),
};

export type ProductOp = 'ConvInteger' | 'MatMulInteger';

function isProduct(op: string): op is ProductOp {
  return op === 'ConvInteger' || op === 'MatMulInteger';
}

/** Constant weights less their zero points, and the output channel of each element. */
interface Weights {
  /** As the model has them, where that is i8 around zero. */
  readonly stored: ValueId | undefined;
  readonly name: string;
  readonly values: Float64Array;
  readonly shape: readonly number[];
  readonly channels: number;
  readonly channelOf: (element: number) => number;
}

function unshifted(node: Node, op: ProductOp, r: Rebuild): ValueId | undefined {
  const [x, w, zeroX, zeroW] = node.inputs.map((id) => (id === null ? undefined : r.map(id)));
  if (x === undefined || w === undefined) return undefined;
  const stored = r.constant(w);
  if (stored === undefined || (zeroX === undefined && zeroW === undefined)) return undefined;
  const zeros = zeroW === undefined ? undefined : r.constant(zeroW);
  if ((zeroW !== undefined && zeros === undefined) || !takesOut(r, op, x, stored)) return undefined;
  if (zeroX !== undefined && elementCount(r.b.typeOf(zeroX).shape) !== 1) return undefined;
  const isStored = stored.dtype === 'i8' && (zeros === undefined || isZero(zeros));
  const { name } = r.b.graph.value(w);
  const around = { ...aroundZero(op, stored, zeros), stored: isStored ? w : undefined, name };
  const known = r.constant(zeroX);
  if (zeroX === undefined || (known !== undefined && isZero(known))) {
    return product(r, op, x, around, node.attrs);
  }
  const zero = r.b.typeOf(zeroX).shape.length === 0 ? zeroX : r.b.reshape(zeroX, []);
  const { data, attrs } =
    op === 'ConvInteger' ? padByZero(r, x, zero, w, node.attrs) : { data: x, attrs: node.attrs };
  const sum = product(r, op, data, around, attrs);
  const origin = r.b.op('Cast', [zero], { to: I32 });
  const share = r.b.op('Mul', [origin, perChannel(r, op, around, channelSums(around))]);
  return r.b.op('Sub', [sum, share]);
}

/** ONNX's code of i32. */
const I32 = 6;

/** The data times weights less their zero points, in parts that fit i8. */
function product(
  r: Rebuild,
  op: ProductOp,
  data: ValueId,
  weights: Weights,
  attrs: Attrs,
): ValueId {
  const by = (part: Float64Array): ValueId => {
    const constant = fromNumbers('i8', weights.shape, part);
    return r.b.op(op, [data, r.b.constant(constant, `${weights.name}/i8`)], attrs);
  };
  const { stored, values, channelOf } = weights;
  if (stored !== undefined) return r.b.op(op, [data, stored], attrs);
  const centres = centresOf(weights);
  if (centres.every((centre) => centre === 0)) return by(values);
  if (op === 'ConvInteger' && attrs['group'] !== 1) {
    const near = values.map((value) => Math.min(MOST, Math.max(LEAST, value)));
    return r.b.op('Add', [by(near), by(values.map((value, i) => value - (near[i] as number)))]);
  }
  const moved = by(values.map((value, i) => value - at(centres, channelOf(i))));
  const sums = windowSums(r, data, op === 'ConvInteger' ? weights.shape.slice(2) : null, attrs);
  return r.b.op('Add', [moved, r.b.op('Mul', [sums, perChannel(r, op, weights, centres)])]);
}

function isZero(tensor: Tensor): boolean {
  return toNumbers(tensor).every((value) => value === 0);
}

/** Weights less their zero points, one in all or one for each channel. */
function aroundZero(
  op: ProductOp,
  stored: Tensor,
  zeros: Tensor | undefined,
): Omit<Weights, 'stored' | 'name'> {
  const { shape } = stored;
  const isConv = op === 'ConvInteger';
  const channels = at(shape, isConv ? 0 : shape.length - 1);
  const size = elementCount(shape.slice(1));
  const channelOf = isConv
    ? (i: number): number => Math.floor(i / size)
    : (i: number): number => i % channels;
  const origins = zeros === undefined ? [0] : [...toNumbers(zeros)];
  const values = toNumbers(stored).map(
    (value, i) => value - at(origins, origins.length === 1 ? 0 : channelOf(i)),
  );
  return { values, shape, channels, channelOf };
}

/** Do constant weights fit i8 around their zero points? */
export function fitSigned(op: ProductOp, stored: Tensor, zeros: Tensor | undefined): boolean {
  return aroundZero(op, stored, zeros).values.every((value) => value >= LEAST && value <= MOST);
}

const [LEAST, MOST] = [-128, 127];

/** What each channel's weights are moved by to fit i8: 0 where they do, else as little as may be. */
function centresOf({ values, channels, channelOf }: Weights): readonly number[] {
  const [low, high] = [new Array<number>(channels).fill(0), new Array<number>(channels).fill(0)];
  values.forEach((value, i) => {
    const c = channelOf(i);
    low[c] = Math.min(at(low, c), value);
    high[c] = Math.max(at(high, c), value);
  });
  return high.map((most, c) => Math.max(0, most - MOST) + Math.min(0, at(low, c) - LEAST));
}

/** Does the pass take the zero points out of such a product with constant weights? */
export function takesOut(r: Rebuild, op: ProductOp, x: ValueId, { shape }: Tensor): boolean {
  if (r.b.typeOf(x).dtype !== 'u8' || (op === 'MatMulInteger' && shape.length !== 2)) return false;
  // The sum of the stored elements' products, its share and their difference are 32-bit numbers.
  const count = op === 'ConvInteger' ? elementCount(shape.slice(1)) : at(shape, 0);
  return count * 255 ** 2 < 2 ** 31;
}

/** The sum of each channel's weights. */
function channelSums({ values, channels, channelOf }: Weights): readonly number[] {
  const sums = new Array<number>(channels).fill(0);
  values.forEach((value, i) => {
    const c = channelOf(i);
    sums[c] = at(sums, c) + value;
  });
  return sums;
}

/** Numbers, i32, that broadcast to the product along its channels. */
function perChannel(
  r: Rebuild,
  op: ProductOp,
  { shape, channels }: Weights,
  numbers: readonly number[],
): ValueId {
  const behind = op === 'ConvInteger' ? shape.slice(2).map(() => 1) : [];
  const own = op === 'ConvInteger' ? [1, channels, ...behind] : [channels];
  return r.b.constant(fromNumbers('i32', own, numbers));
}
