/** Inputs and outputs as commands show them. */
import { formatShape } from './table.ts';

export interface ShownSpec {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly (number | string)[];
}

export function specJson({ name, dtype, shape }: ShownSpec): ShownSpec {
  return { name, dtype, shape };
}

export function specLine({ name, dtype, shape }: ShownSpec): string {
  return `${name}  ${dtype} ${formatShape(shape)}`;
}
