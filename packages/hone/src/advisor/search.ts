/**
 * The search: constraints first, then cost at the requested load in whole instances, then latency.
 * Every instance ends as a choice (its best setting) or as ruled out, with the reason.
 */
import { HoneError } from 'hone-runtime/base/diagnostics';
import type { Constraint, Demand, RuledOut } from './advice-types.ts';
import {
  type Candidate,
  candidatesOf,
  deviceOf,
  DEFAULT_ACCURACY,
  precisionsOf,
  priceOf,
} from './candidates.ts';
import type { Accelerator, Catalogue, Instance } from './catalogue-types.ts';
import { controlFlowOf } from './fallback.ts';
import type { FittedModel } from './fitted-model.ts';
import type { Workload } from './model-types.ts';
import { type MeasuredUse, withMeasurements } from './measured-candidates.ts';
import { latencyAtLoad, usableLoad } from './queue.ts';

/** A candidate that meets the limits, and how many of it the load takes. */
export interface Choice {
  readonly candidate: Candidate;
  /** Items a second of one instance while every limit holds. */
  readonly usable: number;
  readonly instances: number;
  readonly perHour: number;
  readonly p99Ms: number;
}

export interface Found {
  /** Best first; one an instance type. */
  readonly choices: readonly Choice[];
  readonly ruledOut: readonly RuledOut[];
  /** All settings that fit into memory, for what is computed beside the table. */
  readonly candidates: readonly Candidate[];
}

export interface SearchInput {
  readonly workload: Workload;
  readonly catalogue: Catalogue;
  readonly model: FittedModel;
  readonly demand: Demand;
  /** What was measured, on this model and others. */
  readonly measured?: MeasuredUse;
}

/** Nobody rents more for one model without asking somebody. */
const MOST_INSTANCES = 10_000;

export function search(input: SearchInput): Found {
  const choices: Choice[] = [];
  const ruledOut: RuledOut[] = [];
  const candidates: Candidate[] = [];
  for (const instance of input.catalogue.instances) {
    if (!isWanted(instance, input.demand)) continue;
    const judged = judge(instance, input);
    candidates.push(...judged.candidates);
    if ('choice' in judged) choices.push(judged.choice);
    else ruledOut.push(judged.ruledOut);
  }
  choices.sort((a, b) => compareChoices(a, b, input.demand));
  return { choices, ruledOut, candidates };
}

/** Cost (or latency, where that is the goal) decides; equal cost goes to the quicker one. */
export function compareChoices(a: Choice, b: Choice, demand: Demand): number {
  const cost = costOf(a, demand) - costOf(b, demand);
  const speed = a.p99Ms - b.p99Ms;
  const byName = a.candidate.instance.name < b.candidate.instance.name ? -1 : 1;
  return demand.goal === 'latency' ? speed || cost || byName : cost || speed || byName;
}

/** A batch job without a rate pays for what it uses; a service pays for whole instances. */
function costOf(choice: Choice, demand: Demand): number {
  return demand.offline && !demand.throughput_given
    ? choice.candidate.perHour / choice.usable
    : choice.perHour;
}

export function isWanted(instance: Instance, demand: Demand): boolean {
  const { hardware } = demand;
  const id = instance.accelerator?.id ?? '';
  return (
    hardware.length === 0 ||
    hardware.some((name) => name === instance.name || name === instance.family || name === id)
  );
}

type Judged =
  | { readonly candidates: readonly Candidate[]; readonly choice: Choice }
  | { readonly candidates: readonly Candidate[]; readonly ruledOut: RuledOut };

function judge(instance: Instance, input: SearchInput): Judged {
  try {
    return judgeInstance(instance, input);
  } catch (error) {
    // One entry that cannot be worked out must not take the others with it.
    if (!(error instanceof HoneError)) throw error;
    return out(instance, 'error', `${error.code}: ${error.message}`);
  }
}

function out(
  instance: Instance,
  constraint: Constraint,
  reason: string,
  excess: number | null = null,
  candidates: readonly Candidate[] = [],
): Judged {
  return { candidates, ruledOut: { instance: instance.name, constraint, reason, excess } };
}

function judgeInstance(instance: Instance, input: SearchInput): Judged {
  const { workload, catalogue, model, demand } = input;
  const device = deviceOf(instance);
  const refused = whyNotAtAll(instance, device, input);
  if (refused !== undefined) return out(instance, refused[0], refused[1]);
  const paid = priceOf(instance, demand, catalogue.factors);
  if (paid === undefined) {
    const { service, region } = demand;
    const reason = `no ${service} price for ${region}; --prices FILE can give one`;
    const elsewhere = instance.prices.some((price) => price.region === region);
    return out(instance, elsewhere ? 'price' : 'region', reason);
  }
  const all = withMeasurements(
    candidatesOf(workload, instance, demand, model, paid),
    input.measured,
  );
  const fitting = all.filter((item) => item.memoryBytes <= item.memoryCapacityBytes);
  if (fitting.length === 0) {
    const [least] = [...all].sort((a, b) => a.memoryBytes - b.memoryBytes);
    if (least === undefined) return out(instance, 'accuracy', accuracyReason(device, demand));
    const excess = least.memoryBytes / least.memoryCapacityBytes;
    return out(
      instance,
      'memory',
      `needs ${gib(least.memoryBytes)} in ${least.precision}, ${device.name} has ${gib(least.memoryCapacityBytes)}`,
      excess,
    );
  }
  const choices = fitting.flatMap((candidate) => chooseAt(candidate, demand) ?? []);
  if (choices.length === 0) {
    const { reason, excess } = latencyReason(fitting, demand);
    return out(instance, 'latency', reason, excess, fitting);
  }
  const best = choices.reduce((a, b) => (compareChoices(b, a, demand) < 0 ? b : a));
  return limitReason(instance, best, demand, fitting) ?? { candidates: fitting, choice: best };
}

function limitReason(
  instance: Instance,
  best: Choice,
  demand: Demand,
  fitting: readonly Candidate[],
): Judged | undefined {
  if (best.instances > MOST_INSTANCES) {
    const reason = `it would take ${best.instances} instances, more than ${MOST_INSTANCES}`;
    return out(instance, 'throughput', reason, best.instances / MOST_INSTANCES, fitting);
  }
  const { budget_per_hour: budget } = demand;
  if (budget === null || best.perHour <= budget) return undefined;
  return out(
    instance,
    'budget',
    `${best.instances} × ${best.candidate.perHour.toFixed(3)} = ${best.perHour.toFixed(3)} an hour, the budget is ${budget.toFixed(3)}`,
    best.perHour / budget,
    fitting,
  );
}

/** What a candidate comes to at the requested load; undefined: its latency is too long at any. */
export function chooseAt(candidate: Candidate, demand: Demand): Choice | undefined {
  const { station } = candidate;
  const usable = usableLoad(station, demand.offline ? {} : demand.latency_ms);
  if (usable <= 0) return undefined;
  const instances = Math.max(1, Math.ceil(demand.throughput_per_s / usable - 1e-9));
  return {
    candidate,
    usable,
    instances,
    perHour: instances * candidate.perHour,
    p99Ms: latencyAtLoad(station, demand.throughput_per_s / instances, 99),
  };
}

function whyNotAtAll(
  instance: Instance,
  device: Accelerator,
  { workload, demand }: SearchInput,
): readonly [Constraint, string] | undefined {
  const loops = controlFlowOf(workload);
  if (loops.length > 0 && device.operators.controlFlow === 'refused') {
    return ['control-flow', `${device.name} does not run ${loops.join(', ')}`];
  }
  const { framework } = demand;
  if (framework !== null && framework !== 'onnx' && !takes(device, framework)) {
    return ['framework', `${device.name} takes ${device.frameworks.join(', ')}, not ${framework}`];
  }
  if (precisionsOf(device, demand).length === 0) {
    return ['accuracy', accuracyReason(device, demand)];
  }
  // Said last: what is no longer for rent may still be wrong for the model.
  if (!instance.available && !demand.hardware.includes(instance.name)) {
    const tooSmall = workload.parameterBytes > device.memoryBytes;
    return tooSmall
      ? [
          'memory',
          `the weights alone are ${gib(workload.parameterBytes)}, ${device.name} has ${gib(device.memoryBytes)}`,
        ]
      : ['availability', `${device.name}: ${device.wasteful ?? 'no longer for rent'}`];
  }
  return undefined;
}

function takes(device: Accelerator, framework: string): boolean {
  return device.frameworks.some((name) => name === '*' || name === framework);
}

function accuracyReason(device: Accelerator, demand: Demand): string {
  const least = (100 * (demand.accuracy ?? DEFAULT_ACCURACY)).toFixed(1);
  const names = Object.keys(device.peak).join(', ');
  return `${device.name} has ${names}; none of them keeps ${least} % of the answers`;
}

function latencyReason(
  fitting: readonly Candidate[],
  demand: Demand,
): { readonly reason: string; readonly excess: number } {
  let best = { reason: '', excess: Number.POSITIVE_INFINITY };
  for (const { station, precision, batch } of fitting) {
    for (const [percentile, limit] of Object.entries(demand.latency_ms)) {
      // Alone: the least it can be.
      const ms = latencyAtLoad(station, 1e-9, Number(percentile));
      const excess = ms / limit;
      const worst = Math.max(
        ...Object.entries(demand.latency_ms).map(
          ([other, most]) => latencyAtLoad(station, 1e-9, Number(other)) / most,
        ),
      );
      if (excess < worst - 1e-12 || worst >= best.excess) continue;
      best = {
        reason: `p${percentile} is ${ms.toFixed(2)} ms at best (${precision}, batch ${batch}), the limit is ${limit} ms`,
        excess: worst,
      };
    }
  }
  return best;
}

export function gib(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}
