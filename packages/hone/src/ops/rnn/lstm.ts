/** LSTM: gates i, o, f, candidate c. Rows of W, R and B are stacked i, o, f, c; peepholes i, o, f. */
import { at } from 'hone-runtime/base/diagnostics';
import type { Attrs, ValueId } from '../../graph/types.ts';
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
  upgradeRecurrent,
} from './sequence.ts';
import { activate, gate, type NodeCell, sumOf, unrollRecurrent } from './unroll.ts';

const RULE: Recurrence = {
  op: 'LSTM',
  gates: 4,
  activations: ['Sigmoid', 'Tanh', 'Tanh'],
  hasCell: true,
};

function cellOf(attrs: Attrs): NodeCell {
  const coupled = intAttr(attrs, 'input_forget') !== 0;
  return {
    inputBias: (b, _geo, { biasW, biasR }) => sumOf(b, biasW, biasR),
    prepare: (b, geo, activations, { r, peephole }) => {
      const { hidden } = geo;
      const [f, g, last] = [at(activations, 0), at(activations, 1), at(activations, 2)];
      const peep = (sum: ValueId, index: number, cell: ValueId): ValueId =>
        peephole === null
          ? sum
          : b.op('Add', [sum, b.op('Mul', [gate(b, peephole, index, hidden), cell])]);
      const one = (like: ValueId): ValueId => b.scalar(1, b.typeOf(like).dtype);
      return (xw, { h, c }) => {
        const sums = b.op('Gemm', [h, r, xw], { transB: 1 });
        const part = (index: number): ValueId => gate(b, sums, index, hidden);
        const input = activate(b, geo, f, peep(part(0), 0, c));
        const forget = coupled
          ? b.op('Sub', [one(input), input])
          : activate(b, geo, f, peep(part(2), 2, c));
        const candidate = activate(b, geo, g, part(3));
        const cell = b.op('Add', [b.op('Mul', [forget, c]), b.op('Mul', [input, candidate])]);
        const output = activate(b, geo, f, peep(part(1), 1, cell));
        return { h: b.op('Mul', [output, last.node(b, cell)]), c: cell };
      };
    },
  };
}

function plainStep(coupled: boolean): PlainStep {
  return (geo, activations, { w, r, bias, peephole }, x, state) => {
    const { hidden } = geo;
    const [f, g, last] = [at(activations, 0), at(activations, 1), at(activations, 2)];
    const sum = (index: number, j: number): number => {
      const row = index * hidden + j;
      const biases = (bias[row] as number) + (bias[4 * hidden + row] as number);
      return rowTimes(w, row, x) + rowTimes(r, row, state.h) + biases;
    };
    const peep = (index: number, j: number, cell: number): number =>
      peephole === null ? 0 : (peephole[index * hidden + j] as number) * cell;
    const c = new Float64Array(hidden);
    const h = new Float64Array(hidden);
    for (let j = 0; j < hidden; j++) {
      const before = state.c[j] as number;
      const input = f.plain(clipped(geo, sum(0, j) + peep(0, j, before)));
      const forget = coupled ? 1 - input : f.plain(clipped(geo, sum(2, j) + peep(2, j, before)));
      const cell = forget * before + input * g.plain(clipped(geo, sum(3, j)));
      c[j] = cell;
      h[j] = f.plain(clipped(geo, sum(1, j) + peep(1, j, cell))) * last.plain(cell);
    }
    return { h, c };
  };
}

export const lstm = defineOp({
  kind: 'composite',
  name: 'LSTM',
  doc: 'Long short-term memory layer with optional peepholes, one or both directions.',
  since: 22,
  attrs: { ...RECURRENT_ATTRS, input_forget: int(0) },
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
      plainStep(intAttr(attrs, 'input_forget') !== 0),
    ),
  cases: () => [...recurrentCases(RULE), ...recurrentCases(RULE, { input_forget: 1 }).slice(0, 2)],
});
