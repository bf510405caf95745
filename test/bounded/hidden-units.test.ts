/**
 * Recurrent layers of as many hidden units as data says, which onnxruntime does not take: the interpreter, and
 * compiled code on poisoned memory, give what the operator's reference gives at the exact size.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileGraph } from 'hone/compile/index';
import { importOnnx, readOnnx } from 'hone/frontends/onnx/index';
import type { Graph } from 'hone/graph/types';
import { interpret } from 'hone/ops/interpret';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { memorySource } from 'hone-runtime/base/io';
import {
  elementCount,
  fromNumbers,
  stridesOf,
  type Tensor,
  toNumbers,
} from 'hone-runtime/base/tensor';
import { rawModel } from '../onnx/raw-model.ts';
import { mergedLibrary } from '../support/merged-library.ts';
import { noise } from './cases.ts';
import { check } from './peer.ts';
import { type Cut, cut, int, type Spec, text, wide } from './wide-cases.ts';

const N = 4;

/** Gates of `N` units each along an axis, cut to as many units as there are. */
const gates = (shape: readonly number[], axis: number, count: number, ...open: number[]): Cut => ({
  ...{ shape, open: [axis, ...open], times: { [axis]: count } },
});

interface Layer {
  readonly op: string;
  readonly note: string;
  readonly spec: Spec;
}

/** Every input whose size follows the hidden units. */
function hiddenUnits(op: string, count: number, direction: string, attrs = {}): Layer {
  const lines = direction === 'bidirectional' ? 2 : 1;
  const hasCell = op === 'LSTM';
  const state = cut([lines, 2, N], 2);
  const dtypes: readonly Tensor['dtype'][] = ['f32', 'f32', 'f32'];
  const inputs = [
    noise([5, 2, 3], 120),
    gates([lines, count * N, 3], 1, count),
    gates([lines, count * N, N], 1, count, 2),
    gates([lines, 2 * count * N], 1, 2 * count),
    fromNumbers('i32', [2], [5, 3]),
    ...(hasCell ? [state, state, gates([lines, 3 * N], 1, 3)] : [state]),
  ];
  const outputs = dtypes.slice(0, hasCell ? 3 : 2);
  const spec = { inputs, attrs: { ...attrs, direction: text(direction) }, outputs };
  return { op, note: direction, spec };
}

/** Steps, features and hidden units at once. */
const square = (op: string, count: number): Layer => ({
  op,
  note: 'as many steps and features',
  spec: {
    inputs: [
      cut([N, 2, N], 0, 2),
      gates([1, count * N, N], 1, count, 2),
      gates([1, count * N, N], 1, count, 2),
    ],
    outputs: ['f32', 'f32'],
  },
});

const bytes = { dtype: 'u8', below: 200 } as const;

const quantised = (note: string, perRow: boolean): Layer => ({
  op: 'DynamicQuantizeLSTM',
  note,
  spec: {
    domain: 'com.microsoft',
    inputs: [
      cut([5, 2, N], 2),
      { ...gates([1, N, 4 * N], 2, 4, 1), ...bytes },
      { ...gates([1, N, 4 * N], 2, 4, 1), ...bytes },
      gates([1, 8 * N], 1, 8),
      ...[null, null, null, null],
      ...(perRow
        ? [gates([1, 4 * N], 1, 4), { ...gates([1, 4 * N], 1, 4), ...bytes }]
        : [fromNumbers('f32', [1], [0.01]), fromNumbers('u8', [1], [99])]),
      ...(perRow
        ? [gates([1, 4 * N], 1, 4), null]
        : [fromNumbers('f32', [1], [0.02]), fromNumbers('u8', [1], [101])]),
    ],
    outputs: ['f32', 'f32', 'f32'],
  },
});

const MANY = { activations: { texts: ['Affine', 'Softplus', 'Elu'] } };

const LAYERS: readonly Layer[] = [
  ...(
    [
      ['RNN', 1],
      ['GRU', 3],
      ['LSTM', 4],
    ] as const
  ).flatMap(([op, count]) => [
    ...['forward', 'reverse', 'bidirectional'].map((way) => hiddenUnits(op, count, way)),
    square(op, count),
  ]),
  hiddenUnits('GRU', 3, 'bidirectional', { linear_before_reset: int(1) }),
  hiddenUnits('LSTM', 4, 'bidirectional', { input_forget: int(1) }),
  hiddenUnits('LSTM', 4, 'forward', { ...MANY, activation_beta: { floats: [1] } }),
  quantised('one scale', false),
  quantised('a scale for each row', true),
];

const graphOf = (bytes_: Uint8Array): Graph =>
  importOnnx(readOnnx(memorySource(bytes_, 'layer.onnx'))).graph;

/** The operator alone, on what is meant of a run's inputs. */
function exactly({ op, spec }: Layer, [flags, ...cuts]: readonly Tensor[]): readonly Tensor[] {
  const length = toNumbers(flags as Tensor).reduce((sum, flag) => sum + flag, 0);
  const tensors = spec.inputs.map((input): Tensor | null => {
    if (input === null || !('open' in input)) return input;
    const whole = cuts.shift() as Tensor;
    const shape = whole.shape.map((extent, axis) =>
      input.open.includes(axis) ? length * (input.times?.[axis] ?? 1) : extent,
    );
    return begin(whole, shape);
  });
  const dtypes = spec.outputs ?? ['f32'];
  const names = tensors.map((tensor, k) => (tensor === null ? '' : `x${k}`));
  const { domain, attrs = {} } = spec;
  const outputs = dtypes.map((_, k) => `y${k}`);
  const graph = graphOf(
    rawModel({
      opset: 18,
      ...(domain === undefined ? {} : { domains: { [domain]: 1 } }),
      inputs: tensors.flatMap((tensor, k) =>
        tensor === null ? [] : [{ name: `x${k}`, dtype: tensor.dtype, shape: tensor.shape }],
      ),
      outputs: outputs.map((name, k) => ({ name, dtype: dtypes[k] ?? 'f32' })),
      nodes: [{ op, inputs: names, outputs, attrs, ...(domain === undefined ? {} : { domain }) }],
    }),
  );
  const present = tensors.flatMap((tensor) => tensor ?? []);
  return interpret(graph, present);
}

function begin(x: Tensor, shape: readonly number[]): Tensor {
  const [from, to] = [stridesOf(x.shape), stridesOf(shape)];
  const values = toNumbers(x);
  const places = Array.from({ length: elementCount(shape) }, (_, p) =>
    shape.reduce(
      (sum, extent, axis) => sum + (Math.floor(p / (to[axis] ?? 1)) % extent) * (from[axis] ?? 1),
      0,
    ),
  );
  return fromNumbers(
    x.dtype,
    shape,
    places.map((p) => values[p] ?? 0),
  );
}

const opened = LAYERS.map((layer) => {
  const { model, runs } = wide(layer.op, layer.note, N, layer.spec);
  const wanted = runs.map((run) => exactly(layer, run));
  return { name: `${layer.op}, ${layer.note}`, graph: graphOf(rawModel(model)), runs, wanted };
});

test('interpreted: as at the exact size', () => {
  for (const { name, graph, runs, wanted } of opened) {
    runs.forEach((inputs, run) => {
      check(`${name}, run ${run}`, interpret(graph, inputs), wanted[run] ?? []);
    });
  }
});

test('compiled: the same on poisoned memory', async () => {
  const library = await mergedLibrary(
    opened.map(({ graph }) => compileGraph(graph)),
    { quick: true },
  );
  try {
    for (const run of [0, 1, 2, 3]) {
      const results = library.run(
        opened.map(({ runs }) => runs[run] ?? []),
        { threads: 2, poison: true },
      );
      results.forEach(({ outputs, damage }, g) => {
        const { name, wanted } = opened[g] as (typeof opened)[number];
        assert.equal(damage, undefined, name);
        check(`${name}, run ${run}`, outputs, wanted[run] ?? []);
      });
    }
  } finally {
    library.close();
  }
});

test('an Affine far from 0 is refused: units that are not meant would grow without end', () => {
  const { spec } = hiddenUnits('LSTM', 4, 'forward', {
    ...MANY,
    activation_beta: { floats: [2] },
  });
  assert.throws(
    () => graphOf(rawModel(wide('LSTM', 'far', N, spec).model)),
    (error) => error instanceof HoneError && error.code === 'HONE-SHAPE-002',
  );
});
