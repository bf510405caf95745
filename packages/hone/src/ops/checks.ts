/** Checks and small questions shared by operator records. All failures name the node. */
import { fail } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import { elementCount, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueType } from '../graph/types.ts';
import type { AttrSpec, InferContext } from './define-op.ts';

export const int = (value: number): AttrSpec => ({ type: 'int', default: value });
export const float = (value: number): AttrSpec => ({ type: 'float', default: value });
export const text = (value: string): AttrSpec => ({ type: 'string', default: value });
export const ints = (value?: readonly number[]): AttrSpec =>
  value === undefined ? { type: 'ints' } : { type: 'ints', default: value };
export const optionalInt: AttrSpec = { type: 'int' };
export const requiredInt: AttrSpec = { type: 'int', required: true };

export function shapeError(ctx: { node: string; op: string }, message: string): never {
  fail(
    'HONE-SHAPE-001',
    `node ${ctx.node} (${ctx.op}): ${message}`,
    ctx.node,
    'check the shapes the model was exported with, or the --shape you gave',
  );
}

export function typeError(ctx: { node: string; op: string }, message: string): never {
  fail(
    'HONE-OP-004',
    `node ${ctx.node} (${ctx.op}): ${message}`,
    ctx.node,
    'the model is not valid ONNX: export it again',
  );
}

/** The type of a required input. */
export function inputType(ctx: InferContext, index: number): ValueType {
  const input = ctx.inputs[index];
  if (input === undefined || input === null) typeError(ctx, `input ${index} is missing`);
  return input.type;
}

/** The type of an optional input, or undefined. */
export function optionalType(ctx: InferContext, index: number): ValueType | undefined {
  return ctx.inputs[index]?.type;
}

/** Elements of an input that must be known at compile time (shapes, axes, sizes). */
export function constantInput(ctx: InferContext, index: number, what: string): Tensor {
  const input = ctx.inputs[index];
  if (input === undefined || input === null) typeError(ctx, `input ${index} (${what}) is missing`);
  if (input.constant === null) {
    fail(
      'HONE-SHAPE-002',
      `node ${ctx.node} (${ctx.op}): ${what} depends on the model's input data`,
      ctx.node,
      'data-dependent shapes are not supported yet: export the model with fixed sizes',
    );
  }
  return input.constant();
}

/** The same as whole numbers; a float tensor may hold them too. */
export function constantInts(ctx: InferContext, index: number, what: string): number[] {
  const tensor = constantInput(ctx, index, what);
  if (tensor.dtype === 'string') typeError(ctx, `${what} are strings; it takes whole numbers`);
  const values = [...toNumbers(tensor)];
  const broken = values.find((value) => !Number.isInteger(value));
  if (broken !== undefined) typeError(ctx, `${what} has ${broken} in it; it takes whole numbers`);
  return values;
}

/** Like `constantInts`, but undefined when the optional input is absent. */
export function optionalInts(ctx: InferContext, index: number, what: string): number[] | undefined {
  const input = ctx.inputs[index];
  return input === undefined || input === null ? undefined : constantInts(ctx, index, what);
}

/** Refuses an input that is there and has not just one element. */
export function requireOne(ctx: InferContext, position: number, what: string): void {
  const shape = optionalType(ctx, position)?.shape;
  if (shape !== undefined && elementCount(shape) !== 1) {
    shapeError(ctx, `${what} has shape [${shape.join(',')}]; it takes one value`);
  }
}

/** A whole number that must be known at compile time. */
export function constantInt(ctx: InferContext, position: number, what: string): number {
  requireOne(ctx, position, what);
  return constantInts(ctx, position, what)[0] as number;
}

/** Like `constantInt`, but undefined when the optional input is absent. */
export function optionalConstantInt(
  ctx: InferContext,
  position: number,
  what: string,
): number | undefined {
  return optionalType(ctx, position) === undefined ? undefined : constantInt(ctx, position, what);
}

/** An axis in [-rank, rank) as one in [0, rank). */
export function normalizeAxis(
  ctx: { node: string; op: string },
  axis: number,
  rank: number,
): number {
  if (axis < -rank || axis >= Math.max(rank, 1))
    shapeError(ctx, `axis ${axis} is outside rank ${rank}`);
  return axis < 0 ? axis + rank : axis;
}

/** Numpy broadcasting of shapes. */
export function broadcastShapes(
  ctx: { node: string; op: string },
  ...shapes: readonly (readonly number[])[]
): number[] {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const out = new Array<number>(rank).fill(1);
  for (const shape of shapes) {
    for (let i = 0; i < shape.length; i++) {
      const axis = rank - shape.length + i;
      const extent = shape[i] as number;
      if (extent === 1 || extent === out[axis]) continue;
      if (out[axis] !== 1) {
        shapeError(
          ctx,
          `shapes ${shapes.map((s) => `[${s.join(',')}]`).join(' and ')} do not broadcast`,
        );
      }
      out[axis] = extent;
    }
  }
  return out;
}

export function requireDType(
  ctx: { node: string; op: string },
  type: ValueType,
  allowed: readonly DType[],
  what = 'input',
): void {
  if (!allowed.includes(type.dtype)) {
    typeError(ctx, `${what} has dtype ${type.dtype}; it takes ${allowed.join(', ')}`);
  }
}

export function intAttr(attrs: Attrs, name: string): number {
  const value = attrs[name];
  if (typeof value !== 'number') throw new TypeError(`attribute ${name} is not a number`);
  return value;
}

export function intsAttr(attrs: Attrs, name: string): readonly number[] | undefined {
  const value = attrs[name];
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) throw new TypeError(`attribute ${name} is not a list`);
  return value as readonly number[];
}

export function textAttr(attrs: Attrs, name: string): string {
  const value = attrs[name];
  if (typeof value !== 'string') throw new TypeError(`attribute ${name} is not a string`);
  return value;
}
