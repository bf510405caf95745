/** Keys, a signed and packed artifact of a small model, and agents to send it to. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { compileModel, writeArtifact } from 'hone/compile/index';
import { parseAgentAddress, parseListenAddress } from 'hone/server/agent/address';
import { type AgentClient, agentClient } from 'hone/server/agent/client';
import type { AgentLimits } from 'hone/server/agent/protocol';
import { type Agent, startAgent } from 'hone/server/agent/serve';
import { makeTlsIdentity } from 'hone/server/tls/self-signed';
import { readPrivateKey, readPublicKey, writeKeyPair } from 'hone-runtime/artifact/keys';
import { packArtifact } from 'hone-runtime/artifact/pack';
import type { HoneError } from 'hone-runtime/base/diagnostics';
import { writeSmallModel } from '../support/small-model.ts';

export const TOKEN = 'a-token-for-tests-0123456789';

const BIN = fileURLToPath(new URL('../../../packages/hone/bin/hone.js', import.meta.url));

export interface Sample {
  readonly folder: string;
  readonly place: (name: string) => string;
  readonly model: string;
  /** Signed with `key`. */
  readonly archive: string;
  /** Private key files. */
  readonly key: string;
  readonly otherKey: string;
  readonly remove: () => void;
}

export async function makeSample(): Promise<Sample> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-test-agent-'));
  const place = (name: string): string => path.join(folder, name);
  for (const name of ['signer', 'stranger']) writeKeyPair(place(name));
  const model = place('small.onnx');
  writeSmallModel(model);
  const key = readPrivateKey(place('signer'));
  await writeArtifact(await compileModel(model), place('small.hone'), { key });
  await packArtifact(place('small.hone'), place('small.tar.gz'));
  return {
    folder,
    place,
    model,
    archive: place('small.tar.gz'),
    key: place('signer'),
    otherKey: place('stranger'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export const LIMITS: AgentLimits = {
  uploadBytes: 1 << 20,
  unpackedBytes: 4 << 20,
  queue: 1,
  jobMs: 60_000,
};

/** An agent in this process. */
export function agentAt(
  sample: Sample,
  listen: string,
  limits: Partial<AgentLimits> = {},
): Promise<Agent> {
  const address = parseListenAddress(listen);
  return startAgent({
    address,
    token: TOKEN,
    keys: [readPublicKey(`${sample.key}.pub`)],
    limits: { ...LIMITS, ...limits },
    ...(address.kind === 'tls' ? { identity: makeTlsIdentity(['localhost', '127.0.0.1']) } : {}),
    log: () => {},
  });
}

export function clientOf(url: string, token = TOKEN): AgentClient {
  return agentClient({ address: parseAgentAddress(url), token });
}

export interface AgentProcess {
  readonly url: string;
  readonly child: ChildProcess;
  readonly said: () => string;
  readonly ended: Promise<number | null>;
}

/** `hone agent` in a process of its own; resolves when it listens. */
export function agentProcess(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<AgentProcess> {
  const child = spawn(process.execPath, [BIN, 'agent', ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  return new Promise((resolve, reject) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      said += `${line}\n`;
      const url = /^listening at (.*)$/.exec(line)?.[1];
      if (url !== undefined) resolve({ url, child, ended, said: () => said });
    });
    void ended.then((code) => reject(new Error(`the agent ended with ${code}: ${said}`)));
  });
}

/** For `assert.rejects`: an error with this code, words and a cure. */
export function coded(code: string, words = /./) {
  return (error: HoneError): boolean => {
    if (error.code !== code || !words.test(error.message) || error.cure === undefined) throw error;
    return true;
  };
}
