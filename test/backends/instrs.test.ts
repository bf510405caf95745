/** Instructions: the C text does what the meaning says, where this processor has them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emitKernel } from 'hone/backends/c/emit';
import { C_INSTRS } from 'hone/backends/c/instrs';
import { interpretLoop } from 'hone/loop/interpret';
import { parseLoop } from 'hone/loop/parse';
import { verifyLoop } from 'hone/loop/verify';
import { numberToBf16 } from 'hone-runtime/base/half';
import { seededRandom } from 'hone-runtime/base/random';
import { nativeTarget, resolveTarget } from 'hone-runtime/target/parse';
import { compileKernels } from '../support/compiled-kernel.js';

/** A dot product over 5 steps into registers, then to memory. */
function kernel(instr: string, acc: string, a: string, b: string, group: number): string {
  return `loop "dot_${instr}" lanes 16 (read a: ${a}, read b: ${b}, write y: ${acc}) {
    alloc register acc: ${acc} [32]
    for p in 0 to 2 unroll {
      for l in 0 to 16 vector { acc[add(mul(p, 16), l)] = ${acc === 'f32' ? '0:f32' : '0:i32'} }
    }
    for k in 0 to 5 serial {
      for p in 0 to 2 unroll {
        call ${instr}(at acc[mul(p, 16)], at a[add(mul(p, ${5 * group}), mul(k, ${group}))], at b[mul(k, ${16 * group})])
      }
    }
    for p in 0 to 2 unroll {
      for l in 0 to 16 vector { y[add(mul(p, 16), l)] = acc[add(mul(p, 16), l)]${acc === 'f32' ? '' : `:${acc}`} }
    }
  }`;
}

const features = nativeTarget().features;
const random = seededRandom(3);

test('vpdpbusd', {
  skip: features.includes('vnni') ? false : 'this processor has no VNNI',
}, async () => {
  const fn = verifyLoop(parseLoop(kernel('vpdpbusd', 'i32', 'u8', 'i8', 4)), C_INSTRS);
  const a = Uint8Array.from({ length: 40 }, () => random.integer(256));
  const b = Int8Array.from({ length: 320 }, () => random.integer(256) - 128);
  const wanted = new Int32Array(32);
  interpretLoop(fn, { a, b, y: wanted }, {}, { instrs: C_INSTRS });
  const compiled = await compileKernels([fn], resolveTarget('x86-64-v4+vnni-linux-gnu'));
  const y = new Int32Array(32);
  compiled.run(fn, { a, b, y });
  compiled.close();
  assert.deepEqual(y, wanted);
  assert.ok(
    emitKernel(fn).includes('acc[p] = hone_vpdpbusd(acc[p], &a[p * 20 + k * 4], &b[k * 64]);'),
  );
});

test('vdpbf16ps', {
  skip: features.includes('bf16') ? false : 'this processor has no bf16',
}, async () => {
  const fn = verifyLoop(parseLoop(kernel('vdpbf16ps', 'f32', 'bf16', 'bf16', 2)), C_INSTRS);
  const half = (): number => numberToBf16(random.integer(64) / 8 - 4);
  const a = Uint16Array.from({ length: 20 }, half);
  const b = Uint16Array.from({ length: 160 }, half);
  const wanted = new Float32Array(32);
  interpretLoop(fn, { a, b, y: wanted }, {}, { instrs: C_INSTRS });
  const compiled = await compileKernels([fn], resolveTarget('x86-64-v4+bf16-linux-gnu'));
  const y = new Float32Array(32);
  compiled.run(fn, { a, b, y });
  compiled.close();
  // Dyadic values: the sums are exact in any order.
  assert.deepEqual(y, wanted);
});

test('an instruction runs in the interpreter on any processor', () => {
  const fn = parseLoop(kernel('vpdpbusd', 'i32', 'u8', 'i8', 4));
  const y = new Int32Array(32);
  const buffers = { a: new Uint8Array(40).fill(2), b: new Int8Array(320).fill(-3), y };
  interpretLoop(fn, buffers, {}, { instrs: C_INSTRS });
  assert.deepEqual([...new Set(y)], [5 * 4 * 2 * -3]);
});
