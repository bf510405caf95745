/** Instructions: the C text does what the meaning says, where this processor has them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emitKernel, emitUnit } from 'hone/backends/c/emit';
import { C_INSTRS } from 'hone/backends/c/instrs';
import { interpretLoop } from 'hone/loop/interpret';
import { parseLoop } from 'hone/loop/parse';
import { verifyLoop } from 'hone/loop/verify';
import { numberToBf16 } from 'hone-runtime/base/half';
import { seededRandom } from 'hone-runtime/base/random';
import { nativeTarget, resolveTarget, targetRunsOn } from 'hone-runtime/target/parse';
import { compileC, compileKernels } from '../support/compiled-kernel.js';

/** A dot product over 5 steps into registers, then to memory. */
function kernel(
  instr: string,
  acc: string,
  a: string,
  b: string,
  group: number,
  lanes = 16,
): string {
  return `loop "dot_${instr}" lanes ${lanes} (read a: ${a}, read b: ${b}, write y: ${acc}) {
    alloc register acc: ${acc} [${2 * lanes}]
    for p in 0 to 2 unroll {
      for l in 0 to ${lanes} vector { acc[add(mul(p, ${lanes}), l)] = ${acc === 'f32' ? '0:f32' : '0:i32'} }
    }
    for k in 0 to 5 serial {
      for p in 0 to 2 unroll {
        call ${instr}(at acc[mul(p, ${lanes})], at a[add(mul(p, ${5 * group}), mul(k, ${group}))], at b[mul(k, ${lanes * group})])
      }
    }
    for p in 0 to 2 unroll {
      for l in 0 to ${lanes} vector { y[add(mul(p, ${lanes}), l)] = acc[add(mul(p, ${lanes}), l)]${acc === 'f32' ? '' : `:${acc}`} }
    }
  }`;
}

const machine = nativeTarget();
const random = seededRandom(3);

/** Rows of integers: where they run, they run as they mean; elsewhere they are compiled. */
const INTEGER_ROWS = [
  { name: 'vpdpbusd', lanes: 16, group: 4, target: 'x86-64-v4+vnni-linux-gnu' },
  { name: 'vpermb_dot', lanes: 16, group: 4, target: 'x86-64-v4+vnni+vbmi-linux-gnu' },
  { name: 'vpmaddubsw', lanes: 8, group: 4, target: 'x86-64-v3-linux-gnu' },
  { name: 'vpmaddwd', lanes: 8, group: 2, target: 'x86-64-v3-linux-gnu' },
  { name: 'vpdpbusd256', lanes: 8, group: 4, target: 'x86-64-v3+avxvnni-linux-gnu' },
  { name: 'usdot', lanes: 4, group: 4, target: 'arm64+i8mm-linux-gnu' },
  { name: 'sdot', lanes: 4, group: 4, target: 'arm64+dotprod-linux-gnu' },
] as const;

for (const { name, lanes, group, target } of INTEGER_ROWS) {
  test(`${name} on ${target}`, async () => {
    const fn = verifyLoop(parseLoop(kernel(name, 'i32', 'u8', 'i8', group, lanes)), C_INSTRS);
    const a = Uint8Array.from({ length: 10 * group + 64 }, () => random.integer(256));
    // Full range: sums of pairs saturate where an instruction has it so.
    const b = Int8Array.from({ length: 5 * lanes * group }, () => random.integer(256) - 128);
    const wanted = new Int32Array(2 * lanes);
    interpretLoop(fn, { a, b, y: wanted }, {}, { instrs: C_INSTRS });
    const call = `acc[p] = hone_${name}(acc[p], &a[p * ${5 * group} + k * ${group}], &b[k * ${lanes * group}]);`;
    assert.ok(emitKernel(fn).includes(call));
    const resolved = resolveTarget(target);
    if (!targetRunsOn(resolved, machine)) {
      const { close } = await compileC(emitUnit([fn], name), resolved, 'assembly');
      close();
      return;
    }
    const compiled = await compileKernels([fn], resolved);
    const y = new Int32Array(2 * lanes);
    compiled.run(fn, { a, b, y });
    compiled.close();
    assert.deepEqual(y, wanted);
  });
}

test('vdpbf16ps', {
  skip: machine.features.includes('bf16') ? false : 'this processor has no bf16',
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
