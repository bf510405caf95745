/**
 * Recurrent layers: sequences end where they are meant to, which is what the operators' own lengths are
 * for. Rows that are not meant have length 0.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { atBound } from './at-bound.ts';
import { common } from './elementwise.ts';
import { type Int, isKnown } from './ints.ts';
import { Parts } from './parts.ts';
import { given, intOf, type Rule, sizeAt, type Use } from './rule.ts';
import { isBounded, type Sized } from './sized.ts';

const X = 0;
const LENGTHS = 4;
/** Initial h and c. */
const STATES = [5, 6] as const;

function recurrent(use: Use, hasCell: boolean, readsAll: boolean): readonly Sized[] {
  const { s } = use;
  const parts = new Parts(use);
  const isFirst = intOf(use, 'layout') !== 0;
  const [stepAxis, batchAxis, stateAxis] = isFirst ? [1, 0, 0] : [0, 1, 1];
  const x = given(use, X);
  const states = hasCell ? STATES : STATES.slice(0, 1);
  for (const [k, input] of use.inputs.entries()) {
    const isOther = k !== X && k !== LENGTHS && !states.some((state) => state === k);
    if (isOther && input !== null && isBounded(input)) s.cannot('weights of unknown extents');
  }
  if (!isKnown(sizeAt(x, 2))) s.cannot('an unknown number of features');
  const steps = sizeAt(x, stepAxis);
  const lengths = use.inputs[LENGTHS] ?? null;
  const batches = [
    sizeAt(x, batchAxis),
    ...(lengths === null ? [] : [sizeAt(lengths, 0)]),
    ...states.flatMap((k) => (use.inputs[k] == null ? [] : [sizeAt(given(use, k), stateAxis)])),
  ];
  const batch = batches.reduce((a, b) => common(use, a, b), 1 as Int);
  const fitted = Array.from(
    { length: Math.max(use.inputs.length, LENGTHS + 1) },
    (_, k): Sized | null => use.inputs[k] ?? null,
  );
  const data = s.fit(x, batchAxis, batch);
  fitted[X] = readsAll ? s.masked(data, 0) : data;
  for (const k of states) {
    if (fitted[k] == null) continue;
    const state = s.fit(given(use, k), stateAxis, batch);
    fitted[k] = readsAll ? s.masked(state, 0) : state;
  }
  const needsLengths = lengths !== null || !isKnown(steps) || (readsAll && !isKnown(batch));
  if (needsLengths) {
    const own = lengths === null ? parts.int(steps, 'i32') : s.fit(lengths, 0, batch);
    const whole = parts.op('Expand', [own, parts.list([batch])]);
    fitted[LENGTHS] = s.masked(whole, 0);
  }
  const made = use.def.infer({
    node: s.node,
    op: use.op,
    attrs: use.attrs,
    inputs: fitted.map((input) =>
      input === null ? null : { type: s.b.typeOf(input.id), constant: null },
    ),
    outputCount: use.outputs,
  });
  const { shape } = at(made, 0);
  const [directions, hidden] = [at(shape, isFirst ? 2 : 1), at(shape, 3)];
  const last: Int[] = isFirst ? [batch, directions, hidden] : [directions, batch, hidden];
  const all: Int[] = isFirst
    ? [batch, steps, directions, hidden]
    : [steps, directions, batch, hidden];
  return atBound(use, fitted, [all, last, last].slice(0, Math.max(1, use.outputs)));
}

const rule =
  (hasCell: boolean, readsAll = false): Rule =>
  (use) =>
    recurrent(use, hasCell, readsAll);

export const RECURRENT: ReadonlyMap<string, Rule> = new Map([
  ['RNN', rule(false)],
  ['GRU', rule(false)],
  ['LSTM', rule(true)],
  // What it quantises by is found over all that it reads.
  ['com.microsoft:DynamicQuantizeLSTM', rule(true, true)],
]);
