/** ai.onnx.ml: LabelEncoder and CategoryMapper. Tables between numbers compile; texts are looked up. */
import { at } from 'hone-runtime/base/diagnostics';

import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { lookUpAll } from 'hone-runtime/host/lookup';
import type { Attrs, ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { float, inputType, int, text, textAttr, typeError } from '../checks.ts';
import { defineOp, type OpDef } from '../define-op.ts';
import { collect, elementAt, given } from '../math/loops.ts';
import { f32, i64 } from '../math/samples.ts';
import { floats, ML, numbersOf, strings, tensorAttr, tensorOf, textsOf } from './attributes.ts';

interface Table {
  readonly keys: Tensor;
  readonly values: Tensor;
  readonly otherwise: Tensor;
}

/** A list under one of the names of `what` (keys or values). */
function columnOf(attrs: Attrs, what: 'keys' | 'values'): Tensor | undefined {
  const texts = textsOf(attrs, `${what}_strings`);
  if (texts !== undefined) return { dtype: 'string', shape: [texts.length], data: texts };
  const ints = numbersOf(attrs, `${what}_int64s`);
  if (ints !== undefined) return fromNumbers('i64', [ints.length], ints);
  const list = numbersOf(attrs, `${what}_floats`);
  if (list !== undefined) return fromNumbers('f32', [list.length], list);
  const tensor = tensorOf(attrs, `${what}_tensor`);
  return tensor === undefined ? undefined : { ...tensor, shape: [elementCount(tensor.shape)] };
}

function otherwiseOf(attrs: Attrs, values: Tensor): Tensor {
  const given = tensorOf(attrs, 'default_tensor');
  if (given !== undefined && given.data.length === 1) return { ...given, shape: [1] };
  if (values.dtype === 'string') {
    return { dtype: 'string', shape: [1], data: [textAttr(attrs, 'default_string')] };
  }
  const name = values.dtype === 'f32' || values.dtype === 'f64' ? 'default_float' : 'default_int64';
  return fromNumbers(values.dtype, [1], [attrs[name] as number]);
}

function tableOf(ctx: { readonly node: string; readonly op: string }, attrs: Attrs): Table {
  const keys = columnOf(attrs, 'keys');
  const values = columnOf(attrs, 'values');
  if (keys === undefined || values === undefined || keys.data.length !== values.data.length) {
    return typeError(ctx, 'its keys and values are missing or of different numbers');
  }
  const otherwise = otherwiseOf(attrs, values);
  if (otherwise.dtype !== values.dtype) {
    return typeError(ctx, `its default is ${otherwise.dtype}, its values are ${values.dtype}`);
  }
  return { keys, values, otherwise };
}

/** Tables longer than this would compare every element with every key. */
const MAX_KEYS = 1 << 16;

/** Nodes that find each element among numeric keys and gather its value. */
function lookUpNodes(b: OpBuilder, x: ValueId, table: Table): ValueId | string {
  const { keys, values, otherwise } = table;
  if (keys.dtype === 'string' || values.dtype === 'string') return 'strings have no compiled form';
  const count = keys.data.length;
  if (count > MAX_KEYS) return `a table of ${count} keys is too long to be compiled`;
  const column = b.op('Unsqueeze', [x, b.ints([-1])]);
  const list = b.constant(keys);
  const equal = b.op('Equal', [column, list]);
  const isFloat = keys.dtype === 'f32' || keys.dtype === 'f64';
  const hit = isFloat
    ? b.op('Or', [equal, b.op('And', [b.op('IsNaN', [column]), b.op('IsNaN', [list])])])
    : equal;
  const places = b.constant(
    i64(
      [count],
      Array.from({ length: count }, (_, i) => i + 1),
    ),
  );
  const found = b.op('Where', [hit, places, b.scalar(0, 'i64')]);
  const place = b.op('ReduceMax', [found, b.ints([-1])], { keepdims: 0 });
  const rows = collect({ dtype: values.dtype, shape: [count + 1] }, (i) =>
    i === 0 ? elementAt(otherwise, 0) : elementAt(values, i - 1),
  );
  return b.op('Gather', [b.constant(rows), place]);
}

const labelEncoder = defineOp({
  kind: 'composite',
  name: 'LabelEncoder',
  domain: ML,
  doc: 'The value of each element in a table of keys and values, or a default.',
  since: 4,
  attrs: {
    classes_strings: strings,
    default_float: float(-0),
    default_int64: int(-1),
    default_string: text('_Unused'),
    default_tensor: tensorAttr,
    keys_floats: floats,
    keys_int64s: { type: 'ints' },
    keys_strings: strings,
    keys_tensor: tensorAttr,
    values_floats: floats,
    values_int64s: { type: 'ints' },
    values_strings: strings,
    values_tensor: tensorAttr,
  },
  // Version 1 had class names, numbered in order; which way round depends on the input.
  upgrade(b, { inputs, attrs }) {
    const classes = textsOf(attrs, 'classes_strings');
    const [x] = inputs;
    if (classes === undefined || x == null) return { inputs, attrs };
    const { classes_strings: _gone, ...others } = attrs;
    const numbers = classes.map((_, i) => i);
    return b.typeOf(x).dtype === 'string'
      ? { inputs, attrs: { ...others, keys_strings: classes, values_int64s: numbers } }
      : { inputs, attrs: { ...others, keys_int64s: numbers, values_strings: classes } };
  },
  infer(ctx) {
    const { dtype, shape } = inputType(ctx, 0);
    const { keys, values } = tableOf(ctx, ctx.attrs);
    if (keys.dtype !== dtype) typeError(ctx, `its keys are ${keys.dtype}, the input is ${dtype}`);
    return [{ dtype: values.dtype, shape }];
  },
  hostCall: (ctx) => ({ routine: 'look_up', attrs: { ...tableOf(ctx, ctx.attrs) } }),
  decompose(b, inputs, ctx) {
    const made = lookUpNodes(b, at(inputs, 0) as ValueId, tableOf(ctx, ctx.attrs));
    return typeof made === 'string' ? made : [made];
  },
  reference(inputs, attrs, ctx) {
    const table = tableOf({ node: ctx.node, op: 'LabelEncoder' }, attrs);
    return [lookUpAll(given(inputs, 0), table.keys, table.values, table.otherwise)];
  },
  cases: () => [
    {
      inputs: [i64([2, 2], [3, 7, 4, 3])],
      attrs: { keys_int64s: [3, 7], values_floats: [0.5, -2], default_float: 9 },
    },
    {
      note: 'NaN is a key',
      inputs: [f32([3], [Number.NaN, 1, 2])],
      attrs: { keys_floats: [1, Number.NaN], values_int64s: [10, 20] },
    },
    {
      note: 'tensors',
      inputs: [f32([3], [1, 2, 3])],
      attrs: {
        keys_tensor: f32([2], [1, 2]),
        values_tensor: f32([2], [5, 6]),
        default_tensor: f32([1], [7]),
      },
    },
    {
      note: 'texts to integers',
      inputs: [{ dtype: 'string', shape: [3], data: ['a', 'b', 'c'] }],
      attrs: { keys_strings: ['b', 'a'], values_int64s: [1, 2] },
    },
    {
      note: 'integers to texts',
      inputs: [i64([3], [0, 1, 2])],
      attrs: { keys_int64s: [0, 1], values_strings: ['no', 'yes'] },
    },
  ],
});

const categoryMapper = defineOp({
  kind: 'composite',
  name: 'CategoryMapper',
  domain: ML,
  doc: 'Category names to numbers, or numbers to names.',
  since: 1,
  attrs: {
    cats_int64s: { type: 'ints' },
    cats_strings: strings,
    default_int64: int(-1),
    default_string: text('_Unused'),
  },
  infer(ctx) {
    const { dtype, shape } = inputType(ctx, 0);
    return [{ dtype: dtype === 'string' ? 'i64' : 'string', shape }];
  },
  decompose: (b, inputs, ctx) => [
    b.op('LabelEncoder', [at(inputs, 0)], mapperTable(ctx.attrs, inputType(ctx, 0).dtype), {
      domain: ML,
    }),
  ],
  reference(inputs, attrs, ctx) {
    const x = given(inputs, 0);
    const table = tableOf(
      { node: ctx.node, op: 'CategoryMapper' },
      { ...attrs, ...mapperTable(attrs, x.dtype) },
    );
    return [lookUpAll(x, table.keys, table.values, table.otherwise)];
  },
  cases: () => [
    {
      inputs: [{ dtype: 'string', shape: [2], data: ['x', '?'] }],
      attrs: { cats_strings: ['x', 'y'], cats_int64s: [4, 5] },
    },
    {
      note: 'to names',
      inputs: [i64([2], [5, 1])],
      attrs: { cats_strings: ['x', 'y'], cats_int64s: [4, 5] },
    },
  ],
});

function mapperTable(attrs: Attrs, dtype: string): Attrs {
  const names = textsOf(attrs, 'cats_strings') ?? [];
  const numbers = numbersOf(attrs, 'cats_int64s') ?? [];
  return dtype === 'string'
    ? { keys_strings: names, values_int64s: numbers, default_int64: attrs['default_int64'] ?? -1 }
    : {
        keys_int64s: numbers,
        values_strings: names,
        default_string: attrs['default_string'] ?? '_Unused',
      };
}

export const ENCODERS: readonly OpDef[] = [labelEncoder, categoryMapper];
