/** Graphs without a compiled form: the compiler names every node at fault, and only those. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileGraph } from 'hone/compile/index';
import { opBuilder } from 'hone/ops/registry';
import { HoneError } from 'hone-runtime/base/diagnostics';

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
