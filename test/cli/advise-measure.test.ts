/** `hone advise` with measurements: by agents and here, stored, used, and shown on its page. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { Advice, AdviceMeasurement } from 'hone/advisor/advice-types';
import { readResults } from 'hone/advisor/results-file';
import { COMMANDS } from 'hone/cli/contract';
import type { MeasureFailure } from 'hone/cli/measure/measure-model';
import { runProgram } from 'hone/cli/program';
import type { Agent } from 'hone/server/agent/serve';
import { agentAt, makeSample, type Sample, TOKEN } from '../server/sample-agent.ts';

let sample: Sample;
let agents: readonly Agent[];
before(async () => {
  sample = await makeSample();
  writeFileSync(sample.place('token'), TOKEN, { mode: 0o600 });
  agents = await Promise.all([
    agentAt(sample, `unix:${sample.place('one.sock')}`),
    agentAt(sample, '127.0.0.1:0'),
  ]);
});
after(async () => {
  await Promise.all(agents.map((agent) => agent.close()));
  sample.remove();
});

interface Answer extends Advice {
  readonly measurements: readonly AdviceMeasurement[];
  readonly failures: readonly MeasureFailure[];
}

async function advise(...args: readonly string[]): Promise<{
  readonly answer: Answer;
  readonly exit: number;
  readonly log: string;
  readonly text: string;
}> {
  let log = '';
  const all = [
    'advise',
    sample.model,
    '--sla',
    'p99=10s',
    '--hardware',
    'c5',
    '--results',
    sample.place('r.jsonl'),
    '--duration',
    '5ms',
    ...args,
  ];
  const parsed = await runProgram(COMMANDS, '0', all, {
    log: (line) => {
      log += `${line}\n`;
    },
    progress: () => {},
  });
  assert.equal(parsed.kind, 'outcome');
  if (parsed.kind !== 'outcome') throw new Error('no outcome');
  const { json, exitCode, text } = parsed.outcome;
  return { answer: json as unknown as Answer, exit: exitCode ?? 0, log, text: text.join('\n') };
}

test('agents measure, the answer says what was measured, and later answers use it', async () => {
  const [one, two] = agents;
  const before = await advise();
  assert.deepEqual([before.answer.measurements, before.answer.failures], [[], []]);
  assert.ok(before.answer.rows.every(({ basis }) => basis !== 'measured'));
  const page = sample.place('advice.html');
  const signed = ['--sign', sample.key, '--agent-token', sample.place('token')];
  const places = ['--agent', `c5.large=${one?.url}`, '--agent', `c5.xlarge=${two?.url}`];
  const nobody = ['--agent', `c5.2xlarge=unix:${sample.place('nobody.sock')}`];
  const { answer, exit, log } = await advise(...signed, ...places, ...nobody, '--html', page);
  assert.equal(exit, 1, 'one of the machines could not measure');
  assert.deepEqual(
    answer.failures.map(({ code }) => code),
    ['HONE-AGENT-008'],
  );
  assert.match(log, /not measured on unix:.*nobody/);
  const spec = COMMANDS.find(({ name }) => name === 'advise');
  assert.deepEqual(Object.keys(answer).sort(), Object.keys(spec?.json ?? {}).sort());
  const first = answer.measurements[0];
  for (const key of Object.keys(first ?? {}))
    assert.ok(spec?.json['measurements']?.includes(key), key);
  const machines = new Set(answer.measurements.map(({ machine }) => machine));
  assert.deepEqual(machines, new Set(['c5.large', 'c5.xlarge']));
  const shown = [...answer.rows, ...answer.alternatives].filter(
    ({ basis }) => basis === 'measured',
  );
  assert.deepEqual(new Set(shown.map(({ instance }) => instance)), machines);
  for (const { machine, precision, batch, lanes, p50_ms } of answer.measurements) {
    const row = shown.find(
      (candidate) =>
        candidate.instance === machine &&
        candidate.precision === precision &&
        candidate.batch === batch &&
        candidate.station.lanes === lanes,
    );
    if (row !== undefined) assert.ok(Math.abs(row.station.service_ms - p50_ms) < 1e-9);
  }
  const html = readFileSync(page, 'utf8');
  assert.ok(html.includes('What was timed') && html.includes('c5.xlarge'));
  const later = await advise();
  assert.equal(later.exit, 0);
  assert.deepEqual(later.answer.measurements, answer.measurements, 'from the file alone');
  assert.match(later.text, /measured:\n {2}c5\.large: fp32/);
  assert.ok(
    readResults(sample.place('r.jsonl')).results.every(({ model }) => model.workload !== null),
  );
});

test('a damaged line of the results file is said, and the rest used', async () => {
  const file = sample.place('r.jsonl');
  writeFileSync(file, `${readFileSync(file, 'utf8')}{"half\n`);
  const { answer, exit } = await advise();
  assert.equal(exit, 0);
  assert.ok(answer.measurements.length > 0);
  assert.ok(
    answer.notes.some((note) => /^HONE-ADVISE-041: .*r\.jsonl:\d+/.test(note)),
    answer.notes.join('\n'),
  );
});

test('this machine measures without a key, and is predicted from its probe', async () => {
  const { answer, exit } = await advise('--measure', '--results', sample.place('here.jsonl'));
  assert.equal(exit, 0);
  const [here] = answer.measurements;
  assert.equal(here?.by, 'here');
  assert.ok(
    (here?.p50_ms ?? 0) > 0 && (here?.predicted_ms === null || (here?.predicted_ms ?? 0) > 0),
  );
});
