/** An advice with everything in it, for tests of its page. Consistent in itself; measured by nobody. */
import type { Advice, AdviceRow, Basis, Station } from 'hone/advisor/advice-types';
import { latencyAtLoad, usableLoad } from 'hone/advisor/queue';

export const LOAD = 500;
const BUDGET = 4;
export const LIMITS = { '99': 20 };

interface Sketch {
  readonly instance: string;
  readonly accelerator: string | null;
  readonly kind: AdviceRow['accelerator_kind'];
  readonly precision: AdviceRow['precision'];
  readonly batch: number;
  readonly lanes: number;
  readonly service: number;
  readonly price: number;
  readonly basis: Basis;
  readonly peak: number;
  readonly bandwidth: number;
}

const GPU = { kind: 'gpu', lanes: 1 } as const;
const T4 = { ...GPU, accelerator: 'NVIDIA T4', peak: 65e12, bandwidth: 300e9 };
const A10G = { ...GPU, accelerator: 'NVIDIA A10G', peak: 70e12, bandwidth: 600e9 };
const V100 = { ...GPU, accelerator: 'NVIDIA V100', peak: 125e12, bandwidth: 900e9 };
const L4 = { ...GPU, accelerator: 'NVIDIA L4', peak: 121e12, bandwidth: 300e9 };
const INF1 = {
  kind: 'neuron',
  accelerator: 'Inferentia',
  lanes: 4,
  peak: 64e12,
  bandwidth: 200e9,
} as const;
const INF2 = {
  kind: 'neuron',
  accelerator: 'Inferentia2',
  lanes: 2,
  peak: 190e12,
  bandwidth: 820e9,
} as const;
const CPU = { kind: 'cpu', accelerator: null, lanes: 1 } as const;

const SKETCHES: readonly Sketch[] = [
  {
    instance: 'inf1.xlarge',
    ...INF1,
    precision: 'bf16',
    batch: 1,
    service: 3.6,
    price: 0.228,
    basis: 'predicted',
  },
  {
    instance: 'g4dn.xlarge',
    ...T4,
    precision: 'int8',
    batch: 4,
    service: 2.9,
    price: 0.526,
    basis: 'predicted',
  },
  {
    instance: 'inf2.xlarge',
    ...INF2,
    precision: 'bf16',
    batch: 2,
    service: 1.9,
    price: 0.758,
    basis: 'predicted',
  },
  {
    instance: 'g6.xlarge',
    ...L4,
    precision: 'fp16',
    batch: 4,
    service: 2.2,
    price: 0.805,
    basis: 'predicted',
  },
  {
    instance: 'g5.xlarge',
    ...A10G,
    precision: 'fp16',
    batch: 4,
    service: 2.4,
    price: 1.006,
    basis: 'extrapolated',
  },
  {
    instance: 'c7i.4xlarge',
    ...CPU,
    precision: 'int8',
    batch: 1,
    service: 1.45,
    price: 0.714,
    basis: 'measured',
    peak: 6.1e12,
    bandwidth: 70e9,
  },
  {
    instance: 'c6i.4xlarge',
    ...CPU,
    precision: 'int8',
    batch: 1,
    service: 1.7,
    price: 0.68,
    basis: 'predicted',
    peak: 5.3e12,
    bandwidth: 60e9,
  },
  {
    instance: 'c6g.4xlarge',
    ...CPU,
    precision: 'fp32',
    batch: 1,
    service: 9.5,
    price: 0.544,
    basis: 'extrapolated',
    peak: 0.64e12,
    bandwidth: 75e9,
  },
  {
    instance: 'p3.2xlarge',
    ...V100,
    precision: 'fp16',
    batch: 8,
    service: 3.1,
    price: 3.06,
    basis: 'predicted',
  },
];

const OTHERS: readonly Sketch[] = [
  {
    instance: 'g4dn.xlarge',
    ...T4,
    precision: 'fp16',
    batch: 1,
    service: 1.9,
    price: 0.526,
    basis: 'predicted',
  },
  {
    instance: 'g4dn.xlarge',
    ...T4,
    precision: 'fp32',
    batch: 8,
    service: 31,
    price: 0.526,
    basis: 'predicted',
  },
  {
    instance: 'inf1.xlarge',
    ...INF1,
    precision: 'bf16',
    batch: 4,
    service: 11,
    price: 0.228,
    basis: 'predicted',
  },
  {
    instance: 'c7i.4xlarge',
    ...CPU,
    precision: 'fp32',
    batch: 1,
    service: 5.4,
    price: 0.714,
    basis: 'measured',
    peak: 1.5e12,
    bandwidth: 70e9,
  },
  {
    instance: 'g5.xlarge',
    ...A10G,
    precision: 'int8',
    batch: 1,
    service: 1.1,
    price: 1.006,
    basis: 'extrapolated',
  },
  {
    instance: 'p3.2xlarge',
    ...V100,
    precision: 'fp32',
    batch: 1,
    service: 3.9,
    price: 3.06,
    basis: 'predicted',
  },
];

const SPREAD: Readonly<Record<Basis, number>> = {
  measured: 1.03,
  predicted: 1.28,
  extrapolated: 1.8,
};

function rowOf(sketch: Sketch, rank: number): AdviceRow {
  const { instance, accelerator, precision, batch, lanes, service, basis, price } = sketch;
  const station: Station = { service_ms: service, lanes, batch, tail: 1.15, network_ms: 0 };
  const usable = usableLoad(station, LIMITS);
  const capacity = (lanes * batch * 1000) / service;
  const instances = Math.max(1, Math.ceil(LOAD / (usable > 0 ? usable : capacity * 0.95)));
  const spread = SPREAD[basis];
  const estimate = (value: number) => ({ value, low: value / spread, high: value * spread });
  const lacks = instance === 'inf1.xlarge';
  const fallback_ms = lacks ? 0.4 : 0;
  const launch_ms = sketch.kind === 'cpu' ? 0 : 0.2;
  const compute_ms = (service - fallback_ms - launch_ms) * 0.7;
  return {
    rank,
    instance,
    accelerator,
    accelerator_kind: sketch.kind,
    engine: 'compiled',
    precision,
    batch,
    concurrency: lanes * 2,
    instances,
    basis,
    p50_ms: estimate(latencyAtLoad(station, LOAD / instances, 50)),
    p99_ms: estimate(latencyAtLoad(station, LOAD / instances, 99)),
    throughput_per_s: estimate(capacity),
    usable_per_s: usable,
    utilisation: LOAD / (instances * capacity),
    per_hour: instances * price,
    per_million: ((instances * price) / (LOAD * 3600)) * 1e6,
    price_per_hour: price,
    price_date: '2026-01-19',
    price_note: null,
    memory_bytes: 180e6,
    memory_capacity_bytes: 16 * 2 ** 30,
    fallback: lacks
      ? {
          ops: ['Resize', 'NonMaxSuppression'],
          nodes: 3,
          crossings: 2,
          cpu_ms: 0.3,
          transfer_ms: 0.1,
          share: 0.11,
          usd_per_million: 0.02,
        }
      : null,
    parts: {
      compute_ms,
      memory_ms: service - compute_ms - fallback_ms - launch_ms,
      launch_ms,
      transfer_ms: 0,
      fallback_ms,
      network_ms: 0,
    },
    station,
    roofline: {
      flops: 8.2e9 * batch,
      bytes: (51e6 + 40e6 * batch) * (precision === 'fp32' ? 2 : 1),
      peak_flops_per_s: sketch.peak,
      bandwidth_bytes_per_s: sketch.bandwidth,
      attained_flops_per_s: (8.2e9 * batch * lanes) / (service / 1000),
    },
    notes: [],
  };
}

const byCost = (a: AdviceRow, b: AdviceRow): number =>
  a.per_hour - b.per_hour || a.p99_ms.value - b.p99_ms.value;

export function sampleAdvice(model = 'resnet50.onnx'): Advice {
  const rows = SKETCHES.map(rowOf)
    .filter((row) => row.per_hour <= BUDGET)
    .sort(byCost)
    .map((row, i) => ({ ...row, rank: i + 1 }));
  const factors = [0.5, 1, 1.5, 2];
  const cross = [
    ...factors.map((latency_factor) => ({ latency_factor, throughput_factor: 1 })),
    ...factors.map((throughput_factor) => ({ latency_factor: 1, throughput_factor })),
  ];
  const prices = cross.map((factor) => {
    const none = factor.latency_factor === 0.5;
    const instances = Math.ceil(factor.throughput_factor);
    return {
      ...factor,
      instance: none ? null : 'inf1.xlarge',
      instances,
      per_hour: none ? null : instances * 0.228,
      per_million: none ? null : 0.13,
    };
  });
  return {
    model,
    demand: {
      latency_ms: LIMITS,
      throughput_per_s: LOAD,
      throughput_given: true,
      budget_per_hour: BUDGET,
      accuracy: 0.99,
      framework: 'pytorch',
      region: 'us-east-1',
      service: 'ec2',
      payment: 'on-demand',
      hardware: [],
      goal: 'cost',
      offline: false,
    },
    currency: 'USD',
    work: { stages: 55, flops: 8.2e9, bytes: 142e6, parameter_bytes: 102e6 },
    rows,
    alternatives: OTHERS.map((sketch) => rowOf(sketch, 0)),
    ruled_out: [
      {
        instance: 'c5.large',
        constraint: 'latency',
        reason: 'P99 of the best setting is 88 ms at any load, and 20 ms is the limit',
        excess: 4.4,
      },
      {
        instance: 'eia2.medium',
        constraint: 'memory',
        reason: 'the model needs 2.4 GB, and 2 GB is what there is',
        excess: 1.2,
      },
      {
        instance: 'p2.xlarge',
        constraint: 'budget',
        reason: '6 instances cost $5.40 an hour, and $3 is the budget',
        excess: 1.8,
      },
      {
        instance: 'trn1.2xlarge',
        constraint: 'framework',
        reason: 'no compiler for pytorch <2> is known',
        excess: null,
      },
    ],
    sensitivity: [
      { throughput_per_s: 1, instance: 'inf1.xlarge', instances: 1, per_hour: 0.228 },
      { throughput_per_s: 1050, instance: 'g4dn.xlarge', instances: 1, per_hour: 0.526 },
      { throughput_per_s: 1310, instance: 'inf1.xlarge', instances: 2, per_hour: 0.456 },
    ],
    sla_price: prices,
    nearest: null,
    compile: 'hone compile resnet50.onnx --target ml_inf1 --batch 1 --precision bf16',
    notes: ['the prices of 3 instances are older than 180 days'],
  };
}
