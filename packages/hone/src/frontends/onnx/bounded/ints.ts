/**
 * Whole numbers that are known when a model is imported, or only when it runs: then they are i64 scalars
 * of the Graph with an interval. Extents and the shape arithmetic of models are made of them.
 *
 * The same sum is one value, however often a model computes it: extents are equal where they are the
 * same value.
 */
import { fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import type { ValueId } from '../../../graph/types.ts';
import { constantTensor } from '../../../graph/walk.ts';
import type { OpBuilder } from '../../../ops/builder.ts';
import { INTEGERS_UP_TO, type Interval, intervalOf } from './interval.ts';

/** A number that a run computes: an i64 scalar; `min` and `max` bound it, and may be infinite. */
export interface Unknown {
  readonly id: ValueId;
  readonly min: number;
  readonly max: number;
}

export type Int = number | Unknown;

export const leastOf = (x: Int): number => (typeof x === 'number' ? x : x.min);
export const mostOf = (x: Int): number => (typeof x === 'number' ? x : x.max);
export const isKnown = (x: Int): x is number => typeof x === 'number';

/** Is it the same number in every run? */
export function isSame(a: Int, b: Int): boolean {
  if (typeof a === 'number' || typeof b === 'number') return a === b;
  return a.id === b.id;
}

/** Longer lists are data, not shapes. */
const MAX_LIST = 64;

/** Interval arithmetic: 0 · ∞ is 0 here, as a bound that is not reached. */
const times = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : a * b);

type Fold = (a: number, b: number) => number;

export class Ints {
  readonly #b: OpBuilder;
  readonly #made = new Map<string, Unknown>();
  readonly #constants = new Map<number, ValueId>();
  readonly #lists = new Map<ValueId, readonly Int[]>();
  readonly #known = new Map<ValueId, Interval>();
  /** For numbers that a run checks: the same behind the check. */
  checks = new Map<ValueId, Unknown>();
  /** What a product is made of: a known factor and unknown ones. */
  readonly #factors = new Map<ValueId, Product>();
  readonly #terms = new Map<ValueId, Term>();

  constructor(builder: OpBuilder) {
    this.#b = builder;
  }

  /** Begins what may fail; the function takes back all that was built since. */
  attempt(): () => void {
    const { graph } = this.#b;
    const mark = graph.mark();
    const checks = new Map(this.checks);
    const kept: readonly Map<unknown, unknown>[] = [
      this.#made,
      this.#constants,
      this.#lists,
      this.#known,
      this.#factors,
      this.#terms,
    ];
    const sizes = kept.map(({ size }) => size);
    return () => {
      graph.undo(mark);
      this.checks = checks;
      // What was added lies at the end.
      for (const [k, map] of kept.entries())
        for (const key of [...map.keys()].slice(sizes[k])) map.delete(key);
    };
  }

  /** The scalar of a number. */
  id(x: Int): ValueId {
    if (typeof x !== 'number') return x.id;
    const have = this.#constants.get(x);
    if (have !== undefined) return have;
    const made = this.#b.scalar(x, 'i64');
    this.#constants.set(x, made);
    return made;
  }

  /** An i64 list of numbers. */
  list(items: readonly Int[]): ValueId {
    if (items.every(isKnown)) return this.#b.ints(items);
    const one = this.#b.ints([1]);
    const parts = items.map((item) => this.#b.op('Reshape', [this.id(item), one]));
    const [only] = parts;
    const id =
      only !== undefined && parts.length === 1 ? only : this.#b.op('Concat', parts, { axis: 0 });
    this.note(id, items);
    return id;
  }

  /** Remembers the elements of a scalar or list. */
  note(id: ValueId, items: readonly Int[]): void {
    if (items.some((item) => !isKnown(item))) this.#lists.set(id, items);
  }

  /** Remembers where the elements of a value lie that nothing in the Graph says. */
  know(id: ValueId, interval: Interval): void {
    this.#known.set(id, interval);
  }

  /** Are its elements remembered, some of them unknown? */
  isNoted(id: ValueId): boolean {
    return this.#lists.has(id);
  }

  /** The elements of a constant, or those that were noted; undefined for other values. */
  noted(id: ValueId): readonly Int[] | undefined {
    const known = this.#lists.get(id);
    if (known !== undefined) return known;
    const value = this.#b.graph.value(id);
    const { dtype, shape } = value.type;
    if (value.constant === undefined || shape.length > 1 || (shape[0] ?? 1) > MAX_LIST)
      return undefined;
    if (!WHOLE.has(dtype)) return undefined;
    return [...toNumbers(constantTensor(value))];
  }

  /** The elements of an integer scalar or list, whatever it is; `known`: where each of them lies. */
  elements(id: ValueId, known: readonly Interval[] = []): readonly Int[] | undefined {
    const noted = this.noted(id);
    if (noted !== undefined) return noted;
    const { dtype, shape } = this.#b.typeOf(id);
    const count = shape[0] ?? 1;
    if (!WHOLE.has(dtype) || shape.length > 1 || count > MAX_LIST) return undefined;
    const parts = known.length === 0 ? this.#parts(id) : undefined;
    if (parts?.length === count) {
      this.note(id, parts);
      return parts;
    }
    const wide = dtype === 'i64' ? id : this.#b.op('Cast', [id], { to: I64 });
    const interval = this.interval(id);
    const items = Array.from({ length: count }, (_, i) => {
      const element =
        shape.length === 0
          ? wide
          : this.#b.op('Gather', [wide, this.#b.scalar(i, 'i64')], { axis: 0 });
      const { min, max } = known[i] ?? interval;
      return unknown(element, min, max);
    });
    this.note(id, items);
    return items;
  }

  /** The elements of what a value is put together from: the same number stays the same value. */
  #parts(id: ValueId): readonly Int[] | undefined {
    const node = this.#b.graph.producer(id);
    if (node === undefined || node.domain !== '') return undefined;
    const inputs = node.inputs.flatMap((input) => input ?? []);
    const read = node.op === 'Concat' ? inputs : REARRANGES.has(node.op) ? inputs.slice(0, 1) : [];
    const lists = read.map((input) => this.elements(input));
    if (lists.length === 0 || lists.includes(undefined)) return undefined;
    const items = lists.flatMap((list) => list ?? []);
    // Numbers that a narrower type holds are the same in it.
    const { min, max } = INTEGERS_UP_TO.get(this.#b.typeOf(id).dtype) ?? NOTHING;
    const most = this.#b.typeOf(id).dtype === 'i32' ? 2 ** 31 - 1 : max;
    const fits = (x: Int): boolean => leastOf(x) >= Math.max(min, -most) && mostOf(x) <= most;
    return items.every(fits) ? items : undefined;
  }

  /** Where the elements of a value lie. */
  interval(id: ValueId): Interval {
    return intervalOf(this.#b, id, (other) => {
      const items = this.#lists.get(other);
      if (items === undefined || items.length === 0) return this.#known.get(other);
      return {
        min: Math.min(...items.map(leastOf)),
        max: Math.max(...items.map(mostOf)),
      };
    });
  }

  add(a: Int, b: Int): Int {
    if (a === 0) return b;
    if (b === 0) return a;
    return this.#binary('Add', a, b, (x, y) => x + y, [
      leastOf(a) + leastOf(b),
      mostOf(a) + mostOf(b),
    ]);
  }

  sub(a: Int, b: Int): Int {
    if (b === 0) return a;
    if (isSame(a, b)) return 0;
    return this.#binary('Sub', a, b, (x, y) => x - y, [
      leastOf(a) - mostOf(b),
      mostOf(a) - leastOf(b),
    ]);
  }

  mul(a: Int, b: Int): Int {
    if (a === 0 || b === 0) return 0;
    if (a === 1) return b;
    if (b === 1) return a;
    const ends = [leastOf(a), mostOf(a)].flatMap((x) =>
      [leastOf(b), mostOf(b)].map((y) => times(x, y)),
    );
    const range = [Math.min(...ends), Math.max(...ends)] as const;
    if (isKnown(a) && isKnown(b)) return a * b;
    const product = joined(this.factors(a), this.factors(b));
    const have = this.#made.get(keyOfProduct(product));
    if (have !== undefined) return have;
    const made = this.#binary('Mul', a, b, (x, y) => x * y, range);
    if (!isKnown(made)) {
      this.#factors.set(made.id, product);
      this.#made.set(keyOfProduct(product), made);
    }
    return made;
  }

  product(items: readonly Int[]): Int {
    return items.reduce((a, b) => this.mul(a, b), 1);
  }

  /** a / b rounded to zero; both are extents: not negative. A divisor of 0 counts as 1. */
  div(a: Int, b: Int): Int {
    if (b === 1) return a;
    const exact = quotient(this.factors(a), this.factors(b));
    if (exact !== undefined) return this.#fromProduct(exact);
    const divisor = leastOf(b) >= 1 ? b : this.max(b, 1);
    return this.#binary('Div', a, divisor, (x, y) => Math.trunc(x / y), [
      Math.trunc(leastOf(a) / mostOf(divisor)) || 0,
      Math.trunc(mostOf(a) / leastOf(divisor)),
    ]);
  }

  /** a / b rounded up; b is known and positive. */
  ceilDiv(a: Int, b: number): Int {
    return b === 1 ? a : this.div(this.add(a, b - 1), b);
  }

  min(a: Int, b: Int): Int {
    if (mostOf(a) <= leastOf(b) || isSame(a, b)) return a;
    if (mostOf(b) <= leastOf(a)) return b;
    return this.#binary('Min', a, b, Math.min, [
      Math.min(leastOf(a), leastOf(b)),
      Math.min(mostOf(a), mostOf(b)),
    ]);
  }

  max(a: Int, b: Int): Int {
    if (leastOf(a) >= mostOf(b) || isSame(a, b)) return a;
    if (leastOf(b) >= mostOf(a)) return b;
    return this.#binary('Max', a, b, Math.max, [
      Math.max(leastOf(a), leastOf(b)),
      Math.max(mostOf(a), mostOf(b)),
    ]);
  }

  clamp(x: Int, least: Int, most: Int): Int {
    return this.min(this.max(x, least), most);
  }

  /** `yes` where a < b, else `no`. */
  whereLess(a: Int, b: Int, yes: Int, no: Int): Int {
    if (mostOf(a) < leastOf(b)) return yes;
    if (leastOf(a) >= mostOf(b)) return no;
    return this.#where('Less', a, b, yes, no);
  }

  whereEqual(a: Int, b: Int, yes: Int, no: Int): Int {
    if (isSame(a, b)) return yes;
    if (mostOf(a) < leastOf(b) || mostOf(b) < leastOf(a)) return no;
    return this.#where('Equal', a, b, yes, no);
  }

  /** The number, cut down where nothing bounds it, so that sums with it do not wrap around. */
  near(x: Int, most: number): Int {
    return this.clamp(x, Math.max(leastOf(x), -most), Math.min(mostOf(x), most));
  }

  /** The number where it is known to lie; a wider interval is cut down without a check. */
  within(x: Int, least: number, most: number): Int {
    if (isKnown(x) || (x.min >= least && x.max <= most)) return x;
    return this.clamp(x, least, most);
  }

  factors(x: Int): Product {
    if (isKnown(x)) return { known: x, unknown: [] };
    return this.#factors.get(x.id) ?? { known: 1, unknown: [x] };
  }

  /** What a sum, difference or product is made of; undefined: it is a number of its own. */
  termOf({ id }: Unknown): Term | undefined {
    return this.#terms.get(id);
  }

  #fromProduct({ known, unknown: parts }: Product): Int {
    return this.product([known, ...parts]);
  }

  #where(op: string, a: Int, b: Int, yes: Int, no: Int): Int {
    if (isSame(yes, no)) return yes;
    const key = `${op}?:${[a, b, yes, no].map(keyOf).join(':')}`;
    const have = this.#made.get(key);
    if (have !== undefined) return have;
    const holds = this.#b.op(op, [this.id(a), this.id(b)]);
    const id = this.#b.op('Where', [holds, this.id(yes), this.id(no)]);
    const made = unknown(
      id,
      Math.min(leastOf(yes), leastOf(no)),
      Math.max(mostOf(yes), mostOf(no)),
    );
    if (!isKnown(made)) {
      this.#made.set(key, made);
      this.note(made.id, [made]);
    }
    return made;
  }

  #binary(op: string, a: Int, b: Int, fold: Fold, [min, max]: readonly [number, number]): Int {
    if (isKnown(a) && isKnown(b)) return fold(a, b);
    const names = [keyOf(a), keyOf(b)];
    const key = `${op}:${(COMMUTES.has(op) ? names.sort() : names).join(':')}`;
    const have = this.#made.get(key);
    if (have !== undefined) return have;
    const made = unknown(this.#b.op(op, [this.id(a), this.id(b)]), min, max);
    if (!isKnown(made)) {
      if (op === 'Add' || op === 'Sub' || op === 'Mul') this.#terms.set(made.id, { op, a, b });
      this.#made.set(key, made);
      this.note(made.id, [made]);
    }
    return made;
  }
}

/** Numbers of what a builder builds; they live as long as it does. */
const numbers = new WeakMap<OpBuilder, Ints>();

/** The numbers that a builder computes. */
export function numbersOf(builder: OpBuilder): Ints {
  const have = numbers.get(builder);
  if (have !== undefined) return have;
  const made = new Ints(builder);
  numbers.set(builder, made);
  return made;
}

/** Two numbers and what is done with them. */
export interface Term {
  readonly op: 'Add' | 'Sub' | 'Mul';
  readonly a: Int;
  readonly b: Int;
}

/** A number that a run computes; known after all where its interval is a point. */
export function unknown(id: ValueId, min: number, max: number): Int {
  return min === max ? min : { id, min, max };
}

/** The scalar as a tensor in memory, for folding. */
export const intTensor = (value: number) => fromNumbers('i64', [], [value]);

/** ONNX's number of the dtype. */
export const I64 = 7;
export const BOOL = 9;

const COMMUTES: ReadonlySet<string> = new Set(['Add', 'Min', 'Max', 'Mul']);
/** Operators that give the elements of their first input, in order. */
const REARRANGES: ReadonlySet<string> = new Set([
  ...['Identity', 'Reshape', 'Squeeze', 'Unsqueeze', 'Flatten', 'Cast'],
]);
const NOTHING: Interval = { min: 0, max: -1 };
const WHOLE: ReadonlySet<string> = new Set(INTEGERS_UP_TO.keys());

const keyOf = (x: Int): string => (typeof x === 'number' ? `${x}` : `#${x.id}`);

interface Product {
  readonly known: number;
  readonly unknown: readonly Unknown[];
}

function joined(a: Product, b: Product): Product {
  const parts = [...a.unknown, ...b.unknown].sort((x, y) => x.id - y.id);
  return { known: a.known * b.known, unknown: parts };
}

function keyOfProduct({ known, unknown: parts }: Product): string {
  return `Mul:${known}:${parts.map(({ id }) => `#${id}`).join(':')}`;
}

/** a / b where that leaves nothing. */
function quotient(a: Product, b: Product): Product | undefined {
  const rest = [...a.unknown];
  for (const part of b.unknown) {
    const place = rest.findIndex(({ id }) => id === part.id);
    if (place < 0) return undefined;
    rest.splice(place, 1);
  }
  const known = a.known / b.known;
  return Number.isInteger(known) ? { known, unknown: rest } : undefined;
}
