/**
 * Bounds that a user gives (--bound): most and least numbers of values, and of the extents of tensors whose
 * size depends on data. What nothing bounds is planned at a default instead, and a run checks both.
 */
import { fail } from 'hone-runtime/base/diagnostics';
import { elementCount } from 'hone-runtime/base/tensor';

/** Room for more elements than this is not planned: such a bound says that there is none. */
export const MAX_ELEMENTS = 2 ** 30;
/** An extent that nothing bounds is planned for as many. */
export const ASSUMED_EXTENT = 1024;
/** A tensor is assumed to take no more bytes than this, if its extents can be less. */
export const ASSUMED_BYTES = 64 * 2 ** 20;
/** Where there is no bound below. */
const LEAST = -Number.MAX_SAFE_INTEGER;

export interface Limit {
  readonly min: number;
  readonly max: number;
}

/** At most that, for every element or axis of unknown extent; one for each of them; or both ends. */
export type BoundOption = number | readonly number[] | Limit;
/** By tensors of the model, or TENSOR[AXIS]. */
export type BoundOptions = Readonly<Record<string, BoundOption>>;

/** What a bound is about, and where it comes from. */
export interface BoundSource {
  readonly tensor: string;
  /** Whose extent it is; -1: the values of the tensor. */
  readonly axis: number;
  readonly origin: 'asked' | 'assumed' | '';
  /** What to write behind --bound for another one. */
  readonly option: string;
}

/** The bounds that a user gives, and which of them are used. */
export class Bounds {
  readonly #given: ReadonlyMap<string, BoundOption>;
  readonly #used = new Set<string>();
  readonly #candidates = new Set<string>();

  /** An extent that nothing bounds is planned for as many. */
  readonly extent: number;
  /** Was anything assumed? */
  hasAssumed = false;

  constructor(options: BoundOptions = {}, extent = ASSUMED_EXTENT) {
    this.extent = extent;
    this.#given = new Map(Object.entries(options));
    for (const [key, option] of this.#given) {
      for (const { min, max } of limitsOf(option)) {
        const isWhole = Number.isSafeInteger(min) && Number.isSafeInteger(max);
        if (!isWhole || min > max) malformed(key, option, 'is no bound');
      }
    }
  }

  /** Is there nothing to look up? */
  get isEmpty(): boolean {
    return this.#given.size === 0;
  }

  /** A name that takes a bound, for errors about others. */
  offer(tensor: string): void {
    this.#candidates.add(tensor);
  }

  /** The bound of an extent. */
  size(tensor: string, axis: number, rank: number): Limit | undefined {
    this.offer(tensor);
    const own = this.#given.get(`${tensor}[${axis}]`);
    const key = own === undefined ? tensor : `${tensor}[${axis}]`;
    const option = own ?? this.#given.get(tensor);
    if (option === undefined) return undefined;
    this.#used.add(key);
    const limits = limitsOf(option);
    if (isList(option) && limits.length !== (own === undefined ? rank : 1))
      malformed(key, option, `has ${limits.length} numbers for ${rank} axes`);
    const limit = limits[limits.length === 1 ? 0 : axis];
    if (limit === undefined) return undefined;
    if (limit.max < 0 || limit.max > MAX_ELEMENTS)
      malformed(key, option, `is no bound of a size: it has to be from 0 to ${MAX_ELEMENTS}`);
    return limit.min === LEAST ? { ...limit, min: 0 } : limit;
  }

  /** The bounds of a tensor's elements, one each. */
  values(tensor: string, count: number): readonly Limit[] | undefined {
    const option = this.#given.get(tensor);
    if (option === undefined) return undefined;
    this.#used.add(tensor);
    const limits = limitsOf(option);
    if (isList(option) && limits.length !== count)
      malformed(tensor, option, `has ${limits.length} numbers for ${count} elements`);
    return Array.from({ length: count }, (_, i) => limits[isList(option) ? i : 0] as Limit);
  }

  /**
   * Extents for a tensor with some that nothing bounds: the largest that its memory allows. `room`: what
   * they are where each unknown number is `cap`; `start`: the cap to begin with.
   */
  assumed(
    room: (cap: number) => readonly number[],
    elementBytes: number,
    start = this.extent,
  ): readonly number[] {
    this.hasAssumed = true;
    for (let cap = start; ; cap = Math.floor(cap / 2)) {
      const extents = room(cap);
      if (cap <= 1 || elementCount(extents) * elementBytes <= ASSUMED_BYTES) return extents;
    }
  }

  /** Refuses names that were not found; `inputs`: those of the model whose values could be bounded. */
  checkUsed(inputs: readonly string[]): void {
    const unused = [...this.#given.keys()].filter((key) => !this.#used.has(key));
    const [first] = unused;
    if (first === undefined) return;
    const known = [...new Set([...inputs, ...this.#candidates])];
    const shown = known.slice(0, 12).join(', ') + (known.length > 12 ? ', …' : '');
    fail(
      'HONE-SHAPE-017',
      `--bound ${unused.join(', ')}: the model has no such tensor whose size depends on data, and no list of numbers of that name`,
      first,
      known.length === 0
        ? 'leave it out: no size of the model depends on data'
        : `bound one of these: ${shown}`,
    );
  }
}

function isList(option: BoundOption): option is readonly number[] {
  return Array.isArray(option);
}

function limitsOf(option: BoundOption): readonly Limit[] {
  if (typeof option === 'number') return [{ min: LEAST, max: option }];
  if (isList(option)) return option.map((max) => ({ min: LEAST, max }));
  return [option];
}

function malformed(key: string, option: BoundOption, why: string): never {
  const text = isList(option)
    ? option.join('x')
    : typeof option === 'number'
      ? `${option}`
      : `${option.min}..${option.max}`;
  return fail(
    'HONE-SHAPE-018',
    `--bound ${key}=${text} ${why}`,
    key,
    'write NAME=N, NAME=LO..HI, NAME=1x80x200 (one for each element or axis) or NAME[AXIS]=N',
  );
}
