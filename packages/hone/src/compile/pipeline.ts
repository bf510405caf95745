/**
 * The one place that knows the order of things: model → graph → passes → stages → layouts →
 * kernels → C → library.
 */
import type { Program } from 'hone-runtime/artifact/program';
import { resolveTarget } from 'hone-runtime/target/parse';
import type { Target } from 'hone-runtime/target/types';
import type { RoutineCall } from '../backends/c/emit-routines.ts';
import { fuseGraph } from '../fusion/index.ts';
import type { Graph } from '../graph/types.ts';
import { assignLayouts } from '../kernels/index.ts';
import type { LoopFn } from '../loop/types.ts';
import { standardRegistry } from '../ops/registry.ts';
import { runPasses } from '../passes/index.ts';
import type { StageGraph } from '../stages/types.ts';
import { generate } from './generate.ts';
import type { CompileOptions } from './options.ts';
import type { Report } from './report.ts';
import type { WeightBlob } from './weights.ts';

/** A compiled model before its C is built; plain data. */
export interface CompiledGraph {
  /** After all passes. */
  readonly graph: Graph;
  readonly stages: StageGraph;
  readonly program: Program;
  readonly kernels: readonly LoopFn[];
  /** Kernels that are hand-written routines. */
  readonly routines: readonly RoutineCall[];
  readonly weights: WeightBlob;
  readonly report: Report;
  readonly target: Target;
}

/** Everything up to loop functions: no compiler, no files but the model's own constants. */
export function compileGraph(source: Graph, options: CompileOptions = {}): CompiledGraph {
  const registry = options.registry ?? standardRegistry;
  const say = options.onProgress ?? ((): void => {});
  const target = resolveTarget(options.target ?? 'native');
  say('optimising the graph');
  const graph = runPasses(source, { registry });
  say('fusing');
  const fused = fuseGraph(graph, {
    registry,
    ...(options.fuse === undefined ? {} : { fuse: options.fuse }),
  });
  const stages = options.contract?.naive === true ? fused : assignLayouts(fused, target);
  say(`choosing kernels for ${stages.stages.length} stages`);
  const generated = generate(graph, stages, {
    target,
    ...(options.contract === undefined ? {} : { contract: options.contract }),
    ...(options.workPerWorkerNs === undefined ? {} : { workPerWorkerNs: options.workPerWorkerNs }),
  });
  return {
    graph,
    stages,
    program: generated.program,
    kernels: generated.kernels,
    routines: generated.routines,
    weights: generated.weights,
    report: generated.report,
    target,
  };
}
