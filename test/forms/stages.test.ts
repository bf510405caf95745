/** Stage text: round trips of every kind of body; the verifier; flops and bytes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at } from 'hone-runtime/base/diagnostics';
import { stageCost } from 'hone/stages/cost';
import { parseStages } from 'hone/stages/parse';
import { printStages } from 'hone/stages/print';
import { verifyStages } from 'hone/stages/verify';

const TEXT = `stages main(b0) -> (b5, b6) {
  b0 = input "x" f32[1,3,8,8]
  b1 = constant "w" f32[16,3,3,3] splat 0.5
  b2 = constant "bias" f32[16] splat 1
  b3 = temp "conv" f32[1,16,8,8] block 16 halo [1, 1, 1, 1]
  b4 = temp "both" f32[1,32,8,8]
  b5 = output "y" f32[16,64]
  b6 = output "best" i64[1,1]
  stage 0 Conv "conv1", Relu "relu1" (b0, b1, b2) -> (b3)
    contract [1, 16, 8, 8] over [3, 3, 3] in f32
      conv {batch=1, group=1, ic=3, oc=16, input=[8, 8], output=[8, 8], kernel=[3, 3], stride=[1, 1], dilation=[1, 1], padBegin=[1, 1]}
      a = sel(and(ge(add(i2, add(r1, -1)), 0), lt(add(i2, add(r1, -1)), 8)), %0[0, r0, add(i2, add(r1, -1)), i3], 0:f32)
      b = %1[i1, r0, r1, r2]
      out [i0, i1, i2, i3] = max(add(acc0:f32, %2[i1]), 0:f32)
  stage 1 Identity "copy" (b3) -> (b4[1,16,8,8] at [0, 16, 0, 0])
    map [1, 16, 8, 8]
      out [i0, i1, i2, i3] = exp(mul(%0[i0, i1, i2, i3], 2:f32))
  stage 2 Softmax "soft" (b3[16,64]) -> (b5)
    reduce [16] over [64] spans all
      max f32 %0[i0, r0]
      sum f32 exp(sub(%0[i0, r0], acc0:f32))
      out [i0, r0] = div(exp(sub(%0[i0, r0], acc0:f32)), acc1:f32)
  stage 3 ArgMax "arg" (b5[1,1024]) -> (b6)
    reduce [1] over [1024] spans outer
      argmax i64 last %0[0, r0]
      out [i0, 0] = acc0:i64
  stage 4 MatMul "mm" (b0[24,8], b0[24,8]) -> (b4[32,64])
    contract [32, 64] over [8] in f32
      matmul {batch=[], m=32, n=64, k=8, transA=false, transB=true}
      a = %0[mod(i0, 24), r0]
      b = %1[mod(i1, 24), r0]
      out [i0, i1] = acc0:f32
  stage 5 TopK "top" (b5) -> (b5, b6)
    routine topk dims [16, 64] scalars [0.5, inf]
  note "pool1" "it reads a \\"window\\""
}
`;

test('stages read back equal and verify', () => {
  const stages = verifyStages(parseStages(TEXT));
  assert.equal(printStages(stages), TEXT);
  assert.deepEqual(parseStages(printStages(stages)), stages);
});

test('cost counts arithmetic and bytes', () => {
  const { stages, buffers } = parseStages(TEXT);
  const cost = (id: number) => stageCost(at(stages, id), buffers);
  assert.deepEqual(cost(0), {
    flops: 2 * 16 * 64 * 27,
    bytesRead: 4 * (192 + 432 + 16),
    bytesWritten: 4 * 1024,
  });
  assert.deepEqual(cost(1), { flops: 2 * 1024, bytesRead: 4096, bytesWritten: 4096 });
  // max: 1; sum of exp(x - m): 3; the result: 3; for each of 16 · 64 elements.
  assert.deepEqual(cost(2), { flops: 7 * 1024, bytesRead: 4096, bytesWritten: 4096 });
  assert.deepEqual(cost(3), { flops: 1024, bytesRead: 4096, bytesWritten: 8 });
  assert.equal(cost(4).bytesRead, 4 * 192);
});

test('the verifier names the stage and the expression', () => {
  const broken: readonly (readonly [from: string, to: string, code: string])[] = [
    ['b5 = output "y" f32[16,64]', 'b5 = output "y" f32[16,63]', 'HONE-GRAPH-109'],
    ['at [0, 16, 0, 0]', 'at [0, 17, 0, 0]', 'HONE-GRAPH-109'],
    ['(b3[16,64]) -> (b5)', '(b6[1,1]) -> (b5)', 'HONE-GRAPH-104'],
    ['-> (b5, b6)\n    routine', '-> (b5, b2)\n    routine', 'HONE-GRAPH-105'],
    ['b = %1[i1, r0, r1, r2]', 'b = %1[i1, r0, r1, r3]', 'HONE-GRAPH-113'],
    ['b = %1[i1, r0, r1, r2]', 'b = %1[i1, r0, r1]', 'HONE-GRAPH-113'],
    ['b = %1[i1, r0, r1, r2]', 'b = %9[i1, r0, r1]', 'HONE-GRAPH-113'],
    ['out [i0, 0] = acc0:i64', 'out [i0, 0] = acc1:i64', 'HONE-GRAPH-113'],
    ['out [i0, 0] = acc0:i64', 'out [i0] = acc0:i64', 'HONE-GRAPH-112'],
    ['out [i0, 0] = acc0:i64', 'out [i0, r0] = acc0:i64', 'HONE-GRAPH-113'],
    ['max(add(acc0:f32, %2[i1]), 0:f32)', 'cast:f16(acc0:f32)', 'HONE-GRAPH-113'],
  ];
  for (const [from, to, code] of broken) {
    const text = TEXT.replace(from, () => to);
    assert.notEqual(text, TEXT);
    assert.throws(() => verifyStages(parseStages(text)), { code }, to);
  }
});
