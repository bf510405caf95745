/** How often a loop is planned to run whose carried tensors grow, and where that bound comes from. */
import { at } from 'hone-runtime/base/diagnostics';
import { dtypeBytes } from 'hone-runtime/base/dtype';
import { elementCount } from 'hone-runtime/base/tensor';
import type { ValueType } from '../../../graph/types.ts';
import type { BoundSource } from './bounds.ts';
import type { SizePlan } from './sized.ts';

/** An axis of a carried value whose extent changes. */
export interface Growing {
  readonly value: number;
  readonly axis: number;
  /** The room at the begin. */
  readonly bound: number;
  /** What an iteration adds. */
  readonly growth: number;
}

export interface Trips {
  readonly most: number;
  readonly origin: BoundSource['origin'];
}

/**
 * As often as the loop says, or as sizes allow that are asked for. Where nothing says how often (more than
 * `limit` times), as the memory of what it carries and stacks allows.
 */
export function plannedTrips(
  { names, bounds }: SizePlan,
  carried: readonly ValueType[],
  rows: readonly ValueType[],
  axes: readonly Growing[],
  given: number,
  limit: number,
): Trips {
  const asked = (output: number, axis: number, rank: number): number => {
    const name = names[output] ?? '';
    return (name === '' ? undefined : bounds.size(name, axis, rank)?.max) ?? Infinity;
  };
  const ofCarried = axes.map(({ value, axis, bound, growth }) => {
    const most = asked(value, axis, at(carried, value).shape.length);
    return growth === 0 ? Infinity : Math.max(0, Math.floor((most - bound) / growth));
  });
  const ofRows = rows.map(({ shape }, k) => asked(carried.length + k, 0, shape.length + 1));
  const wanted = Math.min(...ofCarried, ...ofRows);
  if (Math.min(wanted, given) <= limit)
    return wanted < given ? { most: wanted, origin: 'asked' } : { most: given, origin: '' };
  const bytes = (cap: number): number => {
    const ofStates = carried.map(({ dtype, shape }, value) => {
      const room = shape.map((extent, axis) => {
        const open = axes.find((item) => item.value === value && item.axis === axis);
        return open === undefined ? extent : open.bound + cap * open.growth;
      });
      return elementCount(room) * dtypeBytes(dtype);
    });
    const ofStacks = rows.map(({ dtype, shape }) => cap * elementCount(shape) * dtypeBytes(dtype));
    return Math.max(1, ...ofStates, ...ofStacks);
  };
  let most = 0;
  bounds.assumed((cap) => {
    most = cap;
    return [bytes(cap)];
  }, 1);
  return { most, origin: 'assumed' };
}
