/**
 * Convolutions and pools over one spatial axis become those over pictures of height 1, [N, C, L] as
 * [N, C, 1, L], for which there are blocked layouts and tuned kernels. Element-wise operators, joins and
 * padding behind them are applied to the picture too, so that the reshapes between two such windows meet
 * and vanish. The elements and their order are the same throughout: results keep their bits.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, Graph, Node, ValueId } from '../graph/types.ts';
import { valueById } from '../graph/walk.ts';
import { fullPads } from './absorb-pad.ts';
import { type Pass, type PassContext, type Rebuild, rewriteGraph } from './pass.ts';

export const raiseWindows: Pass = { name: 'raise-windows', run };

/** New values of rank 3, and the pictures they are reshapes of. */
type Pictures = Map<ValueId, ValueId>;

function run(graph: Graph, ctx: PassContext): Graph {
  const pictures: Pictures = new Map();
  return rewriteGraph(graph, ctx, (node, r) => {
    const raise = node.domain === '' && node.outputs.length === 1 ? RAISES[node.op] : undefined;
    const { shape } = valueById(r.old, at(node.outputs, 0)).type;
    if (raise === undefined || shape.length !== 3 || shape.includes(0)) return undefined;
    const picture = raise(node, r, pictures);
    if (picture === undefined) return undefined;
    const line = r.b.reshape(picture, shape);
    pictures.set(line, picture);
    return [line];
  });
}

type Raise = (node: Node, r: Rebuild, pictures: Pictures) => ValueId | undefined;

/** [a, b, c] as [a, 1, c] in front of its last axis: [N, C, L] as [N, C, 1, L], [C, 1] as [C, 1, 1]. */
function raisedShape(shape: readonly number[]): readonly number[] {
  return shape.length < 2 ? shape : [...shape.slice(0, -1), 1, at(shape, shape.length - 1)];
}

function pictureOf(r: Rebuild, pictures: Pictures, id: ValueId): ValueId {
  return pictures.get(id) ?? r.b.reshape(id, raisedShape(r.b.typeOf(id).shape));
}

/** Lists with an entry for each spatial axis, or for its begin and its end, get one for the height. */
function raisedAttrs(attrs: Attrs): Attrs {
  const pick = (name: string, height: number): Attrs => {
    const list = attrs[name];
    if (!Array.isArray(list) || list.length === 0) return {};
    const numbers = list.map(Number);
    return { [name]: name === 'pads' ? numbers.flatMap((n) => [height, n]) : [height, ...numbers] };
  };
  return {
    ...attrs,
    ...pick('kernel_shape', 1),
    ...pick('strides', 1),
    ...pick('dilations', 1),
    ...pick('output_shape', 1),
    ...pick('output_padding', 0),
    ...pick('pads', 0),
  };
}

/** A convolution: data and weights have a height, bias and zero points have none. */
function raiseConvolution(node: Node, r: Rebuild, pictures: Pictures): ValueId | undefined {
  const [data, weights, ...rest] = node.inputs.map((id) => (id === null ? null : r.map(id)));
  if (data == null || weights == null) return undefined;
  const picture = pictures.get(data) ?? raisedOperand(r, data);
  const inputs = [picture, raisedOperand(r, weights), ...rest];
  return r.b.op(node.op, inputs, raisedAttrs(node.attrs));
}

/** An operand with a height; one that comes quantised is reshaped before it is dequantised. */
function raisedOperand(r: Rebuild, operand: ValueId): ValueId {
  const producer = r.producer(operand);
  const [stored, ...rest] = producer?.inputs ?? [];
  const scale = rest[0] == null ? undefined : r.b.typeOf(rest[0]).shape;
  const axis = Number(producer?.attrs['axis'] ?? 1);
  const isPlain =
    scale !== undefined &&
    scale.length < 2 &&
    (scale.every(isOne) || AXES_BEFORE_SPATIAL.includes(axis));
  if (producer?.op === 'DequantizeLinear' && producer.domain === '' && stored != null && isPlain) {
    const fromFront = axis < 0 ? axis + r.b.typeOf(operand).shape.length : axis;
    const high = r.b.reshape(stored, raisedShape(r.b.typeOf(stored).shape));
    return r.b.op('DequantizeLinear', [high, ...rest], { ...producer.attrs, axis: fromFront });
  }
  return r.b.reshape(operand, raisedShape(r.b.typeOf(operand).shape));
}

/** A pool of what is a picture already; alone it gains nothing. */
function raisePool(node: Node, r: Rebuild, pictures: Pictures): ValueId | undefined {
  const [data] = node.inputs;
  const picture = data == null ? undefined : pictures.get(r.map(data));
  return picture === undefined ? undefined : r.b.op(node.op, [picture], raisedAttrs(node.attrs));
}

/** Element-wise, with broadcasting: one input at least is a picture, the others are parameters. */
function raiseElementwise(node: Node, r: Rebuild, pictures: Pictures): ValueId | undefined {
  const isLine = (id: ValueId | null): boolean => id !== null && pictures.has(r.map(id));
  if (!node.inputs.some(isLine)) return undefined;
  // Of other activations a reshape may cost a copy, where the operator itself costs little.
  const fits = node.inputs.every((id) => {
    if (id === null || isLine(id)) return true;
    const { constant, type } = valueById(r.old, id);
    return type.shape.length <= 3 && (constant !== undefined || type.shape.every(isOne));
  });
  if (!fits) return undefined;
  const raised = node.inputs.map((id) => (id === null ? null : pictureOf(r, pictures, r.map(id))));
  return r.b.op(node.op, raised, node.attrs);
}

/** Quantisation by one scale, or by one for each channel. */
function raiseQuantization(node: Node, r: Rebuild, pictures: Pictures): ValueId | undefined {
  const [data, ...rest] = node.inputs.map((id) => (id === null ? null : r.map(id)));
  const picture = data == null ? undefined : pictures.get(data);
  const scale = rest[0] == null ? undefined : r.b.typeOf(rest[0]).shape;
  const axis = Number(node.attrs['axis'] ?? 1);
  if (picture === undefined || scale === undefined || scale.length > 1) return undefined;
  if (!scale.every(isOne) && axis !== 1 && axis !== -2) return undefined;
  return r.b.op(node.op, [picture, ...rest], { ...node.attrs, axis: 1 });
}

function raiseConcat(node: Node, r: Rebuild, pictures: Pictures): ValueId | undefined {
  const inputs = node.inputs.map((id) => (id === null ? undefined : pictures.get(r.map(id))));
  if (!inputs.every((id) => id !== undefined)) return undefined;
  const axis = Number(node.attrs['axis']);
  const raised = axis === 2 || axis === -1 ? 3 : axis < 0 ? axis + 3 : axis;
  return r.b.op('Concat', inputs, { ...node.attrs, axis: raised });
}

function raisePad(node: Node, r: Rebuild, pictures: Pictures): ValueId | undefined {
  const inputs = node.inputs.map((id) => (id === null ? null : r.map(id)));
  const [data, amounts] = inputs;
  const picture = data == null ? undefined : pictures.get(data);
  const pads = r.constant(amounts);
  if (picture === undefined || pads === undefined) return undefined;
  const full = fullPads(r, { ...node, inputs }, [...toNumbers(pads)], 3);
  if (full === undefined) return undefined;
  const [a, b, c, d, e, f] = full;
  const raised = r.b.ints([a, b, 0, c, d, e, 0, f].map(Number));
  return r.b.op('Pad', [picture, raised, ...inputs.slice(2, 3)], node.attrs);
}

/** Channels of a rank of 3, in front and counted from the end. */
const AXES_BEFORE_SPATIAL: readonly number[] = [0, 1, -2, -3];

const isOne = (extent: number): boolean => extent === 1;

function table(raise: Raise, ops: string): Readonly<Record<string, Raise>> {
  return Object.fromEntries(ops.split(' ').map((op) => [op, raise]));
}

const RAISES: Readonly<Record<string, Raise>> = {
  ...table(raiseConvolution, 'Conv ConvTranspose ConvInteger'),
  ...table(raisePool, 'MaxPool AveragePool LpPool'),
  ...table(
    raiseElementwise,
    'Exp Log Sqrt Sin Cos Tan Asin Acos Atan Sinh Cosh Tanh Asinh Acosh Atanh Erf Sigmoid Floor Ceil ' +
      'Round Abs Neg Sign Reciprocal Not IsNaN IsInf Relu LeakyRelu Elu Selu Celu ThresholdedRelu ' +
      'HardSigmoid HardSwish Softplus Softsign Mish Gelu Swish Shrink Clip Cast Identity Add Sub Mul Div ' +
      'Pow Mod PRelu Less LessOrEqual Greater GreaterOrEqual Equal And Or Xor Min Max Sum Mean Where',
  ),
  ...table(raiseQuantization, 'QuantizeLinear DequantizeLinear'),
  Concat: raiseConcat,
  Pad: raisePad,
};
