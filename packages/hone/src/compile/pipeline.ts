/**
 * The one place that knows the order of things: model → graph → passes → stages → layouts →
 * kernels → C → library.
 */
import type { Program } from 'hone-runtime/artifact/program';
import { fail, invariant } from 'hone-runtime/base/diagnostics';
import type { HostProgram } from 'hone-runtime/host/program';
import { resolveTarget } from 'hone-runtime/target/parse';
import type { Target } from 'hone-runtime/target/types';
import type { RoutineCall } from '../backends/c/emit-routines.ts';
import { checkPrefix } from '../backends/c/symbol-prefix.ts';
import { fuseGraph } from '../fusion/index.ts';
import type { Graph } from '../graph/types.ts';
import { assignLayouts } from '../kernels/index.ts';
import type { LoopFn } from '../loop/types.ts';
import { type Registry, standardRegistry } from '../ops/registry.ts';
import { applyPrecision } from '../passes/apply-precision.ts';
import { evenChannels } from '../passes/even-channels.ts';
import { equalizeChannels } from '../passes/equalize-channels.ts';
import { hoistInvariants } from '../passes/hoist-invariants.ts';
import { runPasses } from '../passes/index.ts';
import type { StageGraph } from '../stages/types.ts';
import { correctBiases } from './calibrate/bias.ts';
import { generateWithin } from './budget.ts';
import type { GenerateOptions } from './generate.ts';
import { splitHost } from './host-split.ts';
import { inlineBranches } from './inline-branches.ts';
import type { CompileOptions } from './options.ts';
import { planPrecision } from './precision.ts';
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
  const [target] = targetsOf(options);
  invariant(target !== undefined, 'there is no target');
  return finishGraph(prepareGraph(source, options), target, options);
}

/** The same for every target asked for, in that order; what they share is done once. */
export function compileForTargets(
  source: Graph,
  options: CompileOptions = {},
): readonly CompiledGraph[] {
  const targets = targetsOf(options);
  if (options.prefix !== undefined) checkPrefix(options.prefix);
  const prepared = prepareGraph(source, options);
  return targets.map((target) => finishGraph(prepared, target, options));
}

/** The targets asked for, each once; throws HONE-TARGET-00x. */
export function targetsOf(options: CompileOptions): readonly Target[] {
  const { target: wanted = 'native' } = options;
  const names = typeof wanted === 'string' ? [wanted] : wanted;
  const targets = new Map(names.map(resolveTarget).map((target) => [target.name, target]));
  if (targets.size > 0) return [...targets.values()];
  return fail('HONE-TARGET-005', 'no target is given', 'target', 'name one, or leave it out');
}

/** The graph of core operators that precision is decided for. */
export function optimizeGraph(
  source: Graph,
  { registry = standardRegistry, calibration, calibrated, precision, channels }: GraphOptions,
): Graph {
  const passed = runPasses(source, { registry });
  const isCalibrated = precision === 'int8' || precision === 'auto';
  const graph = isCalibrated ? inlineBranches(passed, registry) : passed;
  const equalize = calibrated === undefined ? calibration?.equalize : calibrated.equalize;
  const equal = equalize === true ? equalizeChannels.run(graph, { registry }) : graph;
  return channels === undefined ? equal : evenChannels(equal, channels);
}

type GraphOptions = Pick<
  CompileOptions,
  'registry' | 'calibration' | 'calibrated' | 'precision' | 'channels'
>;

/** The same with its precisions written out: what is fused and compiled. */
export function preciseGraph(source: Graph, options: CompileOptions): Graph {
  return prepareGraph(source, options).graph;
}

interface Prepared {
  readonly graph: Graph;
  readonly fused: StageGraph;
  readonly host?: HostProgram;
}

/** Refuses more steps of the Node runtime than were allowed, by name. */
function checkFallback(host: HostProgram | undefined, most = Number.POSITIVE_INFINITY): void {
  const nodes = (host?.steps ?? []).flatMap((step) =>
    step.kind === 'routine' ? [`${step.node} (${step.routine})`] : [],
  );
  if (nodes.length <= most) return;
  fail(
    'HONE-COMPILE-043',
    `${nodes.length} node(s) have no compiled form and would run in Node, at most ${most} may: ${nodes.slice(0, 8).join('; ')}`,
    nodes[0],
    'allow more with --max-fallback, or cut the model so that no texts are left',
  );
}

/** What no target has a say in. */
function prepareGraph(source: Graph, options: CompileOptions): Prepared {
  const registry = options.registry ?? standardRegistry;
  const say = options.onProgress ?? ((): void => {});
  say('optimising the graph');
  const { graph: split, host } = splitHost(optimizeGraph(source, options), registry);
  const { biases } = options;
  const graph = biases === undefined ? split : correctBiases(split, biases);
  checkFallback(host, options.maxFallback);
  const around = host === undefined ? {} : { host };
  say('fusing');
  const fusion = { registry, ...(options.fuse === undefined ? {} : { fuse: options.fuse }) };
  const fused = fuseGraph(graph, fusion);
  const plan = planPrecision(graph, fused, options, registry);
  if (plan === null) return { graph, fused, ...around };
  // What a body narrows of captured values is narrowed once.
  const precise = hoistInvariants.run(applyPrecision(graph, plan, { registry }), { registry });
  return { graph: precise, fused: fuseGraph(precise, fusion), ...around };
}

/** Routines of users' operators bring their C. */
function withSources(routines: readonly RoutineCall[], registry: Registry): readonly RoutineCall[] {
  if (registry === standardRegistry || routines.length === 0) return routines;
  const sources = new Map(registry.all().flatMap(({ kernels = {} }) => Object.entries(kernels)));
  return routines.map((call) => {
    const source = sources.get(call.routine);
    return source === undefined ? call : { ...call, source };
  });
}

function finishGraph(
  { graph, fused, host }: Prepared,
  target: Target,
  options: CompileOptions,
): CompiledGraph {
  const say = options.onProgress ?? ((): void => {});
  const stages = options.contract?.naive === true ? fused : assignLayouts(fused, target);
  say(`choosing kernels for ${stages.stages.length} stages`);
  const choices: GenerateOptions = {
    target,
    ...(options.contract === undefined ? {} : { contract: options.contract }),
    ...(options.workPerWorkerNs === undefined ? {} : { workPerWorkerNs: options.workPerWorkerNs }),
  };
  const generated = generateWithin(graph, stages, choices, options.memoryBytes);
  return {
    graph,
    stages,
    program: host === undefined ? generated.program : { ...generated.program, host },
    kernels: generated.kernels,
    routines: withSources(generated.routines, options.registry ?? standardRegistry),
    weights: generated.weights,
    report: generated.report,
    target,
  };
}
