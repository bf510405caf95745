/**
 * What inference and decompositions make of unknown extents, found by asking: they are run for several
 * made-up sizes, and a number that differs between these is recognised as one that extents make.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers } from 'hone-runtime/base/tensor';
import type { ValueId, ValueType } from '../../../graph/types.ts';
import { type Int, type Ints, isKnown, type Unknown } from './ints.ts';
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

function termOf(ints: Ints, x: Unknown) {
  return x.max <= MAX_FINITE ? ints.termOf(x) : undefined;
}

/**
 * Sets of made-up sizes, each with sizes above the bounds, far above and below: with numbers of the same bound
 * told apart, or taken for the same. The first set of which a node accepts enough is used.
 */
export function probeSets({ leaves, held }: Probing): readonly (readonly Probe[])[] {
  const bounds = leaves.map(({ max }) => (max <= MAX_FINITE ? max : UNBOUNDED));
  const ways: readonly ((bound: number, step: number) => number)[] = [
    (bound, step) => bound + step,
    (bound, step) => bound + 89 + 3 * step,
    // From 2: an extent of 1 is broadcast, which rules see to.
    (bound, step) => Math.max(2, bound) - (step % Math.max(1, bound - 1)),
  ];
  const rows = (isApart: boolean): readonly number[] =>
    bounds.map((bound, i) => (isApart ? i : bounds.indexOf(bound)));
  const fixed = held.map(({ id, max }) => [id, max] as const);
  const probe = (size: (leaf: number) => number): Probe =>
    new Map([...fixed, ...leaves.map(({ id }, i) => [id, size(i)] as const)]);
  const setOf = (lines: readonly number[]): readonly Probe[] => [
    // Constants are taken from a probe that has all of them.
    probe((i) => Math.max(2, at(bounds, i))),
    ...STEPS[0].flatMap((_, k) =>
      ways.map((way) => probe((i) => way(at(bounds, i), at(at(STEPS, at(lines, i)), k)))),
    ),
  ];
  const apart = rows(true);
  const together = rows(false);
  return together.join() === apart.join() ? [setOf(apart)] : [setOf(apart), setOf(together)];
}

/** Are these enough to tell what follows the sizes? An extent that could only be one number is none. */
export function areEnough({ leaves }: Probing, probes: readonly Probe[]): boolean {
  return (
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
  return undefined;
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
  const pivots: number[] = [];
  for (let column = 0; column < width; column++) {
    const rank = pivots.length;
    const best = rows.findIndex((row, r) => r >= rank && Math.abs(at(row, column)) > 1e-9);
    // Numbers that were taken for the same: the first of them stands for all.
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
