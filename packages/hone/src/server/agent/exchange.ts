/**
 * One request to an agent on a connection of its own, with a limit for everything: silence, the
 * whole exchange, and the size of the answer. What the agent refuses comes out with its own code.
 */
import { createReadStream, statSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { parseJson, member, text, type Field } from 'hone-runtime/artifact/json';
import { type ErrorCode, HoneError } from 'hone-runtime/base/diagnostics';
import type { AgentAddress } from './address.ts';
import { type Authorities, connectTo, lost } from './connect.ts';
import { readAs } from './protocol.ts';

export interface Peer {
  readonly address: AgentAddress;
  readonly token: string;
  /** Trusted besides those of Node; not looked at where the address pins a certificate. */
  readonly authorities?: string;
}

export interface Question {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: { readonly json: string } | { readonly file: string };
  /** The longest without a byte in either direction. */
  readonly silenceMs: number;
  readonly totalMs: number;
}

const MAX_ANSWER_BYTES = 16 << 20;

/** The body of the agent's answer; throws its errors, and HONE-AGENT-008 and -010 of our own. */
export async function exchange(peer: Peer, question: Question): Promise<Field> {
  const { address } = peer;
  const socket = await connectTo(address, peer.authorities as Authorities);
  try {
    const { status, body } = await send(peer, socket, question);
    const json = readAs('HONE-AGENT-010', 'check the address', () => parseJson(body, address.text));
    if (status >= 200 && status < 300) return json;
    throw refusal(address, status, json);
  } finally {
    socket.destroy();
  }
}

interface Received {
  readonly status: number;
  readonly body: string;
}

function send(
  { address, token }: Peer,
  socket: Awaited<ReturnType<typeof connectTo>>,
  { method, path, body, silenceMs, totalMs }: Question,
): Promise<Received> {
  return new Promise((resolve, reject) => {
    const isFile = body !== undefined && 'file' in body;
    const request = httpRequest({
      createConnection: () => socket,
      host: 'agent',
      method,
      path,
      headers: {
        authorization: `Bearer ${token}`,
        connection: 'close',
        ...(isFile
          ? {
              'content-type': 'application/gzip',
              'content-length': statSync(body.file).size,
              // An upload that is not wanted is not sent.
              expect: '100-continue',
            }
          : {}),
        ...(body !== undefined && 'json' in body
          ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body.json) }
          : {}),
      },
    });
    let answered = false;
    const settle = (outcome: Received | HoneError): void => {
      answered = true;
      clearTimeout(timer);
      if (outcome instanceof HoneError) {
        reject(outcome);
        request.destroy();
      } else resolve(outcome);
    };
    const timer = setTimeout(
      () => settle(lost(address, `no end after ${totalMs / 1000} s`)),
      totalMs,
    );
    request.setTimeout(silenceMs, () => settle(lost(address, `silent for ${silenceMs / 1000} s`)));
    request.on('response', (response) => {
      answered = true;
      collect(address, response).then(settle, settle);
    });
    // An answer may come before all was sent: then what becomes of the rest does not matter.
    request.on('error', (error: NodeJS.ErrnoException) => {
      if (!answered) settle(lost(address, error.code ?? error.message));
    });
    if (isFile) {
      request.once('continue', () => {
        const stream = createReadStream(body.file);
        stream.on('error', (error) => settle(lost(address, error.message)));
        stream.pipe(request);
      });
      request.flushHeaders();
    } else request.end(body?.json);
  });
}

async function collect(address: AgentAddress, response: IncomingMessage): Promise<Received> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const piece of response as AsyncIterable<Buffer>) {
      bytes += piece.byteLength;
      if (bytes > MAX_ANSWER_BYTES) break;
      pieces.push(piece);
    }
  } catch (error) {
    throw lost(address, (error as NodeJS.ErrnoException).code ?? String(error));
  }
  if (bytes > MAX_ANSWER_BYTES) throw noAgent(address, 'its answer is too large');
  return { status: response.statusCode ?? 0, body: Buffer.concat(pieces).toString() };
}

/** The agent's own error, as if it had happened here. */
function refusal(address: AgentAddress, status: number, body: Field): HoneError {
  try {
    const error = member(body, 'error');
    const optional = (key: string): string | undefined => {
      const field = member(error, key);
      return field.value === null ? undefined : text(field);
    };
    const [subject, cure] = [optional('subject'), optional('cure')];
    const code = text(member(error, 'code'));
    if (!/^HONE-[A-Z]+-\d{3}$/.test(code)) return noAgent(address, `it answers ${status}`);
    return new HoneError({
      code: code as ErrorCode,
      message: `the agent at ${address.text}: ${text(member(error, 'message'))}`,
      ...(subject === undefined ? {} : { subject }),
      ...(cure === undefined ? {} : { cure }),
    });
  } catch {
    return noAgent(address, `it answers ${status}`);
  }
}

export function noAgent(address: AgentAddress, why: string): HoneError {
  return new HoneError({
    code: 'HONE-AGENT-010',
    message: `${address.text} is no agent that this version understands: ${why}`,
    subject: address.text,
    cure: 'check the address; agent and client have to be of versions that go together',
  });
}
