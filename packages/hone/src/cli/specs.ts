/** Inputs and outputs as commands show them. */
import type { SignatureValue } from '../frontends/onnx/index.ts';
import { formatShape } from './table.ts';

export interface ShownSpec {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly (number | string)[];
}

/** As the file states it: named dimensions by name, unknown ones as "?". */
export function fileSpec({ name, dtype, type, shape }: SignatureValue): ShownSpec {
  return { name, dtype: dtype ?? type, shape: (shape ?? ['?']).map((dim) => dim ?? '?') };
}

export function specJson({ name, dtype, shape }: ShownSpec): ShownSpec {
  return { name, dtype, shape };
}

export function specLine({ name, dtype, shape }: ShownSpec): string {
  return `${name}  ${dtype} ${formatShape(shape)}`;
}
