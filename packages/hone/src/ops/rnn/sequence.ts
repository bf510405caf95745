/** What LSTM, GRU and RNN share: attributes, shapes, the reference's loop over time. */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueType } from '../../graph/types.ts';
import {
  inputType,
  int,
  intAttr,
  optionalInt,
  optionalType,
  requireDType,
  shapeError,
  text,
  textAttr,
  typeError,
} from '../checks.ts';
import type { AttrSpec, InferContext, OldNode } from '../define-op.ts';
import { FLOATS } from '../math/dtypes.ts';
import { checkedLength } from '../tensor/elements.ts';
import { type Activation, activationsOf } from './activations.ts';

export const RECURRENT_ATTRS: Readonly<Record<string, AttrSpec>> = {
  activation_alpha: { type: 'floats' },
  activation_beta: { type: 'floats' },
  activations: { type: 'strings' },
  clip: { type: 'float' },
  direction: text('forward'),
  hidden_size: optionalInt,
  layout: int(0),
};

/** Opset 1 could leave the sequence out; now every output is there. */
export function upgradeRecurrent(_b: unknown, { inputs, attrs }: OldNode) {
  const { output_sequence: _, ...rest } = attrs;
  return { inputs, attrs: rest };
}

/** How one of the operators differs from the others. */
export interface Recurrence {
  readonly op: string;
  /** Gates stacked in W, R and B. */
  readonly gates: number;
  readonly activations: readonly string[];
  /** State values besides h (LSTM's c). */
  readonly hasCell: boolean;
}

export interface SequenceGeometry {
  readonly steps: number;
  readonly batch: number;
  readonly features: number;
  readonly hidden: number;
  readonly directions: number;
  /** Is direction d run from the last step to the first? */
  readonly backwards: readonly boolean[];
  readonly activations: readonly (readonly Activation[])[];
  /** Bound of what goes into an activation; Infinity for none. */
  readonly clip: number;
  /** Batch first (layout 1). */
  readonly batchFirst: boolean;
}

const DIRECTIONS: Readonly<Record<string, readonly boolean[]>> = {
  forward: [false],
  reverse: [true],
  bidirectional: [false, true],
};

export function sequenceGeometry(
  ctx: { readonly node: string; readonly op: string },
  attrs: Attrs,
  rule: Recurrence,
  x: readonly number[],
  w: readonly number[],
  r: readonly number[],
): SequenceGeometry {
  if (x.length !== 3 || w.length !== 3 || r.length !== 3) {
    shapeError(ctx, `X, W and R have ranks ${x.length}, ${w.length}, ${r.length}; each takes 3`);
  }
  const batchFirst = intAttr(attrs, 'layout') === 1;
  const direction = textAttr(attrs, 'direction');
  const backwards = DIRECTIONS[direction];
  if (backwards === undefined) typeError(ctx, `direction ${direction} is not known`);
  const [steps, batch] = batchFirst ? [at(x, 1), at(x, 0)] : [at(x, 0), at(x, 1)];
  const features = at(x, 2);
  const hidden = at(r, 2);
  const directions = backwards.length;
  const rows = rule.gates * hidden;
  const expect = (name: string, shape: readonly number[], wanted: readonly number[]): void => {
    if (shape.join() === wanted.join()) return;
    shapeError(ctx, `${name} has shape [${shape.join(',')}]; it takes [${wanted.join(',')}]`);
  };
  expect('R', r, [directions, rows, hidden]);
  expect('W', w, [directions, rows, features]);
  const declared = attrs['hidden_size'];
  if (typeof declared === 'number' && declared !== hidden) {
    shapeError(ctx, `hidden_size is ${declared}, but R has ${hidden}`);
  }
  return {
    steps,
    batch,
    features,
    hidden,
    directions,
    backwards,
    activations: activationsOf(ctx, attrs, rule.activations, directions),
    clip: typeof attrs['clip'] === 'number' ? attrs['clip'] : Number.POSITIVE_INFINITY,
    batchFirst,
  };
}

export function inferRecurrent(ctx: InferContext, rule: Recurrence): readonly ValueType[] {
  const [x, w, r] = [inputType(ctx, 0), inputType(ctx, 1), inputType(ctx, 2)];
  requireDType(ctx, x, FLOATS);
  const geo = sequenceGeometry(ctx, ctx.attrs, rule, x.shape, w.shape, r.shape);
  const { steps, batch, hidden, directions, batchFirst } = geo;
  const state = batchFirst ? [batch, directions, hidden] : [directions, batch, hidden];
  const wanted: readonly (readonly number[] | undefined)[] = [
    undefined,
    w.shape,
    r.shape,
    [directions, 2 * rule.gates * hidden],
    [batch],
    state,
    ...(rule.hasCell ? [state, [directions, 3 * hidden]] : []),
  ];
  wanted.forEach((shape, i) => {
    const type = optionalType(ctx, i);
    if (shape === undefined || type === undefined) return;
    requireDType(ctx, type, i === 4 ? ['i32'] : [x.dtype], `input ${i}`);
    if (type.shape.join() !== shape.join()) {
      shapeError(
        ctx,
        `input ${i} has shape [${type.shape.join(',')}]; it takes [${shape.join(',')}]`,
      );
    }
  });
  const all = batchFirst ? [batch, steps, directions, hidden] : [steps, directions, batch, hidden];
  const { dtype } = x;
  const types = [
    { dtype, shape: all },
    { dtype, shape: state },
  ];
  if (rule.hasCell) types.push({ dtype, shape: state });
  return types.slice(0, Math.max(1, ctx.outputCount));
}

/** One direction's weights as doubles; all row-major. */
export interface PlainWeights {
  readonly w: Float64Array;
  readonly r: Float64Array;
  /** W's biases, then R's: 2 · gates · hidden. */
  readonly bias: Float64Array;
  /** Peepholes (i, o, f) of LSTM: 3 · hidden; null: none look at the cell, whatever it holds. */
  readonly peephole: Float64Array | null;
}

export interface PlainState {
  readonly h: Float64Array;
  readonly c: Float64Array;
}

/** One step of one sequence: x has `features` elements, the state `hidden`. */
export type PlainStep = (
  geo: SequenceGeometry,
  activations: readonly Activation[],
  weights: PlainWeights,
  x: Float64Array,
  state: PlainState,
) => PlainState;

/** Row `row` of a matrix times a vector. */
export function rowTimes(matrix: Float64Array, row: number, vector: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < vector.length; i++) {
    sum += (matrix[row * vector.length + i] as number) * (vector[i] as number);
  }
  return sum;
}

export function clipped(geo: SequenceGeometry, x: number): number {
  return Math.min(geo.clip, Math.max(-geo.clip, x));
}

/** Runs every sequence of the batch by itself, step by step. */
export function recurrentReference(
  inputs: readonly (Tensor | null)[],
  attrs: Attrs,
  rule: Recurrence,
  node: string,
  outputs: readonly ValueType[],
  step: PlainStep,
): readonly Tensor[] {
  const numbers = (i: number): Float64Array | null => {
    const tensor = inputs[i];
    return tensor === null || tensor === undefined ? null : toNumbers(tensor);
  };
  const shape = (i: number): readonly number[] => inputs[i]?.shape ?? [];
  const geo = sequenceGeometry({ node, op: rule.op }, attrs, rule, shape(0), shape(1), shape(2));
  const { steps, batch, features, hidden, directions, batchFirst } = geo;
  const [x, lengths] = [numbers(0) ?? new Float64Array(0), numbers(4)];
  const rows = rule.gates * hidden;
  const part = (i: number, d: number, size: number): Float64Array =>
    numbers(i)?.slice(d * size, (d + 1) * size) ?? new Float64Array(size);
  const y = new Float64Array(steps * directions * batch * hidden);
  const lastH = new Float64Array(directions * batch * hidden);
  const lastC = new Float64Array(directions * batch * hidden);
  for (let d = 0; d < directions; d++) {
    const weights: PlainWeights = {
      w: part(1, d, rows * features),
      r: part(2, d, rows * hidden),
      bias: part(3, d, 2 * rows),
      peephole: inputs[7] == null ? null : part(7, d, 3 * hidden),
    };
    for (let n = 0; n < batch; n++) {
      const stateAt = batchFirst ? n * directions + d : d * batch + n;
      let state: PlainState = { h: part(5, stateAt, hidden), c: part(6, stateAt, hidden) };
      const length = lengths === null ? steps : checkedLength(node, lengths[n] as number, steps);
      for (let k = 0; k < length; k++) {
        const t = geo.backwards[d] ? length - 1 - k : k;
        const from = (batchFirst ? n * steps + t : t * batch + n) * features;
        state = step(geo, at(geo.activations, d), weights, x.slice(from, from + features), state);
        const to = batchFirst ? (n * steps + t) * directions + d : (t * directions + d) * batch + n;
        y.set(state.h, to * hidden);
      }
      lastH.set(state.h, stateAt * hidden);
      lastC.set(state.c, stateAt * hidden);
    }
  }
  const all = [y, lastH, lastC];
  return outputs.map((type, i) => {
    const values = at(all, i);
    if (values.length !== elementCount(type.shape)) throw new RangeError('outputs do not fit');
    return fromNumbers(type.dtype, type.shape, values);
  });
}
