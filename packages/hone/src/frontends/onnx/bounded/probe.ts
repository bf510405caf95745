/**
 * What inference and decompositions make of unknown extents, found by asking: they are run for several
 * made-up sizes, and a number that differs between these is recognised as one that extents make.
 */
import { at, HoneError } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers } from 'hone-runtime/base/tensor';
import type { ValueId, ValueType } from '../../../graph/types.ts';
import { constantTensor } from '../../../graph/walk.ts';
import { type Int, type Ints, isKnown, type Term, type Unknown } from './ints.ts';
import type { Use } from './rule.ts';
import { isBounded, type Sized } from './sized.ts';

/** Made-up values of numbers that are unknown. */
export type Probe = ReadonlyMap<ValueId, number>;

/** Steps away from the bound, one row per number: no two alike, in no fixed ratio. */
const STEPS = [
  [1, 3, 7, 4, 9, 2, 6, 12],
  [2, 7, 1, 9, 3, 11, 5, 8],
  [5, 2, 8, 1, 12, 4, 10, 3],
  [8, 11, 3, 6, 1, 10, 2, 7],
  [11, 5, 12, 2, 8, 7, 1, 4],
] as const;

/** More unknown numbers than this at one node are not told apart. */
const MAX_LEAVES = STEPS.length;
/** A number takes more different values than this in a set of probes. */
const LEAST_DIFFERENT = 2;
/** A number without a bound is made up from here. */
const UNBOUNDED = 16;
const MAX_FINITE = 2 ** 30;

export interface Probing {
  readonly ints: Ints;
  /** Unknown numbers as they are met, sums and products included. */
  readonly numbers: readonly Unknown[];
  readonly leaves: readonly Unknown[];
  /** Numbers that are not made up: at their bound they stand for all there can be. */
  readonly held: readonly Unknown[];
}

/** All unknown numbers that a node's inputs have, in extents and in lists that decide sizes. */
export function probingOf(use: Use, held: readonly Unknown[] = []): Probing {
  const { ints } = use;
  const met = new Map<ValueId, Unknown>();
  const leaves = new Map<ValueId, Unknown>();
  const walk = (x: Int): void => {
    if (isKnown(x)) return;
    const term = termOf(ints, x);
    if (held.some(({ id }) => id === x.id)) return;
    if (term === undefined) leaves.set(x.id, x);
    else for (const part of [term.a, term.b]) walk(part);
  };
  for (const input of use.inputs) {
    if (input === null) continue;
    const listed = ints.isNoted(input.id) ? (ints.noted(input.id) ?? []) : [];
    for (const x of [...input.sizes, ...listed]) {
      if (isKnown(x) || held.some(({ id }) => id === x.id)) continue;
      met.set(x.id, x);
      walk(x);
    }
  }
  if (leaves.size > MAX_LEAVES) use.s.cannot(`${leaves.size} different unknown extents meet`);
  const numbers = [...new Map([...leaves, ...met]).values()];
  return { ints, numbers, leaves: [...leaves.values()], held };
}

/** What a number is made of, where that is told apart. */
export function termOf(ints: Ints, x: Unknown): Term | undefined {
  return x.max <= MAX_FINITE ? ints.termOf(x) : undefined;
}

/**
 * Sets of made-up sizes: above the bounds, far above and below; and within them only. The first set of which a
 * node accepts enough is used.
 */
export function probeSets({ leaves, held }: Probing): readonly (readonly Probe[])[] {
  const bounds = leaves.map(({ max }) => (max <= MAX_FINITE ? max : UNBOUNDED));
  const ways: readonly ((bound: number, step: number) => number)[] = [
    (bound, step) => bound + step,
    (bound, step) => bound + 89 + 3 * step,
    // From 2: an extent of 1 is broadcast, which rules see to.
    (bound, step) => Math.max(2, bound) - (step % Math.max(1, bound - 1)),
  ];
  const fixed = held.map(({ id, max }) => [id, max] as const);
  const probe = (size: (leaf: number) => number): Probe =>
    new Map([...fixed, ...leaves.map(({ id }, i) => [id, size(i)] as const)]);
  return [
    [
      // Constants are taken from a probe that has all of them.
      probe((i) => Math.max(2, at(bounds, i))),
      ...STEPS[0].flatMap((_, k) =>
        ways.map((way) => probe((i) => way(at(bounds, i), at(at(STEPS, i), k)))),
      ),
    ],
    within(leaves).map((sizes) => probe((i) => at(sizes, i))),
  ];
}

/** At most so many made-up sizes of a set that stays within the bounds. */
const MOST_WITHIN = 32;

/** Sizes within the bounds only: all there can be, where they are few. */
function within(leaves: readonly Unknown[]): readonly (readonly number[])[] {
  const ranges = leaves.map((leaf) => rangeOf(leaf));
  if (countOf(ranges) <= MOST_WITHIN) {
    return ranges.reduce<readonly (readonly number[])[]>(
      (rows, { least, most }) =>
        rows.flatMap((row) =>
          Array.from({ length: most - least + 1 }, (_, i) => [...row, most - i]),
        ),
      [[]],
    );
  }
  return Array.from({ length: MOST_WITHIN / 2 }, (_, k) =>
    ranges.map(({ least, most }, i) => {
      const step = k === 0 ? 0 : at(at(STEPS, i), (k - 1) % STEPS[0].length) + 13 * (k >> 3);
      return most - (step % Math.max(1, most - Math.max(2, least) + 1));
    }),
  );
}

interface Range {
  readonly least: number;
  readonly most: number;
}

/** The extents that a number can be. */
function rangeOf({ min, max }: Unknown): Range {
  const least = Math.max(0, min);
  return { least, most: Math.max(least, max <= MAX_FINITE ? max : UNBOUNDED) };
}

const countOf = (ranges: readonly Range[]): number =>
  ranges.reduce((count, { least, most }) => count * (most - least + 1), 1);

/**
 * Are these enough to tell what follows the sizes? An extent that could only be one number is none, unless
 * the sizes are all there can be.
 */
export function areEnough({ leaves }: Probing, probes: readonly Probe[]): boolean {
  return isEverySize(leaves, probes) || areMany(leaves, probes);
}

function isEverySize(leaves: readonly Unknown[], probes: readonly Probe[]): boolean {
  const ranges = leaves.map(rangeOf);
  if (leaves.some(({ max }) => max > MAX_FINITE)) return false;
  const keys = probes.map((probe) => leaves.map(({ id }) => probe.get(id) ?? -1));
  const inside = keys.filter((key) =>
    key.every((value, i) => value >= at(ranges, i).least && value <= at(ranges, i).most),
  );
  return new Set(inside.map((key) => key.join())).size === countOf(ranges);
}

/** Numbers that are only taken together, as where they have to be equal, are not told apart. */
function areMany(leaves: readonly Unknown[], probes: readonly Probe[]): boolean {
  return (
    isIndependent(leaves, probes) &&
    probes.length >= leaves.length + 2 &&
    leaves.every(({ id }) => new Set(probes.map((probe) => probe.get(id))).size > LEAST_DIFFERENT)
  );
}

export function valueIn(ints: Ints, x: Int, probe: Probe): number {
  if (isKnown(x)) return x;
  const have = probe.get(x.id);
  if (have !== undefined) return have;
  const term = termOf(ints, x);
  if (term === undefined) return Number.NaN;
  const [a, b] = [valueIn(ints, term.a, probe), valueIn(ints, term.b, probe)];
  return term.op === 'Add' ? a + b : term.op === 'Sub' ? a - b : a * b;
}

/** What an input is when sizes are made up: its type, and its elements where they are numbers. */
export interface ProbedInput {
  readonly type: ValueType;
  readonly elements?: readonly number[];
}

export function probedInput(use: Use, x: Sized, probe: Probe): ProbedInput {
  const { ints, s } = use;
  const { dtype } = s.b.typeOf(x.id);
  const shape = x.sizes.map((size) => valueIn(ints, size, probe));
  const listed = isBounded(x) || !ints.isNoted(x.id) ? undefined : ints.noted(x.id);
  if (listed === undefined) return { type: { dtype, shape } };
  return { type: { dtype, shape }, elements: listed.map((item) => valueIn(ints, item, probe)) };
}

export const tensorOf = ({ type, elements }: ProbedInput) =>
  elements === undefined ? undefined : fromNumbers(type.dtype, type.shape, elements);

/** Extents of the outputs at made-up sizes, or the error that inference ends with. */
export function shapesAt(use: Use, probe: Probe): readonly (readonly number[])[] | HoneError {
  const { b, node } = use.s;
  const inputs = use.inputs.map((x) => {
    if (x === null) return null;
    const { constant, type } = b.graph.value(x.id);
    if (constant !== undefined && x.sizes.every(isKnown)) {
      const value = b.graph.value(x.id);
      return { type, constant: () => constantTensor(value) };
    }
    const probed = probedInput(use, x, probe);
    const tensor = tensorOf(probed);
    return { type: probed.type, constant: tensor === undefined ? null : () => tensor };
  });
  try {
    const context = { node, op: use.op, inputs, attrs: use.attrs, outputCount: use.outputs };
    return use.def.infer(context).map(({ shape }) => shape);
  } catch (cause) {
    if (cause instanceof HoneError) return cause;
    throw cause;
  }
}

/** The number that has these values at these probes; undefined: none was recognised. */
export function fitted(
  probing: Probing,
  probes: readonly Probe[],
  values: readonly number[],
): Int | undefined {
  const { ints, numbers, leaves } = probing;
  const first = at(values, 0);
  if (values.every((value) => value === first)) return first;
  if (!values.every(Number.isSafeInteger)) return undefined;
  const columns = numbers.map((x) => probes.map((probe) => valueIn(ints, x, probe)));
  const products = monomials(numbers.length);
  const valuesOf = (product: readonly number[]): number[] =>
    probes.map((_, k) => product.reduce((total, n) => total * at(at(columns, n), k), 1));
  const build = (product: readonly number[]): Int =>
    ints.product(product.map((n) => at(numbers, n)));
  for (const product of products) {
    const own = valuesOf(product);
    const ratio = first / at(own, 0);
    if (!own.every((value, k) => value * ratio === values[k])) continue;
    if (Number.isInteger(ratio)) return ints.mul(build(product), ratio);
    const divisor = at(own, 0) / first;
    if (Number.isInteger(divisor)) return ints.div(build(product), divisor);
  }
  for (const product of [[], ...products]) {
    const own = valuesOf(product);
    const rest = values.map((value, k) => value / at(own, k));
    if (!rest.every(Number.isSafeInteger)) continue;
    const found = affine(probes, leaves, rest);
    if (found === undefined) continue;
    const sum = leaves.reduce(
      (total: Int, leaf, i) => ints.add(total, ints.mul(leaf, at(found.factors, i))),
      found.offset,
    );
    return ints.mul(sum, build(product));
  }
  for (const product of products) {
    const own = valuesOf(product);
    const [times, per] = fractionOf(first, at(own, 0)) ?? [0, 0];
    if (per > 0 && own.every((value, k) => value * times === at(values, k) * per))
      return ints.div(ints.mul(build(product), times), per);
  }
  return undefined;
}

/** a / b in lowest terms. */
function fractionOf(a: number, b: number): readonly [number, number] | undefined {
  if (a <= 0 || b <= 0) return undefined;
  let [x, y] = [a, b];
  while (y > 0) [x, y] = [y, x % y];
  return Number.isSafeInteger(a) && Number.isSafeInteger(b) ? [a / x, b / x] : undefined;
}

/** Products of up to three of `count` numbers. */
function monomials(count: number): readonly (readonly number[])[] {
  const out: number[][] = [];
  for (let a = 0; a < count; a++) out.push([a]);
  for (let a = 0; a < count; a++) for (let b = a; b < count; b++) out.push([a, b]);
  for (let a = 0; a < count; a++)
    for (let b = a; b < count; b++) for (let c = b; c < count; c++) out.push([a, b, c]);
  return out;
}

/** Are the numbers of these probes bound to each other by no sum? */
function isIndependent(leaves: readonly Unknown[], probes: readonly Probe[]): boolean {
  const rows = probes.map((probe) => [1, ...leaves.map(({ id }) => probe.get(id) ?? 0)]);
  return eliminated(rows, leaves.length + 1).length > leaves.length;
}

/** Brings the first columns of the rows to the identity as far as that goes: the columns of its ones. */
function eliminated(rows: number[][], width: number): readonly number[] {
  const pivots: number[] = [];
  for (let column = 0; column < width; column++) {
    const rank = pivots.length;
    const best = rows.findIndex((row, r) => r >= rank && Math.abs(at(row, column)) > 1e-9);
    if (best < 0) continue;
    const [pivot] = rows.splice(best, 1) as [number[]];
    const scaled = pivot.map((x) => x / at(pivot, column));
    rows.splice(rank, 0, scaled);
    rows.forEach((row, r) => {
      const factor = at(row, column);
      if (r !== rank && factor !== 0) rows[r] = row.map((x, i) => x - factor * at(scaled, i));
    });
    pivots.push(column);
  }
  return pivots;
}

interface Affine {
  readonly offset: number;
  readonly factors: readonly number[];
}

/** Whole factors of the numbers and an offset that make the values, found by elimination. */
function affine(
  probes: readonly Probe[],
  leaves: readonly Unknown[],
  values: readonly number[],
): Affine | undefined {
  const rows = probes.map((probe, k) => [
    1,
    ...leaves.map(({ id }) => probe.get(id) ?? 0),
    at(values, k),
  ]);
  const width = leaves.length + 1;
  const pivots = eliminated(rows, width);
  if (rows.slice(pivots.length).some((row) => Math.abs(at(row, width)) > 1e-6)) return undefined;
  const solution = new Array<number>(width).fill(0);
  pivots.forEach((column, r) => {
    solution[column] = at(at(rows, r), width);
  });
  const whole = solution.map((x) => Math.round(x));
  if (solution.some((x, i) => Math.abs(x - at(whole, i)) > 1e-6)) return undefined;
  const [offset = 0, ...factors] = whole;
  return { offset, factors };
}

/** How many elements a shape has room for: probes that would need more are not tried. */
export const isSmall = (shape: readonly number[]): boolean => elementCount(shape) <= 2 ** 26;
