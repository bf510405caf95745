/**
 * The math and quantisation operators' records: every case infers what its reference gives, and
 * values that no lowering could hide are pinned (ties, wrapping, empty lists, infinities).
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OpDef } from 'hone/ops/define-op';
import { MATH_OPS } from 'hone/ops/math/index';
import { QUANT_OPS } from 'hone/ops/quant/index';
import { standardRegistry } from 'hone/ops/registry';
import type { Attrs } from 'hone/graph/types';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { missingData } from '../support/data.ts';
import { NODE_SUITE, runNodeSuite } from '../support/node-suite.ts';
import { opTitle, runCase } from '../support/op-cases.ts';

const OPS: readonly OpDef[] = [...MATH_OPS, ...QUANT_OPS];

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

const floats = (...values: number[]): Tensor => fromNumbers('f32', [values.length], values);
const ints = (...values: number[]): Tensor => fromNumbers('i64', [values.length], values);
const bytes = (...values: number[]): Tensor => fromNumbers('u8', [values.length], values);

test('rounding goes to even', () => {
  assert.deepEqual(numbers('Round', [floats(0.5, 1.5, 2.5, -2.5, 2.6)]), [0, 2, 2, -2, 3]);
});

test('64-bit integers are exact, and wrap', () => {
  const big: Tensor = {
    dtype: 'i64',
    shape: [2],
    data: BigInt64Array.of(2n ** 62n, 2n ** 53n + 1n),
  };
  assert.deepEqual([...run('Add', [big, big]).data], [-(2n ** 63n), 2n ** 54n + 2n]);
  assert.deepEqual([...run('ReduceMax', [big]).data], [2n ** 62n]);
});

test('integer division truncates, Mod follows the divisor, fmod the dividend', () => {
  assert.deepEqual(numbers('Div', [ints(-7, 7, 5), ints(2, -2, 0)]), [-3, -3, 0]);
  assert.deepEqual(numbers('Mod', [ints(-7, 7), ints(3, -3)]), [2, -2]);
  assert.deepEqual(numbers('Mod', [ints(-7, 7), ints(3, -3)], { fmod: 1 }), [-1, 1]);
});

test('shifts beyond the width give 0', () => {
  assert.deepEqual(
    numbers('BitShift', [bytes(255, 1), bytes(8, 7)], { direction: 'LEFT' }),
    [0, 128],
  );
});

test('NaN passes through Max, Clip and Relu, and compares unequal', () => {
  const nan = floats(Number.NaN);
  assert.deepEqual(numbers('Max', [nan, floats(1)]), [Number.NaN]);
  assert.deepEqual(numbers('Clip', [nan, fromNumbers('f32', [], [0])]), [Number.NaN]);
  assert.deepEqual(numbers('Relu', [nan]), [Number.NaN]);
  assert.deepEqual(numbers('Equal', [nan, nan]), [0]);
});

test('reductions of empty lists', () => {
  const empty = fromNumbers('f32', [0], []);
  const infinity = Number.POSITIVE_INFINITY;
  const wanted: Readonly<Record<string, number>> = {
    ReduceSum: 0,
    ReduceMean: Number.NaN,
    ReduceMax: -infinity,
    ReduceMin: infinity,
    ReduceProd: 1,
    ReduceLogSum: -infinity,
    ReduceLogSumExp: -infinity,
    ReduceL2: 0,
  };
  for (const [name, value] of Object.entries(wanted)) {
    assert.deepEqual(numbers(name, [empty]), [value], name);
  }
});

test('text and numbers convert both ways', () => {
  const texts = run('Cast', [floats(0.1, 3, Number.NaN)], { to: 8 });
  assert.deepEqual(texts.data, ['0.1', '3', 'NaN']);
  assert.deepEqual(numbers('Cast', [texts], { to: 11 }), [0.1, 3, Number.NaN]);
});

test('inputs that do not fit are refused with a code', () => {
  const refused = (
    code: string,
    name: string,
    inputs: readonly Tensor[],
    attrs: Attrs = {},
  ): void => {
    assert.throws(
      () => run(name, inputs, attrs),
      (error) => error instanceof HoneError && error.code === code && error.message.includes(name),
    );
  };
  refused('HONE-SHAPE-001', 'Add', [floats(1, 2), floats(1, 2, 3)]);
  refused('HONE-OP-004', 'Add', [floats(1), ints(1)]);
  refused('HONE-OP-004', 'Sqrt', [ints(1)]);
  refused('HONE-SHAPE-001', 'ReduceSum', [floats(1), ints(3)]);
  refused('HONE-SHAPE-001', 'ArgMax', [fromNumbers('f32', [], [1])]);
  refused('HONE-OP-004', 'Cast', [floats(1)], { to: 14 });
  refused('HONE-OP-004', 'Gelu', [floats(1)], { approximate: 'none at all' });
  refused('HONE-SHAPE-001', 'QuantizeLinear', [floats(1, 2, 3), floats(1, 2)], { axis: 0 });
});

/** Element types of 8 bits and fewer that are not integers of C. */
const SMALL_TYPES = /FLOAT8|FLOAT4|INT4|INT2|_e[45]m[23]|float4e2m1|int[24]$/;

test('ONNX node tests of these operators', { skip: missingData(NODE_SUITE) }, (t) => {
  const result = runNodeSuite(OPS, (name) => !SMALL_TYPES.test(name));
  t.diagnostic(`${result.agreed} node tests agree, ${result.compiled} of them compiled`);
  for (const reason of result.notCompiled) t.diagnostic(`not compiled: ${reason}`);
  assert.deepEqual([...result.failures, ...result.refused], []);
  assert.ok(result.agreed > 350, `only ${result.agreed} node tests agree`);
});
