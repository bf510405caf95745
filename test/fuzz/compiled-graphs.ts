/**
 * Random graphs, interpreted and compiled. The compiled ones run with one, two and three workers on
 * poisoned memory: values must be the interpreter's within rounding, and the bytes must agree.
 */
import { compileGraph } from 'hone/compile/index';
import { printGraph } from 'hone/graph/print';
import type { Graph } from 'hone/graph/types';
import { valueById } from 'hone/graph/walk';
import { interpret } from 'hone/ops/interpret';
import { standardRegistry } from 'hone/ops/registry';
import { eliminateDead } from 'hone/passes/eliminate-dead';
import {
  fromNumbers,
  type Tensor,
  toNumbers,
  elementCount,
  bytesOf,
} from 'hone-runtime/base/tensor';
import { seededRandom } from 'hone-runtime/base/random';
import { type MergedLibrary, mergedLibrary } from '../support/merged-library.ts';
import { randomGraph } from '../support/random-graph.ts';

export interface GraphFuzzOptions {
  readonly seed: number;
  /** Stops after so many seconds; a batch that was begun is finished. */
  readonly seconds: number;
  readonly target: string;
}

export interface GraphFuzzCounts {
  readonly tried: number;
  readonly kernels: number;
  readonly faults: readonly string[];
}

/** Graphs in one library: the C compiler's start is what costs. */
const BATCH = 12;
/** Relative to the largest value of an output: sums are taken in another order. */
const TOLERANCE = 1e-4;
const RUNS = [
  { threads: 1, poison: true },
  { threads: 2, poison: true },
  { threads: 3, poison: true },
];

interface Item {
  readonly seed: number;
  readonly graph: Graph;
  readonly inputs: readonly Tensor[];
  readonly wanted: readonly Tensor[];
}

export async function fuzzCompiledGraphs(options: GraphFuzzOptions): Promise<GraphFuzzCounts> {
  const deadline = performance.now() + options.seconds * 1000;
  const faults: string[] = [];
  let tried = 0;
  let kernels = 0;
  while (performance.now() < deadline) {
    const items = Array.from({ length: BATCH }, (_unused, i) => makeItem(options.seed + tried + i));
    tried += items.length;
    kernels += await runBatch(items, options.target, faults);
  }
  return { tried, kernels, faults };
}

function makeItem(seed: number): Item {
  const graph = eliminateDead.run(randomGraph(seed), { registry: standardRegistry });
  const random = seededRandom(seed);
  const inputs = graph.inputs.map((id) => {
    const { dtype, shape } = valueById(graph, id).type;
    return fromNumbers(
      dtype,
      shape,
      Float64Array.from({ length: elementCount(shape) }, () => random.next() * 2 - 1),
    );
  });
  return { seed, graph, inputs, wanted: interpret(graph, inputs) };
}

async function runBatch(items: readonly Item[], target: string, faults: string[]): Promise<number> {
  const report = (item: Item, problem: string): void => {
    faults.push(`seed ${item.seed}: ${problem}\n${printGraph(item.graph, { constants: 'full' })}`);
  };
  const compiled = items.flatMap((item) => {
    try {
      return [{ item, program: compileGraph(item.graph, { target }) }];
    } catch (error) {
      report(item, textOf(error));
      return [];
    }
  });
  if (compiled.length === 0) return 0;
  let library: MergedLibrary;
  try {
    library = await mergedLibrary(compiled.map(({ program }) => program));
  } catch (error) {
    const seeds = items.map((item) => item.seed).join(', ');
    faults.push(`seeds ${seeds}: their C does not compile: ${textOf(error)}`);
    return 0;
  }
  try {
    const inputs = compiled.map(({ item }) => item.inputs);
    const runs = RUNS.map((how) => library.run(inputs, how));
    compiled.forEach(({ item }, g) => {
      const results = runs.map((run) => run[g]);
      const problem =
        results.map((result) => result?.damage).find((damage) => damage !== undefined) ??
        difference(results[0]?.outputs ?? [], item.wanted) ??
        (results.every((result) => sameBytes(result?.outputs, results[0]?.outputs))
          ? undefined
          : 'the bytes depend on the number of workers');
      if (problem !== undefined) report(item, problem);
    });
  } catch (error) {
    faults.push(`seeds ${items.map((item) => item.seed).join(', ')}: ${textOf(error)}`);
  } finally {
    library.close();
  }
  return compiled.reduce((sum, { program }) => sum + program.kernels.length, 0);
}

function difference(got: readonly Tensor[], wanted: readonly Tensor[]): string | undefined {
  for (const [k, tensor] of wanted.entries()) {
    const [a, b] = [toNumbers(got[k] as Tensor), toNumbers(tensor)];
    const scale = b.reduce(
      (most, value) => (Math.abs(value) > most ? Math.abs(value) : most),
      1e-6,
    );
    for (const [i, value] of b.entries()) {
      const mine = a[i] as number;
      const same = Object.is(mine, value) || (Number.isNaN(mine) && Number.isNaN(value));
      if (same || Math.abs(mine - value) <= TOLERANCE * (Number.isFinite(scale) ? scale : 1))
        continue;
      return `output ${k}, element ${i}: ${mine}, the interpreter says ${value}`;
    }
  }
  return undefined;
}

function sameBytes(a: readonly Tensor[] = [], b: readonly Tensor[] = []): boolean {
  return a.every((tensor, i) => {
    const other = b[i];
    return other !== undefined && Buffer.compare(bytesOf(tensor), bytesOf(other)) === 0;
  });
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
