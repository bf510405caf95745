/**
 * An agent as those who use it see it. Every question has a time limit; an agent that dies half-way
 * is a coded error within seconds, and one that is busy is waited for as long as its own limits say.
 */
import type { Field } from 'hone-runtime/artifact/json';
import { member, text } from 'hone-runtime/artifact/json';
import { type ErrorCode, HoneError } from 'hone-runtime/base/diagnostics';
import { lost } from './connect.ts';
import { exchange, noAgent, type Peer, type Question } from './exchange.ts';
import {
  type AgentFacts,
  type JobResult,
  type JobSettings,
  type JobStatus,
  POLL_MS,
  printJobSettings,
  PROTOCOL,
  readAs,
} from './protocol.ts';
import { readFacts, readStatus } from './replies.ts';

export interface AgentClient {
  /** What the agent is; throws HONE-AGENT-010 for one of another protocol. */
  facts(): Promise<AgentFacts>;
  /** Sends a packed, signed artifact, and gives the id it has there. */
  upload(archive: string): Promise<string>;
  /** Measures; resolves when the job is done. */
  measure(settings: JobSettings, onProgress?: (text: string) => void): Promise<JobResult>;
  /** Forgets an artifact there; failing to is no error. */
  remove(artifact: string): Promise<void>;
}

const SHORT = { silenceMs: 30_000, totalMs: 30_000 };
/** The agent unpacks and verifies before it answers. */
const UPLOAD = { silenceMs: 120_000, totalMs: 15 * 60_000 };
const POLL = { silenceMs: POLL_MS + 15_000, totalMs: POLL_MS + 15_000 };
const RETRIES = 3;
const RETRY_MS = 1000;
/** Beyond what the agent allows its jobs. */
const SLACK_MS = 60_000;

export function agentClient(peer: Peer): AgentClient {
  const { address } = peer;
  const ask = async <T>(question: Question, read: (body: Field) => T): Promise<T> => {
    const body = await exchange(peer, question);
    return readAs('HONE-AGENT-010', 'check the address and the version of the agent', () =>
      read(body),
    );
  };
  const facts = async (): Promise<AgentFacts> => {
    const body = await exchange(peer, { method: 'GET', path: '/v1', ...SHORT });
    return readAs('HONE-AGENT-010', 'check the address', () => {
      const protocol = member(body, 'protocol').value;
      if (protocol !== PROTOCOL) {
        throw noAgent(address, `it speaks version ${String(protocol)}, this is ${PROTOCOL}`);
      }
      return readFacts(body);
    });
  };
  return {
    facts,
    upload: (archive) =>
      ask({ method: 'POST', path: '/v1/artifacts', body: { file: archive }, ...UPLOAD }, (body) =>
        text(member(body, 'artifact')),
      ),
    async measure(settings, onProgress = () => {}) {
      const { limits } = await facts();
      const body = { json: printJobSettings(settings) };
      let status = await ask({ method: 'POST', path: '/v1/jobs', body, ...SHORT }, readStatus);
      const end = Date.now() + (status.ahead + 1) * limits.job_ms + SLACK_MS;
      const path = `/v1/jobs/${status.job}`;
      try {
        while (status.state === 'waiting' || status.state === 'running') {
          onProgress(
            status.state === 'waiting' ? `${status.ahead} jobs before ours` : status.progress,
          );
          if (Date.now() > end) throw lost(address, 'the job does not end');
          const question: Question = {
            method: 'GET',
            path: `${path}?after=${status.version}`,
            ...POLL,
          };
          status = await retried(() => ask(question, readStatus));
        }
      } catch (error) {
        await ask({ method: 'DELETE', path, ...SHORT }, () => {}).catch(() => {});
        throw error;
      }
      return resultOf(peer, status);
    },
    async remove(artifact) {
      const path = `/v1/artifacts/${artifact}`;
      await ask({ method: 'DELETE', path, ...SHORT }, () => {}).catch(() => {});
    },
  };
}

function resultOf({ address }: Peer, { result, error }: JobStatus): JobResult {
  if (error !== null) {
    const { code, message, subject, cure } = error;
    throw new HoneError({
      code: code as ErrorCode,
      message: `the agent at ${address.text}: ${message}`,
      ...(subject === null ? {} : { subject }),
      ...(cure === null ? {} : { cure }),
    });
  }
  if (result === null) throw noAgent(address, 'a job that is done has no result');
  return result;
}

/** A lost connection is tried again: the job goes on without it. */
async function retried<T>(ask: () => Promise<T>): Promise<T> {
  for (let left = RETRIES; ; left--) {
    try {
      return await ask();
    } catch (error) {
      const isLost = error instanceof HoneError && error.code === 'HONE-AGENT-008';
      if (!isLost || left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}
