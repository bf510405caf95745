/**
 * Kernels within a memory budget: what a process needs for the weights and one context. Kernels that
 * buy speed with memory give way, as few as possible: first to those that transform their weights as
 * they run, which costs little time, then to those that need no workspace either. Where even that is
 * too much, the error names the largest needs. Without a budget packed weights may be little more
 * than the parameters.
 */
import { at, fail } from 'hone-runtime/base/diagnostics';
import type { Graph } from '../graph/types.ts';
import type { StageGraph } from '../stages/types.ts';
import { type Generated, type GenerateOptions, generate } from './generate.ts';
import { fullestMoment, type Need } from './memory-plan.ts';
import type { Concession, GreedyStage } from './plan-stages.ts';
import type { Report } from './report.ts';

/** Without a budget: more than this is surely a mistake in a shape. */
const MOST_BYTES = 2 ** 38;
/** Without a budget: packed weights may be so many times the parameters, and a little more. */
const USUAL_GROWTH = 1.1;
/** Inputs and outputs, which the caller keeps, come out of it. */
const USUAL_EXTRA_BYTES = 7.5e6;
/** Needs that an error names. */
const NAMED = 3;

/** Bytes of a process for the weights and one context; inputs and outputs are the caller's. */
export function peakBytes({ weightsBytes, arenaBytes }: Report): number {
  return weightsBytes + arenaBytes;
}

/** Throws HONE-COMPILE-050 where no choice of kernels stays within `budget` bytes. */
export function generateWithin(
  graph: Graph,
  stages: StageGraph,
  options: GenerateOptions,
  budget?: number,
): Generated {
  const fastest = generate(graph, stages, options);
  const allowed = allowedBytes(fastest, budget);
  const found = fits(fastest.report, allowed)
    ? fastest
    : leaner(graph, stages, options, fastest, allowed);
  const most = budget ?? MOST_BYTES;
  if (peakBytes(found.report) > most) refuse(stages, found, most);
  return found;
}

interface Allowed {
  readonly weightsBytes: number;
  /** Of weights and arena. */
  readonly peakBytes: number;
}

function allowedBytes({ report, program }: Generated, budget: number | undefined): Allowed {
  if (budget !== undefined) return { weightsBytes: budget, peakBytes: budget };
  const outside = [...program.inputs, ...program.outputs].reduce(
    (sum, spec) => sum + spec.bytes,
    0,
  );
  const extra = Math.max(0, USUAL_EXTRA_BYTES - outside);
  const weightsBytes = report.parameterBytes * USUAL_GROWTH + extra;
  return { weightsBytes, peakBytes: Number.POSITIVE_INFINITY };
}

function fits(report: Report, allowed: Allowed): boolean {
  return report.weightsBytes <= allowed.weightsBytes && peakBytes(report) <= allowed.peakBytes;
}

/** A kernel that does with less. */
type Step = readonly [path: string, concession: Concession];

/** With as few concessions as suffice, or all of them. */
function leaner(
  graph: Graph,
  stages: StageGraph,
  options: GenerateOptions,
  fastest: Generated,
  allowed: Allowed,
): Generated {
  const { greedy } = fastest.plan;
  const late = cheapestFirst(greedy);
  const steps: readonly Step[] = [
    ...late.map(({ path }): Step => [path, 'late']),
    ...greediestFirst(greedy).map(({ path }): Step => [path, 'direct']),
  ];
  if (steps.length === 0) return fastest;
  // A stage's later step takes the place of its earlier one.
  const after = (count: number): Generated =>
    generate(graph, stages, { ...options, lean: new Map(steps.slice(0, count)) });
  // How much weights shrink by the first kind of step is known: most often no search is needed.
  let fewest = 0;
  for (let bytes = fastest.report.weightsBytes; fewest < late.length; fewest++) {
    if (bytes <= allowed.weightsBytes) break;
    bytes -= at(late, fewest).bytes;
  }
  if (fewest > 0) {
    const found = after(fewest);
    if (fits(found.report, allowed)) return found;
  }
  let best = after(steps.length);
  if (!fits(best.report, allowed)) return best;
  // The more give way the less is needed.
  for (let low = fewest + 1, high = steps.length; low < high; ) {
    const middle = (low + high) >> 1;
    const found = after(middle);
    if (!fits(found.report, allowed)) low = middle + 1;
    else {
      high = middle;
      best = found;
    }
  }
  return best;
}

/** What can be transformed late: first what loses the least time for a byte. */
function cheapestFirst(
  stages: readonly GreedyStage[],
): readonly { readonly path: string; readonly bytes: number }[] {
  return stages
    .flatMap(({ path, bought }) => {
      if (bought === undefined) return [];
      const { bytes, cycles } = bought;
      return [{ path, bytes, loss: cycles / bytes }];
    })
    .sort((a, b) => a.loss - b.loss || b.bytes - a.bytes);
}

/** First those with the most weights for the least work. */
function greediestFirst(stages: readonly GreedyStage[]): readonly GreedyStage[] {
  return [...stages].sort((a, b) => b.weights - a.weights || a.flops - b.flops);
}

function product(shape: readonly number[]): number {
  return shape.reduce((all, extent) => all * extent, 1);
}

function refuse(stages: StageGraph, { report, plan }: Generated, budget: number): never {
  const { position, needs } = fullestMoment(stages, plan.workspaces);
  const constants = stages.buffers
    .filter((buffer) => buffer.constant !== undefined)
    .map(({ name, shape }): Need => ({ name, bytes: product(shape) }));
  const list = (all: readonly Need[], format: (need: Need) => string): string =>
    [...all]
      .sort((a, b) => b.bytes - a.bytes)
      .slice(0, NAMED)
      .map(format)
      .join(', ');
  const step = stages.stages[position]?.nodes.join(' + ') ?? '';
  const weights = list(constants, ({ name, bytes }) => `${name} (${bytes} elements)`);
  const buffers = list(needs, ({ name, bytes }) => `${name} (${bytes} bytes)`);
  fail(
    'HONE-COMPILE-050',
    `the model needs ${peakBytes(report)} bytes and ${budget} are allowed: ${report.weightsBytes} of weights, the largest ${weights || 'none'}; ${report.arenaBytes} of working memory, fullest in ${step}: ${buffers}`,
    step,
    `give at least --memory ${peakBytes(report)}, a smaller --shape or --batch, or a narrower --precision`,
  );
}
