/** Workloads of public topologies as they are stored: a stage is [kind, count, flops, weight, activation bytes]. */
import { fail } from 'hone-runtime/base/diagnostics';
import type { WorkItem, WorkKind, Workload } from './model-types.ts';

type StoredItem = readonly [WorkKind, number, number, number, number];

export interface StoredWorkload extends Omit<Workload, 'fused' | 'eager' | 'order'> {
  readonly fused: readonly StoredItem[];
  readonly eager: readonly StoredItem[];
}

export function storedWorkload(workload: Workload): StoredWorkload {
  const pack = (items: readonly WorkItem[]): StoredItem[] =>
    items.map((item) => [
      item.kind,
      item.count,
      item.flops,
      item.weightBytes,
      item.activationBytes,
    ]);
  const { order: _order, ...rest } = workload;
  return { ...rest, fused: pack(workload.fused), eager: pack(workload.eager) };
}

/** Throws HONE-ADVISE-001 for text that is not a table of workloads. */
export function parseWorkloads(text: string, file: string): ReadonlyMap<string, Workload> {
  const unpack = (items: readonly StoredItem[]): WorkItem[] =>
    items.map(([kind, count, flops, weightBytes, activationBytes]) => ({
      kind,
      count,
      flops,
      weightBytes,
      activationBytes,
    }));
  try {
    const table = JSON.parse(text) as Readonly<Record<string, StoredWorkload>>;
    return new Map(
      Object.entries(table).map(([name, stored]) => [
        name,
        { ...stored, fused: unpack(stored.fused), eager: unpack(stored.eager) },
      ]),
    );
  } catch (error) {
    return fail(
      'HONE-ADVISE-001',
      `${file}: ${(error as Error).message}`,
      file,
      'write it again: npm run bench:topologies',
    );
  }
}
