/**
 * Makes the record of an operator that maps one tensor element by element: a scalar function for
 * the reference, a scalar expression for the compiler, and the usual test cases.
 */
import { type DType, isFloat, isInteger } from 'hone-runtime/base/dtype';
import type { Tensor } from 'hone-runtime/base/tensor';
import { cast } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { Attrs } from '../../graph/types.ts';
import { inputType, requireDType } from '../checks.ts';
import {
  type AttrSpec,
  type CoreOp,
  defineOp,
  type TestCase,
  type Tolerance,
} from '../define-op.ts';
import { mapBody, outAxes } from '../lower.ts';
import { FLOATS } from './dtypes.ts';
import { elementwise, given, outputOf } from './loops.ts';
import { specials, tensor, uniform } from './samples.ts';
import { floatToInteger } from './saturate.ts';
import { loadInput, widen } from './scalar.ts';
import type { Upgrade } from './upgrades.ts';

export interface UnarySpec {
  readonly name: string;
  readonly domain?: string;
  readonly doc: string;
  readonly since: number;
  /** Default: the floats. */
  readonly dtypes?: readonly DType[];
  /** 'bool' for predicates; default: the input's dtype. */
  readonly result?: 'bool';
  readonly attrs?: Readonly<Record<string, AttrSpec>>;
  readonly check?: (attrs: Attrs, node: { node: string; op: string }) => void;
  readonly upgrade?: Upgrade;
  readonly number: (x: number, attrs: Attrs) => number;
  /** Exact integers, where doubles would lose them. */
  readonly big?: (x: bigint) => bigint;
  /** Integers go through doubles, and beyond their range are its nearest end; default: they wrap. */
  readonly saturates?: true;
  /** The value from x, which has the dtype arithmetic happens in. */
  readonly expr: (x: Expr, attrs: Attrs) => Expr;
  /** Where the sample inputs lie; default [-2, 2). */
  readonly range?: readonly [number, number];
  readonly tolerance?: Partial<Record<DType, Tolerance>>;
  readonly cases?: () => readonly TestCase[];
}

export function defineUnary(spec: UnarySpec): CoreOp {
  const dtypes = spec.dtypes ?? FLOATS;
  return defineOp({
    kind: 'core',
    name: spec.name,
    ...(spec.domain === undefined ? {} : { domain: spec.domain }),
    doc: spec.doc,
    since: spec.since,
    attrs: spec.attrs ?? {},
    ...(spec.upgrade === undefined ? {} : { upgrade: spec.upgrade }),
    infer(ctx) {
      const type = inputType(ctx, 0);
      requireDType(ctx, type, dtypes);
      spec.check?.(ctx.attrs, ctx);
      return [{ dtype: spec.result ?? type.dtype, shape: type.shape }];
    },
    lower(ctx) {
      const { dtype, shape } = inputType(ctx, 0);
      const value = spec.expr(widen(loadInput(ctx, 0, outAxes(shape.length))), ctx.attrs);
      return [mapBody(shape, cast(spec.result ?? dtype, value))];
    },
    reference(inputs, attrs, ctx) {
      const out = outputOf(ctx);
      const number = (x: number): number => spec.number(x, attrs);
      const big =
        spec.saturates === true && isInteger(out.dtype)
          ? (x: bigint): bigint => floatToInteger(number(Number(x)), out.dtype)
          : spec.big;
      return [
        elementwise([given(inputs, 0)], out, big === undefined ? { number } : { number, big }),
      ];
    },
    ...(spec.tolerance === undefined ? {} : { tolerance: spec.tolerance }),
    cases: () => [...usualCases(dtypes, spec.range ?? [-2, 2]), ...(spec.cases?.() ?? [])],
  });
}

/** A matrix, a scalar, an empty tensor, special values, and one case per further dtype. */
export function usualCases(
  dtypes: readonly DType[],
  [low, high]: readonly [number, number],
): readonly TestCase[] {
  const cases: TestCase[] = [];
  for (const dtype of dtypes) {
    if (dtype === 'string') continue;
    if (dtype === 'f32') {
      cases.push(
        { inputs: [uniform([2, 3, 4], low, high)] },
        { note: 'scalar', inputs: [uniform([], low, high)] },
        { note: 'empty', inputs: [tensor('f32', [0, 3], [])] },
        { note: 'special values', inputs: [specials()] },
      );
    } else if (isFloat(dtype)) {
      cases.push({ note: dtype, inputs: [uniform([5], low, high, dtype)] });
    } else {
      cases.push({ note: dtype, inputs: [wholeNumbers(dtype)] });
    }
  }
  return cases;
}

function wholeNumbers(dtype: DType): Tensor {
  if (dtype === 'bool') return tensor('bool', [2, 2], [1, 0, 0, 1]);
  const values = dtype.startsWith('u') ? [0, 1, 7, 100] : [-100, -1, 0, 7];
  return tensor(dtype, [4], values);
}
