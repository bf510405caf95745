/**
 * int8 with a bound: each contraction is computed in int8 beside itself on samples, and stays wide
 * where its own result is noisier than that, because channels of very different ranges share one
 * scale, as depthwise convolutions' do. No run of the whole model decides, so it takes one build.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { withScratch } from '../../backends/c/toolchain-run.ts';
import type { Graph } from '../../graph/types.ts';
import type { Registry } from '../../ops/registry.ts';
import type { PrecisionPlan } from '../../passes/precision-plan.ts';
import type { Int8Scope } from '../calibrate/int8-plan.ts';
import type { Sample } from '../calibrate/run.ts';
import { type GroupPrecision, layerGroups, planOf } from './groups.ts';
import { groupNoise } from './sensitivity.ts';

/** Samples that noise is measured on, at most. */
export const NOISE_SAMPLES = 16;

interface Bounded {
  /** After the standard passes. */
  readonly graph: Graph;
  readonly registry: Registry;
  readonly scope: Int8Scope;
  /** The int8 plan of the whole scope. */
  readonly full: PrecisionPlan;
  readonly samples: readonly Sample[];
  /** The targets multiply bf16: what stays wide is kept in it. */
  readonly hasBf16: boolean;
  /** In dB. */
  readonly leastSnr: number;
}

export interface BoundedPlan {
  readonly plan: PrecisionPlan;
  /** Why each contraction has its precision. */
  readonly reasons: ReadonlyMap<string, string>;
}

/** Signal to noise in dB of a share of noise (power); 120 where there is none. */
export function decibelsOf(noise: number): number {
  return -10 * Math.log10(Math.max(noise, 1e-12));
}

export async function widenNoisy(bounded: Bounded): Promise<BoundedPlan> {
  const { graph, registry, scope, full, samples, hasBf16, leastSnr } = bounded;
  const groups = layerGroups(graph, scope);
  const noise = await withScratch((folder) =>
    groupNoise(graph, registry, full, groups, samples.slice(0, NOISE_SAMPLES), folder),
  );
  const decibels = noise.map(decibelsOf);
  const wide: GroupPrecision = hasBf16 ? 'bf16' : 'f32';
  const decisions = decibels.map((snr) => (snr < leastSnr ? wide : 'int8'));
  const reasons = new Map<string, string>();
  groups.forEach(({ nodes }, i) => {
    const measured = `int8 has ${at(decibels, i).toFixed(0)} dB signal to noise here`;
    const text =
      at(decisions, i) === 'int8'
        ? `int8 was asked for; ${measured}`
        : `stays wide: ${measured}, less than ${leastSnr}`;
    for (const name of nodes) reasons.set(name, text);
  });
  if (!decisions.includes(wide)) return { plan: full, reasons };
  return { plan: planOf(graph, registry, full, groups, decisions), reasons };
}
