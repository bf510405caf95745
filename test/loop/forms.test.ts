/** The Loop form: its text, its checks, and its interpreter. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { instrTable } from 'hone/loop/instr';
import { interpretLoop } from 'hone/loop/interpret';
import { parseLoop } from 'hone/loop/parse';
import { printLoop } from 'hone/loop/print';
import type { Instr } from 'hone/loop/types';
import { verifyLoop } from 'hone/loop/verify';

const EVERYTHING = `loop "everything" lanes 4 (read x: f32, read for: u8, write y: f32) dims (n, m) {
  for i in 0 to n step 2 parallel {
    let row = mul(i, m)
    block "a comment with \\"quotes\\"" {
      alloc stack s: i32 [7]
      alloc register r: f32 [8]
      for j in 0 to 2 unroll {
        for l in 0 to 4 vector {
          r[add(mul(j, 4), l)] = x[add(row, l)]
          r[add(mul(j, 4), l)] += 1.5:f32
          r[add(mul(j, 4), l)] *= 2:f32
          r[add(mul(j, 4), l)] max= 0:f32
          r[add(mul(j, 4), l)] min= 6:f32
        }
      }
      call dot(at r[4], at "for"[i], value 3:i32)
      prefetch x[add(row, 64)]
      s[3] = cast:i32(for[i]:u8)
    }
    if lt(i, 3) {
      y[row] = x[i]
    } else {
      y[row] = 0:f32
    }
    if ge(i, 3) {
      y[0] = 1:f32
    }
  }
  barrier
}
`;

test('text reads back equal', () => {
  const fn = parseLoop(EVERYTHING);
  assert.equal(printLoop(fn), EVERYTHING);
  assert.deepEqual(parseLoop(printLoop(fn)), fn);
});

test('bad text names the line', () => {
  const bad = EVERYTHING.replace('step 2 parallel', 'step 2 sideways');
  assert.throws(() => parseLoop(bad), { code: 'HONE-PARSE-001', subject: 'line 2' });
  assert.throws(() => parseLoop('loop "x" lanes 4 () { y[0] = 1:f32'), /expected "}"/);
});

function checked(body: string, params = 'read x: f32, write y: f32'): () => unknown {
  return () => verifyLoop(parseLoop(`loop "f" lanes 4 (${params}) dims (n) { ${body} }`));
}

const WRONG: readonly (readonly [string, string, string])[] = [
  ['unknown axis', '203', 'y[k] = 1:f32'],
  ['unknown buffer', '203', 'y[0] = z[0]'],
  ['axis out of scope', '203', 'for i in 0 to 2 serial { y[i] = 0:f32 } y[i] = 0:f32'],
  ['name defined twice', '202', 'let n = 2'],
  ['wrong dtype of a value', '204', 'y[0] = 1:i32'],
  ['wrong dtype of a load', '204', 'y[0] = cast:f32(x[0]:u8)'],
  ['writes what is read', '210', 'x[0] = 1:f32'],
  ['acc', '205', 'y[0] = acc0:f32'],
  [
    'nested parallel',
    '208',
    'for i in 0 to 2 parallel { for j in 0 to 2 parallel { y[j] = 0:f32 } }',
  ],
  ['nested vector', '208', 'for i in 0 to 4 vector { for j in 0 to 4 vector { y[j] = 0:f32 } }'],
  ['unrolled without bounds', '207', 'for i in 0 to n unroll { y[i] = 0:f32 }'],
  ['step', '207', 'for i in 0 to 4 step 0 serial { y[i] = 0:f32 }'],
  ['barrier in a parallel loop', '212', 'for i in 0 to 4 parallel { barrier }'],
  ['barrier behind data', '212', 'if lt(x[0], 1:f32) { barrier }'],
  [
    'variable register',
    '206',
    'alloc register r: f32 [8] for i in 0 to 2 serial { for l in 0 to 4 vector { r[add(mul(i, 4), l)] = 0:f32 } }',
  ],
  [
    'register outside',
    '206',
    'alloc register r: f32 [8] for l in 0 to 4 vector { r[add(8, l)] = 0:f32 }',
  ],
  ['part of a register', '211', 'alloc register r: f32 [6]'],
];

for (const [what, number, body] of WRONG) {
  test(`verifier: ${what}`, () => {
    assert.throws(checked(body), { code: `HONE-GRAPH-${number}` });
  });
}

test('verifier accepts a register tile', () => {
  checked(
    'alloc register r: f32 [8] for i in 0 to 2 unroll { for l in 0 to 4 vector { r[add(mul(i, 4), l)] = x[l] } }',
  )();
});

test('a parallel range is split in contiguous parts', () => {
  const fn = parseLoop(
    'loop "f" lanes 4 (write y: i32) dims (n) { for i in 1 to n step 3 parallel { y[i] += 1:i32 } }',
  );
  for (const workers of [1, 2, 3, 7]) {
    const y = new Int32Array(20);
    interpretLoop(fn, { y }, { n: 20 }, { workers });
    assert.deepEqual(
      [...y],
      Array.from({ length: 20 }, (_, i) => (i % 3 === 1 ? 1 : 0)),
    );
  }
});

test('what is written before a barrier is seen after it', () => {
  const fn = parseLoop(`loop "f" lanes 4 (write t: i32, write y: i32) {
    for i in 0 to 6 parallel { t[i] = cast:i32(mul(i, i)) }
    barrier
    for i in 0 to 6 parallel { y[i] = t[sub(5, i)]:i32 }
  }`);
  const y = new Int32Array(6);
  interpretLoop(fn, { t: new Int32Array(6), y }, {}, { workers: 4 });
  assert.deepEqual([...y], [25, 16, 9, 4, 1, 0]);
});

test('positions outside of a buffer throw', () => {
  const fn = parseLoop('loop "f" lanes 4 (read x: f32, write y: f32) { y[0] = x[-1] }');
  const buffers = { x: new Float32Array(4), y: new Float32Array(4) };
  assert.throws(() => interpretLoop(fn, buffers), /position -1 is outside of buffer "x"/);
});

test('a statement of a vector loop reads all lanes before it writes', () => {
  const fn = parseLoop(
    'loop "f" lanes 4 (write y: f32) { for l in 0 to 4 vector { y[add(l, 1)] = y[l] } }',
  );
  const y = Float32Array.of(1, 2, 3, 4, 5);
  interpretLoop(fn, { y });
  assert.deepEqual([...y], [1, 1, 2, 3, 4]);
});

test('a checked index outside of its extent is a fault, and 0', () => {
  const fn = parseLoop(
    'loop "f" lanes 4 (read x: i64, write y: f32) { for i in 0 to 4 serial { y[i] = cast:f32(bound(x[i]:i64, 3)) } }',
  );
  const y = new Float32Array(4);
  assert.equal(interpretLoop(fn, { x: BigInt64Array.of(2n, -3n, 3n, 1n), y }).fault, true);
  assert.deepEqual([...y], [2, 0, 0, 1]);
});

test('a call runs the meaning of its instruction', () => {
  const twice: Instr = {
    name: 'twice',
    feature: '',
    params: [
      { name: 'out', dtype: 'f32', access: 'write' },
      { name: 'by', dtype: 'f32', access: 'scalar' },
    ],
    code: '',
    meaning: parseLoop(
      'loop "m" lanes 4 (write out: f32, read by: f32) { for i in 0 to 2 serial { out[i] *= by[0] } }',
    ).body,
  };
  const fn = parseLoop('loop "f" lanes 4 (write y: f32) { call twice(at y[1], value 3:f32) }');
  const y = Float32Array.of(1, 2, 3, 4);
  const instrs = instrTable([twice]);
  verifyLoop(fn, instrs);
  interpretLoop(fn, { y }, {}, { instrs });
  assert.deepEqual([...y], [1, 6, 9, 4]);
});
