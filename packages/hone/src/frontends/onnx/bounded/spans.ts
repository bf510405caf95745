/**
 * Where a node means the same: its operator is asked at one value after the other of an unknown number
 * whether it takes that size, and what it is made of there. Sizes that it does not take are errors of a run.
 */
import { at, HoneError } from 'hone-runtime/base/diagnostics';
import { type Draft, draft, isAlike } from './expand.ts';
import { type Int, isKnown, type Unknown } from './ints.ts';
import { fitted, type Probe, type Probing, probingOf, shapesAt, valueIn } from './probe.ts';
import type { Use } from './rule.ts';

/** Values of a number, both ends among them. */
export interface Span {
  readonly least: number;
  readonly most: number;
}

/** What is known of one unknown number at a node. */
export type Finding =
  | { readonly kind: 'spans'; readonly leaf: Unknown; readonly spans: readonly Span[] }
  /** It has to be equal to another number. */
  | { readonly kind: 'equal'; readonly leaf: Unknown; readonly to: Int };

/** All values up to here are asked; of those above only some. */
const MOST_ASKED = 96;
/** Beyond small bounds too, so that what is known of a node does not depend on them. */
const LEAST_ASKED = 32;
/** Other numbers stand at so many different sizes meanwhile. */
const BASES = 6;
/** A node that is something else at more sizes than these is not taken apart by them. */
const MOST_SPANS = 6;

/** So many sizes are looked at one by one, where a node takes no others: real and complex numbers, say. */
const MOST_SINGLE = 2;

/**
 * What an operator is at one set of sizes: what it is made of; taken, as it is made of nothing else; refused, as
 * such sizes are an error.
 */
type Form = Draft | 'taken' | 'refused' | 'unknown';

/** The first unknown number that does not mean the same throughout; undefined: all do, as far as is known. */
export function findingOf(use: Use): Finding | undefined {
  const probing = probingOf(use);
  const all = probing.leaves.map((leaf) => {
    const others = probing.leaves.filter(({ id }) => id !== leaf.id);
    const runs = basesOf(others, leaf.max)
      .map((base) => ({ base, spans: spansAt(use, probing, leaf, base) }))
      .filter(({ spans }) => spans.length > 0);
    return { leaf, others, runs };
  });
  for (const { leaf, others, runs } of all) {
    const found = differing(probing, leaf, others, runs);
    if (found !== undefined) return found;
  }
  for (const { leaf, runs } of all) {
    const spans = fewOf(leaf, runs);
    if (spans.length > 1) return { kind: 'spans', leaf, spans };
  }
  return undefined;
}

function differing(
  probing: Probing,
  leaf: Unknown,
  others: readonly Unknown[],
  runs: readonly Run[],
): Finding | undefined {
  const [first] = runs;
  if (first === undefined) return undefined;
  const clipped = runs.map(({ spans }) => within(spans, leaf));
  const [spans = []] = clipped;
  if (clipped.every((other) => textOf(other) === textOf(spans))) {
    if (first.spans.length > MOST_SPANS) return undefined;
    const isWhole = spans.length === 1 && isAll(at(spans, 0), leaf);
    return spans.length > 0 && !isWhole ? { kind: 'spans', leaf, spans } : undefined;
  }
  const to = equalTo(probing, others, runs);
  if (to !== undefined) return { kind: 'equal', leaf, to };
  // Up to there it is the same for all of them, as an extent of 1 that is broadcast.
  const starts = new Set(runs.map(({ spans }) => textOf(spans.slice(0, 1))));
  const [start] = first.spans;
  if (start === undefined || starts.size > 1 || start.most >= leaf.max) return undefined;
  return { kind: 'spans', leaf, spans: [start, { least: start.most + 1, most: leaf.max }] };
}

/** A few sizes that the node takes, and no others, each by itself. */
function fewOf(leaf: Unknown, runs: readonly Run[]): readonly Span[] {
  const sizes = new Set(
    runs.flatMap(({ spans }) =>
      spans.flatMap(({ least, most }) =>
        Array.from({ length: Math.min(most - least, MOST_SPANS) + 1 }, (_, i) => least + i),
      ),
    ),
  );
  if (sizes.size > MOST_SINGLE) return [];
  const singles = [...sizes].sort((a, b) => a - b).map((size) => ({ least: size, most: size }));
  return within(singles, leaf);
}

const textOf = (spans: readonly Span[]): string =>
  spans.map(({ least, most }) => `${least}-${most}`).join();

const isAll = ({ least, most }: Span, { min, max }: Unknown): boolean =>
  least <= Math.max(0, min) && most >= max;

/** The spans that the number's bounds leave. */
function within(spans: readonly Span[], { min, max }: Unknown): readonly Span[] {
  return spans
    .map(({ least, most }) => ({ least: Math.max(least, min, 0), most: Math.min(most, max) }))
    .filter(({ least, most }) => least <= most);
}

/** Made-up sizes of other numbers; also with one of them at 1, where an extent is broadcast. */
function basesOf(others: readonly Unknown[], around: number): readonly Probe[] {
  if (others.length === 0) return [new Map()];
  const bases = Array.from({ length: BASES }, (_, k) =>
    others.map(({ min, max }, i) => {
      const most = Math.min(max, Math.max(around, 8));
      const least = Math.max(min, Math.min(2, most));
      return most - ((k * (i + 2) + (k > 0 ? i : 0)) % (most - least + 1));
    }),
  );
  const ones = others.flatMap(({ min, max }, i) =>
    min <= 1 && max >= 1 ? [at(bases, 0).map((value, j) => (i === j ? 1 : value))] : [],
  );
  return [...bases, ...ones].map((row) => new Map(others.map(({ id }, i) => [id, at(row, i)])));
}

/** Runs of values of one form, where other numbers stand as they do. */
function spansAt(use: Use, probing: Probing, leaf: Unknown, base: Probe): readonly Span[] {
  const ask = (value: number): Form => formAt(use, new Map([...base, [leaf.id, value]]));
  const points = pointsOf(use, probing, leaf, base);
  const spans: (Span & { readonly form: Form })[] = [];
  let before: { readonly value: number; readonly form: Form } | undefined;
  const put = (value: number, form: Form): void => {
    const last = spans.at(-1);
    if (last !== undefined && isSameForm(last.form, form))
      spans[spans.length - 1] = { ...last, most: value };
    else spans.push({ least: value, most: value, form });
    before = { value, form };
  };
  for (const value of points) {
    const form = ask(value);
    while (before !== undefined && !isSameForm(before.form, form) && value > before.value + 1) {
      // The value in between where the one form ends.
      let [low, high] = [before.value, value];
      while (high > low + 1) {
        const middle = (low + high) >> 1;
        if (isSameForm(ask(middle), before.form)) low = middle;
        else high = middle;
      }
      put(low, before.form);
      put(high, ask(high));
      if (high === value) break;
    }
    put(value, form);
  }
  if (spans.some(({ form }) => form === 'unknown')) return [];
  return spans.filter(({ form }) => form !== 'refused');
}

function isSameForm(a: Form, b: Form): boolean {
  if (typeof a === 'string' || typeof b === 'string') return a === b;
  return isAlike(a, b);
}

function formAt(use: Use, probe: Probe): Form {
  const { def } = use;
  const shapes = shapesAt(use, probe);
  // Other errors are about what is not known yet, whatever the size.
  if (shapes instanceof HoneError) return shapes.code === 'HONE-SHAPE-001' ? 'refused' : 'unknown';
  if (def.kind !== 'composite') return 'taken';
  const made = draft(use, def, probe, true);
  return typeof made === 'string' ? 'unknown' : made;
}

/** Values at which something may change, in order: small ones, and those next to numbers that are known. */
function pointsOf(use: Use, probing: Probing, leaf: Unknown, base: Probe): readonly number[] {
  const limit = Math.min(Math.max(leaf.max + 8, LEAST_ASKED), 2 ** 24);
  const known = new Set<number>([leaf.max]);
  for (const x of use.inputs) {
    for (const size of x?.sizes ?? []) {
      const value = isKnown(size) ? size : valueIn(probing.ints, size, base);
      if (Number.isFinite(value)) known.add(value);
    }
  }
  for (const value of base.values()) known.add(value);
  for (const value of Object.values(use.attrs)) if (typeof value === 'number') known.add(value);
  const list = [...known];
  const near = [...list, ...list.flatMap((a) => list.map((b) => a * b))];
  const points = new Set<number>([limit]);
  for (let value = 0; value <= Math.min(limit, MOST_ASKED); value++) points.add(value);
  for (const value of near)
    for (const point of [value - 1, value, value + 1])
      if (Number.isSafeInteger(point) && point >= 0 && point <= limit) points.add(point);
  return [...points].sort((a, b) => a - b);
}

interface Run {
  readonly base: Probe;
  readonly spans: readonly Span[];
}

/** The number that is the only one taken, whatever the others are. */
function equalTo(
  probing: Probing,
  others: readonly Unknown[],
  runs: readonly Run[],
): Int | undefined {
  const values = runs.map(({ spans }) =>
    spans.map(({ least, most }) => (least === most ? least : -1)),
  );
  if (runs.length < others.length + 2 || values.some((list) => list.length !== 1)) return undefined;
  const isOther = ({ id }: Unknown): boolean => runs.every(({ base }) => base.has(id));
  const own: Probing = {
    ...probing,
    numbers: probing.numbers.filter((x) => isOther(x)),
    leaves: others,
  };
  return fitted(
    own,
    runs.map(({ base }) => base),
    values.map((list) => at(list, 0)),
  );
}

/** Is it what `Sizing.cannot` says, or what a node says of its bound? */
export const isRefusal = (error: unknown): error is HoneError =>
  error instanceof HoneError &&
  (error.code === 'HONE-SHAPE-002' || error.code === 'HONE-SHAPE-001');
