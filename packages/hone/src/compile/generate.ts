/**
 * StageGraph with layouts → kernels, weights, memory plan, program and report.
 * A function of its arguments alone. Stages with the same loop function share one kernel.
 */
import { at, invariant } from 'hone-runtime/base/diagnostics';
import { dtypeBytes } from 'hone-runtime/base/dtype';
import { elementCount } from 'hone-runtime/base/tensor';
import type { BufferRef, Program, Step, TensorSpec } from 'hone-runtime/artifact/program';
import type { Target } from 'hone-runtime/target/types';
import type { RoutineCall } from '../backends/c/emit-routines.ts';
import type { Graph, ValueId } from '../graph/types.ts';
import { valueById } from '../graph/walk.ts';
import {
  type ContractOptions,
  type Kernel,
  type KernelBuffer,
  lowerStage,
} from '../kernels/index.ts';
import { exactJson, loopKey } from '../loop/key.ts';
import type { LoopFn, Stmt } from '../loop/types.ts';
import { type StageCost, stageCost } from '../stages/cost.ts';
import type { Buffer, RoutineBody, Stage, StageGraph, View } from '../stages/types.ts';
import { type MemoryPlan, planMemory, type Workspaces } from './memory-plan.ts';
import type { Report, StageReport } from './report.ts';
import { stageDescriber } from './stage-values.ts';
import { type WeightBlob, WeightCollector } from './weights.ts';

export interface Generated {
  readonly program: Program;
  readonly kernels: readonly LoopFn[];
  /** Kernels that are hand-written routines. */
  readonly routines: readonly RoutineCall[];
  readonly weights: WeightBlob;
  readonly memory: MemoryPlan;
  readonly workspaces: Workspaces;
  readonly report: Report;
}

export interface GenerateOptions {
  readonly target: Target;
  readonly contract?: ContractOptions;
  /** Least work of a worker, by a rough estimate; 0: any number of workers. */
  readonly workPerWorkerNs?: number;
  /** Positions of stages whose kernels may not buy speed with memory. */
  readonly lean?: ReadonlySet<number>;
}

/** Waking a worker and meeting it at every step costs tens of microseconds. */
const WORK_PER_WORKER_NS = 40_000;

/** A rough core: it orders sizes of models, it does not predict times. */
const FLOPS_PER_NS = 100;
const BYTES_PER_NS = 20;

function roughNs(cost: StageCost): number {
  const bytes = cost.bytesRead + cost.bytesWritten;
  return Math.max(cost.flops / FLOPS_PER_NS, bytes / BYTES_PER_NS);
}

/** Handing out a part costs a tenth of a microsecond; a part is worth several. */
const PART_NS = 4000;
const MOST_PARTS = 1024;

function partsOf(cost: StageCost): number {
  return Math.min(MOST_PARTS, Math.max(1, Math.floor(roughNs(cost) / PART_NS)));
}

function hasBarrier(body: readonly Stmt[]): boolean {
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

/** How many workers a model can keep busy; 0: no limit. */
function workerLimit(stages: readonly StageReport[], leastNs: number): number {
  if (leastNs <= 0) return 0;
  const ns = stages.reduce((sum, stage) => sum + roughNs(stage), 0);
  return Math.max(1, Math.floor(ns / leastNs));
}

export function generate(graph: Graph, stages: StageGraph, options: GenerateOptions): Generated {
  const contract = options.contract ?? {};
  const lowered = stages.stages.map((stage, position) => {
    const own = options.lean?.has(position) === true ? { ...contract, direct: true } : contract;
    return lowerStage(stage, stages.buffers, options.target, own);
  });
  const workspaces = workspacesOf(lowered);
  const memory = planMemory(stages, workspaces);
  const weights = new WeightCollector();
  const made: Made = { kernels: new Map(), routines: new Map() };
  const placing: Placing = { stages, memory, weights };
  const describe = stageDescriber(graph, stages, memory);
  const steps: Step[] = [];
  const reports: StageReport[] = [];
  stages.stages.forEach((stage, position) => {
    const kernel = lowered[position] ?? null;
    const symbol = kernel === null ? shareRoutine(made, stage) : shareKernel(made, kernel);
    const label = stage.nodes.join(' + ');
    const buffers =
      kernel === null ? routinePlaces(stage, placing) : placesOf(position, kernel, placing);
    const cost = stageCost(stage, stages.buffers);
    const parts = kernel === null || hasBarrier(kernel.fn.body) ? 0 : partsOf(cost);
    steps.push({ kernel: symbol, buffers, dims: [], label, parts });
    reports.push({
      id: stage.id,
      label,
      nodes: stage.nodes,
      ops: stage.ops,
      kernel: symbol,
      row: kernel?.row ?? 'routine',
      why: kernel?.why ?? 'a hand-written routine',
      workspaceBytes: (workspaces.get(position) ?? []).reduce((sum, bytes) => sum + bytes, 0),
      ...cost,
      ...describe(stage),
    });
  });
  const blob = weights.finish();
  const program: Program = {
    name: graph.name,
    inputs: graph.inputs.map((id) => specOf(graph, id)),
    outputs: graph.outputs.map((id) => specOf(graph, id)),
    steps,
    arenaBytes: memory.arenaBytes,
    weightsBytes: blob.bytes,
    workerLimit: workerLimit(reports, options.workPerWorkerNs ?? WORK_PER_WORKER_NS),
  };
  const report: Report = {
    stages: reports,
    notes: stages.notes,
    arenaBytes: memory.arenaBytes,
    liveBytes: memory.liveBytes,
    weightsBytes: blob.bytes,
    parameterBytes: parameterBytes(stages),
    flops: reports.reduce((sum, stage) => sum + stage.flops, 0),
    ...(options.lean === undefined ? {} : { leanStages: options.lean.size }),
  };
  const kernels = [...made.kernels.values()];
  const routines = [...made.routines.values()];
  return { program, kernels, routines, weights: blob, memory, workspaces, report };
}

function workspacesOf(kernels: readonly (Kernel | null)[]): Workspaces {
  const all = new Map<number, number[]>();
  kernels.forEach((kernel, position) => {
    const sizes = (kernel?.buffers ?? []).flatMap((item) =>
      item.kind === 'workspace' ? [item.count * dtypeBytes(item.dtype)] : [],
    );
    if (sizes.length > 0) all.set(position, sizes);
  });
  return all;
}

/** What has a C symbol by now, by what it does. */
interface Made {
  readonly kernels: Map<string, LoopFn>;
  readonly routines: Map<string, RoutineCall>;
}

function nextSymbol({ kernels, routines }: Made, what: string): string {
  return `k${`${kernels.size + routines.size}`.padStart(2, '0')}_${what}`;
}

/** Symbol of a kernel; one that does the same is used again. */
function shareKernel(made: Made, kernel: Kernel): string {
  const key = loopKey(kernel.fn);
  const have = made.kernels.get(key);
  if (have !== undefined) return have.name;
  const name = nextSymbol(made, kernel.row);
  made.kernels.set(key, { ...kernel.fn, name });
  return name;
}

/** Symbol of a routine stage's call. */
function shareRoutine(made: Made, stage: Stage): string {
  const { routine, dims, scalars } = stage.body as RoutineBody;
  const key = exactJson([routine, dims, scalars]);
  const have = made.routines.get(key);
  if (have !== undefined) return have.name;
  const name = nextSymbol(made, routine);
  made.routines.set(key, { name, routine, dims, scalars });
  return name;
}

interface Placing {
  readonly stages: StageGraph;
  readonly memory: MemoryPlan;
  readonly weights: WeightCollector;
}

function placesOf(position: number, kernel: Kernel, placing: Placing): BufferRef[] {
  const stage = at(placing.stages.stages, position);
  let workspaces = 0;
  return kernel.buffers.map((item): BufferRef => {
    if (item.kind === 'workspace') {
      const offset = placing.memory.workspaces.get(`${position}:${workspaces++}`) ?? 0;
      return { space: 'arena', offset };
    }
    return placeOf(stage, item, placing);
  });
}

/** A routine's operands, then its outputs: whole row-major tensors. */
function routinePlaces(stage: Stage, placing: Placing): BufferRef[] {
  for (const view of [...stage.operands, ...stage.outputs]) {
    const { name, layout } = at(placing.stages.buffers, view.buffer);
    const isWhole = view.offset === undefined && layout.block === 1 && !layout.halo.some(Boolean);
    invariant(isWhole, `routine ${stage.nodes.join(' + ')} sees a part of ${name}`);
  }
  const operands = stage.operands.map((_, operand) => ({ kind: 'operand', operand }) as const);
  const outputs = stage.outputs.map((_, output) => ({ kind: 'output', output }) as const);
  return [...operands, ...outputs].map((item) => placeOf(stage, item, placing));
}

function placeOf(
  stage: Stage,
  item: Exclude<KernelBuffer, { kind: 'workspace' }>,
  { stages: graph, memory, weights }: Placing,
): BufferRef {
  const view: View =
    item.kind === 'output' ? at(stage.outputs, item.output) : at(stage.operands, item.operand);
  const buffer: Buffer = at(graph.buffers, view.buffer);
  if (item.kind === 'packed') {
    return { space: 'weights', offset: weights.packed(buffer, item) };
  }
  switch (buffer.role) {
    case 'constant':
      return { space: 'weights', offset: weights.plain(buffer) };
    case 'input':
      return { space: 'input', index: graph.inputs.indexOf(buffer.id) };
    case 'output':
      return { space: 'output', index: graph.outputs.indexOf(buffer.id) };
    case 'temp':
      return { space: 'arena', offset: memory.offsets.get(buffer.id) ?? 0 };
    default:
      return buffer.role satisfies never;
  }
}

function specOf(graph: Graph, id: ValueId): TensorSpec {
  const { name, type } = valueById(graph, id);
  const bytes = elementCount(type.shape) * dtypeBytes(type.dtype);
  return { name, dtype: type.dtype, shape: type.shape, bytes };
}

function parameterBytes(graph: StageGraph): number {
  return graph.buffers
    .filter((buffer) => buffer.role === 'constant')
    .reduce((sum, buffer) => sum + elementCount(buffer.shape) * dtypeBytes(buffer.dtype), 0);
}
