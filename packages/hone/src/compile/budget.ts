/**
 * Kernels within a memory budget: what a process needs for the weights and one context. Kernels that
 * buy speed with memory (a workspace, larger weights) give way to those that do not, as few as
 * possible; where even that is too much, the error names the largest needs. Without a budget packed
 * weights may be little more than the parameters.
 */
import { fail } from 'hone-runtime/base/diagnostics';
import type { Graph } from '../graph/types.ts';
import type { StageGraph } from '../stages/types.ts';
import { type Generated, type GenerateOptions, generate } from './generate.ts';
import { fullestMoment, type Need } from './memory-plan.ts';
import type { GreedyStage } from './plan-stages.ts';
import type { Report } from './report.ts';

/** Without a budget: more than this is surely a mistake in a shape. */
const MOST_BYTES = 2 ** 38;
/** Without a budget: packed weights may be so many times the parameters, and a little more. */
const USUAL_GROWTH = 1.1;
const USUAL_EXTRA_BYTES = 8e6;
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
  const fits = (report: Report): boolean =>
    budget === undefined ? isUsual(report) : peakBytes(report) <= budget;
  const fastest = generate(graph, stages, options);
  const found = fits(fastest.report) ? fastest : leaner(graph, stages, options, fastest, fits);
  const most = budget ?? MOST_BYTES;
  if (peakBytes(found.report) > most) refuse(stages, found, most);
  return found;
}

function isUsual({ weightsBytes, parameterBytes }: Report): boolean {
  return weightsBytes <= parameterBytes * USUAL_GROWTH + USUAL_EXTRA_BYTES;
}

/** With as few lean kernels as suffice, or all of them lean. */
function leaner(
  graph: Graph,
  stages: StageGraph,
  options: GenerateOptions,
  fastest: Generated,
  fits: (report: Report) => boolean,
): Generated {
  const greedy = greedyPaths(fastest.plan.greedy);
  if (greedy.length === 0) return fastest;
  const without = (count: number): Generated =>
    generate(graph, stages, { ...options, lean: new Set(greedy.slice(0, count)) });
  let best = without(greedy.length);
  if (!fits(best.report)) return best;
  // The more give way the less is needed.
  for (let low = 1, high = greedy.length; low < high; ) {
    const middle = (low + high) >> 1;
    const found = without(middle);
    if (!fits(found.report)) low = middle + 1;
    else {
      high = middle;
      best = found;
    }
  }
  return best;
}

/** First those with the most weights for the least work. */
function greedyPaths(stages: readonly GreedyStage[]): readonly string[] {
  return [...stages]
    .sort((a, b) => b.weights - a.weights || a.flops - b.flops)
    .map(({ path }) => path);
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
