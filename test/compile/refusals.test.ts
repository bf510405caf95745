/** Graphs without a compiled form: the compiler names every node at fault, and only those. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CompiledGraph, compileGraph } from 'hone/compile/index';
import type { Attrs } from 'hone/graph/types';
import { opBuilder } from 'hone/ops/registry';
import { HoneError } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';

test('nodes behind one without a compiled form are not at fault', () => {
  const b = opBuilder();
  const x = b.graph.input('x', { dtype: 'f32', shape: [2, 3] });
  const axis = b.graph.input('axis', { dtype: 'i64', shape: [] });
  const sum = b.op('CumSum', [x, axis], {}, { name: 'sum' });
  const other = b.op('CumSum', [b.op('Relu', [sum]), axis], {}, { name: 'other' });
  assert.throws(
    () => compileGraph(b.graph.finish([b.op('Add', [other, x])])),
    (error) =>
      error instanceof HoneError &&
      error.code === 'HONE-COMPILE-001' &&
      error.message.startsWith('2 node(s)') &&
      /sum.*other/.test(error.message),
  );
});

/** Compiles one node; `inputs` are constants where they are tensors. */
function compileNode(
  op: string,
  inputs: readonly (Tensor | readonly [DType, readonly number[]])[],
  attrs: Attrs = {},
): CompiledGraph {
  const b = opBuilder();
  const ids = inputs.map((input, i) => {
    if ('data' in input) return b.constant(input);
    const [dtype, shape] = input;
    return b.graph.input(`x${i}`, { dtype, shape });
  });
  return compileGraph(b.graph.finish([b.op(op, ids, attrs)]));
}

const refused = (code: string, words: RegExp) => (error: unknown) =>
  error instanceof HoneError && error.code === code && words.test(error.message);

test('what fuzzing found: nodes that do not fit their operator are refused', () => {
  const axes = fromNumbers('f32', [1], [0.25]);
  assert.throws(
    () => compileNode('ReduceSum', [['f32', [2, 3]], axes]),
    refused('HONE-OP-004', /axes has 0\.25 in it/),
  );
  assert.throws(
    () => compileNode('Softmax', [['f32', []]]),
    refused('HONE-SHAPE-001', /a scalar has no axis/),
  );
  assert.throws(
    () =>
      compileNode('Trilu', [
        ['f32', [3, 3]],
        ['f32', []],
      ]),
    refused('HONE-OP-004', /k has dtype f32/),
  );
  const scale = fromNumbers('f32', [], [0.5]);
  assert.throws(
    () => compileNode('DequantizeLinear', [['i8', [3]], scale, ['i8', [3, 1]]]),
    refused('HONE-SHAPE-001', /zero point \[3,1\] does not go with the scale \[\]/),
  );
  const ratio = fromNumbers('f32', [], [0.5]);
  assert.throws(
    () => compileNode('Dropout', [['f32', [3]], ratio, ['bool', [4]]]),
    refused('HONE-SHAPE-001', /training_mode has shape \[4\]/),
  );
  const heads = ['f32', [1, 1, 2, 4]] as const;
  assert.throws(
    () => compileNode('Attention', [heads, heads, heads], { qk_matmul_output_mode: 9 }),
    refused('HONE-OP-004', /no qk_matmul_output_mode 9/),
  );
});

test('what fuzzing found: strings at the ends, empty batches, long empty axes', () => {
  const texts = compileNode('Reshape', [['string', [4]], fromNumbers('i64', [2], [2, 2])]);
  assert.deepEqual(
    texts.program.host?.steps.map((step) => step.kind),
    ['routine', 'native'],
  );
  const taken = compileNode('Gather', [
    ['string', [4]],
    ['i64', [1]],
  ]);
  assert.ok(taken.program.host?.steps.some((step) => step.kind === 'routine'));
  const filter = fromNumbers('f32', [32, 32, 3, 3], new Float64Array(32 * 32 * 9));
  const empty = compileNode('Conv', [['f32', [0, 32, 8, 8]], filter]);
  assert.equal(empty.program.outputs[0]?.bytes, 0);
  const long = fromNumbers('f32', [0, 2 ** 31], []);
  const sum = compileNode('ReduceSum', [long, fromNumbers('i64', [1], [1])]);
  assert.deepEqual(sum.program.outputs[0]?.shape, [0, 1]);
});
