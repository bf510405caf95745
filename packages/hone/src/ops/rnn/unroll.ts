/**
 * LSTM, GRU and RNN written out step by step, or as a Loop where there are many steps.
 *
 * X · Wᵀ of all steps is one product; each step then takes its rows of it. Sequences shorter than
 * the longest keep their state, and give zeros, at the steps past their end; run backwards, a
 * state begins to move at its sequence's last step, so no sequence has to be turned around.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import type { ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { inputType } from '../checks.ts';
import { sliceNodes, stackNodes } from '../control/stacks.ts';
import type { LowerContext } from '../define-op.ts';
import type { Activation } from './activations.ts';
import { repeatDirection } from './repeat.ts';
import { type Recurrence, type SequenceGeometry, sequenceGeometry } from './sequence.ts';

/** Most steps (over all directions) that are written out: more are as quick as a loop, and sooner compiled. */
const STEP_LIMIT = 16;

/** One direction's weights as matrices and vectors; null where absent. */
export interface NodeWeights {
  /** [gates · hidden, features] */
  readonly w: ValueId;
  /** [gates · hidden, hidden] */
  readonly r: ValueId;
  /** [gates · hidden] each. */
  readonly biasW: ValueId | null;
  readonly biasR: ValueId | null;
  /** [3 · hidden] */
  readonly peephole: ValueId | null;
}

export interface NodeState {
  readonly h: ValueId;
  readonly c: ValueId;
}

export interface NodeCell {
  /** The bias that goes into X · Wᵀ, [gates · hidden]. */
  readonly inputBias: (b: OpBuilder, geo: SequenceGeometry, weights: NodeWeights) => ValueId | null;
  /** The step's function; made once per direction, so what does not change is built once. */
  readonly prepare: (
    b: OpBuilder,
    geo: SequenceGeometry,
    activations: readonly Activation[],
    weights: NodeWeights,
  ) => (xw: ValueId, state: NodeState) => NodeState;
}

/** Elements [from, to) of an axis. */
export function cut(b: OpBuilder, x: ValueId, axis: number, from: number, to: number): ValueId {
  return b.typeOf(x).shape[axis] === to - from
    ? x
    : b.op('Slice', [x, b.ints([from]), b.ints([to]), b.ints([axis]), b.ints([1])]);
}

/** Part `index` of equal parts of `size` along the last axis. */
export function gate(b: OpBuilder, x: ValueId, index: number, size: number): ValueId {
  return cut(b, x, b.typeOf(x).shape.length - 1, index * size, (index + 1) * size);
}

/** The activation of a value bounded by `clip`. */
export function activate(
  b: OpBuilder,
  geo: SequenceGeometry,
  activation: Activation,
  x: ValueId,
): ValueId {
  if (!Number.isFinite(geo.clip)) return activation.node(b, x);
  const { dtype } = b.typeOf(x);
  const bounded = b.op('Clip', [x, b.scalar(-geo.clip, dtype), b.scalar(geo.clip, dtype)]);
  return activation.node(b, bounded);
}

/** a + b, where either may be absent. */
export function sumOf(b: OpBuilder, x: ValueId | null, y: ValueId | null): ValueId | null {
  if (x === null) return y;
  return y === null ? x : b.op('Add', [x, y]);
}

/** Lengths as they are; one below 0 or beyond `most` ends the run, as an index outside a table. */
function checkedLengths(b: OpBuilder, lengths: ValueId, most: number): ValueId {
  const table = b.constant(fromNumbers('i32', [most + 1], [...Array(most + 1).keys()]));
  const isNegative = b.op('Less', [lengths, b.scalar(0, 'i32')]);
  const place = b.op('Where', [isNegative, b.scalar(most + 1, 'i32'), lengths]);
  return b.op('Gather', [table, place]);
}

/** Lengths of sequences, i32 [batch, 1]; null where all of them take every step. */
function lengthColumn(
  b: OpBuilder,
  lengths: ValueId | null,
  ctx: LowerContext,
  geo: SequenceGeometry,
): ValueId | null {
  if (lengths === null) return null;
  const known = ctx.inputs[4]?.constant;
  if (known && toNumbers(known()).every((length) => length === geo.steps)) return null;
  return b.reshape(checkedLengths(b, lengths, geo.steps), [geo.batch, 1]);
}

/** The operator's outputs (Y, Y_h, Y_c), or why it cannot be written out. */
export function unrollRecurrent(
  b: OpBuilder,
  inputs: readonly (ValueId | null)[],
  ctx: LowerContext,
  rule: Recurrence,
  cell: NodeCell,
): readonly ValueId[] | string {
  const shape = (i: number): readonly number[] => inputType(ctx, i).shape;
  const geo = sequenceGeometry(ctx, ctx.attrs, rule, shape(0), shape(1), shape(2));
  const { steps, batch, features, hidden, directions, batchFirst } = geo;
  if (steps === 0) return 'the sequence is empty';
  const { dtype } = inputType(ctx, 0);
  const rows = rule.gates * hidden;
  const input = (i: number): ValueId | null => inputs[i] ?? null;
  const [x, w, r] = [input(0), input(1), input(2)];
  if (x === null || w === null || r === null) return 'X, W or R is missing';
  const timeFirst = batchFirst ? b.op('Transpose', [x], { perm: [1, 0, 2] }) : x;
  const flat = b.reshape(timeFirst, [steps * batch, features]);
  const zeros = b.filled(dtype, [batch, hidden]);
  const stateAxis = batchFirst ? 1 : 0;
  const start = (i: number, d: number): ValueId => {
    const state = input(i);
    return state === null ? zeros : sliceNodes(b, state, stateAxis, d);
  };
  const lengths = lengthColumn(b, input(4), ctx, geo);
  const sequences: ValueId[] = [];
  const last: NodeState[] = [];
  for (let d = 0; d < directions; d++) {
    const line = (i: number): ValueId | null => {
      const id = input(i);
      return id === null ? null : sliceNodes(b, id, 0, d);
    };
    const bias = line(3);
    const weights: NodeWeights = {
      w: sliceNodes(b, w, 0, d),
      r: sliceNodes(b, r, 0, d),
      biasW: bias === null ? null : cut(b, bias, 0, 0, rows),
      biasR: bias === null ? null : cut(b, bias, 0, rows, 2 * rows),
      peephole: line(7),
    };
    const products = b.op('Gemm', [flat, weights.w, cell.inputBias(b, geo, weights)], {
      transB: 1,
    });
    const begin: NodeState = { h: start(5, d), c: rule.hasCell ? start(6, d) : zeros };
    if (steps * directions > STEP_LIMIT) {
      const { hasCell } = rule;
      const common = { node: ctx.node, geo, direction: d, hasCell, cell, weights };
      const made = repeatDirection(b, { ...common, products, lengths, start: begin });
      sequences.push(made.sequence);
      last.push(made.last);
      continue;
    }
    const step = cell.prepare(b, geo, at(geo.activations, d), weights);
    const outputs = new Array<ValueId>(steps);
    let state = begin;
    for (let k = 0; k < steps; k++) {
      const t = geo.backwards[d] ? steps - 1 - k : k;
      const next = step(cut(b, products, 0, t * batch, (t + 1) * batch), state);
      const mask = lengths === null ? undefined : b.op('Less', [b.scalar(t, 'i32'), lengths]);
      const keep = (now: ValueId, before: ValueId): ValueId =>
        mask === undefined ? now : b.op('Where', [mask, now, before]);
      outputs[t] = keep(next.h, zeros);
      state = {
        h: keep(next.h, state.h),
        c: rule.hasCell ? keep(next.c, state.c) : zeros,
      };
    }
    sequences.push(stackNodes(b, outputs, 0));
    last.push(state);
  }
  // [steps, directions, batch, hidden], or [batch, steps, directions, hidden].
  const all = stackNodes(b, sequences, 1);
  const y = batchFirst ? b.op('Transpose', [all], { perm: [2, 0, 1, 3] }) : all;
  const lastOf = (pick: (state: NodeState) => ValueId): ValueId =>
    stackNodes(b, last.map(pick), stateAxis);
  const results = [y];
  if (ctx.outputs.length > 1) results.push(lastOf((state) => state.h));
  if (ctx.outputs.length > 2) results.push(lastOf((state) => state.c));
  return results;
}
