/** How an agent and its client know each other: certificates, fingerprints, sockets, token files. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer as createHttpsServer } from 'node:https';
import { createServer, type AddressInfo, type Server } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { parseAgentAddress, parseListenAddress } from 'hone/server/agent/address';
import { agentClient } from 'hone/server/agent/client';
import { openDoor } from 'hone/server/agent/listen';
import { instanceType } from 'hone/server/agent/machine-facts';
import { readOrMakeToken, readToken } from 'hone/server/agent/token';
import { readTlsIdentity, writeTlsIdentity } from 'hone/server/tls/identity-files';
import { fingerprintOf, makeTlsIdentity } from 'hone/server/tls/self-signed';
import { coded, TOKEN } from './sample-agent.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-tls-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const place = (name: string): string => path.join(folder, name);

async function listening<T>(server: Server, use: (port: number) => Promise<T>): Promise<T> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await use((server.address() as AddressInfo).port);
  } finally {
    server.close();
  }
}

const facts = (url: string, authorities?: string): Promise<unknown> =>
  agentClient({
    address: parseAgentAddress(url),
    token: TOKEN,
    ...(authorities === undefined ? {} : { authorities }),
  }).facts();

test('a certificate is one, for the names it was made for', () => {
  const names = ['a.example.com', '10.0.0.7', '2001:db8::7', '::1'];
  const { certificate, privateKey } = makeTlsIdentity(names, new Date('2045-01-01T00:00:00Z'));
  const read = new X509Certificate(certificate);
  assert.ok(read.verify(read.publicKey) && read.ca);
  assert.equal(read.checkHost('a.example.com'), 'a.example.com');
  assert.equal(read.checkHost('b.example.com'), undefined);
  for (const ip of names.slice(1)) assert.equal(read.checkIP(ip), ip);
  assert.match(read.validFrom, /Dec 31 .* 2044/);
  assert.match(read.validTo, /2054/, 'beyond 2049 the date has another form');
  assert.match(privateKey, /PRIVATE KEY/);
  for (const name of ['', 'a b', 'a..b', '*', '-x']) {
    assert.throws(() => makeTlsIdentity([name]), { code: 'HONE-AGENT-014' }, name);
  }
});

test('key and certificate on disk', () => {
  const { certificateFile, fingerprint } = writeTlsIdentity(place('web'), ['localhost']);
  assert.equal(statSync(place('web')).mode & 0o777, 0o600);
  const read = readTlsIdentity(certificateFile, place('web'));
  assert.equal(fingerprintOf(read.certificate), fingerprint);
  assert.throws(() => writeTlsIdentity(place('web'), ['localhost']), { code: 'HONE-AGENT-014' });
  writeTlsIdentity(place('other'), ['localhost']);
  const wrong: readonly (readonly [string, string, RegExp])[] = [
    [certificateFile, place('other'), /not the key of/],
    [place('web'), place('web'), /no certificate/],
    [certificateFile, certificateFile, /no private key/],
    [place('nothing'), place('web'), /cannot be read/],
  ];
  for (const [cert, key, words] of wrong)
    assert.throws(() => readTlsIdentity(cert, key), coded('HONE-AGENT-014', words));
});

test('the token goes only to the certificate that was pinned, or comes from a trusted authority', async () => {
  const identity = makeTlsIdentity(['localhost', '127.0.0.1']);
  let received = '';
  const { certificate: cert, privateKey: key } = identity;
  const spy = createTlsServer({ cert, key }, (socket) => {
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      received += bytes.toString();
    });
  });
  await listening(spy, async (port) => {
    const url = `https://127.0.0.1:${port}`;
    await assert.rejects(
      facts(`${url}/#sha256=${'0'.repeat(64)}`),
      coded('HONE-AGENT-009', /not the one given/),
    );
    await assert.rejects(facts(url), coded('HONE-AGENT-009', /not trusted/));
    const stranger = makeTlsIdentity(['127.0.0.1']).certificate;
    await assert.rejects(facts(url, stranger), coded('HONE-AGENT-009', /not trusted/));
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(received, '', 'not a byte was sent');
  });
  const answering = createHttpsServer({ cert, key }, (_request, response) =>
    response.end('<html>'),
  );
  await listening(answering, async (port) => {
    const pin = `/#sha256=${fingerprintOf(cert)}`;
    const noAgent = coded('HONE-AGENT-010');
    await assert.rejects(facts(`https://127.0.0.1:${port}${pin}`), noAgent);
    await assert.rejects(
      facts(`https://127.0.0.1:${port}`, cert),
      noAgent,
      'its own certificate as authority',
    );
    await assert.rejects(facts(`https://localhost:${port}`, cert), noAgent);
  });
  const foreign = createHttpsServer({ cert, key }, (_request, response) =>
    response.end('{"protocol": 99}'),
  );
  await listening(foreign, async (port) => {
    await assert.rejects(
      facts(`https://127.0.0.1:${port}`, cert),
      coded('HONE-AGENT-010', /version 99/),
    );
  });
});

test('who is not there, does not speak TLS or hangs up is told apart', async () => {
  await assert.rejects(facts(`unix:${place('none.sock')}`), coded('HONE-AGENT-008', /ENOENT/));
  const plain = createServer((socket) => socket.on('error', () => {}).end('220 hello\r\n'));
  const port = await listening(plain, async (open) => {
    await assert.rejects(facts(`https://127.0.0.1:${open}`), coded('HONE-AGENT-009', /no TLS/));
    return open;
  });
  await assert.rejects(facts(`https://127.0.0.1:${port}`), coded('HONE-AGENT-008', /ECONNREFUSED/));
  const mute = createServer((socket) => socket.on('error', () => {}).destroy());
  await listening(mute, async (open) => {
    await assert.rejects(facts(`https://127.0.0.1:${open}`), coded('HONE-AGENT-008'));
  });
});

test('addresses', () => {
  assert.deepEqual(parseListenAddress('unix:a/b.sock'), { kind: 'unix', path: 'a/b.sock' });
  assert.deepEqual(parseListenAddress('[::1]:0'), { kind: 'tls', host: '::1', port: 0 });
  for (const text of [
    '',
    '8741',
    'host',
    'host:99999',
    'unix:',
    `unix:${'x'.repeat(108)}`,
    'a b:1',
  ]) {
    assert.throws(() => parseListenAddress(text), coded('HONE-AGENT-011'), text);
  }
  const pinned = parseAgentAddress(`https://h:1/#sha256=${'AB:'.repeat(31)}AB`);
  assert.equal(pinned.kind === 'tls' && pinned.fingerprint, 'ab'.repeat(32));
  for (const text of [
    'http://h:1',
    'h:1',
    'https://u:p@h:1',
    'https://h:1/x',
    'https://h:1/#abc',
    'unix:',
    'https://',
  ]) {
    assert.throws(() => parseAgentAddress(text), coded('HONE-AGENT-011'), text);
  }
});

test('a socket is private, and one that a killed agent left is taken over', async () => {
  const file = place('door.sock');
  const open = (): ReturnType<typeof openDoor> =>
    openDoor({ kind: 'unix', path: file }, undefined, () => {});
  const door = await open();
  assert.equal(statSync(file).mode & 0o777, 0o600);
  await assert.rejects(open(), coded('HONE-AGENT-012', /another process listens/));
  await door.close();
  assert.equal(existsSync(file), false);
  writeFileSync(file, 'mine');
  await assert.rejects(open(), coded('HONE-AGENT-012', /no socket/));
  assert.equal(readFileSync(file, 'utf8'), 'mine');
  const gone = { kind: 'unix', path: place('no/folder.sock') } as const;
  await assert.rejects(
    openDoor(gone, undefined, () => {}),
    coded('HONE-AGENT-012', /not there/),
  );
});

test('tokens', () => {
  const file = place('token');
  const made = readOrMakeToken(file, {});
  assert.ok(made.made && made.token.length >= 40);
  assert.deepEqual(readOrMakeToken(file, {}), { token: made.token, made: false });
  chmodSync(file, 0o644);
  assert.throws(() => readToken(file, {}), coded('HONE-AGENT-013', /other users/));
  assert.throws(() => readToken(place('none'), {}), coded('HONE-AGENT-013', /ENOENT/));
  assert.throws(() => readToken(undefined, {}), coded('HONE-AGENT-013', /no token/));
  assert.throws(
    () => readToken(undefined, { HONE_AGENT_TOKEN: 'short' }),
    coded('HONE-AGENT-013', /guessed/),
  );
  assert.throws(
    () => readToken(undefined, { HONE_AGENT_TOKEN: 'two words and a few letters' }),
    coded('HONE-AGENT-013'),
  );
  assert.equal(readToken(undefined, { HONE_AGENT_TOKEN: ` ${TOKEN}\n` }), TOKEN);
});

test('an EC2 machine knows its type', () => {
  const say = (vendor: string, product: string): string | null => {
    writeFileSync(place('sys_vendor'), `${vendor}\n`);
    writeFileSync(place('product_name'), `${product}\n`);
    return instanceType(folder);
  };
  assert.equal(say('Amazon EC2', 'c6i.xlarge'), 'c6i.xlarge');
  assert.equal(say('Amazon EC2', 'u-6tb1.metal'), 'u-6tb1.metal');
  assert.equal(say('Xen', 'HVM domU'), null);
  assert.equal(say('Amazon EC2', 'nonsense'), null);
  assert.equal(instanceType(place('none')), null);
});
