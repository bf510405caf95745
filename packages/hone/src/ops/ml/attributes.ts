/** Attributes of ai.onnx.ml's operators as lists, and the dtypes their inputs may have. */
import type { DType } from 'hone-runtime/base/dtype';
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueType } from '../../graph/types.ts';
import { inputType, requireDType } from '../checks.ts';
import type { AttrSpec, InferContext } from '../define-op.ts';

export const ML = 'ai.onnx.ml';
export const NUMERIC: readonly DType[] = ['f32', 'f64', 'i64', 'i32'];

export const floats: AttrSpec = { type: 'floats' };
export const strings: AttrSpec = { type: 'strings' };
export const tensorAttr: AttrSpec = { type: 'tensor' };

/** A list of numbers; undefined where the attribute is absent or empty. */
export function numbersOf(attrs: Attrs, name: string): readonly number[] | undefined {
  const value = attrs[name];
  if (!Array.isArray(value) || value.length === 0) return undefined;
  return value as readonly number[];
}

export function textsOf(attrs: Attrs, name: string): readonly string[] | undefined {
  const value = attrs[name];
  if (!Array.isArray(value) || value.length === 0) return undefined;
  return value as readonly string[];
}

/** A tensor attribute. */
export function tensorOf(attrs: Attrs, name: string): Tensor | undefined {
  const value = attrs[name];
  return typeof value === 'object' && 'dtype' in value ? value : undefined;
}

export function tensorNumbers(attrs: Attrs, name: string): readonly number[] | undefined {
  const tensor = tensorOf(attrs, name);
  return tensor === undefined ? undefined : [...toNumbers(tensor)];
}

/** Input 0, which is numbers. */
export function numericInput(ctx: InferContext): ValueType {
  const type = inputType(ctx, 0);
  requireDType(ctx, type, NUMERIC);
  return type;
}

/** Rows and features of input 0: [N, C], or [C] as one row. */
export function rowsOf(shape: readonly number[]): readonly [number, number] {
  if (shape.length === 0) return [1, 1];
  if (shape.length === 1) return [1, shape[0] as number];
  return [shape[0] as number, shape.slice(1).reduce((product, extent) => product * extent, 1)];
}
