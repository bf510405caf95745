/** Measuring a model here and by agents: what is stored, and what happens when one of them fails. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { learn } from 'hone/advisor/learned';
import { readResults } from 'hone/advisor/results-file';
import { type MeasureOrder, measureModel } from 'hone/cli/measure/measure-model';
import { variantsFor } from 'hone/cli/measure/measure-advice';
import { readMeasureOptions } from 'hone/cli/measure/measure-options';
import { optionReader } from 'hone/cli/option-reader';
import { readOrMakeToken } from 'hone/server/agent/token';
import { placeAt, placeHere } from 'hone/cli/measure/place';
import { readPrivateKey } from 'hone-runtime/artifact/keys';
import { nativeTargetName } from 'hone-runtime/target/native';
import {
  agentAt,
  agentProcess,
  clientOf,
  makeSample,
  type Sample,
  TOKEN,
} from '../server/sample-agent.ts';

let sample: Sample;
before(async () => {
  sample = await makeSample();
});
after(() => sample.remove());

function order(file: string, changes: Partial<MeasureOrder> = {}): MeasureOrder {
  return {
    path: sample.model,
    label: 'small',
    request: {},
    variants: [{ precision: 'fp32', batch: 1, lanes: 1 }],
    durationMs: 5,
    sessions: 1,
    key: readPrivateKey(sample.key),
    workload: null,
    resultsFile: sample.place(file),
    progress: () => {},
    ...changes,
  };
}

test('this machine and two agents measure, and what they found is learnt from', async () => {
  const agents = await Promise.all([
    agentAt(sample, `unix:${sample.place('one.sock')}`),
    agentAt(sample, '127.0.0.1:0'),
  ]);
  try {
    const [one, two] = await Promise.all(
      agents.map(({ url }, i) => placeAt(clientOf(url), url, `machine-${i + 1}`)),
    );
    assert.ok(one !== undefined && two !== undefined);
    assert.equal(one.target, nativeTargetName());
    const said: string[] = [];
    const all = order('all.jsonl', { progress: (text) => said.push(text) });
    // At the same time: each writes its own lines.
    const older = { ...two, target: process.arch === 'x64' ? 'x86-64-v2-linux-gnu' : two.target };
    const outcomes = await Promise.all([one, older].map((place) => measureModel(place, all)));
    outcomes.push(await measureModel(placeHere('home'), all));
    for (const { results, failures } of outcomes)
      assert.deepEqual([results.length, failures], [1, []]);
    assert.ok(said.some((text) => text.startsWith('compiling small for machine-1')));
    const { results, problems } = readResults(all.resultsFile);
    assert.deepEqual([results.length, problems], [3, []]);
    assert.deepEqual(
      new Set(results.map(({ machine }) => machine.name)),
      new Set(['machine-1', 'machine-2', 'home']),
    );
    assert.deepEqual(new Set(results.map(({ model }) => model.sha256)).size, 1);
    assert.ok(
      results.some(({ by }) => by.startsWith('https://')) &&
        results.some(({ by }) => by === 'here'),
    );
    const compiledFor = results.find(({ machine }) => machine.name === 'machine-2')?.artifact
      .target;
    assert.equal(compiledFor, older.target, 'compiled for the machine that measures');
    const [first] = results;
    assert.deepEqual(first?.model.shapes, [[1, 3, 8, 8]]);
    // However busy this machine was: what is learnt is not the question here.
    const calm = results.map((result) => ({
      ...result,
      conditions: { ...result.conditions, disturbed: false },
    }));
    const learned = learn(calm, (result) => result.p50_ms / 2, 0.4);
    const [station] = learned.stations('home', first?.model.sha256 ?? '');
    assert.ok(station !== undefined && station.service_ms > 0 && station.tail >= 1);
    assert.deepEqual([station.batch, station.precision, station.lanes], [1, 'fp32', 1]);
    const fit = learned.fit('home');
    assert.ok(
      fit.measurements === 1 && fit.factor('fp32') > 1.5 && fit.factor('fp32') < 2,
      'half of what was predicted',
    );
    assert.equal(learned.fit('elsewhere').factor('fp32'), 1);
    assert.deepEqual(learned.stations('elsewhere', first?.model.sha256 ?? ''), []);
  } finally {
    await Promise.all(agents.map((agent) => agent.close()));
  }
});

test('a machine that fails is reported, and the next one measured', async () => {
  const agent = await agentProcess(
    ['--key', `${sample.key}.pub`, '--listen', `unix:${sample.place('dying.sock')}`],
    {
      HONE_AGENT_TOKEN: TOKEN,
    },
  );
  const place = await placeAt(clientOf(agent.url), agent.url, 'dying');
  const progress = (text: string): void => {
    if (text.includes('measuring')) agent.child.kill('SIGKILL');
  };
  const variants = [
    { precision: 'fp32', batch: 1, lanes: 1 },
    { precision: 'fp32', batch: 2, lanes: 1 },
  ] as const;
  const dying = order('failing.jsonl', { progress, durationMs: 20_000, variants });
  const { results, failures } = await measureModel(place, dying);
  assert.equal(results.length, 0);
  assert.deepEqual(
    failures.map(({ machine, code }) => [machine, code]),
    [['dying', 'HONE-AGENT-008']],
    'whoever is gone is not asked again',
  );
  assert.ok(failures[0]?.cure);
  const next = await measureModel(placeHere(), order('failing.jsonl'));
  assert.equal(next.results.length, 1);
  assert.equal(readResults(sample.place('failing.jsonl')).results.length, 1);
});

test('what an agent would refuse is known before anything is compiled', async () => {
  const agent = await agentAt(sample, `unix:${sample.place('strict.sock')}`);
  try {
    const place = await placeAt(clientOf(agent.url), agent.url);
    const said: string[] = [];
    const progress = (text: string): void => void said.push(text);
    const { key: _key, ...unsigned } = order('none.jsonl', { progress });
    const stranger = order('none.jsonl', { progress, key: readPrivateKey(sample.otherKey) });
    for (const wrong of [unsigned, stranger]) {
      const { failures } = await measureModel(place, wrong);
      assert.deepEqual(
        failures.map(({ code }) => code),
        ['HONE-AGENT-020'],
      );
    }
    assert.deepEqual(said, []);
    const broken = order('none.jsonl', { path: sample.place('signer.pub') });
    const { failures } = await measureModel(place, broken);
    assert.match(failures[0]?.code ?? '', /^HONE-(ONNX|CLI|IO)-/);
    await assert.rejects(placeAt(clientOf(agent.url, 'a-wrong-token-0123456789'), agent.url), {
      code: 'HONE-AGENT-001',
    });
  } finally {
    await agent.close();
  }
});

const reader = (text: Readonly<Record<string, unknown>>) => optionReader(text);

test('which machines measure, from the command line', async () => {
  const token = sample.place('token');
  readOrMakeToken(token, {});
  const agents = [
    'unix:/a.sock',
    `c5.large=https://h:1/#sha256=${'0'.repeat(64)}`,
    'c6i.large=here',
  ];
  const read = readMeasureOptions(
    reader({
      agent: agents,
      agentToken: [token],
      sign: sample.key,
      results: '/r.jsonl',
      duration: '1s',
    }),
  );
  assert.deepEqual(
    read.places.map(({ text }) => text),
    ['unix:/a.sock', 'https://h:1', 'here'],
  );
  assert.equal((await read.places[2]?.open())?.name, 'c6i.large');
  assert.deepEqual([read.resultsFile, read.durationMs], ['/r.jsonl', 1000]);
  assert.deepEqual(
    readMeasureOptions(reader({ measure: true })).places.map(({ text }) => text),
    ['here'],
  );
  assert.deepEqual(readMeasureOptions(reader({})).places, []);
  const wrong: readonly (readonly [Readonly<Record<string, unknown>>, string])[] = [
    [{ agent: ['http://h:1'], agentToken: [token], sign: sample.key }, 'HONE-AGENT-011'],
    [
      { agent: ['unix:/a.sock'], agentToken: [sample.place('none')], sign: sample.key },
      'HONE-AGENT-013',
    ],
    [{ agent: ['unix:/a.sock'], agentToken: [token] }, 'HONE-CLI-006'],
    [{ agent: ['unix:/a.sock'], agentToken: [token, token], sign: sample.key }, 'HONE-CLI-006'],
    [
      { agent: ['unix:/a.sock'], agentToken: [token], sign: sample.key, agentCa: token },
      'HONE-CLI-006',
    ],
    [{ agent: ['unix:/a.sock'], agentToken: [token], sign: token }, 'HONE-ARTIFACT-023'],
  ];
  for (const [options, code] of wrong) {
    assert.throws(() => readMeasureOptions(reader(options)), { code }, JSON.stringify(options));
  }
});

test('the settings that were predicted best for a machine are measured there', () => {
  const row = (instance: string, precision: string, batch: number, lanes = 1) => ({
    instance,
    precision,
    batch,
    station: { lanes },
  });
  const rows = [
    row('a', 'tf32', 8),
    row('a', 'int8', 8, 2),
    row('b', 'fp32', 1),
    row('a', 'int8', 8, 2),
    row('a', 'fp32', 1),
  ];
  assert.deepEqual(variantsFor('a', rows), [
    { precision: 'int8', batch: 8, lanes: 2 },
    { precision: 'fp32', batch: 1, lanes: 1 },
  ]);
  assert.deepEqual(variantsFor('c', rows), [{ precision: 'fp32', batch: 1, lanes: 1 }]);
});
