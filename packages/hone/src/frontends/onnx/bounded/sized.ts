/**
 * Tensors with room for more than is meant, and the Graph's operators on them. A `Sized` is any tensor
 * with its extents as they are meant: those of an ordinary one are all known.
 *
 * Room is unspecified: whoever lets it influence what is meant masks it first.
 */
import { at, fail, invariant } from 'hone-runtime/base/diagnostics';
import { type DType, dtypeBytes, dtypeCode, isFloat } from 'hone-runtime/base/dtype';
import { elementCount, fromNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueId } from '../../../graph/types.ts';
import type { OpBuilder, OpOptions } from '../../../ops/builder.ts';
import { HONE_DOMAIN } from '../../../ops/tensor/positions.ts';
import { boundText } from '../../../ops/tensor/within.ts';
import { Bounds, type BoundSource, type Limit, MAX_ELEMENTS } from './bounds.ts';
import { type Int, type Ints, isKnown, isSame, leastOf, mostOf, unknown } from './ints.ts';

export interface Sized {
  /** Its shape has the bounds of `sizes`. */
  readonly id: ValueId;
  readonly sizes: readonly Int[];
}

export const isBounded = ({ sizes }: Sized): boolean => !sizes.every(isKnown);
/** Is there no room along these axes? */
const isFull = ({ sizes }: Sized, axes: readonly number[] = sizes.map((_, i) => i)): boolean =>
  axes.every((axis) => isKnown(at(sizes, axis)));
export const boundsOf = (sizes: readonly Int[]): number[] => sizes.map(mostOf);

/** What the node's outputs are called, and what bounds are asked for. */
export interface SizePlan {
  readonly names: readonly string[];
  readonly bounds: Bounds;
}

const NO_PLAN: SizePlan = { names: [], bounds: new Bounds() };

/** How extents are found that nothing bounds. */
export interface Assume {
  readonly dtype: DType;
  /** What an extent can be where each unknown number that decides it is at most `cap`; the cap else. */
  readonly room?: (axis: number, cap: number) => number;
  /** The cap to try first. */
  readonly start?: number;
  /** Where one extent has no bound, none is taken at its own. */
  readonly all?: true;
}

/** One node's work on the Graph. */
export class Sizing {
  readonly b: OpBuilder;
  readonly ints: Ints;
  /** The node, as errors call it. */
  readonly node: string;
  readonly plan: SizePlan;
  readonly #op: string;
  readonly #domain: string;
  #count = 0;

  constructor(
    b: OpBuilder,
    ints: Ints,
    node: string,
    op: string,
    domain = '',
    plan: SizePlan = NO_PLAN,
  ) {
    this.plan = plan;
    this.b = b;
    this.ints = ints;
    this.node = node;
    this.#op = op;
    this.#domain = domain;
  }

  op(op: string, inputs: readonly (ValueId | null)[], attrs: Attrs = {}): ValueId {
    return at(this.ops(op, inputs, attrs), 0);
  }

  ops(
    op: string,
    inputs: readonly (ValueId | null)[],
    attrs: Attrs = {},
    options: OpOptions = {},
  ): readonly ValueId[] {
    const own = op === this.#op ? '' : `/${op}`;
    const name = `${this.node}${own}${this.#count++ === 0 ? '' : `.${this.#count}`}`;
    return this.b.ops(op, inputs, attrs, { name, ...options });
  }

  dtype({ id }: Sized): DType {
    return this.b.typeOf(id).dtype;
  }

  /** The node itself, on these inputs. */
  own(inputs: readonly (ValueId | null)[], attrs: Attrs, outputs: number): readonly ValueId[] {
    return this.ops(this.#op, inputs, attrs, { domain: this.#domain, outputs });
  }

  /** A tensor of a node's, checked to have the room that its extents need. */
  made(id: ValueId, sizes: readonly Int[]): Sized {
    const { shape } = this.b.typeOf(id);
    invariant(
      shape.length === sizes.length && sizes.every((size, i) => mostOf(size) === shape[i]),
      `${this.node}: [${shape}] for extents up to [${boundsOf(sizes)}]`,
    );
    return { id, sizes };
  }

  cannot(
    why: string,
    cure = 'export the model with fixed sizes there; docs/data-dependent-sizes.md lists what is supported',
  ): never {
    return fail(
      'HONE-SHAPE-002',
      `node ${this.node} (${this.#op}): ${why}, and a size there depends on the model's input data`,
      this.node,
      cure,
    );
  }

  /**
   * Extents of the node's first output with a bound each: their own, the one asked for, or one that is
   * assumed. A run checks the last two.
   */
  bounded(sizes: readonly Int[], { dtype, room, start, all }: Assume): readonly Int[] {
    const { ints, plan } = this;
    const [tensor = ''] = plan.names;
    const free = sizes.map(
      (size): Int => (!isKnown(size) && leastOf(size) < 0 ? ints.max(size, 0) : size),
    );
    const asked = free.map((size, axis) => this.asked(size, tensor, axis, sizes.length));
    const isOver = (size: Int): boolean => mostOf(size) > MAX_ELEMENTS;
    // Extents that each have a bound may be too many elements together.
    const isTooMuch = elementCount(boundsOf(asked)) > MAX_ELEMENTS;
    if (!isTooMuch && !asked.some(isOver)) return asked;
    const isFree = (size: Int, axis: number): boolean =>
      !isKnown(size) && isSame(size, at(free, axis));
    const isOpen = (size: Int, axis: number): boolean =>
      isOver(size) || ((all === true || isTooMuch) && isFree(size, axis));
    if (!asked.some(isOpen)) return asked;
    const extents = plan.bounds.assumed(
      (cap) =>
        asked.map((size, axis) =>
          isOpen(size, axis) ? Math.min(room?.(axis, cap) ?? cap, mostOf(size)) : mostOf(size),
        ),
      dtypeBytes(dtype),
      start,
    );
    const option = `${tensor}=${extents.join('x')}`;
    return asked.map((size, axis): Int => {
      if (!isOpen(size, axis)) return size;
      const limit = { min: 0, max: at(extents, axis) };
      return this.checked(size, limit, { tensor, axis, origin: 'assumed', option });
    });
  }

  /** An extent at the bound that is asked for, if one is. */
  asked(size: Int, tensor: string, axis: number, rank: number): Int {
    const limit = isKnown(size) ? undefined : this.plan.bounds.size(tensor, axis, rank);
    if (limit === undefined) return size;
    const option = `${tensor}=${limit.max}`;
    return this.checked(size, limit, { tensor, axis, origin: 'asked', option });
  }

  /** A number that is an error of the run beyond its limits; `says`: what that is in the error. */
  checked(size: Int, limit: Limit, source: BoundSource, says?: string): Int {
    const from = isKnown(size) ? size : (this.ints.checks.get(size.id) ?? size);
    const [min, max] = [Math.max(limit.min, leastOf(from)), Math.min(limit.max, mostOf(from))];
    if (min === leastOf(from) && max === mostOf(from)) return from;
    // That it cannot be so is known: the run says so.
    const ends = { min: [limit.min], max: [limit.max] };
    const attrs = { ...source, ...ends, node: this.node };
    const why = boundText(attrs, `${limit.max}`);
    const name = says ?? (why === '' ? `${this.node}: its bound` : why);
    const id = at(
      this.ops('Within', [this.ints.id(from)], attrs, { domain: HONE_DOMAIN, name }),
      0,
    );
    const made = unknown(id, Math.min(min, max), Math.max(min, max));
    if (!isKnown(made)) this.ints.note(id, [made]);
    if (!isKnown(size) && !isKnown(made)) this.ints.checks.set(size.id, made);
    return made;
  }

  /** Refuses a tensor that cannot be. */
  room(sizes: readonly Int[]): readonly number[] {
    const bounds = boundsOf(sizes);
    if (elementCount(bounds) <= MAX_ELEMENTS) return bounds;
    return fail(
      'HONE-SHAPE-011',
      `node ${this.node} (${this.#op}): a result of up to [${bounds.join(',')}] elements is too large`,
      this.node,
      'check the shapes the model was exported with, or the --shape you gave',
    );
  }

  number(value: number, dtype: DType): ValueId {
    return this.b.scalar(value, dtype);
  }

  /** 0, 1, … along an axis of a tensor of `rank` axes. */
  iota(count: number, rank = 1, axis = 0): ValueId {
    const [zero, end, one] = [0, count, 1].map((n) => this.ints.id(n)) as [number, number, number];
    const list = this.b.op('Range', [zero, end, one]);
    return rank === 1 ? list : this.spread(list, rank, axis);
  }

  /** A list along an axis of a tensor of `rank` axes, the others of extent 1. */
  spread(list: ValueId, rank: number, axis: number): ValueId {
    const shape = new Array<number>(rank).fill(1);
    shape[axis] = -1;
    return this.b.op('Reshape', [list, this.b.ints(shape)]);
  }

  reshape(id: ValueId, shape: readonly number[]): ValueId {
    return this.b.op('Reshape', [id, this.b.ints(shape)], { allowzero: 1 });
  }

  cast(id: ValueId, dtype: DType): ValueId {
    if (this.b.typeOf(id).dtype === dtype) return id;
    return this.b.op('Cast', [id], { to: dtypeCode(dtype) });
  }

  /** Where elements are meant, looking at some axes only; undefined: everywhere. */
  valid({ sizes }: Sized, axes = sizes.map((_, i) => i)): ValueId | undefined {
    const parts = axes.flatMap((axis) => {
      const size = at(sizes, axis);
      if (isKnown(size)) return [];
      return [this.b.op('Less', [this.iota(size.max, sizes.length, axis), size.id])];
    });
    return parts.length === 0 ? undefined : parts.reduce((a, c) => this.b.op('And', [a, c]));
  }

  /** The tensor with room filled; `axes`: only behind the end of these. */
  masked(x: Sized, fill: number, axes?: readonly number[]): Sized {
    if (isFull(x, axes)) return x;
    return this.maskedWith(x, this.number(fill, this.dtype(x)), axes);
  }

  /** The same with what fills it computed: it is broadcast to the tensor. */
  maskedWith(x: Sized, fill: ValueId, axes?: readonly number[]): Sized {
    const valid = this.valid(x, axes === undefined ? undefined : [...axes]);
    return valid === undefined ? x : { ...x, id: this.op('Where', [valid, x.id, fill]) };
  }

  isReal(x: Sized): boolean {
    return isFloat(this.dtype(x));
  }

  /** The elements at the positions of a list along an axis, `size` of which are meant. */
  take(x: Sized, axis: number, list: ValueId, size: Int): Sized {
    const sizes = x.sizes.map((old, i) => (i === axis ? size : old));
    return this.made(this.op('Gather', [x.id, list], { axis }), sizes);
  }

  /** The first `size` along an axis: all others become room. */
  first(x: Sized, axis: number, size: Int): Sized {
    const bound = mostOf(size);
    const have = mostOf(at(x.sizes, axis));
    const sizes = x.sizes.map((old, i) => (i === axis ? size : old));
    if (bound === have) return { id: x.id, sizes };
    if (bound > have) return this.made(this.longer(x.id, axis, bound), sizes);
    return this.made(this.part(x.id, axis, 0, bound), sizes);
  }

  /** Elements `from` up to, but not including, `to` along an axis. */
  part(id: ValueId, axis: number, from: number, to: number): ValueId {
    const { b } = this;
    return this.op('Slice', [id, b.ints([from]), b.ints([to]), b.ints([axis]), b.ints([1])]);
  }

  /** With more room along an axis. */
  longer(id: ValueId, axis: number, bound: number): ValueId {
    const { dtype, shape } = this.b.typeOf(id);
    const more = shape.map((extent, i) => (i === axis ? bound - extent : extent));
    return this.op('Concat', [id, this.zeros(dtype, more)], { axis });
  }

  zeros(dtype: DType, shape: readonly number[]): ValueId {
    if (dtype === 'string') {
      const data = new Array<string>(elementCount(shape)).fill('');
      return this.b.constant({ dtype, shape, data });
    }
    const value = fromNumbers(dtype, [1], [0]);
    return this.b.op('ConstantOfShape', [this.b.ints(shape)], { value });
  }

  /**
   * A tensor along whose axis elements are meant as another extent says: broadcast from 1, or the same
   * number reached on another way.
   */
  fit(x: Sized, axis: number, size: Int): Sized {
    const have = at(x.sizes, axis);
    if (isSame(have, size) || have === 1) return x;
    if (leastOf(have) > 1) return this.first(x, axis, size);
    const { ints, b } = this;
    const last = Math.max(0, mostOf(have) - 1);
    // Where the extent is 1, position 0 stands for all; the rest is the same position.
    const most = ints.whereEqual(have, 1, 0, last);
    const list = b.op('Min', [this.iota(mostOf(size)), ints.id(most)]);
    return this.take(x, axis, list, size);
  }

  /** Positions at which a mask holds, in order, and how many there are. */
  positions(mask: ValueId): { readonly list: ValueId; readonly count: Int } {
    const bound = elementCount(this.b.typeOf(mask).shape);
    const options = { domain: HONE_DOMAIN, outputs: 2 };
    const [list, count] = this.ops('Positions', [mask], {}, options);
    return { list: list ?? -1, count: unknown(count ?? -1, 0, bound) };
  }

  /** The tensor under another shape of as many elements, in the same row-major order. */
  reshaped(x: Sized, sizes: readonly Int[]): Sized {
    const bounds = this.room(sizes);
    const room = this.b.typeOf(x.id).shape;
    const total = elementCount(room);
    if (total === 0) return this.made(this.zeros(this.dtype(x), bounds), sizes);
    const isDense = isPrefix(x.sizes) && isPrefix(sizes);
    if (isDense && elementCount(bounds) === total) {
      return this.made(this.op('Reshape', [x.id, this.b.ints(bounds)], { allowzero: 1 }), sizes);
    }
    if (isGrouped(x.sizes, sizes)) {
      return this.made(this.op('Reshape', [x.id, this.b.ints(bounds)], { allowzero: 1 }), sizes);
    }
    const flat = this.reshape(x.id, [total]);
    const linear = isPrefix(sizes)
      ? this.reshape(this.iota(elementCount(bounds)), bounds)
      : this.positionOf(sizes);
    const source = isPrefix(x.sizes) ? linear : this.sourceOf(x.sizes, room, linear);
    const safe = this.b.op('Min', [source, this.ints.id(total - 1)]);
    return this.made(this.op('Gather', [flat, safe], { axis: 0 }), sizes);
  }

  /** For every index of a tensor with these extents, its row-major position among what is meant. */
  positionOf(sizes: readonly Int[]): ValueId {
    const rank = sizes.length;
    let stride: Int = 1;
    let sum = this.ints.id(0);
    for (let axis = rank - 1; axis >= 0; axis--) {
      const size = at(sizes, axis);
      const index = this.iota(mostOf(size), rank, axis);
      sum = this.b.op('Add', [sum, this.b.op('Mul', [index, this.ints.id(stride)])]);
      stride = this.ints.mul(stride, size);
    }
    return sum;
  }

  /** Where the element of a row-major position lies in the room of a tensor. */
  sourceOf(sizes: readonly Int[], room: readonly number[], linear: ValueId): ValueId {
    const { b, ints } = this;
    let rest = linear;
    let stride = 1;
    let sum = ints.id(0);
    for (let axis = room.length - 1; axis >= 0; axis--) {
      const size = ints.id(ints.max(at(sizes, axis), 1));
      const index = axis === 0 ? rest : b.op('Mod', [rest, size]);
      sum = b.op('Add', [sum, b.op('Mul', [index, ints.id(stride)])]);
      rest = b.op('Div', [rest, size]);
      stride *= at(room, axis);
    }
    return sum;
  }
}

/** Does what is meant lie at the begin of the memory, without gaps? */
export function isPrefix(sizes: readonly Int[]): boolean {
  const first = sizes.findIndex((size) => size !== 1);
  return sizes.every((size, axis) => isKnown(size) || axis <= first);
}

/**
 * Can both shapes be cut into runs of the same number of elements, so that unknown extents are outermost
 * of their run with the same extents within?
 */
function isGrouped(from: readonly Int[], to: readonly Int[]): boolean {
  const rest = [from, to].map((sizes) => sizes.filter((size) => size !== 1)) as [Int[], Int[]];
  const known = (sizes: readonly Int[], end: number): number => {
    let product = 1;
    for (const size of sizes.slice(0, end)) if (isKnown(size)) product *= size;
    return product;
  };
  const [a, b] = rest;
  while (a.length > 0 || b.length > 0) {
    const [x, y] = [a[0], b[0]];
    if (x === undefined || y === undefined) return false;
    if (!isKnown(x) || !isKnown(y)) {
      if (!isSame(x, y)) return false;
      a.shift();
      b.shift();
      continue;
    }
    // Known extents up to the next unknown one have to agree in their product.
    const ends = rest.map((sizes) => {
      const end = sizes.findIndex((size) => !isKnown(size));
      return end < 0 ? sizes.length : end;
    });
    if (known(a, ends[0] ?? 0) !== known(b, ends[1] ?? 0)) return false;
    a.splice(0, ends[0]);
    b.splice(0, ends[1]);
  }
  return true;
}

/** The least number of a dtype: what no element is below. */
export function lowest(dtype: DType): number {
  return isFloat(dtype) ? -Infinity : (LIMITS[dtype]?.[0] ?? 0);
}

export function highest(dtype: DType): number {
  return isFloat(dtype) ? Infinity : (LIMITS[dtype]?.[1] ?? 1);
}

const LIMITS: Partial<Record<DType, readonly [number, number]>> = {
  i8: [-128, 127],
  u8: [0, 255],
  i16: [-32_768, 32_767],
  u16: [0, 65_535],
  i32: [-(2 ** 31), 2 ** 31 - 1],
  u32: [0, 2 ** 32 - 1],
  i64: [-Infinity, Infinity],
  // The largest number below 2^64 that is a double.
  u64: [0, 2 ** 64 - 2048],
};
