/**
 * A batch of tests, in a process of its own: the conformance run starts it, sends a BatchRequest
 * and receives a BatchMessage per test and path. If it crashes, the run knows what was left.
 */
import path from 'node:path';
import { type CompiledGraph, type CompileOptions, compileGraph } from 'hone/compile/index';
import { programTable } from 'hone/backends/c/program-table';
import type { OnnxModel } from 'hone/frontends/onnx/index';
import type { Graph } from 'hone/graph/types';
import { interpret } from 'hone/ops/interpret';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { bytesOf, type Tensor } from 'hone-runtime/base/tensor';
import { type MergedLibrary, mergedLibrary } from '../support/merged-library.ts';
import { difference } from './difference.ts';
import { distributionDifference } from './distribution.ts';
import { asExpected, type LoadedTest, loadTest, openTest, operatorOf } from './load-test.ts';
import { isRandom } from './suite.ts';
import {
  type BatchMessage,
  type BatchRequest,
  NO_SIZES,
  type Outcome,
  type Path,
} from './types.ts';

interface Opened {
  readonly test: string;
  readonly folder: string;
  readonly model: OnnxModel;
  readonly operator: string;
  readonly loaded: LoadedTest;
}

interface Compiled extends Opened {
  readonly compiled: CompiledGraph;
}

const COMPILED: readonly (readonly [Path, CompileOptions])[] = [
  ['compiled', {}],
  ['naive', { fuse: false, contract: { naive: true } }],
];

/** Any number of workers gives the same bytes, and so does an arena full of garbage. */
const RUNS = [
  { threads: 1, poison: false },
  { threads: 1, poison: true },
  { threads: 2, poison: true },
] as const;

async function runBatch(
  request: BatchRequest,
  send: (message: BatchMessage) => void,
): Promise<void> {
  const models: OnnxModel[] = [];
  const opened: Opened[] = [];
  for (const test of request.tests) {
    const folder = path.join(request.suite, test);
    let operator = '(unreadable)';
    try {
      const model = openTest(folder);
      models.push(model);
      operator = operatorOf(model, test);
      opened.push({ test, folder, model, operator, loaded: loadTest(model, folder) });
    } catch (error) {
      for (const each of request.paths) {
        send({ test, operator, sizes: NO_SIZES, path: each, outcome: outcomeOf(error) });
      }
    }
  }
  if (request.paths.includes('interpreter')) {
    for (const item of opened) send(message(item, 'interpreter', interpreted(item)));
  }
  for (const [on, options] of COMPILED) {
    const isAsked = request.paths.includes(on);
    const withKernels = on === 'compiled' && request.paths.includes('kernels');
    if (!isAsked && !withKernels) continue;
    const settle = (item: Opened | Compiled, outcome: Outcome): void => {
      if (isAsked) send(message(item, on, outcome));
      if (withKernels) send(message(item, 'kernels', kernelsAlone(item, outcome)));
    };
    const all = { ...options, target: request.target };
    await runCompiled(compileAll(opened, all, settle), settle);
  }
  for (const model of models) model.close();
}

function message(item: Opened, on: BatchMessage['path'], outcome: Outcome): BatchMessage {
  const { test, operator, loaded } = item;
  const { bounds, bound, why, graph } = loaded;
  const isOfRun = (graph.extents ?? []).length > 0;
  return { test, operator, sizes: { bounds, isOfRun, bound, why }, path: on, outcome };
}

/** A coded error is a refusal, everything else a failure. */
function outcomeOf(error: unknown): Outcome {
  if (error instanceof HoneError && !/^HONE-(INTERNAL|TOOL|RUN)/.test(error.code)) {
    return { status: 'refused', code: error.code, reason: error.message };
  }
  const text = error instanceof Error ? error.message : String(error);
  return { status: 'fail', reason: error instanceof HoneError ? `${error.code}: ${text}` : text };
}

/**
 * The outcome where hand-written routines and steps of the Node runtime do not count. A check of bounds
 * computes nothing: it is none of them.
 */
function kernelsAlone(item: Opened | Compiled, outcome: Outcome): Outcome {
  if (!('compiled' in item) || outcome.status === 'fail') return outcome;
  const { routines, program } = item.compiled;
  const names = [...new Set(routines.map(({ routine }) => routine))].filter(
    (name) => !name.startsWith('within_'),
  );
  const isOnHost = program.host?.steps.some((step) => step.kind === 'routine') === true;
  if (names.length === 0 && !isOnHost) return outcome;
  const what = isOnHost ? 'steps of the Node runtime' : `routine ${names.join(', ')}`;
  return { status: 'refused', code: 'routine', reason: what };
}

function judged(test: string, all: readonly Tensor[], loaded: LoadedTest): Outcome {
  const { expected, tolerance } = loaded;
  const got = asExpected(loaded, all);
  if (!isRandom(test)) return failed(difference(got, expected, tolerance));
  const reason = distributionDifference(got, expected);
  return reason === undefined ? { status: 'random' } : { status: 'fail', reason };
}

function failed(reason: string | undefined): Outcome {
  return reason === undefined ? { status: 'pass' } : { status: 'fail', reason };
}

function interpreted({ test, loaded }: Opened): Outcome {
  try {
    return judged(test, interpret(loaded.graph, loaded.inputs), loaded);
  } catch (error) {
    return outcomeOf(error);
  }
}

function compileAll(
  opened: readonly Opened[],
  options: CompileOptions,
  settle: (item: Opened, outcome: Outcome) => void,
): readonly Compiled[] {
  return opened.flatMap((item) => {
    try {
      return [{ ...item, compiled: compileOne(item.loaded.graph, options) }];
    } catch (error) {
      const bound = withBoundInputs(item, options);
      if (bound === undefined) settle(item, outcomeOf(error));
      return bound ?? [];
    }
  });
}

function compileOne(graph: Graph, options: CompileOptions): CompiledGraph {
  const compiled = compileGraph(graph, options);
  // Refuses what a library's interface cannot carry, which would take the neighbours down.
  programTable({ ...compiled, describeJson: '', weightsFile: '' });
  return compiled;
}

/** The test with the inputs bound that the compiler needs as constants; undefined if that is no cure. */
function withBoundInputs(item: Opened, options: CompileOptions): Compiled[] | undefined {
  const compiles = (graph: Graph): boolean => {
    try {
      compileOne(graph, options);
      return graph.inputs.length > 0;
    } catch {
      return false;
    }
  };
  try {
    const loaded = loadTest(item.model, item.folder, compiles);
    return [{ ...item, loaded, compiled: compileOne(loaded.graph, options) }];
  } catch {
    return undefined;
  }
}

/** Runs them as one library; where that fails, halves, until the one at fault is found. */
async function runCompiled(
  items: readonly Compiled[],
  settle: (item: Opened, outcome: Outcome) => void,
): Promise<void> {
  if (items.length === 0) return;
  try {
    const library = await mergedLibrary(items.map((item) => item.compiled));
    try {
      const outcomes = compare(items, library);
      items.forEach((item, i) => {
        settle(item, outcomes[i] as Outcome);
      });
    } finally {
      library.close();
    }
  } catch (error) {
    if (items.length === 1) {
      const [item] = items;
      if (item) settle(item, { ...outcomeOf(error), status: 'fail' });
      return;
    }
    const half = Math.ceil(items.length / 2);
    await runCompiled(items.slice(0, half), settle);
    await runCompiled(items.slice(half), settle);
  }
}

function compare(items: readonly Compiled[], library: MergedLibrary): readonly Outcome[] {
  const inputs = items.map(({ loaded }) => loaded.inputs);
  const runs = RUNS.map((options) => ({ options, results: library.run(inputs, options) }));
  const [first] = runs;
  return items.map(({ test, loaded }, g): Outcome => {
    for (const { options, results } of runs) {
      const result = results[g];
      const wrong =
        judged(test, result?.outputs ?? [], loaded).reason ??
        result?.damage ??
        (sameBytes(result?.outputs ?? [], first?.results[g]?.outputs ?? [])
          ? undefined
          : 'the bytes differ from the first run');
      if (wrong === undefined) continue;
      const how = `${options.threads} thread(s)${options.poison ? ', poisoned memory' : ''}`;
      return failed(`${how}: ${wrong}`);
    }
    if (isRandom(test)) return { status: 'random' };
    return { status: loaded.isFolded ? 'folded' : 'pass' };
  });
}

function sameBytes(a: readonly Tensor[], b: readonly Tensor[]): boolean {
  return a.every((tensor, i) => {
    const other = b[i];
    if (tensor.dtype === 'string') {
      return other !== undefined && JSON.stringify(tensor) === JSON.stringify(other);
    }
    return other !== undefined && Buffer.compare(bytesOf(tensor), bytesOf(other)) === 0;
  });
}

process.once('message', (request: BatchRequest) => {
  const send = (each: BatchMessage): void => void process.send?.(each);
  runBatch(request, send).then(
    () => process.disconnect(),
    (error: unknown) => {
      console.error(error);
      process.exitCode = 1;
      process.disconnect();
    },
  );
});
