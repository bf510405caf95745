/**
 * What `hone advise --json` prints. Keys are a contract: add, never rename. Times are milliseconds,
 * rates per second of items (one item: one sample of a batch), money in `currency`.
 */
import type { AcceleratorKind, Precision } from './catalogue-types.ts';
import type { EngineClass } from './model-types.ts';

/** A figure and the interval it lies in with probability 80 %. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/**
 * How sure a row is. `measured`: this model was timed on this machine. `predicted`: from the model,
 * for an accelerator with public figures. `extrapolated`: there are none; the interval is wide.
 */
export type Basis = 'measured' | 'predicted' | 'extrapolated';

/** One way to run the model on one instance. */
export interface Setting {
  readonly engine: EngineClass;
  readonly precision: Precision;
  readonly batch: number;
  /** Requests in flight that one instance is given. */
  readonly concurrency: number;
}

/**
 * One station of service: what latency at a load is computed from, by `latencyAtLoad` in
 * `advisor/queue.ts`. A page may recompute with the same function.
 */
export interface Station {
  /** Time of one batch on one lane, nothing waiting. */
  readonly service_ms: number;
  /** Batches one instance works on at a time. */
  readonly lanes: number;
  readonly batch: number;
  /** 99th percentile of the service time over its median. */
  readonly tail: number;
  /** Added to every request: network of attached accelerators. */
  readonly network_ms: number;
}

/** Where the time of one batch goes; adds up to `service_ms`. */
export interface TimeParts {
  readonly compute_ms: number;
  readonly memory_ms: number;
  readonly launch_ms: number;
  readonly transfer_ms: number;
  readonly fallback_ms: number;
  readonly network_ms: number;
}

/** Operators that run on the CPU, and what that costs. */
export interface FallbackReport {
  readonly ops: readonly string[];
  readonly nodes: number;
  /** Times the data crosses between device and CPU, per run. */
  readonly crossings: number;
  readonly cpu_ms: number;
  readonly transfer_ms: number;
  /** Of the time of a batch. */
  readonly share: number;
  /** Cost per million inferences that would be saved without it. */
  readonly usd_per_million: number;
}

export interface AdviceRow extends Setting {
  /** From 1. */
  readonly rank: number;
  readonly instance: string;
  readonly accelerator: string | null;
  readonly accelerator_kind: AcceleratorKind;
  /** Instances rented: enough for the requested load under the latency limits. */
  readonly instances: number;
  readonly basis: Basis;
  /** Latency of a request at the requested load spread over the instances. */
  readonly p50_ms: Estimate;
  readonly p99_ms: Estimate;
  /** Of one instance, busy all the time. */
  readonly throughput_per_s: Estimate;
  /** Of one instance, while every latency limit holds. */
  readonly usable_per_s: number;
  /** Requested load over what all instances could do. */
  readonly utilisation: number;
  readonly per_hour: number;
  readonly per_million: number;
  /** Of one instance. */
  readonly price_per_hour: number;
  readonly price_date: string;
  readonly price_note: string | null;
  readonly memory_bytes: number;
  readonly memory_capacity_bytes: number;
  readonly fallback: FallbackReport | null;
  readonly parts: TimeParts;
  readonly station: Station;
  /** Operations and bytes of one batch, and the limits of the device: a point of its roofline. */
  readonly roofline: {
    readonly flops: number;
    readonly bytes: number;
    readonly peak_flops_per_s: number;
    readonly bandwidth_bytes_per_s: number;
    readonly attained_flops_per_s: number;
  };
  readonly notes: readonly string[];
}

/** Which limit a candidate broke. */
export type Constraint =
  | 'memory'
  | 'latency'
  | 'throughput'
  | 'budget'
  | 'accuracy'
  | 'framework'
  | 'operators'
  | 'control-flow'
  | 'region'
  | 'price'
  | 'availability'
  | 'hardware'
  | 'error';

/** An instance with no feasible setting, and what stood in the way of its best one. */
export interface RuledOut {
  readonly instance: string;
  readonly constraint: Constraint;
  /** In words, with the figure and the limit. */
  readonly reason: string;
  /** How far the best setting is off: figure over limit, above 1; null where that has no meaning. */
  readonly excess: number | null;
}

/** The winner at another load. */
export interface SensitivityPoint {
  readonly throughput_per_s: number;
  readonly instance: string;
  readonly instances: number;
  readonly per_hour: number;
}

/** The cheapest choice under a scaled demand; `instance` null: none. */
export interface SlaPrice {
  readonly latency_factor: number;
  readonly throughput_factor: number;
  readonly instance: string | null;
  readonly instances: number;
  readonly per_hour: number | null;
  readonly per_million: number | null;
}

/** What was asked for, after defaults. Limits that were not given are null. */
export interface Demand {
  /** Limits by percentile: 50, 90, 95, 99. */
  readonly latency_ms: Readonly<Record<string, number>>;
  readonly throughput_per_s: number;
  /** False: it was not asked for, and one item a second stands in. */
  readonly throughput_given: boolean;
  readonly budget_per_hour: number | null;
  /** Least share of answers that may stay as they are, e.g. 0.99. */
  readonly accuracy: number | null;
  readonly framework: string | null;
  readonly region: string;
  readonly service: 'ec2' | 'sagemaker';
  readonly payment: 'on-demand' | 'spot' | 'reserved-1y' | 'reserved-3y';
  /** Instances or families asked for; empty: all. */
  readonly hardware: readonly string[];
  /** `cost`: cheapest first; `latency`: quickest first. */
  readonly goal: 'cost' | 'latency';
  /** True: nobody waits for a single answer, so only throughput per cost counts. */
  readonly offline: boolean;
}

/** A setting that was timed, beside what was predicted for it before anything was learnt. */
export interface AdviceMeasurement {
  /** Row of the catalogue, or what its owner calls it. */
  readonly machine: string;
  /** `here`, or the address of an agent. */
  readonly by: string;
  /** ISO 8601 */
  readonly measured_at: string;
  readonly precision: string;
  readonly batch: number;
  readonly lanes: number;
  readonly threads: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly throughput_per_s: number;
  /** null: nothing is known of the machine. */
  readonly predicted_ms: number | null;
  /** The machine was busy: measure again. */
  readonly disturbed: boolean;
}

/** The nearest demand that can be met, where the one that was asked for cannot. */
export interface NearestFeasible {
  readonly binding: Constraint;
  readonly reason: string;
  /** What to write instead, e.g. `--sla p99=31ms`; null: nothing would do. */
  readonly instead: string | null;
  readonly row: AdviceRow | null;
}

export interface Advice {
  readonly model: string;
  readonly demand: Demand;
  readonly currency: string;
  /** Of the model: what the predictions are computed from. */
  readonly work: {
    readonly stages: number;
    readonly flops: number;
    readonly bytes: number;
    readonly parameter_bytes: number;
  };
  /** Best first. One row per instance type: its best setting. */
  readonly rows: readonly AdviceRow[];
  /** Further settings of the instances in `rows`, feasible or not: points of the Pareto front. */
  readonly alternatives: readonly AdviceRow[];
  readonly ruled_out: readonly RuledOut[];
  /** Loads at which the winner changes, in order of load. */
  readonly sensitivity: readonly SensitivityPoint[];
  readonly sla_price: readonly SlaPrice[];
  /** null where there are rows. */
  readonly nearest: NearestFeasible | null;
  /** Command that compiles for the winner; null: nothing won, or Hone has no back end for it. */
  readonly compile: string | null;
  /** Stale prices, assumptions, parts of the search that failed. */
  readonly notes: readonly string[];
}
