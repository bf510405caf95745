/**
 * The neural-network, control-flow and recurrent operators' records: every case infers what its
 * reference gives; inputs that do not fit are refused with what disagrees; and the ONNX suite's
 * node tests of these operators agree (with HONE_TEST_DATA).
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Attrs } from 'hone/graph/types';
import { CONTROL_OPS } from 'hone/ops/control/index';
import type { OpDef } from 'hone/ops/define-op';
import { NN_OPS } from 'hone/ops/nn/index';
import { opBuilder, standardRegistry } from 'hone/ops/registry';
import { RNN_OPS } from 'hone/ops/rnn/index';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { missingData } from '../support/data.ts';
import { NODE_SUITE, runNodeSuite } from '../support/node-suite.ts';
import { opTitle, runCase } from '../support/op-cases.ts';

const OPS: readonly OpDef[] = [...NN_OPS, ...CONTROL_OPS, ...RNN_OPS];

for (const op of OPS) {
  test(`${opTitle(op)}: inference agrees with the reference`, () => {
    const cases = op.cases?.() ?? [];
    assert.ok(cases.length >= 1, 'no cases');
    for (const item of cases) {
      const { outputs, types, title } = runCase(op, item);
      assert.deepEqual(
        outputs.map(({ dtype, shape }) => ({ dtype, shape: [...shape] })),
        types.map(({ dtype, shape }) => ({ dtype, shape: [...shape] })),
        title,
      );
      for (const { data, shape } of outputs) {
        assert.equal(
          data.length,
          shape.reduce((product, extent) => product * extent, 1),
          title,
        );
      }
    }
  });
}

function run(name: string, inputs: readonly (Tensor | null)[], attrs: Attrs = {}): Tensor {
  const op = standardRegistry.find(name, '');
  assert.ok(op, `${name} is registered`);
  const output = runCase(op, { inputs, attrs }).outputs[0];
  assert.ok(output);
  return output;
}

function numbers(name: string, inputs: readonly (Tensor | null)[], attrs: Attrs = {}): number[] {
  return [...toNumbers(run(name, inputs, attrs))];
}

/** Counts up from 1. */
function counting(...shape: number[]): Tensor {
  const count = shape.reduce((product, extent) => product * extent, 1);
  return fromNumbers(
    'f32',
    shape,
    Array.from({ length: count }, (_, i) => i + 1),
  );
}

function ones(...shape: number[]): Tensor {
  const { dtype, data } = counting(...shape);
  return fromNumbers(dtype, shape, new Float64Array(data.length).fill(1));
}

test('a convolution by hand', () => {
  const image = counting(1, 1, 3, 3);
  assert.deepEqual(numbers('Conv', [image, ones(1, 1, 2, 2)]), [12, 16, 24, 28]);
  const padded = { pads: [1, 1, 0, 0], strides: [2, 2] };
  assert.deepEqual(numbers('Conv', [image, ones(1, 1, 2, 2)], padded), [1, 5, 11, 28]);
});

test('a transposed convolution by hand', () => {
  const image = counting(1, 1, 1, 2);
  const strided = { strides: [1, 2] };
  assert.deepEqual(
    numbers('ConvTranspose', [image, counting(1, 1, 1, 3)], strided),
    [1, 2, 5, 4, 6],
  );
});

test('average pooling counts padding only when asked to', () => {
  const attrs = { kernel_shape: [2], pads: [1, 0] };
  assert.deepEqual(numbers('AveragePool', [counting(1, 1, 2)], attrs), [1, 1.5]);
  const counted = { ...attrs, count_include_pad: 1 };
  assert.deepEqual(numbers('AveragePool', [counting(1, 1, 2)], counted), [0.5, 1.5]);
});

test('Softmax of opset 11 is over all axes from its axis on', () => {
  const b = opBuilder();
  const x = b.constant(counting(1, 2, 2));
  const softmax = standardRegistry.find('Softmax', '');
  const now = softmax?.upgrade?.(b, {
    name: 'old',
    op: 'Softmax',
    opset: 11,
    inputs: [x],
    attrs: {},
  });
  assert.equal(now?.op, 'Reshape');
  const flat = b.graph.value(now?.inputs[0] as number);
  assert.deepEqual(flat.type.shape, [1, 4]);
});

test('inputs that do not fit are refused with what disagrees', () => {
  const refused = (
    text: RegExp,
    name: string,
    inputs: readonly Tensor[],
    attrs: Attrs = {},
  ): void => {
    assert.throws(
      () => run(name, inputs, attrs),
      (error) =>
        error instanceof HoneError &&
        /^HONE-(SHAPE|OP)-/.test(error.code) &&
        error.cure !== undefined &&
        text.test(error.message),
      `${name} is refused`,
    );
  };
  const image = ones(1, 3, 4, 4);
  refused(/3 channels, but the weights take 4/, 'Conv', [image, ones(2, 4, 3, 3)]);
  refused(/do not divide into 2 groups/, 'Conv', [ones(1, 2, 4, 4), ones(3, 1, 3, 3)], {
    group: 2,
  });
  refused(/bias has shape \[3\].*2 output channels/, 'Conv', [image, ones(2, 3, 3, 3), ones(3)]);
  refused(/window covers 5 .* has 4/, 'Conv', [image, ones(2, 3, 5, 5)]);
  refused(/pads has 2 entries/, 'Conv', [image, ones(2, 3, 3, 3)], { pads: [1, 1] });
  refused(/strides/, 'Conv', [image, ones(2, 3, 3, 3)], { strides: [0, 1] });
  refused(/3 channels, but the weights take 2/, 'ConvTranspose', [image, ones(2, 1, 3, 3)]);
  refused(/has 3 columns, but b .* has 4 rows/, 'MatMul', [ones(2, 3), ones(4, 2)]);
  refused(/do not broadcast/, 'MatMul', [ones(2, 2, 3), ones(3, 3, 2)]);
  refused(/both must be matrices/, 'Gemm', [ones(2, 2, 3), ones(3, 2)]);
  refused(/C \[3\] does not|do not broadcast/, 'Gemm', [ones(2, 3), ones(3, 2), ones(3)]);
  refused(/kernel_shape/, 'MaxPool', [image], { kernel_shape: [2] });
  refused(/axis 2 is outside rank 2/, 'Softmax', [ones(2, 3)], { axis: 2 });
  refused(/scale has shape \[2\].*3 channels/, 'BatchNormalization', [
    image,
    ones(2),
    ones(3),
    ones(3),
    ones(3),
  ]);
  refused(/scale has shape|do not broadcast/, 'LayerNormalization', [image, ones(3)]);
  refused(
    /3 channels do not divide into 2 groups/,
    'GroupNormalization',
    [image, ones(3), ones(3)],
    {
      num_groups: 2,
    },
  );
  refused(/W has shape \[1,3,2\]; it takes \[1,4,2\]/, 'LSTM', [
    ones(5, 1, 2),
    ones(1, 3, 2),
    ones(1, 4, 1),
  ]);
});

/** Tests that ask for what no compiler of fixed shapes and fixed numbers can give. */
const BEYOND = [/^test_training_dropout(_default)?(_mask)?$/];

test('ONNX node tests of these operators', { skip: missingData(NODE_SUITE) }, (t) => {
  const result = runNodeSuite(OPS, (name) => !BEYOND.some((pattern) => pattern.test(name)));
  t.diagnostic(`${result.agreed} node tests agree, ${result.compiled} of them compiled`);
  for (const reason of result.notCompiled) t.diagnostic(`not compiled: ${reason}`);
  for (const reason of result.refused) t.diagnostic(`refused: ${reason}`);
  assert.deepEqual(result.failures, []);
  assert.ok(result.agreed > 150, `only ${result.agreed} node tests agree`);
});
