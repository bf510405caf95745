/** How long steps take, roughly: enough to cut them into parts and to say how many workers are of use. */
import type { StageCost } from '../stages/cost.ts';
import type { Stmt } from '../loop/types.ts';

/** A rough core: it orders sizes of models, it does not predict times. */
const FLOPS_PER_NS = 100;
const BYTES_PER_NS = 20;

export function roughNs(cost: StageCost): number {
  const bytes = cost.bytesRead + cost.bytesWritten;
  return Math.max(cost.flops / FLOPS_PER_NS, bytes / BYTES_PER_NS);
}

/** Handing out a part costs a tenth of a microsecond; a part is worth several. */
const PART_NS = 4000;
const MOST_PARTS = 1024;

/** Parts worth cutting a step into. */
export function partsOf(cost: StageCost): number {
  return Math.min(MOST_PARTS, Math.max(1, Math.floor(roughNs(cost) / PART_NS)));
}

export function hasBarrier(body: readonly Stmt[]): boolean {
  return body.some((stmt) => {
    switch (stmt.kind) {
      case 'barrier':
        return true;
      case 'for':
      case 'block':
        return hasBarrier(stmt.body);
      case 'if':
        return hasBarrier(stmt.then) || hasBarrier(stmt.else);
      default:
        return false;
    }
  });
}
