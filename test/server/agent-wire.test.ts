/** What goes wrong on the wire: noise sent to an agent, and agents that answer nonsense or not at all. */
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer as createNetServer, type Server } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { agentClient } from 'hone/server/agent/client';
import { exchange } from 'hone/server/agent/exchange';
import { startAgent } from 'hone/server/agent/serve';
import { readPublicKey, writeKeyPair } from 'hone-runtime/artifact/keys';
import { seededRandom } from 'hone-runtime/base/random';
import { clientOf, coded, LIMITS, TOKEN } from './sample-agent.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-wire-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const socket = path.join(folder, 's.sock');
const peer = {
  address: { kind: 'unix', path: socket, text: `unix:${socket}` },
  token: TOKEN,
} as const;
const QUICK = { silenceMs: 150, totalMs: 1000 };

async function serving(server: Server, use: () => Promise<void>): Promise<void> {
  rmSync(socket, { force: true });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const open = new Set<{ destroy(): void }>();
  server.on('connection', (one) => open.add(one));
  try {
    await use();
  } finally {
    for (const one of open) one.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

const answering = (answer: (request: IncomingMessage, response: ServerResponse) => void): Server =>
  createServer(answer);

test('noise ends its own connection only', async () => {
  writeKeyPair(path.join(folder, 'key'));
  const agent = await startAgent({
    address: { kind: 'unix', path: socket },
    token: TOKEN,
    keys: [readPublicKey(path.join(folder, 'key.pub'))],
    limits: LIMITS,
    log: () => {},
  });
  try {
    const random = seededRandom(11);
    const noise = (size: number): Buffer =>
      Buffer.from(Array.from({ length: size }, () => random.integer(256)));
    const head = `POST /v1/artifacts HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${TOKEN}\r\n`;
    const sent: readonly Buffer[] = [
      ...Array.from({ length: 20 }, () => noise(1 + random.integer(300))),
      Buffer.from('GET /v1 HTTP/1.1\r\n\r\n'),
      Buffer.from(`${head}Content-Length: -5\r\n\r\n`),
      Buffer.from(`${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello`),
      Buffer.from(`${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n`),
      Buffer.from(`${head}X: ${'y'.repeat(40_000)}\r\n\r\n`),
      Buffer.concat([Buffer.from(`${head}Content-Length: 400\r\n\r\n`), noise(400)]),
    ];
    await Promise.all(
      sent.map(
        (bytes) =>
          new Promise<void>((resolve) => {
            const one = connect(socket, () => one.end(bytes));
            one.on('data', () => {});
            one.on('error', () => resolve());
            one.on('close', () => resolve());
          }),
      ),
    );
    assert.equal((await clientOf(agent.url).facts()).jobs.running, 0);
  } finally {
    await agent.close();
  }
});

test('an agent that is silent, hangs up or goes on for ever is given up', async () => {
  const ask = (): Promise<unknown> => exchange(peer, { method: 'GET', path: '/v1', ...QUICK });
  await serving(
    answering(() => {}),
    () => assert.rejects(ask(), coded('HONE-AGENT-008', /silent/)),
  );
  await serving(
    answering((_request, response) => {
      response.writeHead(200, { 'content-length': 100 }).write('{"protocol"');
    }),
    () => assert.rejects(ask(), coded('HONE-AGENT-008')),
  );
  await serving(
    answering((_request, response) => {
      response.writeHead(200, { 'content-length': 100 }).write('{', () => response.destroy());
    }),
    () => assert.rejects(ask(), coded('HONE-AGENT-008')),
  );
  await serving(
    answering((_request, response) => {
      const drip = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(drip));
    }),
    () => assert.rejects(ask(), coded('HONE-AGENT-008', /no end after 1 s/)),
  );
  await serving(
    createNetServer((one) => one.on('error', () => {}).end('SSH-2.0-x\r\n')),
    () => assert.rejects(ask(), coded('HONE-AGENT-008')),
  );
});

test('an answer that is none of an agent is not believed', async () => {
  const facts = (): Promise<unknown> => agentClient(peer).facts();
  const answers: readonly (readonly [number, string])[] = [
    [200, '<html>'],
    [200, 'null'],
    [200, '{"protocol": 1}'],
    [200, JSON.stringify({ protocol: 1, hone: '1', name: 7 })],
    [200, ' '.repeat((16 << 20) + 10)],
    [500, 'oops'],
    [500, '{"error": {"code": "rm -rf", "message": "x", "subject": null, "cure": null}}'],
    [302, '{}'],
  ];
  for (const [status, body] of answers) {
    await serving(
      answering((_request, response) => response.writeHead(status).end(body)),
      () =>
        assert.rejects(
          facts(),
          (error: Error & { code: string }) => error.code === 'HONE-AGENT-010',
          body.slice(0, 60),
        ),
    );
  }
});

test('an upload that is refused is not sent', async () => {
  const file = path.join(folder, 'upload');
  writeFileSync(file, Buffer.alloc(3 << 20));
  let bytes = 0;
  const server = createServer();
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    request.on('data', (piece: Buffer) => {
      bytes += piece.byteLength;
    });
    const error = { code: 'HONE-AGENT-004', message: 'too large', subject: null, cure: 'less' };
    response.writeHead(413, { connection: 'close' }).end(JSON.stringify({ error }));
  });
  await serving(server, () =>
    assert.rejects(agentClient(peer).upload(file), coded('HONE-AGENT-004')),
  );
  assert.equal(bytes, 0);
});
