/**
 * int8 with a bound for models that carry state: noise of a layer comes back with every run, so the
 * answers decide. Each group alone is narrowed over a sequence of samples whose state is fed back; the
 * groups that cost the answers least become int8 while all of them together keep the bound. The mix is
 * built and run over the sequence once more, and is widened where it does not keep it. What stays wide
 * stays f32: 16 bits too add noise in every run.
 */
import { load } from 'hone-runtime';
import { at } from 'hone-runtime/base/diagnostics';
import path from 'node:path';
import { withScratch } from '../../backends/c/toolchain-run.ts';
import type { Graph, ValueId } from '../../graph/types.ts';
import { producers, valueById } from '../../graph/walk.ts';
import type { Registry } from '../../ops/registry.ts';
import type { PrecisionPlan } from '../../passes/precision-plan.ts';
import { writeArtifact } from '../build-artifact.ts';
import type { Carried } from '../calibrate/carried.ts';
import type { Int8Scope } from '../calibrate/int8-plan.ts';
import type { CompleteSample } from '../calibrate/run.ts';
import { compileBuiltGraph } from '../compile-graph.ts';
import type { CompileOptions } from '../options.ts';
import { type BoundedPlan, decibelsOf, NOISE_SAMPLES } from './bounded.ts';
import { type GroupPrecision, type LayerGroup, layerGroups, planOf } from './groups.ts';
import type { Outputs } from './metric.ts';
import { groupNoise } from './sensitivity.ts';
import { runInSequence, sequenceNoise, switchedModel } from './switched.ts';

/** Samples that a sequence has at most. */
export const SEQUENCE_SAMPLES = 512;

/** What answers keep beyond what is asked of a layer alone, in dB. */
const ANSWERS_OVER_LAYERS = 10;

export interface CarriedBound {
  readonly graph: Graph;
  readonly registry: Registry;
  readonly scope: Int8Scope;
  /** The int8 plan of the whole scope. */
  readonly full: PrecisionPlan;
  readonly samples: readonly CompleteSample[];
  readonly carried: Carried;
  /** In dB, of a layer alone. */
  readonly leastSnr: number;
  readonly options: Pick<CompileOptions, 'timeoutMs' | 'onProgress'>;
}

export interface CarriedPlan extends BoundedPlan {
  /** What the answers of the mix kept over the sequence; absent where there was none. */
  readonly answers?: { readonly snr: number; readonly samples: number };
}

export async function widenCarried(bound: CarriedBound): Promise<CarriedPlan> {
  const { graph, registry, scope, full, carried } = bound;
  const groups = layerGroups(graph, scope);
  const samples = bound.samples.slice(0, SEQUENCE_SAMPLES);
  const following = samples.filter(({ continues }) => continues).length;
  return withScratch(async (folder) => {
    if (following * 2 < samples.length) return withoutSequence(bound, groups, folder);
    const least = bound.leastSnr + ANSWERS_OVER_LAYERS;
    const budget = 10 ** (-least / 10);
    const sequence = { samples, carried };
    const say = bound.options.onProgress ?? ((): void => {});
    const switched = await switchedModel(graph, registry, full, groups, sequence, folder);
    let noise: readonly number[];
    let reference: readonly Outputs[];
    try {
      reference = switched.run(new Set());
      noise = groups.map((_, i) => {
        say(`what int8 does to the answers: ${i + 1} of ${groups.length} groups of layers`);
        return sequenceNoise(reference, switched.run(new Set([i])), carried);
      });
    } finally {
      switched.close();
    }
    const order = groups
      .map((_, i) => i)
      .filter((i) => at(noise, i) > 0)
      .sort((a, b) => at(noise, a) - at(noise, b));
    let count = 0;
    for (let sum = 0; count < order.length; count++) {
      sum += at(noise, at(order, count));
      if (sum > budget) break;
    }
    let found = 0;
    for (;;) {
      const narrow = new Set(order.slice(0, count));
      const decisions = groups.map((_, i): GroupPrecision => (narrow.has(i) ? 'int8' : 'f32'));
      const plan = planOf(graph, registry, full, groups, decisions);
      if (count > 0) {
        say(`running a mix of ${count} of ${groups.length} groups in int8 over the samples`);
        const outputs = await runPlan(bound, plan, path.join(folder, `mix-${count}.hone`));
        found = sequenceNoise(reference, outputs, carried);
      }
      if (count === 0 || found <= budget) {
        const reasons = reasonsOf(groups, noise, narrow, carried, least);
        const snr = decibelsOf(count === 0 ? 0 : found);
        return { plan, reasons, answers: { snr, samples: samples.length } };
      }
      count -= Math.max(1, count >> 3);
    }
  });
}

async function runPlan(
  { graph, registry, samples, carried, options }: CarriedBound,
  plan: PrecisionPlan,
  artifact: string,
): Promise<readonly Outputs[]> {
  const { timeoutMs } = options;
  const timed = timeoutMs === undefined ? {} : { timeoutMs };
  await writeArtifact(await compileBuiltGraph(graph, { registry, plan, ...timed }), artifact);
  const session = load(artifact);
  try {
    return runInSequence(session, samples.slice(0, SEQUENCE_SAMPLES), carried);
  } finally {
    session.close();
  }
}

function reasonsOf(
  groups: readonly LayerGroup[],
  noise: readonly number[],
  narrow: ReadonlySet<number>,
  carried: Carried,
  least: number,
): ReadonlyMap<string, string> {
  const states = [...carried.keys()].join(' and ');
  const reasons = new Map<string, string>();
  groups.forEach(({ nodes }, i) => {
    const measured = `alone in int8 it leaves the answers ${decibelsOf(at(noise, i)).toFixed(0)} dB with ${states} fed back`;
    const text = narrow.has(i)
      ? `int8 was asked for; ${measured}`
      : at(noise, i) === 0
        ? 'stays f32: the samples do not show what int8 would do to the answers here'
        : `stays f32: ${measured}, and all layers together have to leave ${least}`;
    for (const name of nodes) reasons.set(name, text);
  });
  return reasons;
}

/** Nothing tells what state carries on: what feeds it stays f32, the rest keeps the bound of layers. */
async function withoutSequence(
  { graph, registry, full, samples, carried, leastSnr }: CarriedBound,
  groups: readonly LayerGroup[],
  folder: string,
): Promise<CarriedPlan> {
  const feeding = feeders(graph, carried);
  const measured = samples.slice(0, NOISE_SAMPLES);
  const noise = await groupNoise(graph, registry, full, groups, measured, folder);
  const reasons = new Map<string, string>();
  const decisions = groups.map(({ nodes }, i): GroupPrecision => {
    const state = nodes.map((name) => feeding.get(name)).find((name) => name !== undefined);
    const snr = decibelsOf(at(noise, i));
    const wide = state !== undefined || snr < leastSnr;
    const own = `int8 has ${snr.toFixed(0)} dB signal to noise here`;
    const text =
      state !== undefined
        ? `stays f32: feeds the carried state ${state}, and samples that do not follow one another do not show what it carries on`
        : wide
          ? `stays f32: ${own}, less than ${leastSnr}`
          : `int8 was asked for; ${own}`;
    for (const name of nodes) reasons.set(name, text);
    return wide ? 'f32' : 'int8';
  });
  return { plan: planOf(graph, registry, full, groups, decisions), reasons };
}

/** Names of nodes that a carried output depends on, each with the input that it comes back by. */
function feeders(graph: Graph, carried: Carried): ReadonlyMap<string, string> {
  const makers = producers(graph);
  const found = new Map<string, string>();
  for (const [input, output] of carried) {
    const pending: ValueId[] = graph.outputs.filter((id) => valueById(graph, id).name === output);
    const seen = new Set(pending);
    for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
      const node = makers.get(id);
      if (node === undefined) continue;
      found.set(node.name, input);
      for (const from of node.inputs) {
        if (from === null || seen.has(from)) continue;
        seen.add(from);
        pending.push(from);
      }
    }
  }
  return found;
}
