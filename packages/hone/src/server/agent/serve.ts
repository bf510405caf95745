/**
 * The agent: measures artifacts that a trusted key signed, for clients that know its token. The
 * token is asked for before anything else of a request is looked at; nothing of a request becomes
 * a command, a path or an option of a program.
 *
 *   GET    /v1                  what this agent is: machine, target, limits
 *   POST   /v1/artifacts        a packed, signed artifact → {artifact, name, signed_by}
 *   DELETE /v1/artifacts/ID
 *   POST   /v1/jobs             settings → status
 *   GET    /v1/jobs/ID?after=N  status, once it is later than version N, or after a while
 *   DELETE /v1/jobs/ID          ends it
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { PublicKey } from 'hone-runtime/artifact/keys';
import { type ErrorCode, fail, HoneError } from 'hone-runtime/base/diagnostics';
import { nativeTargetName } from 'hone-runtime/target/native';
import { HONE_VERSION } from '../../compile/version.ts';
import { fingerprintOf, type TlsIdentity } from '../tls/self-signed.ts';
import type { ListenAddress } from './address.ts';
import { type Jobs, openJobs } from './jobs.ts';
import { openDoor } from './listen.ts';
import { machineFacts } from './machine-facts.ts';
import {
  type AgentFacts,
  type AgentLimits,
  parseJobSettings,
  POLL_MS,
  PROTOCOL,
  wireError,
} from './protocol.ts';
import { tokenCheck } from './token.ts';
import { openUploads, type Uploads, uploadTooLarge } from './uploads.ts';

export interface AgentOptions {
  readonly address: ListenAddress;
  /** Needed for TLS. */
  readonly identity?: TlsIdentity;
  readonly token: string;
  /** At least one. */
  readonly keys: readonly PublicKey[];
  readonly limits: AgentLimits;
  readonly name?: string;
  readonly log: (line: string) => void;
}

export interface Agent {
  /** As clients write it, fingerprint included. */
  readonly url: string;
  readonly jobs: Jobs['counts'];
  /** Ends all jobs and forgets all artifacts. */
  close(): Promise<void>;
}

const JSON_BYTES = 64 * 1024;
/** What is left of a refused upload is read for so long, so that its sender sees the answer. */
const LINGER_MS = 1000;

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

interface Desk {
  readonly options: AgentOptions;
  readonly uploads: Uploads;
  readonly jobs: Jobs;
  readonly isTrusted: (header: string | undefined) => boolean;
}

export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { address, identity, limits, keys, log } = options;
  const uploads = openUploads(limits, keys);
  const jobs = openJobs(limits, uploads, log);
  const desk: Desk = { options, uploads, jobs, isTrusted: tokenCheck(options.token) };
  const close = (): void => {
    jobs.close();
    uploads.close();
  };
  try {
    const door = await openDoor(address, identity, (request, response) => {
      void respond(desk, request, response);
    });
    const pin = identity === undefined ? '' : `/#sha256=${fingerprintOf(identity.certificate)}`;
    return {
      url: `${door.url}${address.kind === 'tls' ? pin : ''}`,
      get jobs() {
        return jobs.counts;
      },
      async close() {
        await door.close();
        close();
      },
    };
  } catch (error) {
    close();
    throw error;
  }
}

async function respond(
  desk: Desk,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  let answer: Answer;
  try {
    answer = await answerTo(desk, request, response);
  } catch (thrown) {
    const error = thrown instanceof HoneError ? thrown : requestError(thrown);
    if (error.code.startsWith('HONE-INTERNAL')) desk.options.log(`${error.code}: ${error.message}`);
    answer = { status: statusOf(error.code), body: wireError(error) };
  }
  if (response.destroyed) return;
  const text = JSON.stringify(answer.body);
  response.writeHead(answer.status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    ...(answer.status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
    // What was not read would be taken for the next request.
    ...(request.complete ? {} : { connection: 'close' }),
  });
  response.end(text);
  if (request.complete) return;
  request.resume();
  setTimeout(() => request.destroy(), LINGER_MS).unref();
}

async function answerTo(
  desk: Desk,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<Answer> {
  const { options, uploads, jobs } = desk;
  if (!desk.isTrusted(request.headers.authorization)) {
    fail(
      'HONE-AGENT-001',
      'the token is wrong, or there is none',
      'Authorization',
      "give the agent's token: in HONE_AGENT_TOKEN, or in a file",
    );
  }
  const [pathname = '', query = ''] = (request.url ?? '').split('?', 2);
  const [version, kind = '', id] = pathname.split('/').slice(1);
  const route = version === 'v1' ? `${request.method} ${kind}${id === undefined ? '' : '/ID'}` : '';
  switch (route) {
    case 'GET ':
      return { status: 200, body: factsOf(options, jobs) };
    case 'POST artifacts': {
      checkLength(request, options.limits.uploadBytes);
      goOn(request, response);
      const { id: artifact, name, signedBy } = await uploads.receive(request);
      options.log(`artifact ${artifact.slice(0, 16)}: ${name}, signed by ${signedBy.slice(0, 16)}`);
      return { status: 201, body: { artifact, name, signed_by: signedBy } };
    }
    case 'DELETE artifacts/ID':
      uploads.remove(id ?? '');
      return { status: 200, body: {} };
    case 'POST jobs': {
      goOn(request, response);
      const settings = parseJobSettings(await readText(request), options.limits);
      return { status: 202, body: jobs.add(settings) };
    }
    case 'GET jobs/ID': {
      const after = Number(new URLSearchParams(query).get('after') ?? '-1');
      const status = await jobs.status(id ?? '', Number.isSafeInteger(after) ? after : -1, POLL_MS);
      return { status: 200, body: status };
    }
    case 'DELETE jobs/ID':
      jobs.cancel(id ?? '');
      return { status: 200, body: {} };
    default: {
      const what = `${request.method} ${pathname}`;
      return fail('HONE-AGENT-003', `there is no ${what} here`, what, 'see docs/agent.md');
    }
  }
}

function factsOf({ name, limits, keys }: AgentOptions, jobs: Jobs): AgentFacts {
  const { waiting, running } = jobs.counts;
  return {
    protocol: PROTOCOL,
    hone: HONE_VERSION,
    name: name ?? null,
    target: nativeTargetName(),
    machine: machineFacts(),
    limits: {
      upload_bytes: limits.uploadBytes,
      unpacked_bytes: limits.unpackedBytes,
      queue: limits.queue,
      job_ms: limits.jobMs,
    },
    trusted_keys: keys.map((key) => key.id),
    jobs: { waiting, running },
  };
}

/** Refuses what says itself that it is too large, before a byte of it is sent. */
function checkLength(request: IncomingMessage, limit: number): void {
  if (Number(request.headers['content-length'] ?? 0) > limit) throw uploadTooLarge(limit);
}

function goOn(request: IncomingMessage, response: ServerResponse): void {
  if (request.headers.expect?.toLowerCase() === '100-continue') response.writeContinue();
}

async function readText(request: IncomingMessage): Promise<string> {
  checkLength(request, JSON_BYTES);
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    bytes += piece.byteLength;
    if (bytes > JSON_BYTES) throw uploadTooLarge(JSON_BYTES);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}

const STATUS: Readonly<Record<string, number>> = {
  'HONE-AGENT-001': 401,
  'HONE-AGENT-002': 400,
  'HONE-AGENT-003': 404,
  'HONE-AGENT-004': 413,
  'HONE-AGENT-005': 503,
  'HONE-AGENT-015': 422,
  'HONE-AGENT-018': 400,
  'HONE-AGENT-019': 507,
};

function statusOf(code: ErrorCode): number {
  return STATUS[code] ?? (code.startsWith('HONE-INTERNAL') ? 500 : 422);
}

/** What the system threw while a request was read. */
function requestError(thrown: unknown): HoneError {
  const { code = '', message } = thrown as NodeJS.ErrnoException;
  if (['ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE', 'ABORT_ERR'].includes(code)) {
    return new HoneError({
      code: 'HONE-AGENT-018',
      message: 'the upload broke off',
      cure: 'send it again',
    });
  }
  if (['ENOSPC', 'EDQUOT', 'EFBIG'].includes(code)) {
    const cure = "free some space in the temporary folder of the agent's machine";
    return new HoneError({
      code: 'HONE-AGENT-019',
      message: `the agent has no space: ${code}`,
      cure,
    });
  }
  return new HoneError({
    code: 'HONE-INTERNAL-000',
    message: `the agent failed: ${message}`,
    cure: 'please report this as a bug',
    cause: thrown,
  });
}
