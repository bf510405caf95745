/**
 * Random graphs through the whole compiler: the passes (both graphs interpreted), then the compiled
 * library, with one, two and three workers on poisoned memory. Values must be the interpreter's but for
 * rounding; the bytes must not depend on the number of workers.
 */
import { type CompiledGraph, type CompileOptions, compileGraph } from 'hone/compile/index';
import type { Graph } from 'hone/graph/types';
import { interpret } from 'hone/ops/interpret';
import { standardRegistry } from 'hone/ops/registry';
import { verifyOps } from 'hone/ops/verify';
import { runPasses } from 'hone/passes/index';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { bytesOf, type Tensor } from 'hone-runtime/base/tensor';
import {
  graphOfError,
  type LibraryOptions,
  type MergedLibrary,
  mergedLibrary,
} from '../support/merged-library.ts';
import { difference } from './compare-values.ts';
import type { RandomGraph } from './growth.ts';

/** Where a graph went wrong. */
export type Phase = 'passes' | 'compile' | 'C' | 'run';

export interface Problem {
  readonly phase: Phase;
  readonly text: string;
}

export interface Checked {
  /** Per item; undefined where all is well. */
  readonly problems: readonly (Problem | undefined)[];
  /** How many have no compiled form, which the compiler said properly. */
  readonly refused: number;
  readonly kernels: number;
}

export interface CheckItem extends RandomGraph {
  readonly options: CompileOptions;
}

/** `threads`: every library runs once with each of these numbers of workers. */
export async function checkGraphs(
  items: readonly CheckItem[],
  threads: readonly number[] = [1, 2, 3],
  library: LibraryOptions = {},
): Promise<Checked> {
  const problems: (Problem | undefined)[] = items.map(() => undefined);
  let refused = 0;
  const ready: Ready[] = [];
  items.forEach((item, place) => {
    const wanted = interpret(item.graph, item.inputs);
    const passes = checkPasses(item, wanted);
    if (passes === 'refused') {
      refused++;
      return;
    }
    if (passes !== undefined) {
      problems[place] = { phase: 'passes', text: passes };
      return;
    }
    try {
      ready.push({ place, item, wanted, compiled: compileGraph(item.graph, item.options) });
    } catch (error) {
      if (isRefusal(error)) refused++;
      else problems[place] = { phase: 'compile', text: textOf(error) };
    }
  });
  for (const [place, problem] of await checkCompiled(ready, { threads, library })) {
    problems[place] = problem;
  }
  const kernels = ready.reduce((sum, { compiled }) => sum + compiled.kernels.length, 0);
  return { problems, refused, kernels };
}

interface Ready {
  readonly place: number;
  readonly item: CheckItem;
  readonly wanted: readonly Tensor[];
  readonly compiled: CompiledGraph;
}

/** It has no compiled form, or none without knowing an input. */
function isRefusal(error: unknown): boolean {
  return error instanceof HoneError && /^HONE-(COMPILE-001|SHAPE-002)$/.test(error.code);
}

/** Every pass must leave a well-formed graph; all together must keep the meaning. */
function checkPasses(item: RandomGraph, wanted: readonly Tensor[]): string | undefined {
  const steps: { readonly name: string; readonly graph: Graph }[] = [];
  try {
    const afterPass = (name: string, graph: Graph): void => {
      verifyOps(graph);
      steps.push({ name, graph });
    };
    const result = runPasses(item.graph, { registry: standardRegistry, afterPass });
    const problem = difference(item, wanted, interpret(result, item.inputs));
    if (problem === undefined) return undefined;
    const first = steps.find(
      ({ graph }) => difference(item, wanted, interpret(graph, item.inputs)) !== undefined,
    );
    return `${problem}, since pass ${first?.name}`;
  } catch (error) {
    if (isRefusal(error)) return 'refused';
    return `after pass ${steps.at(-1)?.name}: ${textOf(error)}`;
  }
}

interface Runs {
  readonly threads: readonly number[];
  readonly library: LibraryOptions;
}

async function checkCompiled(ready: readonly Ready[], how: Runs): Promise<Map<number, Problem>> {
  const problems = new Map<number, Problem>();
  if (ready.length === 0) return problems;
  let library: MergedLibrary;
  try {
    library = await mergedLibrary(
      ready.map(({ compiled }) => compiled),
      how.library,
    );
  } catch (error) {
    if (ready.length === 1) {
      problems.set((ready[0] as Ready).place, { phase: 'C', text: textOf(error) });
      return problems;
    }
    // Halves until the culprit stands alone.
    const half = Math.ceil(ready.length / 2);
    for (const part of [ready.slice(0, half), ready.slice(half)]) {
      for (const [place, problem] of await checkCompiled(part, how)) problems.set(place, problem);
    }
    return problems;
  }
  try {
    const inputs = ready.map(({ item }) => item.inputs);
    const runs = how.threads.map((each) => library.run(inputs, { threads: each, poison: true }));
    ready.forEach(({ place, item, wanted }, g) => {
      const results = runs.map((run) => run[g]);
      const [first = [], ...others] = results.map((result) => result?.outputs ?? []);
      const text =
        results.map((result) => result?.damage).find((damage) => damage !== undefined) ??
        difference(item, wanted, first) ??
        (others.every((other) => sameBytes(first, other))
          ? undefined
          : 'the bytes depend on the number of workers');
      if (text !== undefined) problems.set(place, { phase: 'run', text });
    });
  } catch (error) {
    library.close();
    return checkWithoutFaulty(ready, how, textOf(error));
  }
  library.close();
  return problems;
}

/** The run ended with an error of one graph: that graph's problem, and the others without it. */
async function checkWithoutFaulty(
  ready: readonly Ready[],
  how: Runs,
  text: string,
): Promise<Map<number, Problem>> {
  const faulty = ready[graphOfError(text) ?? 0];
  if (faulty === undefined || (ready.length > 1 && graphOfError(text) === undefined)) {
    return new Map(ready.map(({ place }) => [place, { phase: 'run', text }]));
  }
  const others = ready.filter((each) => each !== faulty);
  const problems = await checkCompiled(others, how);
  return problems.set(faulty.place, { phase: 'run', text });
}

function sameBytes(a: readonly Tensor[], b: readonly Tensor[]): boolean {
  return a.every((tensor, i) => {
    const other = b[i];
    return other !== undefined && Buffer.compare(bytesOf(tensor), bytesOf(other)) === 0;
  });
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
