/** `hone agent` as processes: two on one machine, one that dies half-way, and how they end. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { JobSettings } from 'hone/server/agent/protocol';
import { hone } from '../support/hone-process.ts';
import {
  agentProcess,
  type AgentProcess,
  clientOf,
  coded,
  makeSample,
  type Sample,
} from './sample-agent.ts';

let sample: Sample;
let token: string;
let socket: AgentProcess;
let web: AgentProcess;
const started: AgentProcess[] = [];

const start = async (...args: string[]): Promise<AgentProcess> => {
  const options = ['--key', `${sample.key}.pub`, '--token-file', sample.place('token')];
  const agent = await agentProcess([...options, ...args], { TMPDIR: sample.folder });
  started.push(agent);
  return agent;
};

before(async () => {
  sample = await makeSample();
  socket = await start('--listen', `unix:${sample.place('agent.sock')}`, '--name', 'c5.large');
  web = await start('--listen', '127.0.0.1:0');
  token = readFileSync(sample.place('token'), 'utf8').trim();
});
after(() => {
  for (const { child } of started) child.kill('SIGKILL');
  sample.remove();
});

const settings = (artifact: string, durationMs: number): JobSettings => ({
  artifact,
  label: 'small',
  threads: 1,
  concurrency: [1],
  durationMs,
  sessions: 1,
});

/** Processes whose parents, up to the system, include `pid`. */
function descendants(pid: number): number[] {
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid;
      } catch {
        return false;
      }
    })
    .map(Number);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

async function until(holds: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + 15_000; !holds(); ) {
    if (Date.now() > end) throw new Error(`${what}, and it is not so`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test('two agents on one machine measure at the same time', async () => {
  const names = await Promise.all(
    [socket, web].map(async ({ url }) => {
      const client = clientOf(url, token);
      const artifact = await client.upload(sample.archive);
      const { report } = await client.measure(settings(artifact, 20));
      assert.deepEqual(report.failures, []);
      assert.ok((report.results[0]?.p50_ms ?? 0) > 0);
      return (await client.facts()).name;
    }),
  );
  assert.deepEqual(names, ['c5.large', null]);
  assert.match(web.url, /^https:\/\/127\.0\.0\.1:\d+\/#sha256=[0-9a-f]{64}$/);
  assert.ok(!`${socket.said()}${web.said()}`.includes(token), 'the token is never printed');
});

const linux = process.platform === 'linux' ? false : 'needs /proc';

test('an agent killed in the middle of a job is an error at once, and leaves no process', {
  skip: linux,
}, async () => {
  const doomed = await start('--listen', `unix:${sample.place('doomed.sock')}`);
  const client = clientOf(doomed.url, token);
  const artifact = await client.upload(sample.archive);
  let workers: number[] = [];
  const kill = (text: string): void => {
    if (!text.includes('measuring') || workers.length > 0) return;
    workers = descendants(doomed.child.pid ?? 0);
    doomed.child.kill('SIGKILL');
  };
  const begin = Date.now();
  await assert.rejects(client.measure(settings(artifact, 50_000), kill), coded('HONE-AGENT-008'));
  assert.ok(Date.now() - begin < 30_000);
  assert.ok(workers.length >= 2, 'the job and its engine were there');
  await until(
    () => workers.every((pid) => !existsSync(`/proc/${pid}`)),
    'workers end with their agent',
  );
  const next = await start('--listen', `unix:${sample.place('doomed.sock')}`);
  assert.equal(
    (await clientOf(next.url, token).facts()).jobs.running,
    0,
    'its socket is taken over',
  );
});

test('an agent that is asked to end ends its jobs and tidies up', { skip: linux }, async () => {
  const path = sample.place('ending.sock');
  const agent = await start('--listen', `unix:${path}`);
  const client = clientOf(agent.url, token);
  const artifact = await client.upload(sample.archive);
  let workers: number[] = [];
  const job = client.measure(settings(artifact, 50_000), (text) => {
    if (!text.includes('measuring') || workers.length > 0) return;
    workers = descendants(agent.child.pid ?? 0);
    agent.child.kill('SIGTERM');
  });
  await assert.rejects(job, (error: Error & { code: string }) =>
    /^HONE-AGENT-0(08|16)$/.test(error.code),
  );
  assert.equal(await agent.ended, 0);
  assert.equal(existsSync(path), false);
  await until(() => workers.every((pid) => !existsSync(`/proc/${pid}`)), 'workers are gone');
});

test('what an agent cannot begin with', async () => {
  const key = ['--key', `${sample.key}.pub`];
  const withToken = [...key, '--token-file', sample.place('token')];
  const cases: readonly (readonly [readonly string[], string])[] = [
    [[], 'HONE-AGENT-017'],
    [key, 'HONE-AGENT-013'],
    [['--key', sample.place('nothing.pub')], 'HONE-ARTIFACT-023'],
    [[...withToken, '--listen', 'here'], 'HONE-AGENT-011'],
    [[...withToken, '--listen', socket.url], 'HONE-AGENT-012'],
    [[...withToken, '--cert', sample.key], 'HONE-CLI-006'],
    [[...withToken, '--cert', sample.key, '--cert-key', sample.key], 'HONE-AGENT-014'],
    [[...withToken, '--max-upload', 'much'], 'HONE-CLI-006'],
  ];
  await Promise.all(
    cases.map(async ([args, code]) => {
      const { code: exit, stderr } = await hone(['agent', ...args], { HONE_AGENT_TOKEN: '' });
      assert.deepEqual([exit, stderr.split(':')[0]], [1, code], args.join(' '));
      assert.match(stderr, /cure: /);
    }),
  );
  assert.equal(existsSync(sample.key), true);
});

test('agents that end leave nothing, and remove what killed ones left', async () => {
  for (const { child } of started) child.kill('SIGTERM');
  await Promise.all(started.map(({ ended }) => ended));
  const left = readdirSync(sample.folder).filter((name) => /^hone-agent|sock$/.test(name));
  assert.deepEqual(left, []);
});
