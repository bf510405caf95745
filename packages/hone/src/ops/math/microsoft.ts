/** Fused activations of the com.microsoft domain, as transformer exporters write them. */
import { at } from 'hone-runtime/base/diagnostics';
import { cast } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { ValueType } from '../../graph/types.ts';
import { inputType, requireDType, shapeError } from '../checks.ts';
import { type CoreOp, defineOp, type InferContext, type OpDef } from '../define-op.ts';
import { mapBody, outAxes } from '../lower.ts';
import { gelu, geluExpr, geluTanh, geluTanhExpr } from './activations.ts';
import { requireSame } from './binary-family.ts';
import { FLOATS } from './dtypes.ts';
import { elementwise, given, outputOf } from './loops.ts';
import { f32, uniform } from './samples.ts';
import { add, loadInput, widen } from './scalar.ts';

interface BiasedSpec {
  readonly name: string;
  readonly doc: string;
  readonly biasRequired: boolean;
  readonly number: (x: number) => number;
  readonly expr: (x: Expr) => Expr;
}

/** The bias, checked: one number per element of the last axis. */
function biasType(ctx: InferContext, x: ValueType, required: boolean): ValueType | undefined {
  const bias = required ? inputType(ctx, 1) : ctx.inputs[1]?.type;
  if (bias === undefined) return undefined;
  requireSame(ctx, x, bias);
  if (bias.shape.length !== 1 || bias.shape[0] !== x.shape.at(-1)) {
    shapeError(
      ctx,
      `bias [${bias.shape.join(',')}] is not the last axis of [${x.shape.join(',')}]`,
    );
  }
  return bias;
}

function defineBiased(spec: BiasedSpec): CoreOp {
  return defineOp({
    kind: 'core',
    name: spec.name,
    domain: 'com.microsoft',
    doc: spec.doc,
    since: 1,
    attrs: {},
    infer(ctx) {
      const x = inputType(ctx, 0);
      requireDType(ctx, x, FLOATS);
      biasType(ctx, x, spec.biasRequired);
      return [x];
    },
    lower(ctx) {
      const { dtype, shape } = at(ctx.outputs, 0);
      const axes = outAxes(shape.length);
      const x = widen(loadInput(ctx, 0, axes));
      const biased = ctx.inputs[1] ? add(x, widen(loadInput(ctx, 1, axes))) : x;
      return [mapBody(shape, cast(dtype, spec.expr(biased)))];
    },
    reference(inputs, _, ctx) {
      const out = outputOf(ctx);
      const x = given(inputs, 0);
      const bias = inputs[1];
      if (!bias) return [elementwise([x], out, { number: spec.number })];
      return [elementwise([x, bias], out, { number: (a, b) => spec.number(a + b) })];
    },
    cases: () => [
      { inputs: [uniform([2, 3, 4]), uniform([4])] },
      { note: 'f16', inputs: [uniform([3, 2], -2, 2, 'f16'), uniform([2], -1, 1, 'f16')] },
      { note: 'empty', inputs: [f32([0, 2], []), f32([2], [1, 2])] },
      ...(spec.biasRequired ? [] : [{ note: 'no bias', inputs: [uniform([5], -4, 4)] }]),
    ],
  });
}

export const MICROSOFT: readonly OpDef[] = [
  defineBiased({
    name: 'BiasGelu',
    doc: 'Gelu (erf) of x + bias.',
    biasRequired: true,
    number: gelu,
    expr: geluExpr,
  }),
  defineBiased({
    name: 'FastGelu',
    doc: 'Gelu (tanh approximation) of x, or of x + bias.',
    biasRequired: false,
    number: geluTanh,
    expr: geluTanhExpr,
  }),
];
