/** Random tensors; how their numbers are made is in `draws.ts`. */
import { at } from 'hone-runtime/base/diagnostics';
import { type DType, dtypeFromCode } from 'hone-runtime/base/dtype';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { cast } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { Attrs, ValueType } from '../../graph/types.ts';
import {
  float,
  inputType,
  int,
  intAttr,
  intsAttr,
  requireDType,
  shapeError,
  typeError,
} from '../checks.ts';
import {
  type AttrSpec,
  type CoreOp,
  defineOp,
  type InferContext,
  type OpDef,
} from '../define-op.ts';
import { mapBody, outAxes } from '../lower.ts';
import { checkedShape } from '../tensor/bodies.ts';
import {
  checkDraws,
  drawExprs,
  drawNumbers,
  DRAWS,
  positionExpr,
  SECOND_STREAM,
  seedOf,
  uniformAt,
  uniformExpr,
} from './draws.ts';
import { FLOATS } from './dtypes.ts';
import { given, outputOf } from './loops.ts';
import { f32, uniform } from './samples.ts';
import { add, call, loadInput, lt, mul, sub } from './scalar.ts';

interface Distribution {
  readonly attrs: Readonly<Record<string, AttrSpec>>;
  readonly value: (attrs: Attrs, first: number, second: number) => number;
  readonly expr: (attrs: Attrs, first: Expr, second: Expr) => Expr;
}

const num = (attrs: Attrs, name: string): number => attrs[name] as number;

const UNIFORM: Distribution = {
  attrs: { high: float(1), low: float(0) },
  value: (attrs, u) => num(attrs, 'low') + u * (num(attrs, 'high') - num(attrs, 'low')),
  expr: (attrs, u) => add(mul(u, num(attrs, 'high') - num(attrs, 'low')), num(attrs, 'low')),
};

/** Box and Muller's: a radius from one number, an angle from another. */
const NORMAL: Distribution = {
  attrs: { mean: float(0), scale: float(1) },
  value: (attrs, u, v) => {
    const radius = Math.sqrt(-2 * Math.log(1 - u));
    return num(attrs, 'mean') + num(attrs, 'scale') * radius * Math.cos(2 * Math.PI * v);
  },
  expr: (attrs, u, v) => {
    const radius = call('sqrt', mul(call('log', sub(1, u)), -2));
    const wave = mul(radius, call('cos', mul(v, 2 * Math.PI)));
    return add(mul(wave, num(attrs, 'scale')), num(attrs, 'mean'));
  },
};

function floatType(ctx: InferContext, otherwise: DType): DType {
  const code = ctx.attrs['dtype'];
  const dtype = typeof code === 'number' && code !== 0 ? dtypeFromCode(code) : otherwise;
  if (dtype === undefined) return typeError(ctx, `it makes ONNX data type ${String(code)}`);
  requireDType(ctx, { dtype, shape: [] }, FLOATS, 'the output');
  return dtype;
}

function shapeOf(ctx: InferContext): readonly number[] {
  return checkedShape(ctx, intsAttr(ctx.attrs, 'shape') ?? shapeError(ctx, 'it has no shape'));
}

function defineRandom(
  name: string,
  doc: string,
  d: Distribution,
  type: (ctx: InferContext) => ValueType,
  more: Readonly<Record<string, AttrSpec>>,
  examples: ReturnType<typeof uniform>[],
): CoreOp {
  return defineOp({
    kind: 'core',
    name,
    doc,
    since: 22,
    attrs: { ...d.attrs, ...DRAWS, ...more },
    infer: (ctx) => {
      checkDraws(ctx);
      return [type(ctx)];
    },
    lower(ctx) {
      const { dtype, shape } = at(ctx.outputs, 0);
      const seed = seedOf(ctx.attrs, ctx.node);
      const [position, draws] = [positionExpr(shape), drawExprs(ctx)];
      const [u, v] = [seed, (seed ^ SECOND_STREAM) >>> 0].map((s) =>
        uniformExpr(s, position, draws),
      );
      return [mapBody(shape, cast(dtype, d.expr(ctx.attrs, u as Expr, v as Expr)))];
    },
    reference(inputs, attrs, ctx) {
      const { dtype, shape } = outputOf(ctx);
      const [seed, draws] = [seedOf(attrs, ctx.node), drawNumbers(name, inputs)];
      const second = (seed ^ SECOND_STREAM) >>> 0;
      const values = Float64Array.from({ length: elementCount(shape) }, (_, i) =>
        d.value(attrs, uniformAt(seed, i, draws), uniformAt(second, i, draws)),
      );
      return [fromNumbers(dtype, shape, values)];
    },
    // What is near zero is a difference of larger numbers.
    tolerance: { f32: { relative: 1e-5, absolute: 1e-5 }, f16: { relative: 2e-3, absolute: 2e-3 } },
    cases: () => {
      const shape = examples.length === 0 ? { shape: [3, 5] } : {};
      const inputs = examples;
      const drawn = [...examples, count(3), count(41)];
      return [
        { inputs, attrs: { ...shape, seed: 3 } },
        { note: 'another seed', inputs, attrs: { ...shape, seed: 0 } },
        { note: 'f16', inputs, attrs: { ...shape, dtype: 10, seed: 7 } },
        { note: 'in two loops', inputs: drawn, attrs: { ...shape, seed: 3, loops: 2 } },
      ];
    },
  });
}

const count = (value: number): Tensor => fromNumbers('i64', [], [value]);

const SHAPE: Readonly<Record<string, AttrSpec>> = {
  dtype: int(1),
  shape: { type: 'ints', required: true },
};
const LIKE: Readonly<Record<string, AttrSpec>> = { dtype: { type: 'int' } };
const given32 = (ctx: InferContext): ValueType => ({
  dtype: floatType(ctx, 'f32'),
  shape: shapeOf(ctx),
});

/** The dtype of the input where that is a float, else f32. */
const like = (ctx: InferContext): ValueType => {
  const { dtype, shape } = inputType(ctx, 0);
  return { dtype: floatType(ctx, FLOATS.includes(dtype) ? dtype : 'f32'), shape };
};

const bernoulli = defineOp({
  kind: 'core',
  name: 'Bernoulli',
  doc: '1 with the probability that each element states, else 0.',
  since: 22,
  attrs: { dtype: { type: 'int' }, ...DRAWS },
  infer(ctx) {
    const { dtype, shape } = inputType(ctx, 0);
    requireDType(ctx, { dtype, shape }, FLOATS);
    checkDraws(ctx);
    const code = ctx.attrs['dtype'];
    const wanted = typeof code === 'number' && code !== 0 ? dtypeFromCode(code) : dtype;
    if (wanted === undefined || wanted === 'string') {
      return typeError(ctx, `it makes ONNX data type ${String(code)}`);
    }
    return [{ dtype: wanted, shape }];
  },
  lower(ctx) {
    const { dtype, shape } = at(ctx.outputs, 0);
    const seed = seedOf(ctx.attrs, ctx.node);
    const u = uniformExpr(seed, positionExpr(shape), drawExprs(ctx));
    const p = cast('f32', loadInput(ctx, 0, outAxes(shape.length)));
    return [mapBody(shape, cast(dtype, lt(u, p)))];
  },
  reference(inputs, attrs, ctx) {
    const { dtype, shape } = outputOf(ctx);
    const [seed, draws] = [seedOf(attrs, ctx.node), drawNumbers('Bernoulli', inputs)];
    const hits = toNumbers(given(inputs, 0)).map((p, i) =>
      uniformAt(seed, i, draws) < Math.fround(p) ? 1 : 0,
    );
    return [fromNumbers(dtype, shape, hits)];
  },
  cases: () => [
    { inputs: [uniform([4, 5], 0, 1)], attrs: { seed: 1 } },
    { note: 'as i32', inputs: [f32([3], [0, 1, 0.5])], attrs: { dtype: 6, seed: 9 } },
    {
      note: 'in a loop',
      inputs: [uniform([4, 5], 0, 1), count(2)],
      attrs: { seed: 1, loops: 1 },
    },
  ],
});

const multinomial = defineOp({
  kind: 'composite',
  name: 'Multinomial',
  doc: 'Classes drawn by unnormalised log-probabilities.',
  since: 22,
  attrs: { dtype: int(6), sample_size: int(1), ...DRAWS },
  infer(ctx) {
    const { dtype, shape } = inputType(ctx, 0);
    requireDType(ctx, { dtype, shape }, FLOATS);
    checkDraws(ctx);
    if (shape.length !== 2) shapeError(ctx, `it takes [batch, classes], not [${shape.join(',')}]`);
    const wanted = dtypeFromCode(intAttr(ctx.attrs, 'dtype'));
    if (wanted !== 'i32' && wanted !== 'i64') typeError(ctx, 'it makes i32 or i64');
    return [{ dtype: wanted, shape: [at(shape, 0), intAttr(ctx.attrs, 'sample_size')] }];
  },
  decompose(b, inputs, ctx) {
    const x = at(inputs, 0);
    const { shape } = at(ctx.outputs, 0);
    const wide = b.op('Cast', [x], { to: 1 });
    const sums = b.op('CumSum', [b.op('Softmax', [wide], { axis: 1 }), b.scalar(1, 'i64')]);
    // The last class takes what rounding leaves: its bound is never reached.
    const classes = at(inputType(ctx, 0).shape, 1);
    const bounds = b.op('Slice', [sums, b.ints([0]), b.ints([classes - 1]), b.ints([1])]);
    const { seed, stream, loops } = ctx.attrs;
    const own = {
      ...(seed === undefined ? {} : { seed }),
      ...(stream === undefined ? {} : { stream }),
      ...(loops === undefined ? {} : { loops }),
    };
    const draws = inputs.slice(1);
    const drawn = b.op('RandomUniform', draws, { shape, ...own }, { name: ctx.node });
    const passed = b.op('LessOrEqual', [
      b.op('Unsqueeze', [bounds, b.ints([1])]),
      b.op('Unsqueeze', [drawn, b.ints([2])]),
    ]);
    const to = intAttr(ctx.attrs, 'dtype');
    return [b.op('ReduceSum', [b.op('Cast', [passed], { to }), b.ints([2])], { keepdims: 0 })];
  },
  reference(inputs, attrs, ctx) {
    const x = given(inputs, 0);
    const [, classes = 1] = x.shape;
    const { dtype, shape } = outputOf(ctx);
    const values = toNumbers(x);
    const [seed, draws] = [seedOf(attrs, ctx.node), drawNumbers('Multinomial', inputs)];
    const samples = at(shape, 1);
    const picks = Float64Array.from({ length: elementCount(shape) }, (_, i) => {
      const row = values.subarray(Math.floor(i / samples) * classes).subarray(0, classes);
      const most = Math.max(...row);
      const powers = Array.from(row, (value) => Math.exp(value - most));
      const total = powers.reduce((sum, power) => sum + power, 0);
      let [left, pick] = [uniformAt(seed, i, draws) * total, 0];
      while (pick < classes - 1 && left >= (powers[pick] as number))
        left -= powers[pick++] as number;
      return pick;
    });
    return [fromNumbers(dtype, shape, picks)];
  },
  cases: () => [
    { inputs: [f32([2, 3], [0, 1, -1, 2, 0, 0])], attrs: { sample_size: 7, seed: 5 } },
    { note: 'i64', inputs: [f32([1, 2], [-50, 50])], attrs: { sample_size: 3, dtype: 7, seed: 1 } },
    {
      note: 'in a loop',
      inputs: [f32([2, 3], [0, 1, -1, 2, 0, 0]), count(8)],
      attrs: { sample_size: 7, seed: 5, loops: 1 },
    },
  ],
});

export const RANDOM: readonly OpDef[] = [
  bernoulli,
  multinomial,
  defineRandom('RandomNormal', 'Normally distributed numbers.', NORMAL, given32, SHAPE, []),
  defineRandom(
    'RandomNormalLike',
    'Normally distributed, in the shape of the input.',
    NORMAL,
    like,
    LIKE,
    [uniform([3, 4])],
  ),
  defineRandom(
    'RandomUniform',
    'Numbers evenly distributed in [low, high).',
    UNIFORM,
    given32,
    SHAPE,
    [],
  ),
  defineRandom(
    'RandomUniformLike',
    'Evenly distributed, in the shape of the input.',
    UNIFORM,
    like,
    LIKE,
    [uniform([3, 4])],
  ),
];
