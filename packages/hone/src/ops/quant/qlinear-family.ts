/**
 * com.microsoft's quantised operators on 8-bit tensors, as ONNX Runtime's quantiser writes them in
 * its operator format: each is a float operator between dequantised operands and a quantised result.
 */
import { at, invariant } from 'hone-runtime/base/diagnostics';
import type { Attrs } from '../../graph/types.ts';
import { float, inputType, int, intAttr, ints, shapeError } from '../checks.ts';
import {
  type AttrSpec,
  defineOp,
  type InferContext,
  type OpDef,
  type TestCase,
} from '../define-op.ts';
import { ACTIVATIONS } from '../math/activations.ts';
import { ARITHMETIC } from '../math/arithmetic.ts';
import { given, outputOf } from '../math/loops.ts';
import { REDUCTIONS } from '../math/reduce.ts';
import { bools, f32, tensor } from '../math/samples.ts';
import { SELECTION } from '../math/select.ts';
import { UNARY_OPERATORS } from '../math/unary.ts';
import { GLOBAL_POOLS } from '../nn/global-pool.ts';
import { averagePool } from '../nn/pool.ts';
import { sample } from '../nn/samples.ts';
import { Concat } from '../tensor/concat.ts';
import {
  checkParameters,
  checkTriple,
  dequantizeNode,
  quantizeNode,
  realOf,
  realResult,
  realType,
  stepsOf,
  type Triple,
  tripleFrom,
} from './real-form.ts';

function named(list: readonly OpDef[], name: string): OpDef {
  const found = list.find((op) => op.name === name);
  invariant(found !== undefined, `no operator ${name}`);
  return found;
}

interface Spec {
  readonly name: string;
  readonly doc: string;
  readonly attrs?: Readonly<Record<string, AttrSpec>>;
  /** The float operator. */
  readonly real: OpDef;
  readonly realAttrs?: (attrs: Attrs) => Attrs;
  /** Quantised operands; `count` is the number of inputs. */
  readonly operands: (count: number) => readonly Triple[];
  /** An input in front that is not quantised. */
  readonly plain?: number;
  /** Scale and zero point of the result. */
  readonly result: (count: number) => { readonly scale: number; readonly zero: number };
  readonly check?: (ctx: InferContext) => void;
  readonly cases: () => readonly TestCase[];
}

function defineQLinear(spec: Spec): OpDef {
  const { real, realAttrs = (attrs: Attrs): Attrs => attrs } = spec;
  return defineOp({
    kind: 'composite',
    name: spec.name,
    domain: 'com.microsoft',
    doc: spec.doc,
    since: 1,
    attrs: spec.attrs ?? {},
    infer: (ctx) => {
      spec.check?.(ctx);
      const count = ctx.inputs.length;
      const types = spec.operands(count).map((triple) => checkTriple(ctx, triple));
      const { dtype } = at(types, 0);
      const { scale, zero } = spec.result(count);
      checkParameters(ctx, dtype, scale, zero);
      const shapes = types.map((type) => type.shape);
      if (spec.plain === undefined) {
        return [{ dtype, shape: realType(ctx, real, realAttrs(ctx.attrs), shapes).shape }];
      }
      const first = { type: inputType(ctx, spec.plain), constant: null };
      const rest = shapes.map((shape) => ({
        type: { dtype: 'f32', shape } as const,
        constant: null,
      }));
      const [type] = real.infer({ ...ctx, inputs: [first, ...rest], attrs: {} });
      return [{ dtype, shape: type?.shape ?? [] }];
    },
    decompose: (b, inputs, ctx) => {
      const count = inputs.length;
      const operands = spec.operands(count).map((triple) => dequantizeNode(b, inputs, triple));
      const first = spec.plain === undefined ? [] : [inputs[spec.plain] ?? null];
      const value = b.op(real.name, [...first, ...operands], realAttrs(ctx.attrs));
      const { scale, zero } = spec.result(count);
      return [quantizeNode(b, inputs, value, scale, zero, at(ctx.outputs, 0).dtype)];
    },
    reference: (inputs, attrs, ctx) => {
      const count = inputs.length;
      const operands = spec.operands(count).map((triple) => realOf(inputs, triple));
      const first = spec.plain === undefined ? [] : [given(inputs, spec.plain)];
      const { dtype, shape } = outputOf(ctx);
      const value = realResult(real, realAttrs(attrs), [...first, ...operands], shape, ctx);
      const { scale, zero } = spec.result(count);
      return [stepsOf(inputs, value, scale, zero, dtype)];
    },
    cases: spec.cases,
  });
}

const bytes = sample([2, 3, 4], 1, 'u8');
const signed = sample([2, 3, 4], 2, 'i8');
const scale = (value: number) => f32([], [value]);
const zeroU8 = (value: number) => tensor('u8', [], [value]);
const zeroI8 = (value: number) => tensor('i8', [], [value]);

const unaryCases = (attrs: Attrs = {}): readonly TestCase[] => [
  { note: 'u8', attrs, inputs: [bytes, scale(0.0625), zeroU8(9), scale(0.03125), zeroU8(3)] },
  { note: 'i8', attrs, inputs: [signed, scale(0.125), zeroI8(-9), scale(0.0625), zeroI8(-30)] },
  { note: 'no zero points', attrs, inputs: [signed, scale(0.125), null, scale(0.25)] },
];

function unary(name: string, real: OpDef, doc: string, attrs: Spec['attrs'] = {}): OpDef {
  return defineQLinear({
    name,
    doc,
    attrs,
    real,
    operands: () => [tripleFrom(0)],
    result: () => ({ scale: 3, zero: 4 }),
    cases: () => unaryCases(),
  });
}

function binary(name: string, real: OpDef, doc: string): OpDef {
  const other = sample([3, 1], 3, 'u8');
  return defineQLinear({
    name,
    doc,
    real,
    operands: () => [tripleFrom(0), tripleFrom(3)],
    result: () => ({ scale: 6, zero: 7 }),
    cases: () => [
      {
        note: 'broadcast',
        inputs: [bytes, scale(0.5), zeroU8(7), other, scale(0.25), zeroU8(5), scale(2), zeroU8(1)],
      },
      {
        note: 'i8, no zero points',
        inputs: [signed, scale(0.5), null, signed, scale(0.25), null, scale(4)],
      },
    ],
  });
}

/** Attributes of a pool of images whose channels come first; the other order is refused. */
function channelsFirst(ctx: InferContext): void {
  if (intAttr(ctx.attrs, 'channels_last') !== 0) shapeError(ctx, 'channels_last is not supported');
}

const withoutLayout = ({ channels_last: _, ...attrs }: Attrs): Attrs => attrs;

const image = sample([1, 2, 4, 4], 1, 'u8');
const poolInputs = [image, scale(0.5), zeroU8(7), scale(0.25), zeroU8(2)];

export const QLINEAR_FAMILY: readonly OpDef[] = [
  binary('QLinearAdd', named(ARITHMETIC, 'Add'), 'Sum of quantised tensors, quantised again.'),
  binary('QLinearMul', named(ARITHMETIC, 'Mul'), 'Product of quantised tensors, quantised again.'),
  unary(
    'QLinearSigmoid',
    named(UNARY_OPERATORS, 'Sigmoid'),
    'Sigmoid of a quantised tensor, quantised again.',
  ),
  unary(
    'QLinearLeakyRelu',
    named(ACTIVATIONS, 'LeakyRelu'),
    'LeakyRelu of a quantised tensor, quantised again.',
    { alpha: float(0.01) },
  ),
  defineQLinear({
    name: 'QLinearAveragePool',
    doc: 'AveragePool of a quantised image, quantised again.',
    attrs: { ...averagePool.attrs, channels_last: int(0) },
    real: averagePool,
    realAttrs: withoutLayout,
    operands: () => [tripleFrom(0)],
    result: () => ({ scale: 3, zero: 4 }),
    check: channelsFirst,
    cases: () => [
      { attrs: { kernel_shape: [2, 2], strides: [2, 2] }, inputs: poolInputs },
      { note: 'padded', attrs: { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }, inputs: poolInputs },
    ],
  }),
  defineQLinear({
    name: 'QLinearGlobalAveragePool',
    doc: 'GlobalAveragePool of a quantised image, quantised again.',
    attrs: { channels_last: int(0) },
    real: named(GLOBAL_POOLS, 'GlobalAveragePool'),
    realAttrs: () => ({}),
    operands: () => [tripleFrom(0)],
    result: () => ({ scale: 3, zero: 4 }),
    check: channelsFirst,
    cases: () => [{ inputs: poolInputs }],
  }),
  defineQLinear({
    name: 'QLinearConcat',
    doc: 'Joins quantised tensors of different scales along an axis.',
    attrs: { axis: int(0) },
    real: Concat,
    operands: (count) =>
      Array.from({ length: Math.floor((count - 2) / 3) }, (_, k) => tripleFrom(2 + 3 * k)),
    result: () => ({ scale: 0, zero: 1 }),
    cases: () => [
      {
        attrs: { axis: 1 },
        inputs: [
          scale(0.5),
          zeroU8(3),
          bytes,
          scale(0.5),
          zeroU8(3),
          bytes,
          scale(0.25),
          zeroU8(9),
        ],
      },
    ],
  }),
  defineQLinear({
    name: 'QLinearWhere',
    doc: 'Elements of one quantised tensor or another by a condition, quantised again.',
    real: named(SELECTION, 'Where'),
    plain: 0,
    operands: () => [tripleFrom(1), tripleFrom(4)],
    result: () => ({ scale: 7, zero: 8 }),
    cases: () => [
      {
        inputs: [
          bools([4], [1, 0, 0, 1]),
          ...[bytes, scale(0.5), zeroU8(3)],
          ...[bytes, scale(0.25), zeroU8(9)],
          ...[scale(0.5), zeroU8(3)],
        ],
      },
    ],
  }),
  defineOp({
    kind: 'composite',
    name: 'QLinearReduceMean',
    domain: 'com.microsoft',
    doc: 'Mean of a quantised tensor over axes, quantised again.',
    since: 1,
    attrs: { axes: ints([]), keepdims: int(1) },
    infer: (ctx) => {
      const { dtype, shape } = checkTriple(ctx, tripleFrom(0));
      checkParameters(ctx, dtype, 3, 4);
      const axes = axesOf(ctx.attrs, shape.length);
      const keep = intAttr(ctx.attrs, 'keepdims') !== 0;
      return [
        {
          dtype,
          shape: shape.flatMap((n, i) => (axes.includes(i) ? (keep ? [1] : []) : [n])),
        },
      ];
    },
    decompose: (b, inputs, ctx) => {
      const axes = b.ints(axesOf(ctx.attrs, inputType(ctx, 0).shape.length));
      const x = dequantizeNode(b, inputs, tripleFrom(0));
      const keepdims = intAttr(ctx.attrs, 'keepdims');
      const mean = b.op('ReduceMean', [x, axes], { keepdims });
      return [quantizeNode(b, inputs, mean, 3, 4, at(ctx.outputs, 0).dtype)];
    },
    reference: (inputs, attrs, ctx) => {
      const x = realOf(inputs, tripleFrom(0));
      const list = axesOf(attrs, x.shape.length);
      const axes = tensor('i64', [list.length], list);
      const { dtype, shape } = outputOf(ctx);
      const { axes: _, ...rest } = attrs;
      const mean = named(REDUCTIONS, 'ReduceMean');
      const value = realResult(mean, rest, [x, axes], shape, ctx);
      return [stepsOf(inputs, value, 3, 4, dtype)];
    },
    cases: () => [
      {
        attrs: { axes: [2] },
        inputs: [bytes, scale(0.5), zeroU8(7), scale(0.25), zeroU8(2)],
      },
      {
        note: 'all axes',
        attrs: { keepdims: 0 },
        inputs: [bytes, scale(0.5), zeroU8(7), scale(0.25), zeroU8(2)],
      },
    ],
  }),
];

function axesOf(attrs: Attrs, rank: number): number[] {
  const given = [...((attrs['axes'] as readonly number[] | undefined) ?? [])];
  if (given.length === 0) return Array.from({ length: rank }, (_, i) => i);
  return given.map((axis) => (axis < 0 ? axis + rank : axis));
}
