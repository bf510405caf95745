/** How a model's work is spread over its operators, each node counted as a kernel of its own. */
import { fuseGraph } from '../fusion/index.ts';
import type { Graph } from '../graph/types.ts';
import type { Registry } from '../ops/registry.ts';
import { stageCost } from '../stages/cost.ts';

export interface OperatorWork {
  readonly op: string;
  readonly domain: string;
  /** Routines are hand-written C, whose arithmetic is not counted. */
  readonly how: 'compiled' | 'routine';
  readonly flops: number;
  /** Read and written. */
  readonly bytes: number;
  /** Of all floating-point operations that are counted. */
  readonly flopsShare: number;
  readonly bytesShare: number;
}

/**
 * By operator of the imported model, the most operations first. `core` is what the passes made of it:
 * its nodes have the names of those they come from.
 */
export function operatorWork(
  imported: Graph,
  core: Graph,
  registry: Registry,
): readonly OperatorWork[] {
  const origins = new Map(imported.nodes.map((node) => [node.name, node]));
  const { stages, buffers } = fuseGraph(core, { registry, fuse: false });
  const sums = new Map<string, Omit<OperatorWork, 'flopsShare' | 'bytesShare'>>();
  for (const stage of stages) {
    const origin = origins.get(stage.nodes[0] ?? '');
    const op = origin?.op ?? stage.ops[0] ?? '?';
    const domain = origin?.domain ?? '';
    const how = stage.body.kind === 'routine' ? 'routine' : 'compiled';
    const key = `${domain}:${op}:${how}`;
    const { flops, bytesRead, bytesWritten } = stageCost(stage, buffers);
    const before = sums.get(key);
    sums.set(key, {
      op,
      domain,
      how,
      flops: (before?.flops ?? 0) + flops,
      bytes: (before?.bytes ?? 0) + bytesRead + bytesWritten,
    });
  }
  const rows = [...sums.values()];
  const total = (of: 'flops' | 'bytes'): number => rows.reduce((sum, row) => sum + row[of], 0);
  const [flops, bytes] = [Math.max(1, total('flops')), Math.max(1, total('bytes'))];
  return rows
    .map((row) => ({ ...row, flopsShare: row.flops / flops, bytesShare: row.bytes / bytes }))
    .sort((a, b) => b.flops - a.flops || b.bytes - a.bytes);
}
