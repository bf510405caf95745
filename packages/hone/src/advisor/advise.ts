/**
 * Advice: the ranked table, what was ruled out and why, how sensitive the choice is, and the price
 * of the service level. Pure: everything comes in as data.
 */
import type {
  Advice,
  AdviceRow,
  Demand,
  Estimate,
  FallbackReport,
  SensitivityPoint,
  SlaPrice,
} from './advice-types.ts';
import { batchWork, type Candidate } from './candidates.ts';
import { nearestFeasible } from './nearest.ts';
import { latencyAtLoad } from './queue.ts';
import { type Choice, chooseAt, compareChoices, search, type SearchInput } from './search.ts';
import { workBytes, workFlops } from './workload.ts';

export interface AdviseInput extends SearchInput {
  /** As the user named it; part of the command that compiles. */
  readonly path: string;
  /** YYYY-MM-DD: tells which prices are stale. */
  readonly today: string;
}

/** Prices older than this are said to be stale. */
const STALE_DAYS = 180;
const MOST_ALTERNATIVES = 60;

export function advise(input: AdviseInput): Advice {
  const { workload, demand, path } = input;
  const { choices, ruledOut, candidates } = search(input);
  const rows = choices.map((choice, i) => adviceRow(choice, i + 1, input));
  const [winner] = rows;
  return {
    model: path,
    demand,
    currency: choices[0]?.candidate.price.currency ?? 'USD',
    work: {
      stages: workload.fused.reduce((sum, item) => sum + item.count, 0),
      flops: workFlops(workload),
      bytes: workBytes(workload),
      parameter_bytes: workload.parameterBytes,
    },
    rows,
    alternatives: alternatives(candidates, choices, input),
    ruled_out: ruledOut,
    sensitivity: choices.length === 0 ? [] : sensitivity(candidates, demand),
    sla_price: choices.length === 0 ? [] : slaPrices(candidates, demand),
    nearest:
      choices.length === 0 ? nearestFeasible(input, (choice) => adviceRow(choice, 1, input)) : null,
    compile: winner === undefined ? null : compileCommand(choices, path),
    notes: notesOf(choices, input),
  };
}

/** `hone compile` for the winner; null where Hone has no back end for its device. */
function compileCommand(choices: readonly Choice[], path: string): string | null {
  const [winner] = choices;
  const target = winner?.candidate.instance.compileTarget;
  if (winner === undefined || target === null || target === undefined) return null;
  const { batch, precision } = winner.candidate;
  return [
    `hone compile ${path} --target ${target}`,
    ...(batch === 1 ? [] : [`--batch ${batch}`]),
    ...(precision === 'fp32' ? [] : [`--precision ${precision}`]),
    ...(precision === 'int8' ? ['--calibrate SAMPLES'] : []),
  ].join(' ');
}

function adviceRow(choice: Choice, rank: number, input: AdviseInput): AdviceRow {
  const { candidate, instances, usable, perHour, p99Ms } = choice;
  const { workload, demand } = input;
  const { instance, device, prediction, station, basis } = candidate;
  const rate = demand.throughput_per_s / instances;
  const capacity = (station.lanes * station.batch * 1000) / station.service_ms;
  const spread = prediction.logSpreadLatency;
  const isOpenEnded = demand.offline && !demand.throughput_given;
  const load = isOpenEnded ? usable : demand.throughput_per_s;
  const work = batchWork(workload, candidate);
  return {
    rank,
    instance: instance.name,
    accelerator: instance.accelerator?.name ?? null,
    accelerator_kind: device.kind,
    engine: candidate.engine,
    precision: candidate.precision,
    batch: candidate.batch,
    concurrency: station.lanes * candidate.batch,
    instances,
    basis,
    p50_ms: within(latencyAtLoad(station, isOpenEnded ? 1e-9 : rate, 50), spread),
    p99_ms: within(isOpenEnded ? latencyAtLoad(station, 1e-9, 99) : p99Ms, spread),
    throughput_per_s: within(capacity, prediction.logSpreadThroughput),
    usable_per_s: usable,
    utilisation: load / (instances * capacity),
    per_hour: perHour,
    per_million: (perHour / (load * 3600)) * 1e6,
    price_per_hour: candidate.perHour,
    price_date: candidate.price.date,
    price_note: priceNote(candidate, input),
    memory_bytes: candidate.memoryBytes,
    memory_capacity_bytes: candidate.memoryCapacityBytes,
    fallback: fallbackReport(choice, load),
    parts: {
      compute_ms: prediction.computeMs,
      memory_ms: prediction.memoryMs,
      launch_ms: prediction.launchMs,
      transfer_ms: prediction.transferMs,
      fallback_ms: station.service_ms - prediction.latencyMs,
      network_ms: station.network_ms,
    },
    station,
    roofline: {
      ...work,
      peak_flops_per_s: (device.peak[candidate.precision] ?? 0) / device.cores,
      bandwidth_bytes_per_s: device.bandwidthBytesPerSecond / device.cores,
      attained_flops_per_s: (work.flops * 1000) / station.service_ms,
    },
    notes: rowNotes(candidate),
  };
}

function within(value: number, logSpread: number): Estimate {
  const factor = Math.exp(logSpread);
  return { value, low: value / factor, high: value * factor };
}

function fallbackReport(choice: Choice, load: number): FallbackReport | null {
  const { candidate, perHour } = choice;
  const { fallback, station } = candidate;
  if (fallback === undefined) return null;
  const share = (fallback.cpuMs + fallback.transferMs) / station.service_ms;
  return {
    ops: fallback.ops,
    nodes: fallback.nodes,
    crossings: fallback.crossings,
    cpu_ms: fallback.cpuMs,
    transfer_ms: fallback.transferMs,
    share,
    usd_per_million: (perHour / (load * 3600)) * 1e6 * share,
  };
}

function priceNote({ price }: Candidate, { catalogue, today, demand }: AdviseInput): string | null {
  const notes: string[] = [];
  const days = (Date.parse(today) - Date.parse(price.date)) / 86_400_000;
  if (days > STALE_DAYS) notes.push(`price of ${price.date} is stale`);
  const kind = catalogue.sources.find((source) => source.id === price.source)?.kind;
  if (kind === 'estimated') notes.push('price is an estimate');
  if (kind === 'community') notes.push('price from a table that the provider did not publish');
  if (demand.payment !== 'on-demand') notes.push(`${demand.payment} as an estimated factor`);
  return notes.length === 0 ? null : notes.join('; ');
}

function rowNotes({ device, basis, precision }: Candidate): readonly string[] {
  const notes: string[] = [];
  if (device.wasteful !== null) notes.push(device.wasteful);
  if (basis === 'extrapolated') {
    notes.push(`no public measurement of ${device.name}: extrapolated from its data sheet`);
  }
  if (precision === 'int8') notes.push('int8 needs calibration, and proof on your own samples');
  return notes;
}

/** Other settings of the instances in the table: cheapest and quickest of each batch. */
function alternatives(
  candidates: readonly Candidate[],
  choices: readonly Choice[],
  input: AdviseInput,
): readonly AdviceRow[] {
  const shown = new Set(choices.slice(0, 8).map(({ candidate }) => candidate.instance.name));
  const winners = new Set(choices.map(({ candidate }) => candidate));
  const free: Demand = { ...input.demand, latency_ms: {} };
  return candidates
    .filter((item) => shown.has(item.instance.name) && !winners.has(item))
    .flatMap((item) => chooseAt(item, free) ?? [])
    .filter((choice) => choice.instances <= 1000)
    .sort((a, b) => a.perHour - b.perHour || a.p99Ms - b.p99Ms)
    .slice(0, MOST_ALTERNATIVES)
    .map((choice, i) => adviceRow(choice, i + 1, input));
}

/** The best of all candidates for a demand, or undefined. */
export function bestOf(candidates: readonly Candidate[], demand: Demand): Choice | undefined {
  let best: Choice | undefined;
  const budget = demand.budget_per_hour ?? Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const choice = chooseAt(candidate, demand);
    if (choice === undefined || choice.perHour > budget) continue;
    if (best === undefined || compareChoices(choice, best, demand) < 0) best = choice;
  }
  return best;
}

/** Where the winner changes, from a tenth of the load to twenty times it; no budget. */
function sensitivity(
  candidates: readonly Candidate[],
  demand: Demand,
): readonly SensitivityPoint[] {
  const points: SensitivityPoint[] = [];
  for (let step = -12; step <= 16; step++) {
    const rate = demand.throughput_per_s * 10 ** (step / 12);
    const scaled: Demand = { ...demand, throughput_per_s: rate, budget_per_hour: null };
    const best = bestOf(candidates, scaled);
    const last = points.at(-1);
    if (best === undefined || best.candidate.instance.name === last?.instance) continue;
    points.push({
      throughput_per_s: rate,
      instance: best.candidate.instance.name,
      instances: best.instances,
      per_hour: best.perHour,
    });
  }
  return points;
}

const FACTORS: readonly number[] = [0.5, 1, 1.5, 2];

/** The cheapest choice with the latency limits, then the load, at a part or multiple of what was asked. */
function slaPrices(candidates: readonly Candidate[], demand: Demand): readonly SlaPrice[] {
  const pairs = [
    ...(Object.keys(demand.latency_ms).length === 0
      ? []
      : FACTORS.map((factor): [number, number] => [factor, 1])),
    ...FACTORS.map((factor): [number, number] => [1, factor]),
  ];
  return pairs.map(([latency, throughput]) => {
    const limits = Object.entries(demand.latency_ms).map(([p, ms]) => [p, ms * latency]);
    const scaled: Demand = {
      ...demand,
      goal: 'cost',
      budget_per_hour: null,
      latency_ms: Object.fromEntries(limits),
      throughput_per_s: demand.throughput_per_s * throughput,
    };
    const best = bestOf(candidates, scaled);
    return {
      latency_factor: latency,
      throughput_factor: throughput,
      instance: best?.candidate.instance.name ?? null,
      instances: best?.instances ?? 0,
      per_hour: best?.perHour ?? null,
      per_million:
        best === undefined ? null : (best.perHour / (scaled.throughput_per_s * 3600)) * 1e6,
    };
  });
}

function notesOf(choices: readonly Choice[], { demand, today }: AdviseInput): readonly string[] {
  const notes: string[] = [];
  if (demand.accuracy === null) {
    notes.push('int8 is left out, for it needs calibration; --accuracy 99% lets it in');
  }
  if (!demand.throughput_given && !demand.offline) {
    notes.push('no --throughput was asked for: 1 item a second is assumed');
  }
  const [winner] = choices;
  if (winner === undefined) return notes;
  const { device, instance, price } = winner.candidate;
  if (instance.compileTarget === null) {
    const own = choices.find(({ candidate }) => candidate.instance.compileTarget !== null);
    notes.push(
      `Hone has no back end for ${device.name} yet: the figures are of TensorRT or Neuron` +
        (own === undefined
          ? ''
          : `; the best that Hone compiles for is ${own.candidate.instance.name}`),
    );
  }
  const days = (Date.parse(today) - Date.parse(price.date)) / 86_400_000;
  if (days > STALE_DAYS) {
    notes.push(
      `prices are of ${price.date}, ${Math.floor(days)} days ago: give newer ones with --prices`,
    );
  }
  return notes;
}
