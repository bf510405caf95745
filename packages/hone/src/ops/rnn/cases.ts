/** Test cases of the recurrent operators. */
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import type { Attrs } from '../../graph/types.ts';
import type { TestCase } from '../define-op.ts';
import { sample } from '../nn/samples.ts';
import type { Recurrence } from './sequence.ts';

const [STEPS, BATCH, FEATURES, HIDDEN] = [4, 2, 3, 5] as const;
/** So many are not written out. */
const MANY_STEPS = 90;

/** Inputs up to the weights, then bias, lengths, initial states and peepholes where asked for. */
function inputsOf(
  rule: Recurrence,
  directions: number,
  batchFirst: boolean,
  lengths: readonly number[] | null,
  full: boolean,
  steps: number = STEPS,
): readonly (Tensor | null)[] {
  const rows = rule.gates * HIDDEN;
  const x = batchFirst ? [BATCH, steps, FEATURES] : [steps, BATCH, FEATURES];
  const state = batchFirst ? [BATCH, directions, HIDDEN] : [directions, BATCH, HIDDEN];
  const core: readonly (Tensor | null)[] = [
    sample(x, 1),
    sample([directions, rows, FEATURES], 2),
    sample([directions, rows, HIDDEN], 3),
  ];
  if (!full) return core;
  return [
    ...core,
    sample([directions, 2 * rows], 4),
    lengths === null ? null : fromNumbers('i32', [BATCH], lengths),
    sample(state, 5),
    ...(rule.hasCell ? [sample(state, 6), sample([directions, 3 * HIDDEN], 7)] : []),
  ];
}

export function recurrentCases(rule: Recurrence, extra: Attrs = {}): readonly TestCase[] {
  const outputs = rule.hasCell ? 3 : 2;
  const other = rule.activations.map((_, i) => ['HardSigmoid', 'Affine', 'LeakyRelu'][i] as string);
  return [
    {
      note: 'everything given, both directions, lengths',
      inputs: inputsOf(rule, 2, false, [4, 2], true),
      attrs: { ...extra, direction: 'bidirectional', hidden_size: HIDDEN },
      outputs,
    },
    {
      note: 'backwards, batch first, clipped',
      inputs: inputsOf(rule, 1, true, null, true),
      attrs: { ...extra, direction: 'reverse', layout: 1, clip: 0.5 },
      outputs,
    },
    {
      note: 'many steps, both directions, lengths',
      inputs: inputsOf(rule, 2, false, [MANY_STEPS, 40], true, MANY_STEPS),
      attrs: { ...extra, direction: 'bidirectional', hidden_size: HIDDEN },
      outputs,
    },
    {
      note: 'many steps backwards, batch first',
      inputs: inputsOf(rule, 1, true, null, true, 2 * MANY_STEPS),
      attrs: { ...extra, direction: 'reverse', layout: 1 },
      outputs,
    },
    { note: 'weights alone', inputs: inputsOf(rule, 1, false, null, false), attrs: extra, outputs },
    {
      note: 'other activations, full lengths',
      inputs: inputsOf(rule, 1, false, [4, 4], true),
      attrs: {
        ...extra,
        activations: other,
        activation_alpha: [0.3, 0.7, 0.1].slice(0, rule.activations.length),
        activation_beta: [0.4, 0.2].slice(0, Math.min(2, rule.activations.length)),
      },
    },
  ];
}
