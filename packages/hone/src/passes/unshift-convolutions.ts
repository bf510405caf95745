/**
 * Takes the zero points out of integer convolutions: ConvInteger(x, w, zero of x, zero of w) of u8
 * data and constant weights becomes a ConvInteger of the stored elements, less the zero point of x
 * times the sum of each channel's weights. What pads the data is then its zero point, in memory.
 *
 * Why: the integer kernels multiply u8 data as it is stored by i8 weights without a zero point.
 * Exact, for all of it are integers. Weights that do not fit i8 around their zero point (asymmetric
 * u8 weights far from 128) become the sum of two that do, and the convolution of two. Left alone: i8
 * data, and sums that could leave 32 bits on the way.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, Node, ValueId } from '../graph/types.ts';
import { padByZero } from './pad-quantized.ts';
import { type Pass, type Rebuild, rewriteGraph } from './pass.ts';

export const unshiftConvolutions: Pass = {
  name: 'unshift-convolutions',
  run: (graph, ctx) =>
    rewriteGraph(graph, ctx, (node, r) => {
      if (node.op !== 'ConvInteger' || node.domain !== '') return undefined;
      const made = unshifted(node, r);
      return made === undefined ? undefined : [made];
    }),
};

function unshifted(node: Node, r: Rebuild): ValueId | undefined {
  const [x, w, zeroX, zeroW] = node.inputs.map((id) => (id === null ? undefined : r.map(id)));
  if (x === undefined || w === undefined || r.b.typeOf(x).dtype !== 'u8') return undefined;
  const stored = r.constant(w);
  if (stored === undefined || (zeroX === undefined && zeroW === undefined)) return undefined;
  const zeros = zeroW === undefined ? undefined : r.constant(zeroW);
  if ((zeroW !== undefined && zeros === undefined) || mayLeave32Bits(stored.shape))
    return undefined;
  const differences = weightsLessZeros(stored, zeros);
  const parts = inBytes(differences, stored.shape).map((part) => {
    const isStored = stored.dtype === 'i8' && (zeros === undefined || isZero(zeros));
    return isStored ? w : r.b.constant(part, `${r.b.graph.value(w).name}/i8`);
  });
  const product = (data: ValueId, attrs: Attrs): ValueId =>
    parts
      .map((part) => r.b.op('ConvInteger', [data, part], attrs))
      .reduce((sum, more) => r.b.op('Add', [sum, more]));
  const known = r.constant(zeroX);
  if (zeroX === undefined || (known !== undefined && isZero(known))) return product(x, node.attrs);
  const zero = r.b.typeOf(zeroX).shape.length === 0 ? zeroX : r.b.reshape(zeroX, []);
  const { data, attrs } = padByZero(r, x, zero, w, node.attrs);
  const sum = product(data, attrs);
  const sums = r.b.constant(channelSums(differences, stored.shape));
  return r.b.op('Sub', [sum, r.b.op('Mul', [r.b.op('Cast', [zero], { to: 6 }), sums])]);
}

function isZero(tensor: Tensor): boolean {
  return toNumbers(tensor).every((value) => value === 0);
}

/** Weights less their zero points, one in all or one for each channel. */
function weightsLessZeros(stored: Tensor, zeros: Tensor | undefined): Float64Array {
  const origins = zeros === undefined ? [0] : [...toNumbers(zeros)];
  const size = elementCount(stored.shape.slice(1));
  return toNumbers(stored).map(
    (value, i) => value - (origins[origins.length === 1 ? 0 : Math.floor(i / size)] ?? 0),
  );
}

/** Do constant weights fit i8 around their zero points? */
export function fitSigned(stored: Tensor, zeros: Tensor | undefined): boolean {
  return weightsLessZeros(stored, zeros).every((value) => value >= LEAST && value <= MOST);
}

const [LEAST, MOST] = [-128, 127];

/** One i8 tensor, or two whose sum it is where one has no room for the numbers. */
function inBytes(values: Float64Array, shape: readonly number[]): readonly Tensor[] {
  const near = values.map((value) => Math.min(MOST, Math.max(LEAST, value)));
  const rest = values.map((value, i) => value - (near[i] as number));
  const isWhole = rest.every((value) => value === 0);
  return [near, ...(isWhole ? [] : [rest])].map((part) => fromNumbers('i8', shape, part));
}

/** Could the sum of the stored elements' products, its share or their difference not be a 32-bit number? */
function mayLeave32Bits(shape: readonly number[]): boolean {
  return elementCount(shape.slice(1)) * 255 ** 2 >= 2 ** 31;
}

/** The sum of each channel's weights, i32[1, channels, 1…]. */
function channelSums(values: Float64Array, shape: readonly number[]): Tensor {
  const size = elementCount(shape.slice(1));
  const channels = at(shape, 0);
  const sums = new Array<number>(channels).fill(0);
  values.forEach((value, i) => {
    const c = Math.floor(i / size);
    sums[c] = (sums[c] ?? 0) + value;
  });
  return fromNumbers('i32', [1, channels, ...shape.slice(2).map(() => 1)], sums);
}
