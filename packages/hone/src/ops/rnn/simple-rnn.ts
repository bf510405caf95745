/** RNN: h ← f(x·Wᵀ + h·Rᵀ + biases). */
import { at } from 'hone-runtime/base/diagnostics';
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
  upgradeRecurrent,
} from './sequence.ts';
import { activate, type NodeCell, sumOf, unrollRecurrent } from './unroll.ts';

const RULE: Recurrence = { op: 'RNN', gates: 1, activations: ['Tanh'], hasCell: false };

const CELL: NodeCell = {
  inputBias: (b, _geo, { biasW, biasR }) => sumOf(b, biasW, biasR),
  prepare:
    (b, geo, [f], { r }) =>
    (xw, { h, c }) => {
      const sum = b.op('Gemm', [h, r, xw], { transB: 1 });
      return { h: f === undefined ? sum : activate(b, geo, f, sum), c };
    },
};

const plainStep: PlainStep = (geo, activations, { w, r, bias }, x, { h, c }) => {
  const { hidden } = geo;
  const next = h.map((_, j) => {
    const biases = (bias[j] as number) + (bias[hidden + j] as number);
    return at(activations, 0).plain(clipped(geo, rowTimes(w, j, x) + rowTimes(r, j, h) + biases));
  });
  return { h: next, c };
};

export const simpleRnn = defineOp({
  kind: 'composite',
  name: 'RNN',
  doc: 'Simple recurrent layer, one or both directions.',
  since: 22,
  attrs: RECURRENT_ATTRS,
  upgrade: upgradeRecurrent,
  infer: (ctx) => inferRecurrent(ctx, RULE),
  decompose: (b, inputs, ctx) => unrollRecurrent(b, inputs, ctx, RULE, CELL),
  reference: (inputs, attrs, ctx) =>
    recurrentReference(inputs, attrs, RULE, ctx.node, ctx.outputTypes, plainStep),
  cases: () => recurrentCases(RULE),
});
