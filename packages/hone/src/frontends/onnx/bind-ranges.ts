/**
 * Sizes of inputs that vary from run to run: which axes of which inputs they are, those of one dimension
 * together.
 */
import { fail } from 'hone-runtime/base/diagnostics';
import type { OnnxDim, OnnxValueInfo } from './types.ts';

/** A size that varies. */
export interface SizeRange {
  readonly min: number;
  readonly max: number;
  readonly axes: readonly { readonly input: string; readonly axis: number }[];
}

/** An input with its sizes bound. */
interface Bound {
  readonly name: string;
  readonly info: OnnxValueInfo;
  readonly dims: readonly OnnxDim[];
}

/** `least`: by INPUT[AXIS] or named dimension. `symbols`: the sizes of those. */
export function bindRanges(
  inputs: readonly Bound[],
  symbols: ReadonlyMap<string, number>,
  least: Readonly<Record<string, number>>,
): readonly SizeRange[] {
  const found = new Map<string, SizeRange>();
  for (const [key, min] of Object.entries(least)) {
    const place = /^(.*)\[(\d+)\]$/s.exec(key);
    const axis = Number(place?.[2]);
    const input = inputs.find(({ name }) => name === place?.[1]);
    const dim = input === undefined ? undefined : symbolAt(input, axis);
    const symbol = symbols.has(key) ? key : dim;
    const max = symbol === undefined ? input?.dims[axis] : symbols.get(symbol);
    if (typeof max !== 'number') return failUnknown(key);
    checkEnds(key, min, max);
    const id = symbol ?? key;
    const before = found.get(id);
    if (before !== undefined && before.min !== min) {
      fail(
        'HONE-SHAPE-014',
        `dimension ${id} is from ${min} in ${key} but from ${before.min} elsewhere`,
        key,
        'give ranges that agree',
      );
    }
    if (min === max) continue;
    const axes =
      symbol === undefined && input !== undefined
        ? [{ input: input.name, axis }]
        : inputs.flatMap((one) =>
            one.dims.flatMap((_, k) =>
              symbolAt(one, k) === symbol ? [{ input: one.name, axis: k }] : [],
            ),
          );
    found.set(id, { min, max, axes });
  }
  return [...found.values()];
}

/** The name that the model gives a dimension. */
function symbolAt({ info: { type } }: Bound, axis: number): string | undefined {
  const dim = type.kind === 'tensor' ? type.shape?.[axis] : undefined;
  return typeof dim === 'string' ? dim : undefined;
}

function checkEnds(key: string, min: number, max: number): void {
  if (Number.isSafeInteger(min) && min >= 0 && min <= max) return;
  fail(
    'HONE-SHAPE-019',
    `${key} cannot vary from ${min} to ${max}`,
    key,
    'write LEAST..MOST, e.g. --shape x=1x3x48x32..1088',
  );
}

function failUnknown(key: string): never {
  return fail(
    'HONE-SHAPE-019',
    `${key} has no size that could vary`,
    key,
    'give a range to an axis of an input, or to a named dimension of the model',
  );
}
