/** Older forms of the math operators: what an upgraded node computes is what the old opset meant. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Attrs } from 'hone/graph/types';
import { interpret } from 'hone/ops/interpret';
import { opBuilder, standardRegistry } from 'hone/ops/registry';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';

/** Upgrades a node of an old opset, then runs it. */
function runOld(op: string, opset: number, inputs: readonly Tensor[], attrs: Attrs): Tensor {
  const b = opBuilder('old');
  const ids = inputs.map((tensor) => b.constant(tensor));
  const def = standardRegistry.find(op, '');
  assert.ok(def?.upgrade, `${op} has an upgrade`);
  const node = def.upgrade(b, { name: `old_${op}`, op, opset, inputs: ids, attrs });
  const out = b.op(node.op ?? op, node.inputs, node.attrs);
  const [result] = interpret(b.graph.finish([out]), []);
  assert.ok(result);
  return result;
}

const floats = (shape: readonly number[], ...values: number[]): Tensor =>
  fromNumbers('f32', shape, values);

test('opset 1: consumed_inputs is dropped', () => {
  const result = runOld('Relu', 1, [floats([2], -1, 2)], { consumed_inputs: [0] });
  assert.deepEqual([...toNumbers(result)], [0, 2]);
});

test('opset 6: axis aligns the second operand', () => {
  const x = floats([2, 3], 0, 0, 0, 0, 0, 0);
  const rows = runOld('Add', 6, [x, floats([2], 1, 2)], { broadcast: 1, axis: 0 });
  assert.deepEqual([...toNumbers(rows)], [1, 1, 1, 2, 2, 2]);
  const columns = runOld('Add', 6, [x, floats([3], 1, 2, 3)], { broadcast: 1 });
  assert.deepEqual([...toNumbers(columns)], [1, 2, 3, 1, 2, 3]);
  assert.throws(
    () => runOld('Add', 6, [x, floats([3], 1, 2, 3)], { broadcast: 1, axis: 2 }),
    (error) => error instanceof HoneError && error.code === 'HONE-SHAPE-003',
  );
});

test('opset 6: Clip has its limits as attributes', () => {
  const result = runOld('Clip', 6, [floats([3], -5, 0.5, 9)], { min: -1, max: 6 });
  assert.deepEqual([...toNumbers(result)], [-1, 0.5, 6]);
  const open = runOld('Clip', 6, [floats([2], -5, 9)], { max: 6 });
  assert.deepEqual([...toNumbers(open)], [-5, 6]);
});

test('opset 5: Tile has a number of tiles and an axis', () => {
  const result = runOld('Tile', 5, [floats([1, 2], 1, 2), floats([], 2), floats([], 1)], {});
  assert.deepEqual(result.shape, [1, 4]);
  assert.deepEqual([...toNumbers(result)], [1, 2, 1, 2]);
});

test('opset 11: reductions have their axes as an attribute', () => {
  const x = floats([2, 2], 1, 2, 3, 4);
  const sum = runOld('ReduceSum', 11, [x], { axes: [0], keepdims: 0 });
  assert.deepEqual([...toNumbers(sum)], [4, 6]);
  const all = runOld('ReduceMean', 11, [x], { keepdims: 0 });
  assert.deepEqual([...toNumbers(all)], [2.5]);
});

test('opset 6: PRelu has a slope per channel', () => {
  const x = floats([1, 2, 2], -1, -1, -1, -1);
  const result = runOld('PRelu', 6, [x, floats([2], 2, 3)], {});
  assert.deepEqual([...toNumbers(result)], [-2, -2, -3, -3]);
});

test('opset 1: Cast names its target', () => {
  const result = runOld('Cast', 1, [floats([2], 1.5, -2)], { to: 'INT64' });
  assert.deepEqual([...result.data], [1n, -2n]);
});
