/**
 * The tensor operators' records: every case infers what its reference gives, and the references
 * agree with the ONNX suite's node tests of these operators (with HONE_TEST_DATA).
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { completeAttrs } from 'hone/ops/builder';
import type { OpDef, TestCase } from 'hone/ops/define-op';
import { TENSOR_OPS } from 'hone/ops/tensor/index';

function runCase(op: OpDef, item: TestCase): { inferred: string[]; got: string[] } {
  const attrs = completeAttrs(op, item.attrs ?? {}, op.name);
  const types = op.infer({
    node: op.name,
    op: op.name,
    inputs: item.inputs.map((tensor) =>
      tensor === null
        ? null
        : { type: { dtype: tensor.dtype, shape: tensor.shape }, constant: () => tensor },
    ),
    attrs,
    outputCount: item.outputs ?? 1,
  });
  const outputs = op.reference(item.inputs, attrs, {
    node: op.name,
    outputTypes: types,
    run: () => [],
  });
  const text = (type: { dtype: string; shape: readonly number[] }): string =>
    `${type.dtype}[${type.shape.join(',')}]`;
  assert.equal(types.length, item.outputs ?? 1);
  for (const { shape, data } of outputs) {
    const count = shape.reduce((product: number, extent: number) => product * extent, 1);
    assert.equal(data.length, count);
  }
  return { inferred: types.map(text), got: outputs.slice(0, types.length).map(text) };
}

for (const op of TENSOR_OPS) {
  test(`${op.name}: inference agrees with the reference`, () => {
    const cases = op.cases?.() ?? [];
    assert.ok(cases.length > 0, 'no cases');
    for (const item of cases) {
      const { inferred, got } = runCase(op, item);
      assert.deepEqual(got, inferred, item.note);
    }
  });
}

