/** Agents: what they measure, and what they refuse. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { after, before, test } from 'node:test';
import { agentClient } from 'hone/server/agent/client';
import { parseAgentAddress } from 'hone/server/agent/address';
import { type JobSettings, parseJobSettings } from 'hone/server/agent/protocol';
import type { Agent } from 'hone/server/agent/serve';
import { readPrivateKey } from 'hone-runtime/artifact/keys';
import { packArtifact } from 'hone-runtime/artifact/pack';
import { writeArtifact } from 'hone-runtime/artifact/write';
import { nativeTargetName } from 'hone-runtime/target/native';
import { plainContents } from '../artifact/plain-artifact.ts';
import {
  agentAt,
  clientOf,
  coded,
  LIMITS,
  makeSample,
  type Sample,
  TOKEN,
} from './sample-agent.ts';

let sample: Sample;
let agent: Agent;

before(async () => {
  sample = await makeSample();
  agent = await agentAt(sample, `unix:${sample.place('agent.sock')}`);
});
after(async () => {
  await agent.close();
  sample.remove();
});

const settings = (artifact: string, changes: Partial<JobSettings> = {}): JobSettings => ({
  artifact,
  label: 'small',
  threads: 1,
  concurrency: [1],
  durationMs: 5,
  sessions: 1,
  ...changes,
});

/** A packed artifact that is never run. */
async function plainArchive(name: string, keyFile?: string, bytes = 100): Promise<string> {
  const key = keyFile === undefined ? {} : { key: readPrivateKey(keyFile) };
  writeArtifact(sample.place(`${name}.hone`), plainContents(name, 7, bytes), key);
  await packArtifact(sample.place(`${name}.hone`), sample.place(`${name}.tar.gz`));
  return sample.place(`${name}.tar.gz`);
}

interface Raw {
  readonly status: number;
  readonly code: string | undefined;
}

/** A request as no client of ours makes it; `body` comes in pieces, without a length. */
function raw(method: string, path: string, body: readonly Buffer[] = []): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const question = request({
      socketPath: sample.place('agent.sock'),
      method,
      path,
      headers: { authorization: `Bearer ${TOKEN}` },
    });
    question.on('error', reject);
    question.on('response', (response) => {
      let text = '';
      response.on('data', (piece) => {
        text += piece;
      });
      response.on('end', () => {
        question.removeAllListeners('error').on('error', () => {});
        const { error } = JSON.parse(text) as { error?: { code: string } };
        resolve({ status: response.statusCode ?? 0, code: error?.code });
      });
    });
    for (const piece of body) question.write(piece);
    question.end();
  });
}

test('an agent says what it is, and measures', async () => {
  const client = clientOf(agent.url);
  const facts = await client.facts();
  assert.equal(facts.target, nativeTargetName());
  assert.equal(facts.limits.upload_bytes, LIMITS.uploadBytes);
  assert.ok(facts.machine.cores >= 1 && facts.machine.memory_bytes > 0);
  const artifact = await client.upload(sample.archive);
  assert.equal(
    await client.upload(sample.archive),
    artifact,
    'the same bytes are the same artifact',
  );
  const said: string[] = [];
  const result = await client.measure(settings(artifact, { concurrency: [1, 2] }), (text) =>
    said.push(text),
  );
  assert.equal(result.artifact, artifact);
  assert.ok(said.some((text) => text.includes('measuring')));
  assert.deepEqual(
    result.report.results.map((row) => [row.model, row.engine, row.concurrency, row.target]),
    [1, 2].map((lanes) => ['small', 'hone', lanes, nativeTargetName()]),
  );
  for (const row of result.report.results) assert.ok(row.p50_ms > 0 && row.p99_ms >= row.p50_ms);
  assert.ok(result.conditions.load_before >= 0 && !Number.isNaN(Date.parse(result.started)));
  await client.remove(artifact);
  await assert.rejects(client.measure(settings(artifact)), coded('HONE-AGENT-003', /no artifact/));
});

test('a wrong token gets nothing, whatever is asked', async () => {
  const client = clientOf(agent.url, 'not-the-token-0123456789');
  const refused = coded('HONE-AGENT-001', /token/);
  await assert.rejects(client.facts(), refused);
  await assert.rejects(client.upload(sample.archive), refused);
  await assert.rejects(client.measure(settings('0')), refused);
});

test('only what a trusted key signed is unpacked', async () => {
  const client = clientOf(agent.url);
  await assert.rejects(client.upload(await plainArchive('unsigned')), coded('HONE-ARTIFACT-020'));
  const stranger = await plainArchive('strangers', sample.otherKey);
  await assert.rejects(client.upload(stranger), coded('HONE-ARTIFACT-021'));
  writeFileSync(sample.place('noise.gz'), Buffer.from([0x1f, 0x8b, 8, 0, 1, 2, 3]));
  await assert.rejects(
    client.upload(sample.place('noise.gz')),
    coded('HONE-ARTIFACT-031', /the upload/),
  );
  writeFileSync(sample.place('empty'), '');
  await assert.rejects(client.upload(sample.place('empty')), coded('HONE-ARTIFACT-031'));
});

test('an upload beyond the limits ends at once, said beforehand or not', async () => {
  const large = sample.place('large');
  writeFileSync(large, Buffer.alloc(LIMITS.uploadBytes + 1));
  await assert.rejects(clientOf(agent.url).upload(large), coded('HONE-AGENT-004', /1048576 bytes/));
  const pieces = Array.from({ length: 40 }, () => Buffer.alloc(1 << 16));
  assert.deepEqual(await raw('POST', '/v1/artifacts', pieces), {
    status: 413,
    code: 'HONE-AGENT-004',
  });
  // Zeros pack well: small to send, large on the disk.
  const bomb = await plainArchive('bomb', sample.key, LIMITS.unpackedBytes);
  await assert.rejects(clientOf(agent.url).upload(bomb), coded('HONE-ARTIFACT-033'));
});

test('requests that make no sense are refused with a code', async () => {
  const cases: readonly (readonly [string, string, string, number, string])[] = [
    ['POST', '/v1/jobs', '{', 400, 'HONE-AGENT-002'],
    ['POST', '/v1/jobs', '[]', 400, 'HONE-AGENT-002'],
    ['POST', '/v1/jobs', '{"artifact": 7}', 400, 'HONE-AGENT-002'],
    ['POST', '/v1/jobs', JSON.stringify(wire({ threads: 1.5 })), 400, 'HONE-AGENT-002'],
    ['POST', '/v1/jobs', JSON.stringify(wire({ duration_ms: 1e9 })), 422, 'HONE-AGENT-015'],
    ['POST', '/v1/jobs', JSON.stringify(wire({ concurrency: [] })), 422, 'HONE-AGENT-015'],
    ['POST', '/v1/jobs', JSON.stringify(wire({ concurrency: [1000] })), 422, 'HONE-AGENT-015'],
    ['POST', '/v1/jobs', JSON.stringify(wire({})), 404, 'HONE-AGENT-003'],
    ['POST', '/v1/jobs', ' '.repeat(70_000), 413, 'HONE-AGENT-004'],
    ['GET', '/v1/jobs/nothing', '', 404, 'HONE-AGENT-003'],
    ['DELETE', '/v1/jobs/nothing', '', 404, 'HONE-AGENT-003'],
    ['GET', '/v1/../../etc/passwd', '', 404, 'HONE-AGENT-003'],
    ['GET', '/v2', '', 404, 'HONE-AGENT-003'],
    ['PUT', '/v1', '', 404, 'HONE-AGENT-003'],
    ['GET', '//', '', 404, 'HONE-AGENT-003'],
  ];
  for (const [method, path, body, status, code] of cases) {
    assert.deepEqual(
      await raw(method, path, [Buffer.from(body)]),
      { status, code },
      `${method} ${path} ${body.slice(0, 40)}`,
    );
  }
  assert.throws(() => parseJobSettings('null', LIMITS), { code: 'HONE-AGENT-002' });
});

function wire(changes: Readonly<Record<string, unknown>>): object {
  const some = { artifact: 'none', label: 'x', threads: null, concurrency: [1] };
  return { ...some, duration_ms: 5, sessions: 1, ...changes };
}

test('a client that goes away half-way leaves nothing behind', async () => {
  const broken = request({
    socketPath: sample.place('agent.sock'),
    method: 'POST',
    path: '/v1/artifacts',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-length': 100_000 },
  });
  broken.on('error', () => {});
  await new Promise<void>((resolve) => {
    broken.write(Buffer.alloc(1000), () => resolve());
  });
  broken.destroy();
  assert.equal((await clientOf(agent.url).facts()).jobs.running, 0);
});

test('the queue is bounded, jobs can be cancelled, and end at their limit', async () => {
  const client = clientOf(agent.url);
  const artifact = await client.upload(sample.archive);
  const long = settings(artifact, { durationMs: 30_000 });
  const begun = (job: Promise<unknown>): Promise<unknown> => {
    job.catch(() => {});
    return job;
  };
  const posted = async (): Promise<Raw & { readonly job: string }> => {
    const peer = { address: parseAgentAddress(agent.url), token: TOKEN };
    const { exchange } = await import('hone/server/agent/exchange');
    const { printJobSettings } = await import('hone/server/agent/protocol');
    const body = { json: printJobSettings(long) };
    const answer = await exchange(peer, {
      method: 'POST',
      path: '/v1/jobs',
      body,
      silenceMs: 9000,
      totalMs: 9000,
    });
    return { status: 202, code: undefined, job: (answer.value as { job: string }).job };
  };
  const [first, second] = [await posted(), await posted()];
  await assert.rejects(client.measure(long), coded('HONE-AGENT-005', /queue is full/));
  assert.deepEqual((await client.facts()).jobs, { waiting: 1, running: 1 });
  assert.equal((await raw('DELETE', `/v1/jobs/${second.job}`)).status, 200);
  assert.equal((await raw('DELETE', `/v1/jobs/${first.job}`)).status, 200);
  const other = await agentAt(sample, '127.0.0.1:0', { jobMs: 100 });
  try {
    const hurried = agentClient({ address: parseAgentAddress(other.url), token: TOKEN });
    const there = await hurried.upload(sample.archive);
    const job = begun(hurried.measure(settings(there)));
    await assert.rejects(job, coded('HONE-AGENT-006', /0\.1 s/));
  } finally {
    await other.close();
  }
  const result = await client.measure(settings(artifact));
  assert.equal(result.report.results.length, 1, 'the agent goes on after all that');
});

test('a model that cannot be opened here fails with its own code', async () => {
  const client = clientOf(agent.url);
  const artifact = await client.upload(await plainArchive('hollow', sample.key));
  await assert.rejects(
    client.measure(settings(artifact)),
    coded('HONE-ARTIFACT-003', /the agent at/),
  );
});
