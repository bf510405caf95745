/**
 * What the compiler makes of a register tile: 28 accumulators, two weight vectors and a broadcast
 * fill the 32 registers of AVX-512, so the reduction must not touch the stack.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { emitUnit } from 'hone/backends/c/emit';
import { parseLoop } from 'hone/loop/parse';
import { verifyLoop } from 'hone/loop/verify';
import { resolveTarget } from 'hone-runtime/target/parse';
import { compileC } from '../support/compiled-kernel.js';

/** `pixels` × 2 vectors of a 3×3 convolution over blocks of `lanes` channels. */
function tile(pixels: number, lanes: number): string {
  const at = `add(mul(add(mul(p, 2), q), ${lanes}), l)`;
  const overTile = (body: string): string =>
    `for p in 0 to ${pixels} unroll { for q in 0 to 2 unroll { for l in 0 to ${lanes} vector { ${body} } } }`;
  return `loop "tile" lanes ${lanes} (read x: f32, read k: f32, write y: f32) {
    for r in 0 to 56 parallel {
      alloc register acc: f32 [${pixels * 2 * lanes}]
      ${overTile(`acc[${at}] = 0:f32`)}
      for ib in 0 to 4 serial { for kh in 0 to 3 serial { for kw in 0 to 3 serial {
        for c in 0 to ${lanes} step 4 serial { for u in 0 to 4 unroll {
          alloc register w: f32 [${2 * lanes}]
          for q in 0 to 2 unroll { for l in 0 to ${lanes} vector {
            w[add(mul(q, ${lanes}), l)] = k[add(add(mul(q, ${lanes}), l), mul(${2 * lanes}, add(add(c, u), mul(${lanes}, add(kw, mul(3, add(kh, mul(3, ib))))))))]
          } }
          ${overTile(`acc[${at}] += mul(w[add(mul(q, ${lanes}), l)], x[add(add(c, u), mul(${lanes}, add(add(kw, p), mul(58, add(add(kh, r), mul(58, ib))))))])`)}
        } }
      } } }
      ${overTile(`y[add(mul(r, ${pixels * 2 * lanes}), ${at})] = max(acc[${at}], 0:f32)`)}
    }
  }`;
}

for (const [cpu, lanes, pixels, register] of [
  ['x86-64-v4', 16, 14, 'zmm'],
  ['x86-64-v3', 8, 6, 'ymm'],
] as const) {
  test(`a tile of ${pixels} by 2 vectors stays in the registers of ${cpu}`, async () => {
    const fn = verifyLoop(parseLoop(tile(pixels, lanes)));
    const unit = await compileC(
      emitUnit([fn], 'tile'),
      resolveTarget(`${cpu}-linux-gnu`),
      'assembly',
    );
    const lines = readFileSync(unit.path, 'utf8').split('\n');
    unit.close();
    const multiplies = lines.filter((line) => /vfmadd/.test(line)).length;
    assert.equal(multiplies, 4 * pixels * 2, 'one multiply-add per step, pixel and vector');
    const spills = lines.filter((line) => line.includes(register) && /\(%r[sb]p/.test(line));
    assert.deepEqual(spills, []);
  });
}
