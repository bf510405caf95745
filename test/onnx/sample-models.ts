/** Small models that exercise every part of the format; the corpus of the byte fuzzer. */
import { fromNumbers } from 'hone-runtime/base/tensor';
import { external, rawModel, rawTensor } from './raw-model.ts';

const i64 = (...values: number[]) => fromNumbers('i64', [values.length], values);

/** A convolution and a dense layer behind shape arithmetic; the batch is open. */
export function classifier(): Uint8Array {
  const weights = Float32Array.from({ length: 4 * 3 * 3 * 3 }, (_, i) => Math.sin(i));
  return rawModel({
    inputs: [{ name: 'x', shape: ['N', 3, 8, 8] }],
    outputs: [{ name: 'y', shape: ['N', 2] }],
    initializers: {
      w: fromNumbers('f32', [4, 3, 3, 3], weights),
      b: fromNumbers('f32', [4], [0.1, 0.2, 0.3, 0.4]),
      dense: fromNumbers('f32', [4, 2], [1, 2, 3, 4, 5, 6, 7, 8]),
      zero: fromNumbers('i64', [], [0]),
      minusOne: i64(-1),
      axes: i64(0),
    },
    nodes: [
      {
        op: 'Conv',
        inputs: ['x', 'w', 'b'],
        outputs: ['c'],
        attrs: { pads: { ints: [1, 1, 1, 1] }, strides: { ints: [2, 2] } },
      },
      { op: 'Relu', inputs: ['c'], outputs: ['r'], name: 'relu' },
      { op: 'GlobalAveragePool', inputs: ['r'], outputs: ['p'] },
      { op: 'Shape', inputs: ['p'], outputs: ['s'] },
      { op: 'Gather', inputs: ['s', 'zero'], outputs: ['n'] },
      { op: 'Unsqueeze', inputs: ['n', 'axes'], outputs: ['n1'] },
      {
        op: 'Concat',
        inputs: ['n1', 'minusOne'],
        outputs: ['target'],
        attrs: { axis: { int: 0 } },
      },
      { op: 'Reshape', inputs: ['p', 'target'], outputs: ['flat'] },
      { op: 'Dropout', inputs: ['flat'], outputs: ['kept'] },
      { op: 'MatMul', inputs: ['kept', 'dense'], outputs: ['z'] },
      { op: 'Softmax', inputs: ['z'], outputs: ['q'], attrs: { axis: { int: 1 } } },
      { op: 'Identity', inputs: ['q'], outputs: ['y'] },
    ],
  });
}

/** A function with attributes, called twice, and once with an argument left out. */
export function functions(): Uint8Array {
  return rawModel({
    inputs: [{ name: 'x', shape: [2, 3] }],
    outputs: [{ name: 'y' }],
    domains: { local: 1 },
    functions: [
      {
        name: 'Scaled',
        domain: 'local',
        inputs: ['a', 'limit'],
        outputs: ['out'],
        attributes: ['slope'],
        defaults: { axis: { int: 1 } },
        nodes: [
          {
            op: 'LeakyRelu',
            inputs: ['a'],
            outputs: ['t'],
            attrs: { alpha: { reference: 'slope', type: 'float' } },
          },
          { op: 'Clip', inputs: ['t', '', 'limit'], outputs: ['u'] },
          {
            op: 'Softmax',
            inputs: ['u'],
            outputs: ['v'],
            attrs: { axis: { reference: 'axis', type: 'int' } },
          },
          { op: 'Identity', inputs: ['v'], outputs: ['out'] },
        ],
      },
    ],
    initializers: { limit: fromNumbers('f32', [], [2]) },
    nodes: [
      {
        op: 'Scaled',
        domain: 'local',
        inputs: ['x', 'limit'],
        outputs: ['first'],
        attrs: { slope: { float: 0.25 } },
      },
      {
        op: 'Scaled',
        domain: 'local',
        inputs: ['first'],
        outputs: ['y'],
        attrs: { axis: { int: 0 } },
      },
    ],
  });
}

/** A constant branch, a real branch that reads values around it, and old operator forms. */
export function control(): Uint8Array {
  const branch = (op: string) => ({
    graph: {
      nodes: [{ op, inputs: ['x', 'k'], outputs: ['made'] }],
      outputs: [{ name: 'made', shape: [4] }],
    },
  });
  const choose = { then_branch: branch('Add'), else_branch: branch('Mul') };
  return rawModel({
    opset: 11,
    inputs: [
      { name: 'x', shape: [4] },
      { name: 'cond', dtype: 'bool', shape: [] },
    ],
    outputs: [{ name: 'y', shape: [4] }],
    initializers: { k: fromNumbers('f32', [4], [1, 2, 3, 4]) },
    nodes: [
      {
        op: 'Constant',
        inputs: [],
        outputs: ['always'],
        attrs: { value: { tensor: fromNumbers('bool', [], [1]) } },
      },
      { op: 'If', inputs: ['always'], outputs: ['a'], attrs: choose },
      { op: 'If', inputs: ['cond'], outputs: ['b'], attrs: choose },
      { op: 'Add', inputs: ['a', 'b'], outputs: ['y'] },
    ],
  });
}

/** Every way to store a tensor, external data (in `weights.bin`, 16 bytes) included. */
export function tensors(): Uint8Array {
  const names = ['raw', 'floats', 'ints', 'halves', 'bools', 'longs', 'outside'];
  return rawModel({
    inputs: [{ name: 'x', shape: [4] }],
    outputs: [{ name: 'sum', shape: [4] }],
    initializers: {
      raw: fromNumbers('f32', [4], [1, 2, 3, 4]),
      floats: rawTensor('floats', 1, [4], (w) => w.packedFloats(4, [1, 2, 3, 4])),
      ints: rawTensor('ints', 6, [4], (w) => w.packedInts(5, [1, -2, 3, -4])),
      halves: rawTensor('halves', 10, [4], (w) => w.packedInts(5, [0x3c00, 0x4000, 0, 0xbc00])),
      bools: rawTensor('bools', 9, [4], (w) => w.packedInts(5, [0, 1, 1, 0])),
      longs: rawTensor('longs', 7, [4], (w) => {
        for (const value of [1, -1, 2 ** 40, -(2 ** 40)]) w.int(7, value);
      }),
      outside: rawTensor(
        'outside',
        1,
        [4],
        external({ location: 'weights.bin', offset: '0', length: '16' }),
      ),
    },
    nodes: [
      ...names.map((name) => ({
        op: 'Cast',
        inputs: [name],
        outputs: [`${name}_f`],
        attrs: { to: { int: 1 } },
      })),
      { op: 'Sum', inputs: ['x', ...names.map((name) => `${name}_f`)], outputs: ['sum'] },
    ],
  });
}

export function sampleModels(): readonly { readonly name: string; readonly bytes: Uint8Array }[] {
  return [
    { name: 'classifier', bytes: classifier() },
    { name: 'functions', bytes: functions() },
    { name: 'control', bytes: control() },
    { name: 'tensors', bytes: tensors() },
  ];
}
