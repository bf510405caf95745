/** Operators that a device lacks run on the host's processor; what that costs. */
import type { Accelerator } from './catalogue-types.ts';
import type { Workload } from './model-types.ts';

export interface Fallback {
  readonly ops: readonly string[];
  readonly nodes: number;
  readonly crossings: number;
  readonly cpuMs: number;
  readonly transferMs: number;
}

const CONTROL_FLOW: readonly string[] = ['If', 'Loop', 'Scan'];

/** Part of a processor's peak and bandwidth that plain operators reach. */
const CPU_EFFICIENCY = 0.3;
/** Of the host's framework, for a node. */
const NODE_MS = 0.02;
/** Over PCIe, with its fixed time. */
const LINK_BYTES_PER_MS = 6e6;
const CROSSING_MS = 0.05;

export function controlFlowOf(workload: Workload): readonly string[] {
  return CONTROL_FLOW.filter((op) => workload.operators[op] !== undefined);
}

export function lackingOps(workload: Workload, device: Accelerator): readonly string[] {
  const { supports } = device.operators;
  if (supports === null) return [];
  const known = new Set(supports);
  return Object.keys(workload.operators).filter((op) => !known.has(op));
}

/** The fallback of a batch; undefined: the device runs everything. */
export function fallbackOf(
  workload: Workload,
  device: Accelerator,
  host: Accelerator,
  batch: number,
): Fallback | undefined {
  const ops = lackingOps(workload, device);
  if (ops.length === 0) return undefined;
  const lacking = new Set(ops);
  let [nodes, flops, bytes] = [0, 0, 0];
  for (const op of ops) {
    const work = workload.operators[op];
    nodes += work?.nodes ?? 0;
    flops += (work?.flops ?? 0) * batch;
    bytes += (work?.bytes ?? 0) * batch;
  }
  const crossings = 2 * segments(workload, lacking, nodes);
  const peak = (host.peak.fp32 ?? 1e9) / 1000;
  const bandwidth = host.bandwidthBytesPerSecond / 1000;
  return {
    ops,
    nodes,
    crossings,
    cpuMs: (flops / peak + bytes / bandwidth) / CPU_EFFICIENCY + nodes * NODE_MS,
    transferMs: bytes / LINK_BYTES_PER_MS + crossings * CROSSING_MS,
  };
}

/** Runs of neighbours that leave the device together. */
function segments(workload: Workload, lacking: ReadonlySet<string>, nodes: number): number {
  if (workload.order === undefined) return nodes;
  return workload.order.filter(
    (op, i, order) => lacking.has(op) && !lacking.has(order[i - 1] ?? ''),
  ).length;
}
