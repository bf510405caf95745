/**
 * ai.onnx.preview.training: one step of Adagrad, Adam and Momentum over any number of tensors. Inputs are
 * the rate R, the number of updates T, then the tensors X, their gradients G and their states, kind by kind;
 * outputs are the new X and the new states.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { dtypeCode } from 'hone-runtime/base/dtype';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { float, inputType, requireDType, shapeError, textAttr } from '../checks.ts';
import { type AttrSpec, type CompositeOp, defineOp, type OpDef } from '../define-op.ts';
import { given } from '../math/loops.ts';
import { f32, i64 } from '../math/samples.ts';

/** One tensor's step, on numbers: [new x, new states…]. */
type Step = (
  x: number,
  g: number,
  states: readonly number[],
  rate: number,
  updates: number,
  attrs: Attrs,
) => readonly number[];

/** The same on nodes. `rate` and `updates` are scalars of the dtype of x. */
type StepNodes = (
  b: OpBuilder,
  x: ValueId,
  g: ValueId,
  states: readonly ValueId[],
  rate: ValueId,
  updates: ValueId,
  attrs: Attrs,
) => readonly ValueId[];

interface Optimizer {
  readonly name: string;
  readonly doc: string;
  /** States of each tensor. */
  readonly states: number;
  readonly attrs: Readonly<Record<string, AttrSpec>>;
  readonly step: Step;
  readonly nodes: StepNodes;
  readonly cases: readonly Attrs[];
}

function num(attrs: Attrs, name: string): number {
  return attrs[name] as number;
}

/** Small arithmetic on nodes, with numbers as scalars of the operand's dtype. */
function arithmetic(b: OpBuilder, like: ValueId) {
  const { dtype } = b.typeOf(like);
  const id = (x: ValueId | { readonly value: number }): ValueId =>
    typeof x === 'number' ? x : b.scalar(x.value, dtype);
  const two =
    (op: string) =>
    (a: ValueId | { readonly value: number }, c: ValueId | { readonly value: number }): ValueId =>
      b.op(op, [id(a), id(c)]);
  return {
    add: two('Add'),
    sub: two('Sub'),
    mul: two('Mul'),
    div: two('Div'),
    pow: two('Pow'),
    sqrt: (x: ValueId): ValueId => b.op('Sqrt', [x]),
    ifPositive: (t: ValueId, yes: ValueId, no: ValueId): ValueId =>
      b.op('Where', [b.op('Greater', [t, b.scalar(0, dtype)]), yes, no]),
    value: (value: number) => ({ value }),
    scalar: (value: number): ValueId => b.scalar(value, dtype),
  };
}

function defineOptimizer(spec: Optimizer): CompositeOp {
  const kinds = 2 + spec.states;
  const countOf = (inputs: number): number => (inputs - 2) / kinds;
  return defineOp({
    kind: 'composite',
    name: spec.name,
    domain: 'ai.onnx.preview.training',
    doc: spec.doc,
    since: 1,
    attrs: spec.attrs,
    infer(ctx) {
      const count = countOf(ctx.inputs.length);
      if (!Number.isInteger(count) || count < 1) {
        shapeError(ctx, `${ctx.inputs.length} inputs are no whole number of tensors`);
      }
      for (const i of [0, 1]) {
        const { shape } = inputType(ctx, i);
        if (elementCount(shape) !== 1)
          shapeError(ctx, `input ${i} [${shape.join(',')}] is no number`);
      }
      const types = ctx.inputs.slice(2).map((_, i) => inputType(ctx, 2 + i));
      types.forEach((type, i) => {
        requireDType(ctx, type, ['f32', 'f64']);
        const first = at(types, i % count);
        if (type.dtype !== first.dtype || type.shape.join() !== first.shape.join()) {
          shapeError(ctx, `input ${2 + i} has another type than its tensor`);
        }
      });
      return [...types.slice(0, count), ...types.slice(2 * count)];
    },
    decompose(b, inputs, ctx) {
      const count = countOf(inputs.length);
      const ids = inputs as readonly ValueId[];
      const rows = Array.from({ length: count }, (_, i) => {
        const own = Array.from({ length: kinds }, (_k, k) => at(ids, 2 + k * count + i));
        const [x, g, ...states] = own as [ValueId, ValueId, ...ValueId[]];
        const to = dtypeCode(b.typeOf(x).dtype);
        const [rate, updates] = [0, 1].map((k) =>
          b.op('Reshape', [b.op('Cast', [at(ids, k)], { to }), b.ints([])]),
        );
        return spec.nodes(b, x, g, states, rate as ValueId, updates as ValueId, ctx.attrs);
      });
      return Array.from({ length: 1 + spec.states }, (_, k) =>
        rows.map((row) => at(row, k)),
      ).flat();
    },
    reference(inputs, attrs) {
      const count = countOf(inputs.length);
      const [rate = 0] = toNumbers(given(inputs, 0));
      const [updates = 0] = toNumbers(given(inputs, 1));
      const rows = Array.from({ length: count }, (_, i) => {
        const own = Array.from({ length: kinds }, (_k, k) => given(inputs, 2 + k * count + i));
        const [x, g, ...states] = own.map(toNumbers);
        const results = Array.from(x as Float64Array, (value, e) =>
          spec.step(
            value,
            g?.[e] ?? 0,
            states.map((s) => s[e] ?? 0),
            rate,
            updates,
            attrs,
          ),
        );
        const { dtype, shape } = at(own, 0);
        return Array.from(
          { length: 1 + spec.states },
          (_s, k): Tensor =>
            fromNumbers(
              dtype,
              shape,
              results.map((result) => at(result, k)),
            ),
        );
      });
      return Array.from({ length: 1 + spec.states }, (_, k) =>
        rows.map((row) => at(row, k)),
      ).flat();
    },
    cases: () =>
      spec.cases.flatMap((attrs) =>
        [0, 3].map((updates) => ({
          note: `after ${updates} updates${'mode' in attrs ? `, ${String(attrs['mode'])}` : ''}`,
          attrs,
          inputs: [
            f32([], [0.1]),
            i64([], [updates]),
            ...Array.from({ length: kinds }, (_, k) => [
              f32([2], [0.5 + k, 1.25]),
              f32([1], [2 - 0.5 * k]),
            ]).flat(),
          ],
          outputs: 2 * (1 + spec.states),
        })),
      ),
  });
}

const adagrad = defineOptimizer({
  name: 'Adagrad',
  doc: 'One update of Adagrad.',
  states: 1,
  attrs: { decay_factor: float(0), epsilon: float(0), norm_coefficient: float(0) },
  step: (x, g, [h = 0], rate, updates, attrs) => {
    const r = rate / (1 + updates * num(attrs, 'decay_factor'));
    const slope = num(attrs, 'norm_coefficient') * x + g;
    const next = h + slope * slope;
    return [x - (r * slope) / (Math.sqrt(next) + num(attrs, 'epsilon')), next];
  },
  nodes: (b, x, g, states, rate, updates, attrs) => {
    const n = arithmetic(b, x);
    const decay = n.mul(updates, n.value(num(attrs, 'decay_factor')));
    const r = n.div(rate, n.add(decay, n.value(1)));
    const slope = n.add(n.mul(x, n.value(num(attrs, 'norm_coefficient'))), g);
    const next = n.add(at(states, 0), n.mul(slope, slope));
    const size = n.add(n.sqrt(next), n.value(num(attrs, 'epsilon')));
    return [n.sub(x, n.div(n.mul(r, slope), size)), next];
  },
  cases: [{ decay_factor: 0.1, epsilon: 1e-5, norm_coefficient: 0.01 }],
});

const adam = defineOptimizer({
  name: 'Adam',
  doc: 'One update of Adam.',
  states: 2,
  attrs: {
    alpha: float(0.9),
    beta: float(0.999),
    epsilon: float(0),
    norm_coefficient: float(0),
    norm_coefficient_post: float(0),
  },
  step: (x, g, [v = 0, h = 0], rate, updates, attrs) => {
    const [alpha, beta] = [num(attrs, 'alpha'), num(attrs, 'beta')];
    const slope = num(attrs, 'norm_coefficient') * x + g;
    const mean = alpha * v + (1 - alpha) * slope;
    const square = beta * h + (1 - beta) * slope * slope;
    const r = updates > 0 ? (rate * Math.sqrt(1 - beta ** updates)) / (1 - alpha ** updates) : rate;
    const next = x - (r * mean) / (Math.sqrt(square) + num(attrs, 'epsilon'));
    return [(1 - num(attrs, 'norm_coefficient_post')) * next, mean, square];
  },
  nodes: (b, x, g, states, rate, updates, attrs) => {
    const n = arithmetic(b, x);
    const [alpha, beta] = [num(attrs, 'alpha'), num(attrs, 'beta')];
    const slope = n.add(n.mul(x, n.value(num(attrs, 'norm_coefficient'))), g);
    const mean = n.add(n.mul(at(states, 0), n.value(alpha)), n.mul(slope, n.value(1 - alpha)));
    const squared = n.mul(n.mul(slope, slope), n.value(1 - beta));
    const square = n.add(n.mul(at(states, 1), n.value(beta)), squared);
    const remains = (base: number): ValueId => n.sub(n.value(1), n.pow(n.scalar(base), updates));
    const corrected = n.div(n.mul(rate, n.sqrt(remains(beta))), remains(alpha));
    const r = n.ifPositive(updates, corrected, rate);
    const size = n.add(n.sqrt(square), n.value(num(attrs, 'epsilon')));
    const next = n.sub(x, n.div(n.mul(r, mean), size));
    return [n.mul(next, n.value(1 - num(attrs, 'norm_coefficient_post'))), mean, square];
  },
  cases: [
    { alpha: 0.95, beta: 0.1, epsilon: 1e-7, norm_coefficient: 0.001, norm_coefficient_post: 0.1 },
  ],
});

const momentum = defineOptimizer({
  name: 'Momentum',
  doc: 'One update of gradient descent with momentum, standard or of Nesterov.',
  states: 1,
  attrs: {
    alpha: { type: 'float', required: true },
    beta: { type: 'float', required: true },
    mode: { type: 'string', required: true },
    norm_coefficient: { type: 'float', required: true },
  },
  step: (x, g, [v = 0], rate, updates, attrs) => {
    const slope = num(attrs, 'norm_coefficient') * x + g;
    const beta = updates > 0 ? num(attrs, 'beta') : 1;
    const next = num(attrs, 'alpha') * v + beta * slope;
    const move = textAttr(attrs, 'mode') === 'nesterov' ? slope + num(attrs, 'alpha') * next : next;
    return [x - rate * move, next];
  },
  nodes: (b, x, g, states, rate, updates, attrs) => {
    const n = arithmetic(b, x);
    const slope = n.add(n.mul(x, n.value(num(attrs, 'norm_coefficient'))), g);
    const beta = n.ifPositive(updates, n.scalar(num(attrs, 'beta')), n.scalar(1));
    const alpha = n.value(num(attrs, 'alpha'));
    const next = n.add(n.mul(at(states, 0), alpha), n.mul(beta, slope));
    const isNesterov = textAttr(attrs, 'mode') === 'nesterov';
    const move = isNesterov ? n.add(slope, n.mul(next, alpha)) : next;
    return [n.sub(x, n.mul(rate, move)), next];
  },
  cases: ['standard', 'nesterov'].map((mode) => ({
    alpha: 0.95,
    beta: 0.8,
    norm_coefficient: 0.01,
    mode,
  })),
});

export const OPTIMIZERS: readonly OpDef[] = [adagrad, adam, momentum];
