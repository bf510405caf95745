/**
 * Operators whose axes are data: which axes there can be is known, so the operator is there for each set
 * of them, at the room that the largest result needs, and a run takes the one that is meant. Axes that
 * are none are an error of the run.
 */
import { at, fail, HoneError } from 'hone-runtime/base/diagnostics';
import type { ValueId } from '../../../graph/types.ts';
import { type Int, isKnown, isSame, leastOf, mostOf, unknown } from './ints.ts';
import { given, intsOf, type Use } from './rule.ts';
import type { Sized } from './sized.ts';

/** Inputs that say which axes; of Unsqueeze they are those of the result. */
const AXES: ReadonlyMap<string, number> = new Map([
  ...['Sum', 'Mean', 'Max', 'Min', 'Prod', 'L1', 'L2', 'SumSquare', 'LogSum', 'LogSumExp'].map(
    (name) => [`Reduce${name}`, 1] as const,
  ),
  ['Squeeze', 1],
  ['Unsqueeze', 1],
  ['CumSum', 1],
  ['CumProd', 1],
  ['DFT', 2],
]);

/** More sets of axes than this would be too much work: it is those of 4 axes of 8. */
const MAX_SETS = 70;

/** Which input of an operator has its axes. */
export function axesInput(key: string): number | undefined {
  return AXES.get(key);
}

/**
 * The node's outputs; its input `k` has axes that are data. Undefined where it is left to the rule: how many
 * there are is not known, or there are too many sets of them.
 */
export function withChosenAxes(use: Use, k: number): readonly Sized[] | undefined {
  const { s } = use;
  if (!given(use, k).sizes.every(isKnown)) return undefined;
  const items = intsOf(use, k, 'the axes');
  const { sizes: own } = given(use, k);
  const sets = possibleSets(use, items);
  if (sets.length === 0)
    fail(
      'HONE-SHAPE-001',
      `node ${s.node} (${use.op}): there are no ${items.length} axes that it could be of`,
      s.node,
      'check the shapes the model was exported with',
    );
  if (sets.length > MAX_SETS) return undefined;
  const fitting: { readonly axes: readonly number[]; readonly outputs: readonly Sized[] }[] = [];
  let misfit: unknown;
  for (const axes of sets) {
    const id = own.length === 0 ? s.b.scalar(at(axes, 0), 'i64') : s.b.ints(axes);
    const inputs = use.inputs.with(k, { id, sizes: own });
    const { domain = '' } = use.def;
    const part = { op: use.op, domain, attrs: use.attrs, inputs, outputs: use.outputs };
    try {
      fitting.push({ axes, outputs: use.apply(part) });
    } catch (error) {
      // The extents of these axes do not fit the operator: a run that asks for them is at fault.
      if (!(error instanceof HoneError && error.code === 'HONE-SHAPE-001')) throw error;
      misfit = error;
    }
  }
  const results = fitting.map(({ outputs }) => outputs);
  if (results.length === 0) throw misfit;
  if (items.every(isKnown)) return at(results, 0);
  const those = fitting.map(({ axes }) => axes);
  const which = chosen(use, given(use, k).id, items.length, those);
  return at(results, 0).map((_, output) =>
    oneOf(
      use,
      which,
      results.map((result) => at(result, output)),
    ),
  );
}

/** Among how many axes these are; a scalar is taken for one. */
function rankOf(use: Use, count: number): number {
  return Math.max(1, given(use, 0).sizes.length + (use.op === 'Unsqueeze' ? count : 0));
}

/** The sets of axes that the list could be, each in order. */
function possibleSets(use: Use, items: readonly Int[]): readonly (readonly number[])[] {
  const rank = rankOf(use, items.length);
  const { sizes } = given(use, 0);
  const isIn = (item: Int, axis: number): boolean => leastOf(item) <= axis && axis <= mostOf(item);
  const candidates = Array.from({ length: rank }, (_, axis) => axis).filter((axis) => {
    if (!items.some((item) => isIn(item, axis) || isIn(item, axis - rank))) return false;
    if (use.op === 'DFT') return axis < rank - 1;
    if (use.op !== 'Squeeze') return true;
    const size = sizes[axis] ?? 0;
    return leastOf(size) <= 1 && mostOf(size) >= 1;
  });
  let sets: readonly (readonly number[])[] = [[]];
  for (let i = 0; i < items.length; i++) {
    sets = sets.flatMap((set) =>
      candidates.flatMap((axis) => (axis > (set.at(-1) ?? -1) ? [[...set, axis]] : [])),
    );
  }
  return sets;
}

/** Which of the sets the list is; a fault of the run where it is none. */
function chosen(use: Use, list: ValueId, count: number, sets: readonly (readonly number[])[]): Int {
  const { s, ints } = use;
  const rank = rankOf(use, count);
  // A bit for each axis, and none for what is no axis. Bits that meet make fewer than there are axes.
  const bits = Array.from({ length: 2 * rank }, (_, i) => 2 ** (i % rank));
  const table = s.b.ints([0, ...bits, 0]);
  const place = s.b.op('Add', [s.reshape(s.cast(list, 'i64'), [count]), ints.id(rank + 1)]);
  const safe = s.b.op('Max', [s.b.op('Min', [place, ints.id(2 * rank + 1)]), ints.id(0)]);
  const each = s.b.op('Gather', [table, safe], { axis: 0 });
  const sum = s.b.op('ReduceSum', [each, s.b.ints([0])], { keepdims: 1 });
  const masks = sets.map((axes) => axes.reduce((mask, axis) => mask + 2 ** axis, 0));
  const hits = s.cast(s.b.op('Equal', [sum, s.b.ints(masks)]), 'i64');
  const found = s.b.op('ReduceMax', [hits, s.b.ints([0])], { keepdims: 0 });
  const [tensor = ''] = s.plan.names;
  const source = { tensor, axis: -1, origin: '', option: '' } as const;
  s.checked(
    unknown(found, 0, 1),
    { min: 1, max: 1 },
    source,
    `${s.node}: these are none of its axes`,
  );
  const position = s.b.op('ArgMax', [hits], { axis: 0, keepdims: 0 });
  return unknown(position, 0, sets.length - 1);
}

/** The tensor of that position, with room for each of them; all have as many axes. */
export function oneOf(use: Use, which: Int, all: readonly Sized[]): Sized {
  const { s } = use;
  const first = at(all, 0);
  const sizes = first.sizes.map((_, axis) =>
    sizeOf(
      use,
      which,
      all.map((x) => at(x.sizes, axis)),
    ),
  );
  s.room(sizes);
  const [last, ...others] = all
    .map((x) => sizes.reduce((y: Sized, size, axis) => s.first(y, axis, size), x).id)
    .reverse();
  const id = others.reduce((rest, own, i) => {
    const isIt = s.b.op('Equal', [use.ints.id(which), use.ints.id(all.length - 2 - i)]);
    return s.op('Where', [isIt, own, rest]);
  }, last ?? first.id);
  return s.made(id, sizes);
}

function sizeOf({ s, ints }: Use, which: Int, all: readonly Int[]): Int {
  const first = at(all, 0);
  if (all.every((size) => isSame(size, first))) return first;
  if (!all.every(isKnown))
    return all.reduceRight((rest, size, i) => ints.whereEqual(which, i, size, rest));
  const id = s.b.op('Gather', [s.b.ints(all), ints.id(which)], { axis: 0 });
  return unknown(id, Math.min(...all), Math.max(...all));
}
