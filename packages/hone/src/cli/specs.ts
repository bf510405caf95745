/** Inputs and outputs as commands show them. */
import type { PlannedBound } from 'hone-runtime/artifact/bounds';
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
  /** Inputs: the least extent along each of these axes, which varies from run to run. */
  readonly least?: readonly number[];
}

/** As the file states it: named dimensions by name, unknown ones as "?". */
export function fileSpec({ name, dtype, type, shape }: SignatureValue): ShownSpec {
  return { name, dtype: dtype ?? type, shape: (shape ?? ['?']).map((dim) => dim ?? '?') };
}

export function specJson({ name, dtype, shape, keys, bounded, least }: ShownSpec): ShownSpec {
  return {
    name,
    dtype,
    shape,
    ...(keys === undefined ? {} : { keys }),
    ...(bounded === undefined ? {} : { bounded }),
    ...(least === undefined ? {} : { least }),
  };
}

export function specLine({
  name,
  dtype,
  shape,
  keys,
  bounded = [],
  least = [],
}: ShownSpec): string {
  const shown = keys === undefined ? '' : `  for ${shortList(keys)}`;
  const sizes = shape.map((size, axis) => {
    const place = bounded.indexOf(axis);
    if (place < 0) return size;
    return least[place] === undefined ? `≤${size}` : `${least[place]}..${size}`;
  });
  return `${name}  ${dtype} ${formatShape(sizes)}${shown}`;
}

/** Bounds of values and sizes that depend on data, as JSON for scripts. */
export function boundsJson(bounds: readonly PlannedBound[] = []): readonly unknown[] {
  return bounds.map(({ tensor, axis, most, assumed, node, option }) => ({
    tensor,
    axis: axis ?? null,
    most,
    assumed,
    node,
    option,
  }));
}

/** The same for people; what is assumed says what to write for another bound. */
export function boundLines(bounds: readonly PlannedBound[] = []): string[] {
  return bounds.map(({ tensor, axis, most, assumed, node, option }) => {
    const what = axis === undefined ? `values of ${tensor}` : `${tensor} along axis ${axis}`;
    const from = node === '' ? '' : ` (node ${node})`;
    const why = assumed
      ? `, ASSUMED: nothing bounds it${option === '' ? '' : `; for another bound compile with --bound ${option}`}`
      : ', as asked for with --bound';
    return `bound   ${what} ≤ ${most.join('x')}${from}${why}`;
  });
}

const MOST_SHOWN = 8;

function shortList(keys: readonly (number | string)[]): string {
  const rest = keys.length > MOST_SHOWN ? `, … (${keys.length})` : '';
  return `${keys.slice(0, MOST_SHOWN).join(', ')}${rest}`;
}
