/** What compiling a model would come to, found without the C compiler. */
import type { HoneError } from 'hone-runtime/base/diagnostics';
import {
  analyzeOnnx,
  importOnnx,
  type OnnxAnalysis,
  type OnnxModel,
  type OnnxSignature,
  signatureOf,
} from '../frontends/onnx/index.ts';
import { splitHost } from '../compile/host-split.ts';
import { targetsOf } from '../compile/pipeline.ts';
import { fuseGraph, uncompiledNodes } from '../fusion/index.ts';
import type { Graph } from '../graph/types.ts';
import type { PlannedBound } from 'hone-runtime/artifact/bounds';
import { boundedAxes, visibleOutputs } from '../graph/extents.ts';
import { givenInputs, rangesOf } from '../graph/ranges.ts';
import { valueById } from '../graph/walk.ts';
import { type Registry, standardRegistry } from '../ops/registry.ts';
import { runPasses } from '../passes/index.ts';
import { graphCost } from '../stages/cost.ts';
import { allStages } from '../stages/types.ts';
import type { CompileRequest } from './compile-request.ts';
import { asHoneError } from './errors.ts';
import { type OperatorWork, operatorWork } from './operator-work.ts';
import type { ShownSpec } from './specs.ts';

export interface Fallback {
  readonly op: string;
  readonly node: string;
  readonly reason: string;
}

export interface RoutineUse {
  readonly node: string;
  readonly routine: string;
}

/** Figures of a model whose every node has a compiled form. */
export interface Lowered {
  readonly stages: number;
  readonly flops: number;
  readonly bytes: number;
}

export interface ModelAnalysis {
  readonly signature: OnnxSignature;
  readonly operators: OnnxAnalysis['operators'];
  readonly fallback: readonly Fallback[];
  readonly notes: readonly string[];
  /** Why the model could not be followed further than its operators; undefined: it could. */
  readonly problem: HoneError | undefined;
  /** Inputs and outputs with their sizes bound. */
  readonly bound: { readonly inputs: ShownSpec[]; readonly outputs: ShownSpec[] } | undefined;
  /** Bounds of values and sizes that depend on data, asked for or assumed. */
  readonly planned: readonly PlannedBound[];
  readonly lowered: Lowered | undefined;
  /** Nodes that are steps of the Node runtime: texts. */
  readonly nodeOnly: readonly RoutineUse[];
  /** Nodes that hand-written C computes. */
  readonly routines: readonly RoutineUse[];
  /** Undefined where not every node has a compiled form. */
  readonly work: readonly OperatorWork[] | undefined;
}

/** With sizes asked for by the user, a model that does not take them is an error. */
export function analyzeModel(
  model: OnnxModel,
  request: CompileRequest,
  registry: Registry = standardRegistry,
): ModelAnalysis {
  targetsOf(request);
  const signature = signatureOf(model);
  const { operators, unsupported } = analyzeOnnx(model, registry);
  const missing = unsupported.flatMap((use) =>
    use.nodes.map((node) => ({ op: use.op, node, reason: use.reason ?? 'not supported' })),
  );
  const base = {
    signature,
    operators,
    notes: [],
    problem: undefined,
    bound: undefined,
    planned: [],
    lowered: undefined,
    nodeOnly: [],
    routines: [],
    work: undefined,
  };
  if (missing.length > 0) return { ...base, fallback: missing };
  try {
    const { target: _target, ...sizes } = request;
    const { graph: imported, notes, bounds: planned } = importOnnx(model, { ...sizes, registry });
    const passed = runPasses(imported, { registry });
    const { graph, host } = splitHost(passed, registry);
    const nodeOnly = (host?.steps ?? []).flatMap((step) =>
      step.kind === 'routine' ? [{ node: step.node, routine: step.routine }] : [],
    );
    const fallback = [...uncompiledNodes(graph, registry)].map(([node, reason]) => ({
      op: graph.nodes.find((item) => item.name === node)?.op ?? '?',
      node,
      reason,
    }));
    const bound = boundSpecs(imported);
    if (fallback.length > 0) return { ...base, fallback, notes, bound, planned, nodeOnly };
    const fused = fuseGraph(graph, { registry });
    const stages = allStages(fused);
    const { flops, bytesRead, bytesWritten } = graphCost(fused);
    const lowered: Lowered = {
      stages: stages.filter(({ body }) => body.kind !== 'control').length,
      flops,
      bytes: bytesRead + bytesWritten,
    };
    const routines = stages.flatMap(({ nodes, body }) =>
      // Checks of bounds are shown with the bounds.
      body.kind === 'routine' && !body.routine.startsWith('within_')
        ? [{ node: nodes.join(' + '), routine: body.routine }]
        : [],
    );
    const work = operatorWork(imported, graph, registry);
    return { ...base, fallback, notes, bound, planned, lowered, nodeOnly, routines, work };
  } catch (thrown) {
    const problem = asHoneError(thrown);
    const asked = Object.keys(request).some((key) => key !== 'target');
    if (asked || problem.exitCode === 2) throw problem;
    return { ...base, fallback: [], problem };
  }
}

function boundSpecs(graph: Graph): { inputs: ShownSpec[]; outputs: ShownSpec[] } {
  const spec = (id: number): ShownSpec => {
    const { name, type } = valueById(graph, id);
    return { name, dtype: type.dtype, shape: type.shape };
  };
  const outputs = visibleOutputs(graph).map((id, i): ShownSpec => {
    const bounded = boundedAxes(graph, i);
    return bounded.length === 0 ? spec(id) : { ...spec(id), bounded };
  });
  const inputs = givenInputs(graph).map(
    (id, i): ShownSpec => ({ ...spec(id), ...rangesOf(graph, i) }),
  );
  return { inputs, outputs };
}
