/** A slice of the operator fuzz with fixed seeds; `npm run fuzz -- --operators N` runs more of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { standardRegistry } from 'hone/ops/registry';
import type { Against } from './operators/check-cases.ts';
import { operatorsLeftOut } from './operators/random-case.ts';
import { Worker } from './operators/worker.ts';

const CASES = 150;

/** Operators without a compiled form, or whose uses are not made of tensors of numbers. */
const LEFT_OUT = /^never compiled|^its attributes are graphs|^its elements are texts/;

for (const [against, seed] of [
  ['compiled', 1],
  ['peer', 2001],
  ['opset', 2001],
  ['free', 3001],
] as const satisfies readonly (readonly [Against, number])[]) {
  test(`${CASES} random uses of operators: ${against}`, async (t) => {
    const worker = new Worker();
    const batch = { seed, count: CASES, against };
    const options = { target: 'native', quick: true, quiet: against !== 'compiled' };
    const result = await worker.run({ batch, options });
    worker.stop();
    assert.ok(typeof result !== 'string', `the process ended: ${result}`);
    assert.deepEqual(result.faults, []);
    const { refused, peers, operators } = result;
    t.diagnostic(`${operators.length} operators, ${refused} not compiled, ${peers} of the peer`);
  });
}

test('every operator that becomes kernels is drawn from', () => {
  const left = operatorsLeftOut();
  assert.deepEqual(
    left.filter(({ reason }) => !LEFT_OUT.test(reason)),
    [],
  );
  assert.ok(left.length < standardRegistry.all().length / 8);
});
