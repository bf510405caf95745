/** `hone advise` and `hone catalogue` as a user meets them, with the mistakes users make. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import type { Advice } from 'hone/advisor/advice-types';
import { COMMANDS } from 'hone/cli/contract';
import { hone } from '../support/hone-process.ts';
import { writeSmallModel } from '../support/small-model.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-advise-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const model = path.join(folder, 'small.onnx');
writeSmallModel(model);

test('advice as JSON has the documented keys, and as text a table and the command', async () => {
  const json = await hone([
    'advise',
    model,
    '--sla',
    'p99=50ms',
    '--throughput',
    '500/s',
    '--json',
  ]);
  assert.equal(json.code, 0, json.stderr);
  const advice = JSON.parse(json.stdout) as Advice;
  const spec = COMMANDS.find(({ name }) => name === 'advise');
  assert.deepEqual(Object.keys(advice).sort(), Object.keys(spec?.json ?? {}).sort());
  assert.ok(advice.rows.length > 0);
  assert.equal(advice.demand.throughput_per_s, 500);

  const text = await hone(['advise', model, '--sla', 'p99=50ms', '--hardware', 'c5.xlarge,g4dn']);
  assert.equal(text.code, 0, text.stderr);
  assert.match(text.stdout, /c5\.xlarge/);
  assert.match(text.stdout, /price of the service level/);
  assert.match(text.stdout, /compile for it: {2}hone compile \S+ --target ml_c5/);
});

test('a model that fixes its batch is compared at batch 1 alone, and the advice says so', async () => {
  const { code, stdout, stderr } = await hone(['advise', model, '--hardware', 'g4dn,c5', '--json']);
  assert.equal(code, 0, stderr);
  const advice = JSON.parse(stdout) as Advice;
  assert.ok(advice.rows.length > 0);
  assert.deepEqual([...new Set(advice.rows.map((row) => row.batch))], [1]);
  assert.ok(advice.notes.some((note) => note.includes('fixes its first dimension')));
});

test('nothing that meets the demand is exit code 1, with the nearest that does', async () => {
  const { code, stdout } = await hone(['advise', model, '--budget', '0.0001/h']);
  assert.equal(code, 1);
  assert.match(stdout, /What binds: budget/);
  assert.match(stdout, /nearest: --budget/);
});

for (const [what, args, expected] of [
  ['a level that is none', ['--sla', 'quick'], 'HONE-ADVISE-004'],
  ['an instance that is not there', ['--hardware', 'g4dm.xlarge'], 'HONE-ADVISE-005'],
  ['a device that nothing for rent has', ['--hardware', 'a40'], 'HONE-ADVISE-005'],
  ['a missing table of prices', ['--prices', path.join(folder, 'none.csv')], 'HONE-ADVISE-003'],
  ['a budget below nothing', ['--budget', '-3/h'], 'HONE-'],
] as const) {
  test(`${what} is a coded error with a cure`, async () => {
    const { code, stdout, stderr } = await hone(['advise', model, ...args, '--json']);
    assert.equal(code, 1, stdout);
    const { error } = JSON.parse(stdout || stderr) as {
      readonly error: { readonly code: string; readonly cure: string };
    };
    assert.ok(error.code.startsWith(expected), error.code);
    assert.ok(error.cure.length > 10);
  });
}

test('negative prices and files that are no models are coded errors', async () => {
  const prices = path.join(folder, 'prices.csv');
  writeFileSync(
    prices,
    'instance,service,region,currency,per_hour,date\nc5.large,ec2,us-east-1,USD,-1,2026-11-01\n',
  );
  const negative = await hone(['advise', model, '--prices', prices]);
  assert.equal(negative.code, 1);
  assert.match(negative.stderr, /HONE-ADVISE-003.*prices\.csv:2/);
  const other = await hone(['advise', prices]);
  assert.equal(other.code, 1);
  assert.match(other.stderr, /HONE-CLI-007/);
});

test('the catalogue is listed and checked', async () => {
  const list = await hone(['catalogue']);
  assert.equal(list.code, 0);
  assert.match(list.stdout, /g4dn\.xlarge +4 +16\.0 GiB +1 × NVIDIA T4 +0\.526 +0\.736/);
  const check = await hone(['catalogue', '--check', '--json']);
  assert.equal(check.code, 0);
  const found = JSON.parse(check.stdout) as { readonly ok: boolean; readonly measurements: number };
  assert.equal(found.ok, true);
  assert.ok(found.measurements >= 681);
});
