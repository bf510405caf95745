/**
 * int8 with a bound: each contraction is computed in int8 beside itself on samples, and stays wide
 * where its own result is noisier than that, because channels of very different ranges share one
 * scale, as depthwise convolutions' do. No run of the whole model decides, so it takes one build.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { withScratch } from '../../backends/c/toolchain-run.ts';
import type { Graph } from '../../graph/types.ts';
import type { Registry } from '../../ops/registry.ts';
import { type PrecisionPlan, withBodyPlans } from '../../passes/precision-plan.ts';
import type { BodyPlan } from '../calibrate/body-plans.ts';
import type { Int8Scope } from '../calibrate/int8-plan.ts';
import type { Sample } from '../calibrate/run.ts';
import { type GroupPrecision, layerGroups, planOf } from './groups.ts';
import { type GroupedBody, noiseWithin } from './sensitivity.ts';

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
  /** With int8 plans of their own; `full` does not speak of them. */
  readonly bodies?: readonly BodyPlan[];
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
  const { graph, registry, scope, full, samples } = bounded;
  const groups = layerGroups(graph, scope);
  const bodies = (bounded.bodies ?? []).map((body) => ({
    ...body,
    groups: layerGroups(body.graph, body.scope),
  }));
  const measured = samples.slice(0, NOISE_SAMPLES);
  const noise = await withScratch((folder) =>
    noiseWithin(graph, registry, full, groups, bodies, measured, folder),
  );
  const outside = widened(bounded, { graph, plan: full, groups }, noise.outside);
  const inside = bodies.map((body, b) => ({
    prefix: body.prefix,
    ...widened(bounded, body, at(noise.bodies, b)),
  }));
  return {
    plan: withBodyPlans(outside.plan, inside),
    reasons: new Map([
      ...outside.reasons,
      ...inside.flatMap(({ prefix, reasons }) =>
        [...reasons].map(([name, why]) => [`${prefix}${name}`, why] as const),
      ),
    ]),
  };
}

/** A graph or a body, with what is too noisy in it wide. */
function widened(
  { registry, hasBf16, leastSnr }: Bounded,
  { graph, plan: full, groups }: Omit<GroupedBody, 'prefix'>,
  noise: readonly number[],
): BoundedPlan {
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
