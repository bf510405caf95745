/**
 * How each operator lets a transpose of its input pass: the operator is applied in front of the
 * transpose, with its axes renamed, and the transpose (or what is left of it) comes after.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, Node, ValueId } from '../graph/types.ts';
import { valueById } from '../graph/walk.ts';
import { fullPads } from './absorb-pad.ts';
import type { Rebuild } from './pass.ts';
import { inverse, isReshape, type Permutation, permuted } from './permute.ts';
import { operandBefore, reshaped, type View, type Views } from './transposed-operands.ts';

/** One entry per output of the node: what it is a transpose of. A rank may have been reduced. */
export type Pushed = readonly View[];

type Push = (node: Node, r: Rebuild, view: View, views: Views) => Pushed | undefined;

/** The node applied in front of the transposes of its inputs; undefined where that cannot be. */
export function pushTranspose(node: Node, r: Rebuild, views: Views): Pushed | undefined {
  const push = node.domain === '' ? PUSHES[node.op] : undefined;
  if (push === undefined) return undefined;
  for (const id of node.inputs) {
    const view = id === null ? undefined : views.get(r.map(id));
    if (view !== undefined) return push(node, r, view, views);
  }
  return undefined;
}

/** Element-wise on input 0; other inputs are parameters of one element. */
function pushUnary(node: Node, r: Rebuild, view: View, views: Views): Pushed | undefined {
  const [first, ...rest] = node.inputs.map((id) => (id === null ? null : r.map(id)));
  if (first === null || first === undefined || views.get(first) !== view) return undefined;
  const single = (id: ValueId | null): boolean =>
    id === null || r.b.typeOf(id).shape.every((n) => n === 1);
  if (!rest.every(single)) return undefined;
  return [{ base: r.b.op(node.op, [view.base, ...rest], node.attrs), perm: view.perm }];
}

/** Element-wise with broadcasting. */
function pushBroadcast(node: Node, r: Rebuild, view: View, views: Views): Pushed | undefined {
  const output = valueById(r.old, at(node.outputs, 0)).type;
  if (output.shape.length !== view.perm.length) return undefined;
  const operands: ValueId[] = [];
  for (const id of node.inputs) {
    const operand = id === null ? undefined : operandBefore(r, views, r.map(id), view.perm);
    if (operand === undefined) return undefined;
    operands.push(operand);
  }
  return [{ base: r.b.op(node.op, operands, node.attrs), perm: view.perm }];
}

function pushConcat(node: Node, r: Rebuild, view: View, views: Views): Pushed | undefined {
  const axis = at(view.perm, axisOf(Number(node.attrs['axis']), view.perm));
  const operands: ValueId[] = [];
  for (const id of node.inputs) {
    if (id === null) return undefined;
    const value = r.map(id);
    const { shape } = r.b.typeOf(value);
    // A one-element operand is not scalar here: its rank and place count.
    const operand =
      shape.length === view.perm.length && shape.every((n) => n === 1) && !views.has(value)
        ? value
        : operandBefore(r, views, value, view.perm);
    if (operand === undefined) return undefined;
    operands.push(operand);
  }
  return [{ base: r.b.op('Concat', operands, { ...node.attrs, axis }), perm: view.perm }];
}

function pushSplit(node: Node, r: Rebuild, view: View): Pushed | undefined {
  const axis = at(view.perm, axisOf(Number(node.attrs['axis']), view.perm));
  const sizes = node.inputs.slice(1).map((id) => (id === null ? null : r.map(id)));
  const outputs = r.b.ops(
    'Split',
    [view.base, ...sizes],
    { ...node.attrs, axis },
    {
      outputs: node.outputs.length,
    },
  );
  return outputs.map((base) => ({ base, perm: view.perm }));
}

function pushPad(node: Node, r: Rebuild, view: View): Pushed | undefined {
  const amounts = constantNumbers(node, r, 1);
  const rank = view.perm.length;
  const inputsOf = node.inputs.map((id) => (id === null ? null : r.map(id)));
  const full = amounts && fullPads(r, { ...node, inputs: inputsOf }, amounts, rank);
  if (full === undefined) return undefined;
  const back = inverse(view.perm);
  const pads = [...permuted(full.slice(0, rank), back), ...permuted(full.slice(rank), back)];
  const value = node.inputs[2] ?? null;
  const inputs = [view.base, r.b.ints(pads), ...(value === null ? [] : [r.map(value)])];
  return [{ base: r.b.op('Pad', inputs, node.attrs), perm: view.perm }];
}

function pushReduce(node: Node, r: Rebuild, view: View): Pushed | undefined {
  const axes = constantNumbers(node, r, 1);
  if (axes === undefined || axes.length === 0) return undefined;
  const mapped = axes.map((axis) => at(view.perm, axisOf(axis, view.perm)));
  const sorted = [...mapped].sort((a, b) => a - b);
  const base = r.b.op(node.op, [view.base, r.b.ints(sorted)], node.attrs);
  return [{ base, perm: withoutAxes(view.perm, mapped, node.attrs) }];
}

function pushArgReduce(node: Node, r: Rebuild, view: View): Pushed | undefined {
  const axis = at(view.perm, axisOf(Number(node.attrs['axis']), view.perm));
  const base = r.b.op(node.op, [view.base], { ...node.attrs, axis });
  return [{ base, perm: withoutAxes(view.perm, [axis], node.attrs) }];
}

/** The permutation of what is left when axes of the base are reduced. */
function withoutAxes(perm: Permutation, reduced: readonly number[], attrs: Attrs): number[] {
  if (attrs['keepdims'] !== 0) return [...perm];
  const left = perm.filter((axis) => !reduced.includes(axis));
  const order = [...left].sort((a, b) => a - b);
  return left.map((axis) => order.indexOf(axis));
}

function pushResize(node: Node, r: Rebuild, view: View): Pushed | undefined {
  const [, roi, scales, sizes] = node.inputs.map((id) => (id === null ? null : r.map(id)));
  const {
    axes,
    coordinate_transformation_mode: mode,
    keep_aspect_ratio_policy: policy,
  } = node.attrs;
  if (axes !== undefined || mode === 'tf_crop_and_resize' || policy !== 'stretch') return undefined;
  const back = inverse(view.perm);
  const renamed = (id: ValueId | null | undefined): ValueId | null | undefined => {
    if (id === null || id === undefined) return null;
    const tensor = r.constant(id);
    if (tensor === undefined) return undefined;
    if (tensor.data.length === 0) return id;
    const values = permuted([...toNumbers(tensor)], back);
    if (tensor.dtype === 'i64') return r.b.ints(values);
    return r.b.constant({ ...tensor, data: Float32Array.from(values) }, 'scales');
  };
  const newScales = renamed(scales);
  const newSizes = renamed(sizes);
  if (newScales === undefined || newSizes === undefined) return undefined;
  if (scales !== null && scales !== undefined && r.b.typeOf(scales).dtype !== 'f32')
    return undefined;
  const inputs = [view.base, roi ?? null, newScales, ...(newSizes === null ? [] : [newSizes])];
  return [{ base: r.b.op('Resize', inputs, node.attrs), perm: view.perm }];
}

function pushSlice(node: Node, r: Rebuild, view: View): Pushed | undefined {
  const starts = constantNumbers(node, r, 1);
  if (starts === undefined) return undefined;
  const axesId = node.inputs[3] ?? null;
  const axes = axesId === null ? starts.map((_, i) => i) : constantNumbers(node, r, 3);
  if (axes === undefined) return undefined;
  const mapped = axes.map((axis) => at(view.perm, axisOf(axis, view.perm)));
  const [, first, last, , steps] = node.inputs.map((id) => (id === null ? null : r.map(id)));
  const inputs = [view.base, first ?? null, last ?? null, r.b.ints(mapped)];
  const base = r.b.op(
    'Slice',
    steps === null || steps === undefined ? inputs : [...inputs, steps],
    {},
  );
  return [{ base, perm: view.perm }];
}

/** A reshape does not see a transpose that keeps the elements in order. */
function pushReshape(node: Node, r: Rebuild, view: View): Pushed | undefined {
  if (!isReshape(r.b.typeOf(view.base).shape, view.perm)) return undefined;
  const { shape } = valueById(r.old, at(node.outputs, 0)).type;
  return [{ base: reshaped(r, view.base, shape), perm: shape.map((_, i) => i) }];
}

function axisOf(axis: number, perm: Permutation): number {
  return axis < 0 ? axis + perm.length : axis;
}

function constantNumbers(node: Node, r: Rebuild, position: number): number[] | undefined {
  const id = node.inputs[position];
  const tensor = id === null || id === undefined ? undefined : r.constant(r.map(id));
  return tensor && [...toNumbers(tensor)];
}

function table(push: Push, ops: string): Readonly<Record<string, Push>> {
  return Object.fromEntries(ops.split(' ').map((op) => [op, push]));
}

const PUSHES: Readonly<Record<string, Push>> = {
  ...table(
    pushUnary,
    'Exp Log Sqrt Sin Cos Tan Asin Acos Atan Sinh Cosh Tanh Asinh Acosh Atanh Erf Sigmoid Floor Ceil ' +
      'Round Abs Neg Sign Reciprocal Not BitwiseNot IsNaN IsInf Relu LeakyRelu Elu Selu Celu ' +
      'ThresholdedRelu HardSigmoid HardSwish Softplus Softsign Mish Gelu Swish Shrink Clip Cast ' +
      'Identity QuantizeLinear DequantizeLinear',
  ),
  ...table(
    pushBroadcast,
    'Add Sub Mul Div Pow Mod PRelu Less LessOrEqual Greater GreaterOrEqual Equal And Or Xor ' +
      'BitwiseAnd BitwiseOr BitwiseXor Min Max Sum Mean Where',
  ),
  ...table(
    pushReduce,
    'ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ' +
      'ReduceLogSum ReduceLogSumExp',
  ),
  ...table(pushArgReduce, 'ArgMax ArgMin'),
  ...table(pushReshape, 'Reshape Flatten Squeeze Unsqueeze'),
  Concat: pushConcat,
  Split: pushSplit,
  Pad: pushPad,
  Resize: pushResize,
  Slice: pushSlice,
};
