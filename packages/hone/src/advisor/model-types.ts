/** What the performance model takes and gives. Plain data. */
import type { Precision } from './catalogue-types.ts';

/**
 * How a model is run. `eager`: operator by operator in a training framework; `compiled`: fused ahead
 * of time; `server`: compiled, behind a model server with its queue and copies.
 */
export type EngineClass = 'eager' | 'compiled' | 'server';

/** What a stage does, as far as its speed goes. */
export type WorkKind = 'conv' | 'pointwise' | 'depthwise' | 'matmul' | 'attention' | 'elementwise';

/** Stages of a model that do the same work, at batch 1. Bytes are of fp32. */
export interface WorkItem {
  readonly kind: WorkKind;
  /** How many such stages there are. */
  readonly count: number;
  /** Of one stage. */
  readonly flops: number;
  /** Read once a run, however large the batch. */
  readonly weightBytes: number;
  /** Read and written; grow with the batch. */
  readonly activationBytes: number;
}

/** What a prediction needs to know of a model. */
export interface Workload {
  readonly name: string;
  /** As compiled: fused. */
  readonly fused: readonly WorkItem[];
  /** Operator by operator. */
  readonly eager: readonly WorkItem[];
  /** fp32 bytes of one sample's inputs and outputs. */
  readonly inputBytes: number;
  readonly outputBytes: number;
  /** fp32 */
  readonly parameterBytes: number;
  /** Largest live set of activations at batch 1, fp32. */
  readonly liveBytes: number;
  /** The model's file fixes its batch at 1: no other can be run. */
  readonly fixedBatch?: true;
  /** Operators of the model by name. */
  readonly operators: Readonly<Record<string, OperatorWork>>;
  /** Operators node by node, as they run; not kept of stored workloads. */
  readonly order?: readonly string[];
}

/** What all nodes of an operator come to, for one sample. */
export interface OperatorWork {
  readonly nodes: number;
  readonly flops: number;
  /** Activations in and out, fp32. */
  readonly bytes: number;
}

/** Time of one batch on one lane of a device with nothing else in the way, in milliseconds. */
export interface Prediction {
  readonly engine: EngineClass;
  readonly precision: Precision;
  readonly batch: number;
  readonly computeMs: number;
  readonly memoryMs: number;
  readonly launchMs: number;
  readonly transferMs: number;
  /** Sum of the parts. */
  readonly latencyMs: number;
  /** 99th percentile over the median, nothing waiting. */
  readonly tail: number;
  /** 80 % of measurements are within this factor of the figure, as a logarithm. */
  readonly logSpreadLatency: number;
  readonly logSpreadThroughput: number;
  /** No public measurement of this accelerator was there to fit to. */
  readonly extrapolated: boolean;
}
