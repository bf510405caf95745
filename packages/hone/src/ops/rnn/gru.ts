/** GRU: gates z (keep) and r (reset), candidate h. Rows of W, R and B are stacked z, r, h. */
import { at } from 'hone-runtime/base/diagnostics';
import type { Attrs, ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { int, intAttr } from '../checks.ts';
import { defineOp } from '../define-op.ts';
import { recurrentCases } from './cases.ts';
import {
  clipped,
  inferRecurrent,
  type PlainStep,
  RECURRENT_ATTRS,
  type Recurrence,
  recurrentReference,
  rowTimes,
  type SequenceGeometry,
  upgradeRecurrent,
} from './sequence.ts';
import {
  activate,
  cut,
  gate,
  type NodeCell,
  type NodeWeights,
  sumOf,
  unrollRecurrent,
} from './unroll.ts';

const RULE: Recurrence = {
  op: 'GRU',
  gates: 3,
  activations: ['Sigmoid', 'Tanh'],
  hasCell: false,
};

/** With linear_before_reset the candidate's R-bias is reset with the product, so it stays apart. */
function inputBias(
  b: OpBuilder,
  { hidden }: SequenceGeometry,
  { biasW, biasR }: NodeWeights,
  linear: boolean,
): ValueId | null {
  if (!linear || biasW === null || biasR === null) return sumOf(b, biasW, biasR);
  const gates = b.op('Add', [cut(b, biasW, 0, 0, 2 * hidden), cut(b, biasR, 0, 0, 2 * hidden)]);
  return b.op('Concat', [gates, cut(b, biasW, 0, 2 * hidden, 3 * hidden)], { axis: 0 });
}

function cellOf(attrs: Attrs): NodeCell {
  const linear = intAttr(attrs, 'linear_before_reset') !== 0;
  return {
    inputBias: (b, geo, weights) => inputBias(b, geo, weights, linear),
    prepare: (b, geo, activations, { r, biasR }) => {
      const { hidden } = geo;
      const [f, g] = [at(activations, 0), at(activations, 1)];
      const rGates = cut(b, r, 0, 0, 2 * hidden);
      const rCandidate = cut(b, r, 0, 2 * hidden, 3 * hidden);
      const bias = linear && biasR !== null ? cut(b, biasR, 0, 2 * hidden, 3 * hidden) : null;
      return (xw, { h, c }) => {
        const sums = b.op('Gemm', [h, rGates, cut(b, xw, 1, 0, 2 * hidden)], { transB: 1 });
        const keep = activate(b, geo, f, gate(b, sums, 0, hidden));
        const reset = activate(b, geo, f, gate(b, sums, 1, hidden));
        const xCandidate = gate(b, xw, 2, hidden);
        const sum = linear
          ? b.op('Add', [
              xCandidate,
              b.op('Mul', [reset, b.op('Gemm', [h, rCandidate, bias], { transB: 1 })]),
            ])
          : b.op('Gemm', [b.op('Mul', [reset, h]), rCandidate, xCandidate], { transB: 1 });
        const candidate = activate(b, geo, g, sum);
        // (1 − z)·candidate + z·h; candidate + z·(h − candidate) is none where a candidate is infinite.
        const one = b.scalar(1, b.typeOf(keep).dtype);
        const fresh = b.op('Mul', [b.op('Sub', [one, keep]), candidate]);
        return { h: b.op('Add', [fresh, b.op('Mul', [keep, h])]), c };
      };
    },
  };
}

function plainStep(linear: boolean): PlainStep {
  return (geo, activations, { w, r, bias }, x, { h, c }) => {
    const { hidden } = geo;
    const [f, g] = [at(activations, 0), at(activations, 1)];
    const rowsOfR = 3 * hidden;
    const gateOf = (index: number, j: number): number => {
      const row = index * hidden + j;
      const biases = (bias[row] as number) + (bias[rowsOfR + row] as number);
      return f.plain(clipped(geo, rowTimes(w, row, x) + rowTimes(r, row, h) + biases));
    };
    const reset = h.map((_, j) => gateOf(1, j));
    const resetH = h.map((value, j) => value * (reset[j] as number));
    const next = h.map((value, j) => {
      const keep = gateOf(0, j);
      const row = 2 * hidden + j;
      const fromX = rowTimes(w, row, x) + (bias[row] as number);
      const biasR = bias[rowsOfR + row] as number;
      const fromH = linear
        ? (reset[j] as number) * (rowTimes(r, row, h) + biasR)
        : rowTimes(r, row, resetH) + biasR;
      const candidate = g.plain(clipped(geo, fromX + fromH));
      return (1 - keep) * candidate + keep * value;
    });
    return { h: next, c };
  };
}

export const gru = defineOp({
  kind: 'composite',
  name: 'GRU',
  doc: 'Gated recurrent layer, one or both directions.',
  since: 22,
  attrs: { ...RECURRENT_ATTRS, linear_before_reset: int(0) },
  upgrade: upgradeRecurrent,
  infer: (ctx) => inferRecurrent(ctx, RULE),
  decompose: (b, inputs, ctx) => unrollRecurrent(b, inputs, ctx, RULE, cellOf(ctx.attrs)),
  reference: (inputs, attrs, ctx) =>
    recurrentReference(
      inputs,
      attrs,
      RULE,
      ctx.node,
      ctx.outputTypes,
      plainStep(intAttr(attrs, 'linear_before_reset') !== 0),
    ),
  cases: () => [
    ...recurrentCases(RULE),
    ...recurrentCases(RULE, { linear_before_reset: 1 }).slice(0, 2),
  ],
});
