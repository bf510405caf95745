/**
 * Differential fuzzing of the compiler: random graphs, many to a library, each checked in every way
 * that `check-graphs.ts` knows; what fails is made small and printed with its seed.
 */
import type { CompileOptions } from 'hone/compile/index';
import { printGraph } from 'hone/graph/print';
import { seededRandom } from 'hone-runtime/base/random';
import { type CheckItem, checkGraphs, type Problem } from './check-graphs.ts';
import { randomGraph } from './random-graphs.ts';
import { shrinkGraph } from './shrink-graph.ts';

export interface GraphFuzzOptions {
  /** Graph n of a run has seed `seed + n`: one graph is repeated with its own seed and `count` 1. */
  readonly seed: number;
  /** Graphs to try, at most. */
  readonly count: number;
  /** Begins no batch after so many seconds. */
  readonly seconds: number;
  readonly target: string;
  /** Called with the first seed and the number of graphs of each batch. */
  readonly onBatch?: (seed: number, count: number) => void;
}

export interface GraphFuzzCounts {
  readonly tried: number;
  readonly refused: number;
  readonly kernels: number;
  readonly faults: readonly string[];
}

/** Graphs in one library: the C compiler's start is what costs. */
const BATCH = 24;
const MAX_FAULTS = 5;
const SHRINK_MS = 40_000;

export async function fuzzGraphs(options: GraphFuzzOptions): Promise<GraphFuzzCounts> {
  const deadline = performance.now() + options.seconds * 1000;
  const faults: string[] = [];
  let [tried, refused, kernels] = [0, 0, 0];
  while (tried < options.count && performance.now() < deadline && faults.length < MAX_FAULTS) {
    const count = Math.min(BATCH, options.count - tried);
    const first = options.seed + tried;
    options.onBatch?.(first, count);
    const items = Array.from({ length: count }, (_, i) => itemOf(first + i, options.target));
    const checked = await checkGraphs(items);
    tried += count;
    refused += checked.refused;
    kernels += checked.kernels;
    for (const [i, problem] of checked.problems.entries()) {
      if (problem === undefined || faults.length >= MAX_FAULTS) continue;
      faults.push(await describe(first + i, items[i] as CheckItem, problem));
    }
  }
  return { tried, refused, kernels, faults };
}

function itemOf(seed: number, target: string): CheckItem {
  return { ...randomGraph(seed), options: { target, ...variantOf(seed) } };
}

/** Mostly the compiler's own choice; sometimes another one, so that every row is met. */
function variantOf(seed: number): CompileOptions {
  const random = seededRandom(seed ^ 0x5eed);
  switch (random.integer(20)) {
    case 0:
      return { fuse: false };
    case 1:
      return { contract: { naive: true } };
    case 2:
      return { contract: { direct: true } };
    case 3:
    case 4:
      return { contract: { choice: 1 + random.integer(6) } };
    default:
      return {};
  }
}

async function describe(seed: number, item: CheckItem, problem: Problem): Promise<string> {
  const failure = async (other: CheckItem): Promise<Problem | undefined> => {
    const [found] = (await checkGraphs([other])).problems;
    return found?.phase === problem.phase ? found : undefined;
  };
  const small: CheckItem = {
    ...(await shrinkGraph(
      item,
      async (other) => (await failure({ ...item, ...other })) !== undefined,
      performance.now() + SHRINK_MS,
    )),
    options: item.options,
  };
  const { problems } = await checkGraphs([small]);
  const variants: readonly (readonly [string, CompileOptions])[] = [
    ['without fusion', { fuse: false }],
    ['naive kernels', { contract: { naive: true } }],
  ];
  const notes: string[] = [];
  for (const [name, variant] of problem.phase === 'passes' ? [] : variants) {
    const options = { ...small.options, ...variant };
    notes.push(
      `${name}: ${(await failure({ ...small, options })) === undefined ? 'well' : 'fails'}`,
    );
  }
  return [
    `seed ${seed}, ${JSON.stringify(item.options)}, ${problem.phase}: ${problem.text}`,
    `smaller: ${problems[0]?.text ?? 'fails only among others'}${notes.length > 0 ? ` (${notes.join(', ')})` : ''}`,
    printGraph(small.graph, { constants: 'full' }).replace(/^(.{400}).*$/gm, '$1 …'),
  ].join('\n');
}
