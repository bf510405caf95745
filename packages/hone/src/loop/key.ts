/** A text that two loop functions share exactly when they do the same under different names. */
import type { LoopFn } from './types.ts';

export function loopKey(fn: LoopFn): string {
  return exactJson([fn.lanes, fn.buffers, fn.dims, fn.body]);
}

/** JSON that keeps apart what JSON merges: bigints, NaN, infinities and -0. */
export function exactJson(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) => {
    if (typeof item === 'bigint') return `${item}n`;
    if (typeof item !== 'number') return item;
    return Number.isFinite(item) && !Object.is(item, -0)
      ? item
      : `#${Object.is(item, -0) ? '-0' : item}`;
  });
}
