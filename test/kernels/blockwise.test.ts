/**
 * Matrix products with weights of few bits against the oracle, per target, on poisoned memory: rows
 * and columns that tiles do not divide, every kind of zero point, an epilogue with a residual.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Graph, ValueId } from 'hone/graph/types';
import type { OpBuilder } from 'hone/ops/builder';
import { opBuilder } from 'hone/ops/registry';
import { seededRandom } from 'hone-runtime/base/random';
import { elementCount, fromNumbers } from 'hone-runtime/base/tensor';
import { checkGraph, runnableTargets } from '../support/compiled-graph.ts';

type Zeros = 'none' | 'packed' | 'real';

interface Case {
  /** Of the data, without K. */
  readonly rows: readonly number[];
  readonly k: number;
  readonly n: number;
  readonly bits: number;
  readonly block: number;
  readonly zeros: Zeros;
}

const CASES: readonly Case[] = [
  { rows: [1], k: 64, n: 192, bits: 4, block: 32, zeros: 'none' },
  { rows: [1], k: 64, n: 83, bits: 4, block: 16, zeros: 'packed' },
  { rows: [2, 13], k: 96, n: 40, bits: 4, block: 32, zeros: 'packed' },
  { rows: [2, 3, 5], k: 128, n: 7, bits: 8, block: 64, zeros: 'none' },
  { rows: [25], k: 64, n: 65, bits: 8, block: 16, zeros: 'packed' },
  { rows: [1, 1], k: 32, n: 33, bits: 8, block: 32, zeros: 'real' },
  { rows: [3], k: 64, n: 48, bits: 2, block: 64, zeros: 'packed' },
];

const random = seededRandom(17);

function bytes(b: OpBuilder, shape: readonly number[]): ValueId {
  const values = Array.from({ length: elementCount(shape) }, () => random.integer(256));
  return b.constant(fromNumbers('u8', shape, values));
}

function reals(b: OpBuilder, shape: readonly number[], scale: number): ValueId {
  const values = Array.from({ length: elementCount(shape) }, () => (random.next() + 0.1) * scale);
  return b.constant(fromNumbers('f32', shape, values));
}

function product(b: OpBuilder, item: Case, position: number): ValueId {
  const { rows, k, n, bits, block, zeros } = item;
  const blocks = k / block;
  const x = b.graph.input(`x${position}`, { dtype: 'f32', shape: [...rows, k] });
  const zero =
    zeros === 'none'
      ? null
      : zeros === 'packed'
        ? bytes(b, [n, Math.ceil((blocks * bits) / 8)])
        : reals(b, [n, blocks], 2 ** bits);
  const inputs = [
    ...[x, bytes(b, [n, blocks, (block * bits) / 8]), reals(b, [n, blocks], 0.1), zero],
    ...(position % 2 === 0 ? [] : [null, reals(b, [n], 1)]),
  ];
  const attrs = { K: k, N: n, bits, block_size: block };
  const made = b.op('MatMulNBits', inputs, attrs, { domain: 'com.microsoft' });
  const residual = b.graph.input(`r${position}`, { dtype: 'f32', shape: [...rows, n] });
  return b.op('Relu', [b.op('Add', [made, residual])]);
}

function graphOf(): Graph {
  const b = opBuilder('blockwise');
  return b.graph.finish(CASES.map((item, i) => product(b, item, i)));
}

for (const target of runnableTargets()) {
  test(`products with weights of few bits on ${target}`, async () => {
    const { rows } = await checkGraph(graphOf(), { target }, 1e-5);
    const fast = rows.filter((row) => /^matmul_[248]bits_/.test(row));
    assert.equal(fast.length, CASES.length, rows.join(' '));
  });
}

test('a ragged last block is multiplied as it is written', async () => {
  const b = opBuilder('ragged');
  const x = b.graph.input('x', { dtype: 'f32', shape: [2, 40] });
  const inputs = [x, bytes(b, [24, 2, 16]), reals(b, [24, 2], 0.1)];
  const attrs = { K: 40, N: 24, bits: 4, block_size: 32 };
  const y = b.op('MatMulNBits', inputs, attrs, { domain: 'com.microsoft' });
  const { rows } = await checkGraph(b.graph.finish([y]), {}, 1e-5);
  assert.ok(
    rows.every((row) => !row.startsWith('matmul_')),
    rows.join(' '),
  );
});
