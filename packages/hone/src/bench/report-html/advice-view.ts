/**
 * What the page of an advice shows: the part of the advisor's result that it reads (an `Advice` is
 * one), and the functions it computes with, which go into the page as they are.
 */

export interface EstimateView {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export interface StationView {
  readonly service_ms: number;
  readonly lanes: number;
  readonly batch: number;
  readonly tail: number;
  readonly network_ms: number;
}

export interface CandidateView {
  readonly rank: number;
  readonly instance: string;
  readonly accelerator: string | null;
  readonly accelerator_kind: string;
  readonly engine: string;
  readonly precision: string;
  readonly batch: number;
  readonly concurrency: number;
  readonly instances: number;
  readonly basis: 'measured' | 'predicted' | 'extrapolated';
  readonly p50_ms: EstimateView;
  readonly p99_ms: EstimateView;
  readonly throughput_per_s: EstimateView;
  readonly usable_per_s: number;
  readonly utilisation: number;
  readonly per_hour: number;
  readonly per_million: number;
  readonly price_per_hour: number;
  readonly price_date: string;
  readonly price_note: string | null;
  readonly memory_bytes: number;
  readonly memory_capacity_bytes: number;
  readonly fallback: {
    readonly ops: readonly string[];
    readonly nodes: number;
    readonly share: number;
    readonly usd_per_million: number;
  } | null;
  readonly parts: {
    readonly compute_ms: number;
    readonly memory_ms: number;
    readonly launch_ms: number;
    readonly transfer_ms: number;
    readonly fallback_ms: number;
    readonly network_ms: number;
  };
  readonly station: StationView;
  readonly roofline: {
    readonly flops: number;
    readonly bytes: number;
    readonly peak_flops_per_s: number;
    readonly bandwidth_bytes_per_s: number;
    readonly attained_flops_per_s: number;
  };
  readonly notes: readonly string[];
}

export interface DemandView {
  readonly latency_ms: Readonly<Record<string, number>>;
  readonly throughput_per_s: number;
  readonly throughput_given: boolean;
  readonly budget_per_hour: number | null;
  readonly accuracy: number | null;
  readonly framework: string | null;
  readonly region: string;
  readonly service: string;
  readonly payment: string;
  readonly hardware: readonly string[];
  readonly goal: 'cost' | 'latency';
  readonly offline: boolean;
}

export interface AdviceView {
  readonly model: string;
  readonly demand: DemandView;
  readonly currency: string;
  readonly work: {
    readonly stages: number;
    readonly flops: number;
    readonly bytes: number;
    readonly parameter_bytes: number;
  };
  readonly rows: readonly CandidateView[];
  readonly alternatives: readonly CandidateView[];
  readonly ruled_out: readonly {
    readonly instance: string;
    readonly constraint: string;
    readonly reason: string;
    readonly excess: number | null;
  }[];
  readonly sensitivity: readonly {
    readonly throughput_per_s: number;
    readonly instance: string;
    readonly instances: number;
    readonly per_hour: number;
  }[];
  readonly sla_price: readonly {
    readonly latency_factor: number;
    readonly throughput_factor: number;
    readonly instance: string | null;
    readonly instances: number;
    readonly per_hour: number | null;
    readonly per_million: number | null;
  }[];
  readonly nearest: {
    readonly binding: string;
    readonly reason: string;
    readonly instead: string | null;
    readonly row: CandidateView | null;
  } | null;
  readonly compile: string | null;
  readonly notes: readonly string[];
  /** What was timed, beside what was predicted. */
  readonly measurements?: readonly {
    readonly machine: string;
    readonly by: string;
    readonly measured_at: string;
    readonly precision: string;
    readonly batch: number;
    readonly lanes: number;
    readonly p50_ms: number;
    readonly p99_ms: number;
    readonly throughput_per_s: number;
    readonly predicted_ms: number | null;
    readonly disturbed: boolean;
  }[];
}

/** The advisor's own functions of load and latency; they use nothing but each other. */
export interface QueueFunctions {
  readonly latencyAtLoad: (
    station: StationView,
    ratePerSecond: number,
    percentile: number,
  ) => number;
  readonly usableLoad: (station: StationView, limits: Readonly<Record<string, number>>) => number;
}
