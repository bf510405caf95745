/** Operators that make a tensor from its description: ConstantOfShape, Range, EyeLike. */
import { type DType, dtypeFromCode, isBig } from 'hone-runtime/base/dtype';
import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { axis, binary, cast, iadd, index, select } from '../../expr/build.ts';
import type { Attrs } from '../../graph/types.ts';
import {
  constantInput,
  constantInts,
  inputType,
  int,
  intAttr,
  optionalInt,
  requireOne,
  shapeError,
  typeError,
} from '../checks.ts';
import { defineOp, type InferContext } from '../define-op.ts';
import { mapBody } from '../lower.ts';
import { checkedShape, compiled, constantExpr, oneExpr, zeroExpr } from './bodies.ts';
import { type Element, elementsOf, newElements, tensorOf } from './elements.ts';

function fillOf(attrs: Attrs): Tensor {
  const value = attrs['value'];
  if (typeof value === 'object' && 'dtype' in value && value.data.length > 0) return value;
  return fromNumbers('f32', [1], [0]);
}

export const ConstantOfShape = defineOp({
  kind: 'core',
  name: 'ConstantOfShape',
  doc: 'A tensor of the given shape, every element the same.',
  since: 9,
  attrs: { value: { type: 'tensor' } },
  infer: (ctx) => [
    { dtype: fillOf(ctx.attrs).dtype, shape: checkedShape(ctx, constantInts(ctx, 0, 'shape')) },
  ],
  lower: (ctx) =>
    compiled(ctx, () => [mapBody(ctx.outputs[0]?.shape ?? [], constantExpr(fillOf(ctx.attrs)))]),
  reference: (_inputs, attrs, ctx) => {
    const fill = fillOf(attrs);
    const shape = ctx.outputTypes[0]?.shape ?? [];
    const out = newElements(fill.dtype, elementCount(shape));
    const value = elementsOf(fill)[0] as Element;
    for (let i = 0; i < out.length; i++) out[i] = value;
    return [tensorOf(fill.dtype, shape, out)];
  },
  cases: () => [
    { inputs: [fromNumbers('i64', [2], [2, 3])] },
    {
      note: 'i64 value',
      inputs: [fromNumbers('i64', [1], [4])],
      attrs: { value: fromNumbers('i64', [1], [7]) },
    },
    { note: 'scalar', inputs: [fromNumbers('i64', [0], [])] },
  ],
});

function rangeOf(ctx: InferContext): { start: Tensor; delta: Tensor; count: number } {
  const [start, limit, delta] = ['start', 'limit', 'delta'].map((what, i) => {
    requireOne(ctx, i, what);
    return constantInput(ctx, i, what);
  }) as [Tensor, Tensor, Tensor];
  if (start.dtype !== limit.dtype || start.dtype !== delta.dtype) {
    typeError(ctx, 'start, limit and delta differ in dtype');
  }
  if (start.dtype === 'bool') typeError(ctx, 'there is no range of bool');
  const values = [start, limit, delta].map(realOf) as [number, number, number];
  const [first, end, step] = values;
  const count = Math.max(0, Math.ceil((end - first) / step));
  if (!Number.isFinite(count)) shapeError(ctx, `no range from ${first} to ${end} by ${step}`);
  return { start, delta, count };
}

/** A scalar's value, f16 and bf16 decoded. */
function realOf(tensor: Tensor): number {
  const value = constantExpr(tensor);
  return value.kind === 'const' ? Number(value.value) : Number.NaN;
}

export const Range = defineOp({
  kind: 'core',
  name: 'Range',
  doc: 'start, start + delta, … up to, but not including, limit.',
  since: 11,
  attrs: {},
  infer: (ctx) => {
    const { start, count } = rangeOf(ctx);
    return [{ dtype: start.dtype, shape: checkedShape(ctx, [count]) }];
  },
  lower: (ctx) => {
    const { start, delta, count } = rangeOf(ctx);
    const steps = binary('mul', cast(start.dtype, axis('i0')), constantExpr(delta));
    return [mapBody([count], binary('add', constantExpr(start), steps))];
  },
  reference: ([start, , delta], _attrs, ctx) => {
    const { dtype } = start as Tensor;
    const count = elementCount(ctx.outputTypes[0]?.shape ?? []);
    if (!isBig(dtype)) {
      const [from, by] = [realOf(start as Tensor), realOf(delta as Tensor)];
      const values = new Float64Array(count).map((_, i) => from + i * by);
      return [fromNumbers(dtype, [count], values)];
    }
    const out = newElements(dtype, count);
    let value = elementsOf(start as Tensor)[0] as bigint;
    for (let i = 0; i < count; i++) {
      out[i] = value;
      value += elementsOf(delta as Tensor)[0] as bigint;
    }
    return [tensorOf(dtype, [count], out)];
  },
  cases: () => {
    const scalars = (dtype: DType, ...values: number[]): Tensor[] =>
      values.map((value) => fromNumbers(dtype, [], [value]));
    return [
      { inputs: scalars('f32', 1, 5, 1.5) },
      { note: 'downwards', inputs: scalars('i64', 10, 3, -3) },
      { note: 'empty', inputs: scalars('i32', 3, 3, 1) },
    ];
  },
});

function eyeDType(ctx: InferContext): DType {
  const wanted = ctx.attrs['dtype'];
  if (typeof wanted !== 'number') return inputType(ctx, 0).dtype;
  return dtypeFromCode(wanted) ?? typeError(ctx, `dtype ${wanted} is not supported`);
}

export const EyeLike = defineOp({
  kind: 'core',
  name: 'EyeLike',
  doc: 'Ones on a diagonal, zeros elsewhere, in the shape of the input.',
  since: 9,
  attrs: { dtype: optionalInt, k: int(0) },
  infer: (ctx) => {
    const { shape } = inputType(ctx, 0);
    if (shape.length !== 2) shapeError(ctx, `rank ${shape.length}, not 2`);
    return [{ dtype: eyeDType(ctx), shape }];
  },
  lower: (ctx) => {
    const dtype = eyeDType(ctx);
    const diagonal = iadd(axis('i0'), index(intAttr(ctx.attrs, 'k')));
    const value = select(binary('eq', axis('i1'), diagonal), oneExpr(dtype), zeroExpr(dtype));
    return [mapBody(inputType(ctx, 0).shape, value)];
  },
  reference: (_inputs, attrs, ctx) => {
    const { dtype, shape } = ctx.outputTypes[0] as { dtype: DType; shape: number[] };
    const [rows, columns] = shape as [number, number];
    const k = intAttr(attrs, 'k');
    const values = Array.from({ length: rows * columns }, (_, i) =>
      (i % columns) - Math.floor(i / columns) === k ? 1 : 0,
    );
    return [fromNumbers(dtype, shape, values)];
  },
  cases: () => {
    const x = fromNumbers('i32', [3, 4], new Array(12).fill(0));
    return [
      { inputs: [x] },
      { note: 'off the main diagonal, f32', inputs: [x], attrs: { dtype: 1, k: -1 } },
    ];
  },
});
