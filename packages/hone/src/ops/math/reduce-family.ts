/**
 * Reductions over axes given as input 1: inference, lowering to a reduce stage (or to a map where
 * nothing is reduced), reference and cases shared by all of them.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import { elementCount, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { acc, cast, load } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { Attrs, ValueType } from '../../graph/types.ts';
import type { ReduceOp, ReduceStep, StageBody } from '../../stages/types.ts';
import { inputType, int, intAttr, normalizeAxis, optionalInts, requireDType } from '../checks.ts';
import { type CoreOp, defineOp, type InferContext, type TestCase } from '../define-op.ts';
import { mapBody, outAxes, reduceAxesOf } from '../lower.ts';
import { given, type ListFunction, outputOf, reduceLoop } from './loops.ts';
import { f32, i64, tensor, uniform } from './samples.ts';
import { axesToInput } from './upgrades.ts';

/** One fold of a reduction: `value` of an element, given the results of the folds before. */
export interface Fold {
  readonly op: ReduceOp;
  readonly dtype: DType;
  readonly value: (x: Expr, before: readonly Expr[]) => Expr;
}

export interface Folds {
  readonly folds: readonly Fold[];
  /** The result from the folds' results and the number of elements folded. */
  readonly finish: (results: readonly Expr[], count: number) => Expr;
}

export interface ReduceSpec {
  readonly name: string;
  readonly doc: string;
  readonly since: number;
  readonly dtypes: readonly DType[];
  readonly list: ListFunction;
  readonly folds: (dtype: DType) => Folds;
  readonly cases?: () => readonly TestCase[];
}

/** Which axes are reduced, sorted; by default all, or none where the node says so. */
function reducedAxes(
  node: { node: string; op: string },
  given: readonly number[] | undefined,
  attrs: Attrs,
  rank: number,
): number[] {
  if (given === undefined || given.length === 0) {
    if (intAttr(attrs, 'noop_with_empty_axes') !== 0) return [];
    return Array.from({ length: rank }, (_, axis) => axis);
  }
  const axes = given.map((axis) => normalizeAxis(node, axis, rank));
  // Axis 0 of a scalar is allowed, and there is none to fold.
  if (rank === 0) return [];
  return [...new Set(axes)].sort((a, b) => a - b);
}

function axesOf(ctx: InferContext): number[] {
  const rank = inputType(ctx, 0).shape.length;
  // An empty list says nothing, whether or not its elements are known.
  const isEmpty = ctx.inputs[1]?.type.shape[0] === 0;
  return reducedAxes(ctx, isEmpty ? [] : optionalInts(ctx, 1, 'axes'), ctx.attrs, rank);
}

/** The shape once `axes` are reduced. */
export function reducedShape(
  shape: readonly number[],
  axes: readonly number[],
  keep: boolean,
): number[] {
  return shape.flatMap((extent, axis) => (!axes.includes(axis) ? [extent] : keep ? [1] : []));
}

/** The input's element at the outer axes i… (of the output) and the reduced axes r…. */
export function reduceLoad(type: ValueType, axes: readonly number[], keep: boolean): Expr {
  const reduced = reduceAxesOf(axes.length);
  const kept = type.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const outer = outAxes(keep ? type.shape.length : kept.length);
  const at_ = type.shape.map((_, axis) => {
    const r = axes.indexOf(axis);
    if (r >= 0) return at(reduced, r);
    return at(outer, keep ? axis : kept.indexOf(axis));
  });
  return load('0', type.dtype, at_);
}

/** The stage that carries out `folds` over `axes` of input 0. */
export function reduceStage(
  type: ValueType,
  axes: readonly number[],
  out: ValueType,
  keep: boolean,
  { folds, finish }: Folds,
): StageBody {
  const x = reduceLoad(type, axes, keep);
  if (axes.length === 0) {
    // Each list has one element, whose fold is the element itself.
    const values: Expr[] = [];
    for (const fold of folds) values.push(cast(fold.dtype, fold.value(x, values)));
    return mapBody(out.shape, cast(out.dtype, finish(values, 1)));
  }
  const results = folds.map((fold, step) => acc(step, fold.dtype));
  const steps = folds.map((fold, step): ReduceStep => {
    const value = cast(fold.dtype, fold.value(x, results.slice(0, step)));
    return { op: fold.op, dtype: fold.dtype, value };
  });
  const reduceAxes = axes.map((axis) => at(type.shape, axis));
  return {
    kind: 'reduce',
    axes: out.shape,
    reduceAxes,
    steps,
    spans: 'outer',
    outIndex: outAxes(out.shape.length),
    value: cast(out.dtype, finish(results, elementCount(reduceAxes))),
  };
}

export function defineReduction(spec: ReduceSpec): CoreOp {
  return defineOp({
    kind: 'core',
    name: spec.name,
    doc: spec.doc,
    since: spec.since,
    attrs: { keepdims: int(1), noop_with_empty_axes: int(0) },
    upgrade: axesToInput,
    infer(ctx) {
      const type = inputType(ctx, 0);
      requireDType(ctx, type, spec.dtypes);
      const keep = intAttr(ctx.attrs, 'keepdims') !== 0;
      return [{ dtype: type.dtype, shape: reducedShape(type.shape, axesOf(ctx), keep) }];
    },
    lower(ctx) {
      const type = inputType(ctx, 0);
      const keep = intAttr(ctx.attrs, 'keepdims') !== 0;
      return [reduceStage(type, axesOf(ctx), at(ctx.outputs, 0), keep, spec.folds(type.dtype))];
    },
    reference(inputs, attrs, ctx) {
      const input = given(inputs, 0);
      const axes = inputs[1] ? [...toNumbers(inputs[1])] : undefined;
      const node = { node: ctx.node, op: spec.name };
      const reduced = reducedAxes(node, axes, attrs, input.shape.length);
      return [reduceLoop(input, reduced, outputOf(ctx), spec.list)];
    },
    cases: () => [...usualReductions(spec.dtypes), ...(spec.cases?.() ?? [])],
  });
}

/** All axes, several, one, negative, dropped, none, empty; one case per further dtype. */
function usualReductions(dtypes: readonly DType[]): readonly TestCase[] {
  const x = (): Tensor => uniform([2, 3, 4], 0.25, 2);
  return [
    { note: 'all axes', inputs: [x()] },
    { note: 'several axes', inputs: [x(), i64([2], [2, 0])] },
    { note: 'one axis', inputs: [x(), i64([1], [1])] },
    { note: 'dropped axes', inputs: [x(), i64([2], [2, 0])], attrs: { keepdims: 0 } },
    { note: 'negative axis', inputs: [x(), i64([1], [-2])], attrs: { keepdims: 0 } },
    { note: 'all dropped', inputs: [x()], attrs: { keepdims: 0 } },
    { note: 'no axes', inputs: [x(), i64([0], [])], attrs: { noop_with_empty_axes: 1 } },
    { note: 'empty list', inputs: [f32([2, 0, 3], []), i64([1], [1])] },
    { note: 'no lists', inputs: [f32([2, 0, 3], []), i64([1], [2])] },
    { note: 'scalar', inputs: [f32([], [1.5])] },
    { note: 'axis 0 of a scalar', inputs: [f32([], [1.5]), i64([1], [0])] },
    ...dtypes
      .filter((dtype) => dtype !== 'f32')
      .map((dtype) => ({
        note: dtype,
        inputs: [tensor(dtype, [2, 3], [1, 5, 3, 0, 1, 2]), i64([1], [1])],
      })),
  ];
}
