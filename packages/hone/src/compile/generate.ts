/**
 * StageGraph with layouts → kernels, weights, memory plan, program and report.
 * A function of its arguments alone. Stages with the same loop function share one kernel.
 */
import { at, fail } from 'hone-runtime/base/diagnostics';
import { dtypeBytes } from 'hone-runtime/base/dtype';
import { elementCount } from 'hone-runtime/base/tensor';
import type { BufferRef, Program, Step, TensorSpec } from 'hone-runtime/artifact/program';
import type { Target } from 'hone-runtime/target/types';
import type { Graph, ValueId } from '../graph/types.ts';
import { valueById } from '../graph/walk.ts';
import { type ContractOptions, type Kernel, type KernelBuffer, lowerStage } from '../kernels/index.ts';
import type { LoopFn } from '../loop/types.ts';
import { stageCost } from '../stages/cost.ts';
import type { Buffer, Stage, StageGraph, View } from '../stages/types.ts';
import { type MemoryPlan, planMemory, type Workspaces } from './memory-plan.ts';
import type { Report, StageReport } from './report.ts';
import { type WeightBlob, WeightCollector } from './weights.ts';

export interface Generated {
  readonly program: Program;
  readonly kernels: readonly LoopFn[];
  readonly weights: WeightBlob;
  readonly memory: MemoryPlan;
  readonly report: Report;
}

export interface GenerateOptions {
  readonly target: Target;
  readonly contract?: ContractOptions;
}

export function generate(graph: Graph, stages: StageGraph, options: GenerateOptions): Generated {
  const lowered = stages.stages.map((stage) => lowerOne(stage, stages, options));
  const memory = planMemory(stages, workspacesOf(lowered));
  const weights = new WeightCollector();
  const kernels = new Map<string, LoopFn>();
  const steps: Step[] = [];
  const reports: StageReport[] = [];
  stages.stages.forEach((stage, position) => {
    const kernel = at(lowered, position);
    const fn = shareKernel(kernels, kernel);
    const label = stage.nodes.join(' + ');
    steps.push({
      kernel: fn.name,
      buffers: placesOf(position, kernel, { stages, memory, weights }),
      dims: [],
      label,
    });
    reports.push({
      id: stage.id,
      label,
      nodes: stage.nodes,
      ops: stage.ops,
      kernel: fn.name,
      row: kernel.row,
      why: kernel.why,
      ...stageCost(stage, stages.buffers),
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
  };
  const report: Report = {
    stages: reports,
    notes: stages.notes,
    arenaBytes: memory.arenaBytes,
    liveBytes: memory.liveBytes,
    weightsBytes: blob.bytes,
    parameterBytes: parameterBytes(stages),
    flops: reports.reduce((sum, stage) => sum + stage.flops, 0),
  };
  return { program, kernels: [...kernels.values()], weights: blob, memory, report };
}

function lowerOne(stage: Stage, graph: StageGraph, options: GenerateOptions): Kernel {
  const kernel = lowerStage(stage, graph.buffers, options.target, options.contract ?? {});
  if (kernel !== null) return kernel;
  return fail(
    'HONE-COMPILE-002',
    `node ${stage.nodes.join(' + ')}: routine stages are not compiled yet`,
    stage.nodes[0],
    'see docs/operators.md',
  );
}

function workspacesOf(kernels: readonly Kernel[]): Workspaces {
  const all = new Map<number, number[]>();
  kernels.forEach((kernel, position) => {
    const sizes = kernel.buffers.flatMap((item) =>
      item.kind === 'workspace' ? [item.count * dtypeBytes(item.dtype)] : [],
    );
    if (sizes.length > 0) all.set(position, sizes);
  });
  return all;
}

/** The kernel under its final name; one that does the same is used again. */
function shareKernel(kernels: Map<string, LoopFn>, kernel: Kernel): LoopFn {
  const key = JSON.stringify([kernel.fn.buffers, kernel.fn.body], (_, value: unknown) =>
    typeof value === 'bigint' ? `${value}n` : value,
  );
  const have = kernels.get(key);
  if (have !== undefined) return have;
  const number = `${kernels.size}`.padStart(2, '0');
  const fn = { ...kernel.fn, name: `k${number}_${kernel.row}` };
  kernels.set(key, fn);
  return fn;
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
