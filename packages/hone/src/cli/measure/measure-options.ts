/** --measure, --agent and what goes with them: which machines measure, how, and where results go. */
import { readFileSync } from 'node:fs';
import { type PrivateKey, readPrivateKey } from 'hone-runtime/artifact/keys';
import { defaultResultsFile } from '../../advisor/results-file.ts';
import { type AgentAddress, parseAgentAddress } from '../../server/agent/address.ts';
import { agentClient } from '../../server/agent/client.ts';
import { readToken } from '../../server/agent/token.ts';
import { badValue, type OptionReader } from '../option-reader.ts';
import { type MeasuringPlace, placeAt, placeHere } from './place.ts';

export interface MeasureOptions {
  /** Machines that measure, in the order given; each connects when it is asked. */
  readonly places: readonly PlaceSpec[];
  readonly key: PrivateKey | undefined;
  readonly resultsFile: string;
  readonly durationMs: number;
}

export interface PlaceSpec {
  /** As the user wrote it, without the fingerprint. */
  readonly text: string;
  readonly open: () => Promise<MeasuringPlace>;
}

const DURATION_MS = 3000;

/** Throws for whatever is wrong in itself; whether agents are there is seen when they are asked. */
export function readMeasureOptions(options: OptionReader): MeasureOptions {
  const given = options.list('agent');
  const agents = given.length === 0 && options.flag('measure') ? ['here'] : given;
  const specs = agents.map(splitAgent);
  const remote = specs.filter((spec) => spec.address !== undefined);
  const tokens = remote.length === 0 ? [] : tokensFor(remote.length, options.list('agent-token'));
  const authorities = readAuthorities(options.text('agent-ca'));
  const signer = options.text('sign');
  if (remote.length > 0 && signer === undefined) {
    badValue('agent', given[0] ?? '', 'agents measure only signed artifacts: give --sign KEY');
  }
  let next = 0;
  return {
    places: specs.map(({ name, address }): PlaceSpec => {
      if (address === undefined) return { text: 'here', open: async () => placeHere(name) };
      const token = tokens[next++] ?? '';
      const client = agentClient({
        address,
        token,
        ...(authorities === undefined ? {} : { authorities }),
      });
      return { text: address.text, open: () => placeAt(client, address.text, name) };
    }),
    key: signer === undefined ? undefined : readPrivateKey(signer),
    resultsFile: options.text('results') ?? defaultResultsFile(),
    durationMs: options.duration('duration') ?? DURATION_MS,
  };
}

interface AgentSpec {
  readonly name: string | undefined;
  /** undefined: this machine. */
  readonly address: AgentAddress | undefined;
}

function splitAgent(text: string): AgentSpec {
  const match = /^(?:([^=:/#]+)=)?(.*)$/s.exec(text);
  const [, name, where = ''] = match ?? [];
  return { name, address: where === 'here' ? undefined : parseAgentAddress(where) };
}

function tokensFor(count: number, files: readonly string[]): readonly string[] {
  if (files.length > 1 && files.length !== count) {
    badValue(
      'agent-token',
      files.join(', '),
      `give one for all, or ${count}, one for each --agent`,
    );
  }
  if (files.length > 1) return files.map((file) => readToken(file));
  const token = readToken(files[0]);
  return Array.from({ length: count }, () => token);
}

function readAuthorities(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  let pem: string;
  try {
    pem = readFileSync(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    return badValue('agent-ca', file, `it cannot be read (${code}): check the path`);
  }
  if (pem.includes('-----BEGIN CERTIFICATE-----')) return pem;
  return badValue('agent-ca', file, 'give certificates in PEM form');
}
