/** Machines that can measure: this one, and those where an agent runs. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { MANIFEST_FILE } from 'hone-runtime/artifact/manifest';
import { packArtifact } from 'hone-runtime/artifact/pack';
import { type ErrorCode, HoneError } from 'hone-runtime/base/diagnostics';
import { sha256 } from 'hone-runtime/base/digest';
import { nativeTargetName } from 'hone-runtime/target/native';
import { runBench } from '../../bench/bench.ts';
import type { BenchReport } from '../../bench/report.ts';
import type { AgentClient } from '../../server/agent/client.ts';
import { machineFacts, observed } from '../../server/agent/machine-facts.ts';
import type { Conditions, JobSettings, MachineFacts } from '../../server/agent/protocol.ts';

export type PlaceSettings = Omit<JobSettings, 'artifact'>;

export interface PlaceReport {
  /** ISO 8601 */
  readonly started: string;
  /** Digest of the artifact's manifest. */
  readonly artifact: string;
  readonly machine: MachineFacts;
  readonly conditions: Conditions;
  readonly report: BenchReport;
}

export interface MeasuringPlace {
  /** What advice calls it: its row of the catalogue, where it has one. */
  readonly name: string;
  /** `here`, or the address of the agent. */
  readonly by: string;
  /** What to compile for. */
  readonly target: string;
  /** Physical cores that it may use. */
  readonly cores: number;
  /** The artifact has to be signed by a key it trusts. */
  readonly wantsSignature: boolean;
  /** Ids of the keys it trusts. */
  readonly trusted: readonly string[];
  measure(
    artifact: string,
    settings: PlaceSettings,
    progress: (text: string) => void,
  ): Promise<PlaceReport>;
}

export function placeHere(name?: string): MeasuringPlace {
  const machine = machineFacts();
  return {
    name: name ?? machineName(machine),
    by: 'here',
    target: nativeTargetName(),
    cores: machine.cores,
    wantsSignature: false,
    trusted: [],
    async measure(artifact, { label, threads, ...rest }, progress) {
      const started = new Date().toISOString();
      const { value: report, conditions } = await observed(() =>
        runBench([{ model: label, prepare: async () => ({ model: label, artifact }) }], {
          ...rest,
          ...(threads === undefined ? {} : { threads }),
          progress,
        }),
      );
      const [failure] = report.failures;
      if (failure !== undefined) {
        const { code, message, cure } = failure;
        throw new HoneError({
          code: code as ErrorCode,
          message,
          subject: label,
          ...(cure === null ? {} : { cure }),
        });
      }
      const digest = sha256(readFileSync(path.join(artifact, MANIFEST_FILE)));
      return { started, artifact: digest, machine, conditions, report };
    },
  };
}

/** Asks the agent what it is. `name` stands in for what it calls itself. */
export async function placeAt(
  client: AgentClient,
  address: string,
  name?: string,
): Promise<MeasuringPlace> {
  const facts = await client.facts();
  return {
    name: name ?? facts.name ?? machineName(facts.machine),
    by: address,
    target: facts.target,
    cores: facts.machine.cores,
    wantsSignature: true,
    trusted: facts.trusted_keys,
    async measure(artifact, settings, progress) {
      const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-measure-'));
      try {
        const archive = path.join(folder, 'artifact.tar.gz');
        await packArtifact(artifact, archive);
        progress(`sending the artifact to ${address}`);
        const id = await client.upload(archive);
        try {
          const result = await client.measure({ ...settings, artifact: id }, progress);
          const { started, machine, conditions, report } = result;
          return { started, artifact: id, machine, conditions, report };
        } finally {
          await client.remove(id);
        }
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  };
}

/** A machine without a name of its own, by its processor. */
export function machineName({ instance, cpu, cores }: MachineFacts): string {
  return instance ?? `${cpu}, ${cores} core${cores === 1 ? '' : 's'}`;
}
