/**
 * Writes quantised products as dequantised operands, a float operator and a quantised result:
 * QLinearConv and QLinearMatMul of constant parameters, and the dynamic form (MatMulInteger or
 * ConvInteger, cast and multiplied by two scales), whose data has a scale known at run time only.
 *
 * Left to `unshift-products`: weights that do not fit 8 bits around their zero point.
 *
 * Why: one form for every way a model may come quantised; fusion turns it into integer products
 * again. Real sums replace sums of integers: where the quotient of a result lies on the border of
 * two steps, the result may be the neighbouring step.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, Node, ValueId } from '../graph/types.ts';
import { madeBy } from './match.ts';
import { padByZero } from './pad-quantized.ts';
import { type Pass, type Rebuild, rewriteGraph } from './pass.ts';
import { isPerTensor } from './quantized.ts';
import { fitSigned, type ProductOp, takesOut } from './unshift-products.ts';

export const exposeQuantization: Pass = {
  name: 'expose-quantization',
  run: (graph, ctx) =>
    rewriteGraph(graph, ctx, (node, r) => {
      if (node.domain !== '') return undefined;
      const made =
        node.op === 'QLinearConv' || node.op === 'QLinearMatMul'
          ? exposeQLinear(node, r)
          : node.op === 'Mul'
            ? exposeDynamic(node, r)
            : undefined;
      return made === undefined ? undefined : [made];
    }),
};

/** A parameter's one number for the node, without axes. */
function scalarOf(r: Rebuild, id: ValueId): ValueId {
  const { shape } = r.b.typeOf(id);
  if (shape.length === 0) return id;
  const tensor = r.constant(id);
  if (tensor === undefined) return r.b.op('Reshape', [id, r.b.ints([])]);
  return r.b.constant({ ...tensor, shape: [] }, `${r.b.graph.value(id).name}/scalar`);
}

/**
 * Weights dequantised by one scale or one for each of `channels` along `axis`; undefined where the
 * parameters are neither. A single zero point serves all channels.
 */
function weightsOf(
  r: Rebuild,
  weights: ValueId,
  scale: Tensor,
  zero: Tensor | undefined,
  axis: number,
): ValueId | undefined {
  const channels = at(r.b.typeOf(weights).shape, axis);
  const counts = [scale, ...(zero === undefined ? [] : [zero])].map((t) => t.data.length);
  if (scale.dtype !== 'f32' || counts.some((count) => count !== 1 && count !== channels)) {
    return undefined;
  }
  const { dtype } = r.b.typeOf(weights);
  const spread = (tensor: Tensor, to: number): Tensor => {
    const values = [...toNumbers(tensor)];
    const full = Array.from({ length: to }, (_, c) => values[values.length === 1 ? 0 : c] ?? 0);
    return fromNumbers(tensor.dtype, to === 1 ? [] : [to], full);
  };
  const count = Math.max(...counts);
  const parameters = [scale, zero ?? fromNumbers(dtype, [], [0])].map((tensor) =>
    r.b.constant(spread(tensor, count)),
  );
  return r.b.op('DequantizeLinear', [weights, ...parameters], { axis });
}

/** Inputs: x, scale, zero, w, scale, zero, result's scale, zero, bias. */
function exposeQLinear(node: Node, r: Rebuild): ValueId | undefined {
  const inputs = node.inputs.map((id) => (id === null ? null : r.map(id)));
  const [x, scaleX, zeroX, w, scaleW, zeroW, scaleY, zeroY, bias] = inputs;
  if (x === null || x === undefined || w === null || w === undefined) return undefined;
  if (zeroX === null || zeroX === undefined || zeroY === null || zeroY === undefined)
    return undefined;
  if (!isPerTensor(r, scaleX) || !isPerTensor(r, scaleY)) return undefined;
  const constants = [scaleX, zeroX, scaleW, zeroW, scaleY, zeroY].map((id) => r.constant(id));
  const [stepX, originX, stepW, originW] = constants;
  if (stepX === undefined || stepW === undefined || constants.includes(undefined)) return undefined;
  if (originX?.data.length !== 1) return undefined;
  const isConv = node.op === 'QLinearConv';
  const constant = r.constant(w);
  const integer = isConv ? 'ConvInteger' : 'MatMulInteger';
  if (constant !== undefined && isWide(r, integer, x, constant, originW)) return undefined;
  const axis = isConv ? 0 : r.b.typeOf(w).shape.length - 1;
  if (axis < 0) return undefined;
  const biases = bias === null || bias === undefined ? undefined : r.constant(bias);
  if (bias !== null && bias !== undefined && biases === undefined) return undefined;
  if (biases !== undefined && mayWrap(biases, elementCount(r.b.typeOf(w).shape.slice(1)))) {
    return undefined;
  }
  const weights = weightsOf(r, w, stepW, originW, axis);
  if (weights === undefined) return undefined;
  const data = r.b.op('DequantizeLinear', [x, scalarOf(r, scaleX), scalarOf(r, zeroX)]);
  const operands = [data, weights];
  if (biases !== undefined) operands.push(r.b.constant(realBias(biases, stepX, stepW)));
  const product = isConv ? r.b.op('Conv', operands, node.attrs) : r.b.op('MatMul', operands, {});
  return r.b.op('QuantizeLinear', [product, scalarOf(r, scaleY), scalarOf(r, zeroY)]);
}

/** Can a sum of so many products of bytes and the bias leave 32 bits, in which it is meant? */
function mayWrap(bias: Tensor, count: number): boolean {
  return toNumbers(bias).some((value) => Math.abs(value) + count * 255 ** 2 >= 2 ** 31);
}

/** An i32 bias is in steps of the product of both scales. */
function realBias(bias: Tensor, scaleX: Tensor, scaleW: Tensor): Tensor {
  const step = at([...toNumbers(scaleX)], 0);
  const scales = toNumbers(scaleW);
  const values = toNumbers(bias).map(
    (value, c) => value * step * (scales[scales.length === 1 ? 0 : c] ?? 1),
  );
  return fromNumbers('f32', bias.shape, values);
}

/** Mul(Cast(integer product), Mul(scale of the data, scale of the weights)). */
function exposeDynamic(node: Node, r: Rebuild): ValueId | undefined {
  const [left, right] = node.inputs;
  if (left === null || left === undefined || right === null || right === undefined)
    return undefined;
  return (
    dynamicProduct(r, left, r.map(left), r.map(right)) ??
    dynamicProduct(r, right, r.map(right), r.map(left))
  );
}

/** Products of integers that the integer kernels take only as such: asymmetric u8 weights. */
function isWide(
  r: Rebuild,
  op: ProductOp,
  x: ValueId,
  weights: Tensor,
  zero: Tensor | undefined,
): boolean {
  return takesOut(r, op, x, weights) && !fitSigned(op, weights, zero);
}

const REAL_FORMS: ReadonlyMap<string, string> = new Map<ProductOp, string>([
  ['MatMulInteger', 'MatMul'],
  ['ConvInteger', 'Conv'],
]);

function dynamicProduct(
  r: Rebuild,
  old: ValueId,
  product: ValueId,
  scales: ValueId,
): ValueId | undefined {
  if (r.uses(old) !== 1) return undefined;
  const cast = madeBy(r, product, 'Cast');
  const [sum] = cast?.inputs ?? [];
  if (cast?.attrs['to'] !== 1 || sum === null || sum === undefined) return undefined;
  const integer = r.producer(sum);
  const op = integer === undefined ? undefined : REAL_FORMS.get(integer.op);
  if (integer === undefined || integer.domain !== '' || op === undefined) return undefined;
  const factors = madeBy(r, scales, 'Mul')?.inputs ?? [];
  for (const [a, b] of [factors, [...factors].reverse()]) {
    if (!isPerTensor(r, a) || b === null || b === undefined) continue;
    const made = ofIntegers(r, integer, op, a, b);
    if (made !== undefined && sameShape(r, made, sum)) return made;
  }
  return undefined;
}

function sameShape(r: Rebuild, a: ValueId, b: ValueId): boolean {
  return r.b.typeOf(a).shape.join() === r.b.typeOf(b).shape.join();
}

function ofIntegers(
  r: Rebuild,
  { inputs, attrs }: { readonly inputs: Node['inputs']; readonly attrs: Attrs },
  op: string,
  scaleX: ValueId,
  scaleW: ValueId,
): ValueId | undefined {
  const [x, w, zeroX, zeroW] = inputs;
  if (x === null || x === undefined || w === null || w === undefined) return undefined;
  const stepW = r.constant(scaleW);
  const originW = zeroW === null || zeroW === undefined ? undefined : r.constant(zeroW);
  const unknownZero = zeroW !== null && zeroW !== undefined && originW === undefined;
  const constant = r.constant(w);
  if (stepW === undefined || unknownZero || constant === undefined) return undefined;
  if (zeroX !== null && zeroX !== undefined && elementCount(r.b.typeOf(zeroX).shape) !== 1) {
    return undefined;
  }
  if (isWide(r, op === 'Conv' ? 'ConvInteger' : 'MatMulInteger', x, constant, originW)) {
    return undefined;
  }
  const { shape } = r.b.typeOf(w);
  const axis = op === 'Conv' ? 0 : shape.length - 1;
  if (axis < 0 || !alongChannels(stepW, op, shape.length)) return undefined;
  const weights = weightsOf(r, w, stepW, originW, axis);
  if (weights === undefined) return undefined;
  const zero = zeroX === null || zeroX === undefined ? undefined : scalarOf(r, zeroX);
  // A border of integers needs the zero point at run time; one of real numbers is zeros.
  const isBordered =
    op === 'Conv' &&
    zero !== undefined &&
    r.constant(zero) === undefined &&
    fitSigned('ConvInteger', constant, originW);
  const { data, attrs: own } = isBordered ? padByZero(r, x, zero, w, attrs) : { data: x, attrs };
  const real = r.b.op('DequantizeLinear', [
    data,
    scalarOf(r, scaleX),
    ...(zero === undefined ? [] : [zero]),
  ]);
  return r.b.op(op, [real, weights], own);
}

/** Does the list of scales broadcast to the product along its channels? */
function alongChannels({ shape }: Tensor, op: string, rank: number): boolean {
  if (elementCount(shape) === 1) return true;
  const after = op === 'Conv' ? rank - 2 : 0;
  const position = shape.length - 1 - after;
  return position >= 0 && shape.every((extent, i) => i === position || extent === 1);
}
