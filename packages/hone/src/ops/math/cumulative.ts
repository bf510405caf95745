/**
 * CumSum and CumProd. Compiled, each element folds all elements up to it: n² steps along the axis,
 * but exact in any order of elements and parallel over all of them.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { type DType, isInteger } from 'hone-runtime/base/dtype';
import {
  elementCount,
  fromNumbers,
  stridesOf,
  type Tensor,
  toBigInts,
  toNumbers,
} from 'hone-runtime/base/tensor';
import { acc, axis as axisExpr, cast, load } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import {
  constantInt,
  inputType,
  int,
  intAttr,
  normalizeAxis,
  requireDType,
  requireOne,
  shapeError,
} from '../checks.ts';
import { type CoreOp, defineOp, type InferContext, type OpDef } from '../define-op.ts';
import { outAxes } from '../lower.ts';
import { FLOATS } from './dtypes.ts';
import { fromBigInts, given } from './loops.ts';
import { f32, i64, tensor, uniform } from './samples.ts';
import { apply, choose, sumType } from './scalar.ts';

const DTYPES: readonly DType[] = [...FLOATS, 'i32', 'i64', 'u32', 'u64'];

interface ScanSpec {
  readonly name: string;
  readonly doc: string;
  readonly since: number;
  readonly op: 'sum' | 'prod';
  /** What nothing folds to. */
  readonly start: 0 | 1;
}

function axisOf(ctx: InferContext): number {
  const { shape } = inputType(ctx, 0);
  return normalizeAxis(ctx, constantInt(ctx, 1, 'axis'), shape.length);
}

function defineScan(spec: ScanSpec): CoreOp {
  return defineOp({
    kind: 'core',
    name: spec.name,
    doc: spec.doc,
    since: spec.since,
    attrs: { exclusive: int(0), reverse: int(0) },
    infer(ctx) {
      const type = inputType(ctx, 0);
      requireDType(ctx, type, DTYPES);
      requireDType(ctx, inputType(ctx, 1), ['i32', 'i64'], 'axis');
      requireOne(ctx, 1, 'axis');
      if (type.shape.length === 0) shapeError(ctx, 'the input is a scalar; it needs an axis');
      return [type];
    },
    lower(ctx) {
      const { dtype, shape } = inputType(ctx, 0);
      if (ctx.inputs[1]?.constant == null) return 'the axis depends on input data';
      const along = axisOf(ctx);
      const outer = outAxes(shape.length);
      const reduced = axisExpr('r0');
      const kept = sumType(dtype);
      const from = load(
        '0',
        dtype,
        outer.map((i, k) => (k === along ? reduced : i)),
      );
      const [a, b]: readonly [Expr, Expr] =
        intAttr(ctx.attrs, 'reverse') === 0
          ? [reduced, at(outer, along)]
          : [at(outer, along), reduced];
      const included = apply(intAttr(ctx.attrs, 'exclusive') === 0 ? 'le' : 'lt', a, b);
      return [
        {
          kind: 'reduce',
          axes: shape,
          reduceAxes: [at(shape, along)],
          steps: [
            { op: spec.op, dtype: kept, value: choose(included, cast(kept, from), spec.start) },
          ],
          spans: 'outer',
          outIndex: outer,
          value: cast(dtype, acc(0, kept)),
        },
      ];
    },
    reference(inputs, attrs, ctx) {
      const input = given(inputs, 0);
      const wanted = Number(given(inputs, 1).data[0]);
      const along = normalizeAxis({ node: ctx.node, op: spec.name }, wanted, input.shape.length);
      return [scan(input, along, attrs['exclusive'] !== 0, attrs['reverse'] !== 0, spec)];
    },
    cases: () => [
      { inputs: [uniform([2, 3]), i64([], [0])] },
      { note: 'negative axis', inputs: [uniform([2, 3, 2]), i64([], [-2])] },
      { note: 'exclusive', inputs: [uniform([5]), i64([], [0])], attrs: { exclusive: 1 } },
      { note: 'reverse', inputs: [uniform([5]), i64([], [0])], attrs: { reverse: 1 } },
      {
        note: 'both',
        inputs: [uniform([2, 5]), i64([1], [1])],
        attrs: { exclusive: 1, reverse: 1 },
      },
      { note: 'i32', inputs: [tensor('i32', [4], [1, 2, 3, 4]), tensor('i32', [], [0])] },
      { note: 'i64', inputs: [i64([3], [2n ** 60n, 1, -3]), i64([], [0])] },
      { note: 'f16', inputs: [uniform([4], -2, 2, 'f16'), i64([], [0])] },
      { note: 'empty', inputs: [f32([0, 2], []), i64([], [0])] },
    ],
  });
}

/** Runs along the axis once per line, keeping doubles or exact integers. */
function scan(
  input: Tensor,
  along: number,
  exclusive: boolean,
  reverse: boolean,
  spec: ScanSpec,
): Tensor {
  const { dtype, shape } = input;
  const stride = at(stridesOf(shape), along);
  const extent = at(shape, along);
  const count = elementCount(shape);
  const walk = <T>(values: ArrayLike<T>, start: T, combine: (a: T, b: T) => T): T[] => {
    const out = new Array<T>(count).fill(start);
    for (let first = 0; first < count; first++) {
      if (Math.floor(first / stride) % extent !== 0) continue;
      let state = start;
      for (let step = 0; step < extent; step++) {
        const offset = first + stride * (reverse ? extent - 1 - step : step);
        const next = combine(state, values[offset] as T);
        out[offset] = exclusive ? state : next;
        state = next;
      }
    }
    return out;
  };
  if (isInteger(dtype)) {
    const combine = (a: bigint, b: bigint): bigint => (spec.op === 'sum' ? a + b : a * b);
    return fromBigInts(dtype, shape, walk<bigint>(toBigInts(input), BigInt(spec.start), combine));
  }
  const combine = (a: number, b: number): number => (spec.op === 'sum' ? a + b : a * b);
  return fromNumbers(dtype, shape, walk<number>(toNumbers(input), spec.start, combine));
}

export const SCANS: readonly OpDef[] = [
  defineScan({ name: 'CumSum', doc: 'Running sum along an axis.', since: 14, op: 'sum', start: 0 }),
  defineScan({
    name: 'CumProd',
    doc: 'Running product along an axis.',
    since: 26,
    op: 'prod',
    start: 1,
  }),
];
