/**
 * What the sliders of an advice compute: every candidate at another load, other latency limits, and
 * with predictions that are off by a factor. Goes into the page's own script as it is.
 */
import type { CandidateView, DemandView, QueueFunctions } from './advice-view.ts';

export interface Knobs {
  readonly throughput_per_s: number;
  /** Of all latency limits. */
  readonly latency_factor: number;
  /** Of all times that were not measured. */
  readonly error_factor: number;
}

/** A candidate under other demands. */
export interface Explored {
  readonly candidate: CandidateView;
  readonly feasible: boolean;
  readonly instances: number;
  readonly per_hour: number;
  readonly per_million: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly usable_per_s: number;
  readonly utilisation: number;
}

/** Every candidate; the best of each instance first, in order of the demand's goal. */
export function exploreAll(
  candidates: readonly CandidateView[],
  demand: DemandView,
  knobs: Knobs,
  queue: QueueFunctions,
): { readonly best: readonly Explored[]; readonly others: readonly Explored[] } {
  const all = candidates.map((candidate) => exploreOne(candidate, demand, knobs, queue));
  const byCost = (a: Explored, b: Explored): number =>
    a.per_hour - b.per_hour || a.p99_ms - b.p99_ms;
  const byLatency = (a: Explored, b: Explored): number =>
    a.p99_ms - b.p99_ms || a.per_hour - b.per_hour;
  const order = demand.goal === 'latency' && !demand.offline ? byLatency : byCost;
  const sorted = [...all].sort(
    (a, b) =>
      Number(b.feasible) - Number(a.feasible) || order(a, b) || a.candidate.rank - b.candidate.rank,
  );
  const seen = new Set<string>();
  const best: Explored[] = [];
  const others: Explored[] = [];
  for (const one of sorted) {
    if (seen.has(one.candidate.instance)) others.push(one);
    else best.push(one);
    seen.add(one.candidate.instance);
  }
  return { best, others };
}

export function exploreOne(
  candidate: CandidateView,
  demand: DemandView,
  knobs: Knobs,
  { latencyAtLoad, usableLoad }: QueueFunctions,
): Explored {
  const { throughput_per_s: load, latency_factor, error_factor } = knobs;
  const error = candidate.basis === 'measured' ? 1 : error_factor;
  const station = { ...candidate.station, service_ms: candidate.station.service_ms * error };
  const limits: Record<string, number> = {};
  if (!demand.offline) {
    for (const [name, ms] of Object.entries(demand.latency_ms)) limits[name] = ms * latency_factor;
  }
  const usable = usableLoad(station, limits);
  const capacity = (station.lanes * station.batch * 1000) / station.service_ms;
  // Where no load is within the limits, what it would take without them is shown.
  const each = usable > 0 ? usable : capacity * 0.95;
  const instances = Math.max(1, Math.ceil(load / each - 1e-9));
  const per_hour = instances * candidate.price_per_hour;
  const within = demand.budget_per_hour === null || per_hour <= demand.budget_per_hour * (1 + 1e-9);
  return {
    candidate,
    feasible: usable > 0 && within,
    instances,
    per_hour,
    per_million: (per_hour / (load * 3600)) * 1e6,
    p50_ms: latencyAtLoad(station, load / instances, 50),
    p99_ms: latencyAtLoad(station, load / instances, 99),
    usable_per_s: usable,
    utilisation: load / (instances * capacity),
  };
}
