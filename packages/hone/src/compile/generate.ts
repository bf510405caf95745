/**
 * StageGraph with layouts → kernels, weights, memory plan, program and report.
 * A function of its arguments alone. Stages with the same loop function share one kernel.
 */
import { dtypeBytes } from 'hone-runtime/base/dtype';
import { elementCount } from 'hone-runtime/base/tensor';
import type { ExtentSpec, Program, RangeSpec, TensorSpec } from 'hone-runtime/artifact/program';
import type { RoutineCall } from '../backends/c/emit-routines.ts';
import type { Graph, ValueId } from '../graph/types.ts';
import { boundedAxes, visibleCount, visibleOutputs } from '../graph/extents.ts';
import { givenCount, givenInputs, rangesOf } from '../graph/ranges.ts';
import { valueById } from '../graph/walk.ts';
import type { LoopFn } from '../loop/types.ts';
import { graphCost } from '../stages/cost.ts';
import { bodiesOf, type FusionNote, type StageGraph } from '../stages/types.ts';
import { StepEmitter } from './emit-steps.ts';
import { type PlanOptions, planStages, type StagePlan } from './plan-stages.ts';
import type { Report, StageReport } from './report.ts';
import { roughNs } from './rough-cost.ts';
import type { WeightBlob } from './weights.ts';

export interface Generated {
  readonly program: Program;
  readonly kernels: readonly LoopFn[];
  /** Kernels that are hand-written routines. */
  readonly routines: readonly RoutineCall[];
  readonly weights: WeightBlob;
  readonly plan: StagePlan;
  readonly report: Report;
}

export interface GenerateOptions extends PlanOptions {
  /** Least work of a worker, by a rough estimate; 0: any number of workers. */
  readonly workPerWorkerNs?: number;
}

/** Waking a worker and meeting it at every step costs tens of microseconds. */
const WORK_PER_WORKER_NS = 40_000;
/** Iterations that loops are taken for whose number depends on data. */
const LIKELY_RUNS = 16;

/** How many workers a model can keep busy; 0: no limit. */
function workerLimit(stages: readonly StageReport[], leastNs: number): number {
  if (leastNs <= 0) return 0;
  const ns = stages.reduce((sum, stage) => {
    const { runs = 1 } = stage;
    return sum + roughNs(stage) * (runs ?? LIKELY_RUNS);
  }, 0);
  return Math.max(1, Math.floor(ns / leastNs));
}

export function generate(graph: Graph, stages: StageGraph, options: GenerateOptions): Generated {
  const plan = planStages(stages, options);
  const emitter = new StepEmitter(options.target);
  emitter.emit(plan, graph);
  const { steps, loops, reports } = emitter;
  const { arenaBytes, liveBytes } = plan.memory;
  const blob = emitter.weights.finish();
  const program: Program = {
    name: graph.name,
    inputs: givenInputs(graph).map((id, i) => ({ ...specOf(graph, id), ...rangesOf(graph, i) })),
    outputs: visibleOutputs(graph).map((id, i) => outputSpec(graph, id, i)),
    ...(graph.ranges === undefined ? {} : { ranges: rangeSpecs(graph) }),
    ...(graph.extents === undefined ? {} : { extents: extentSpecs(graph) }),
    steps,
    ...(loops.length === 0 ? {} : { loops }),
    arenaBytes,
    weightsBytes: blob.bytes,
    workerLimit: workerLimit(reports, options.workPerWorkerNs ?? WORK_PER_WORKER_NS),
  };
  const report: Report = {
    stages: reports,
    notes: allNotes(stages),
    arenaBytes,
    liveBytes,
    weightsBytes: blob.bytes,
    parameterBytes: parameterBytes(stages),
    flops: graphCost(stages).flops,
    ...(options.lean === undefined ? {} : { leanStages: options.lean.size }),
  };
  const { kernels, routines } = emitter.symbols;
  return { program, kernels, routines, weights: blob, plan, report };
}

/** Notes of a graph and of the bodies inside it. */
function allNotes({ stages, notes }: StageGraph): readonly FusionNote[] {
  const inner = stages.flatMap(({ body }) =>
    bodiesOf(body).flatMap(([, graph]) => allNotes(graph)),
  );
  return inner.length === 0 ? notes : [...notes, ...inner];
}

function specOf(graph: Graph, id: ValueId): TensorSpec {
  const { name, type } = valueById(graph, id);
  const bytes = elementCount(type.shape) * dtypeBytes(type.dtype);
  return { name, dtype: type.dtype, shape: type.shape, bytes };
}

function outputSpec(graph: Graph, id: ValueId, position: number): TensorSpec {
  const spec = specOf(graph, id);
  const bounded = boundedAxes(graph, position);
  return bounded.length === 0 ? spec : { ...spec, bounded };
}

/** The outputs behind those that are seen, and what they say the extent of. */
function extentSpecs(graph: Graph): readonly ExtentSpec[] {
  const first = visibleCount(graph);
  return graph.outputs.slice(first).map((id, k) => ({
    name: valueById(graph, id).name,
    of: (graph.extents ?? [])
      .filter(({ from }) => from === first + k)
      .map(({ output, axis }) => ({ output, axis })),
  }));
}

/** The inputs behind those that are given, and what they say the extent of. */
function rangeSpecs(graph: Graph): readonly RangeSpec[] {
  const first = givenCount(graph);
  return graph.inputs.slice(first).map((id, k) => ({
    name: valueById(graph, id).name,
    of: (graph.ranges ?? [])
      .filter(({ from }) => from === first + k)
      .map(({ input, axis, least }) => ({ input, axis, least })),
  }));
}

/** Bytes of constants, each once; bodies share theirs with what is around them. */
function parameterBytes(graph: StageGraph): number {
  const seen = new Set<unknown>();
  const count = ({ buffers, stages }: StageGraph): number => {
    let bytes = 0;
    for (const { constant, dtype, shape } of buffers) {
      if (constant === undefined || seen.has(constant)) continue;
      seen.add(constant);
      bytes += elementCount(shape) * dtypeBytes(dtype);
    }
    const inner = stages.flatMap(({ body }) => bodiesOf(body).map(([, body]) => count(body)));
    return inner.reduce((sum, n) => sum + n, bytes);
  };
  return count(graph);
}
