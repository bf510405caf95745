/**
 * Makes the record of an operator on two tensors (or any number of them), broadcast as numpy does:
 * a scalar function for the reference, a scalar expression for the compiler, the usual cases.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { type DType, isFloat } from 'hone-runtime/base/dtype';
import type { Tensor } from 'hone-runtime/base/tensor';
import { cast } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { Attrs, ValueType } from '../../graph/types.ts';
import { broadcastShapes, inputType, requireDType, typeError } from '../checks.ts';
import {
  type AttrSpec,
  type CoreOp,
  defineOp,
  type InferContext,
  type TestCase,
  type Tolerance,
} from '../define-op.ts';
import { mapBody, outAxes } from '../lower.ts';
import { elementwise, given, outputOf, type ScalarFunction } from './loops.ts';
import { tensor, uniform } from './samples.ts';
import { loadInput, widen } from './scalar.ts';
import type { Upgrade } from './upgrades.ts';

export interface BinarySpec {
  readonly name: string;
  readonly doc: string;
  readonly since: number;
  readonly dtypes: readonly DType[];
  /** 'bool' for comparisons; default: input 0's dtype. */
  readonly result?: 'bool';
  /** Input 1 may have another dtype (one of these). */
  readonly secondDtypes?: readonly DType[];
  readonly attrs?: Readonly<Record<string, AttrSpec>>;
  readonly check?: (ctx: InferContext) => void;
  readonly upgrade?: Upgrade;
  readonly scalar: (attrs: Attrs, dtype: DType) => ScalarFunction;
  /** The value from both operands, which have the dtype arithmetic happens in. */
  readonly expr: (a: Expr, b: Expr, attrs: Attrs) => Expr;
  /** Where the samples of input 1 lie; default [0.5, 3) so that divisors are not zero. */
  readonly secondRange?: readonly [number, number];
  readonly tolerance?: Partial<Record<DType, Tolerance>>;
  readonly cases?: () => readonly TestCase[];
}

export function defineBinary(spec: BinarySpec): CoreOp {
  return defineOp({
    kind: 'core',
    name: spec.name,
    doc: spec.doc,
    since: spec.since,
    attrs: spec.attrs ?? {},
    ...(spec.upgrade === undefined ? {} : { upgrade: spec.upgrade }),
    infer(ctx) {
      const a = inputType(ctx, 0);
      const b = inputType(ctx, 1);
      requireDType(ctx, a, spec.dtypes);
      if (spec.secondDtypes === undefined) requireSame(ctx, a, b);
      else requireDType(ctx, b, spec.secondDtypes, 'input 1');
      spec.check?.(ctx);
      return [{ dtype: spec.result ?? a.dtype, shape: broadcastShapes(ctx, a.shape, b.shape) }];
    },
    lower(ctx) {
      const { dtype, shape } = at(ctx.outputs, 0);
      if (inputType(ctx, 0).dtype === 'string') return 'strings have no compiled form';
      const axes = outAxes(shape.length);
      const a = widen(loadInput(ctx, 0, axes));
      const b = widen(loadInput(ctx, 1, axes));
      return [mapBody(shape, cast(dtype, spec.expr(a, b, ctx.attrs)))];
    },
    reference(inputs, attrs, ctx) {
      const a = given(inputs, 0);
      return [elementwise([a, given(inputs, 1)], outputOf(ctx), spec.scalar(attrs, a.dtype))];
    },
    ...(spec.tolerance === undefined ? {} : { tolerance: spec.tolerance }),
    cases: () => [
      ...pairCases(spec.dtypes, spec.secondDtypes === undefined, spec.secondRange ?? [0.5, 3]),
      ...(spec.cases?.() ?? []),
    ],
  });
}

export function requireSame(ctx: InferContext, a: ValueType, b: ValueType, what = 'input 1'): void {
  if (a.dtype !== b.dtype) {
    typeError(ctx, `input 0 is ${a.dtype} but ${what} is ${b.dtype}; they must agree`);
  }
}

/** Same shapes, broadcasts of every sort, an empty tensor; small cases for the other dtypes. */
function pairCases(
  dtypes: readonly DType[],
  sameDtypes: boolean,
  [low, high]: readonly [number, number],
): readonly TestCase[] {
  const cases: TestCase[] = [];
  const pair = (note: string, a: readonly number[], b: readonly number[]): TestCase => ({
    note,
    inputs: [uniform(a, -3, 3), uniform(b, low, high, 'f32', 2)],
  });
  if (dtypes.includes('f32')) {
    cases.push(
      pair('same shapes', [2, 3], [2, 3]),
      pair('row and column', [3, 1], [4]),
      pair('scalar', [2, 3], []),
      pair('second is larger', [3], [2, 1, 3]),
      { note: 'empty', inputs: [tensor('f32', [0, 3], []), uniform([1, 3], low, high)] },
    );
  }
  if (!sameDtypes) return cases;
  for (const dtype of dtypes) {
    if (dtype === 'f32' || dtype === 'string') continue;
    cases.push({ note: dtype, inputs: samplePair(dtype, low, high) });
  }
  return cases;
}

function samplePair(dtype: DType, low: number, high: number): readonly [Tensor, Tensor] {
  if (isFloat(dtype)) return [uniform([2, 3], -3, 3, dtype), uniform([3], low, high, dtype, 2)];
  if (dtype === 'bool') {
    return [tensor('bool', [2, 2], [0, 0, 1, 1]), tensor('bool', [2, 2], [0, 1, 0, 1])];
  }
  const first = dtype.startsWith('u') ? [0, 1, 7, 100] : [-100, -7, 7, 100];
  const second = dtype.startsWith('u') ? [3, 1, 7, 2] : [3, 1, 7, -2];
  return [tensor(dtype, [4], first), tensor(dtype, [4], second)];
}
