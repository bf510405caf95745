/** Inputs and outputs as commands show them. */
import type { SignatureValue } from '../frontends/onnx/index.ts';
import { formatShape } from './table.ts';

export interface ShownSpec {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly (number | string)[];
  /** Of values of maps: the key of each column. */
  readonly keys?: readonly (number | string)[];
  /** Axes whose extent depends on data: the shape has their bounds. */
  readonly bounded?: readonly number[];
}

/** As the file states it: named dimensions by name, unknown ones as "?". */
export function fileSpec({ name, dtype, type, shape }: SignatureValue): ShownSpec {
  return { name, dtype: dtype ?? type, shape: (shape ?? ['?']).map((dim) => dim ?? '?') };
}

export function specJson({ name, dtype, shape, keys, bounded }: ShownSpec): ShownSpec {
  return {
    name,
    dtype,
    shape,
    ...(keys === undefined ? {} : { keys }),
    ...(bounded === undefined ? {} : { bounded }),
  };
}

export function specLine({ name, dtype, shape, keys, bounded = [] }: ShownSpec): string {
  const shown = keys === undefined ? '' : `  for ${shortList(keys)}`;
  const sizes = shape.map((size, axis) => (bounded.includes(axis) ? `≤${size}` : size));
  return `${name}  ${dtype} ${formatShape(sizes)}${shown}`;
}

const MOST_SHOWN = 8;

function shortList(keys: readonly (number | string)[]): string {
  const rest = keys.length > MOST_SHOWN ? `, … (${keys.length})` : '';
  return `${keys.slice(0, MOST_SHOWN).join(', ')}${rest}`;
}
