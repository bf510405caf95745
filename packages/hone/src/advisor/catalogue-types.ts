/**
 * The catalogue: machines for rent, the accelerators in them, and what they cost. Plain data; every
 * figure names the source it is from and that source's date.
 */

/** Arithmetic that a setting asks for. `tf32`: fp32 storage on matrix units of the vendor. */
export type Precision = 'fp32' | 'tf32' | 'bf16' | 'fp16' | 'int8';

/** Where figures are from. A figure names its source by `id`. */
export interface CatalogueSource {
  readonly id: string;
  readonly text: string;
  /** YYYY-MM-DD, YYYY-MM or YYYY. */
  readonly date: string;
  /** What a figure of this source is worth. `derived`: computed from other figures. */
  readonly kind: 'published' | 'community' | 'derived' | 'estimated';
}

/** Operators a device runs itself; others run on the CPU, with transfers. */
export interface OperatorSupport {
  /** ONNX operators, sorted; null: all of them. */
  readonly supports: readonly string[] | null;
  /** `If`, `Loop` and `Scan`: on the device, cut out to the CPU, or not at all. */
  readonly controlFlow: 'device' | 'cpu' | 'refused';
}

export type AcceleratorKind = 'cpu' | 'gpu' | 'neuron' | 'attached';

/** One device: a GPU, a chip, a network-attached slice, or the processor of an instance. */
export interface Accelerator {
  /** e.g. `t4`; a CPU's is the name of its instance. */
  readonly id: string;
  readonly name: string;
  readonly kind: AcceleratorKind;
  /** Year the design came out; newer ones get more of their peak. */
  readonly year: number;
  readonly memoryBytes: number;
  readonly bandwidthBytesPerSecond: number;
  /** Last cache on the chip; null: not published. */
  readonly cacheBytes: number | null;
  /** Dense peaks, operations a second; a precision that is not there is not supported. */
  readonly peak: Readonly<Partial<Record<Precision, number>>>;
  /** Peaks hold at the boost clock; under full load a small power budget falls towards the base clock. Megahertz. */
  readonly baseClockMhz: number | null;
  readonly boostClockMhz: number | null;
  readonly powerWatts: number | null;
  /** Independent cores that each run whole requests (Inferentia: 4). */
  readonly cores: number;
  readonly operators: OperatorSupport;
  readonly frameworks: readonly string[];
  /** What makes it legal but wasteful for inference; shown, not hidden. */
  readonly wasteful: string | null;
  readonly source: string;
}

/** What an hour costs, without spot or reserved factors. */
export interface Price {
  readonly service: 'ec2' | 'sagemaker';
  readonly region: string;
  readonly currency: string;
  readonly perHour: number;
  readonly source: string;
  /** YYYY-MM-DD */
  readonly date: string;
}

export interface Instance {
  readonly name: string;
  /** e.g. `g4dn`. */
  readonly family: string;
  readonly arch: 'x86-64' | 'arm64';
  readonly vcpus: number;
  readonly memoryBytes: number;
  readonly cpuModel: string;
  /** Of the processor, whole instance; also what fallback segments run on. */
  readonly cpu: Accelerator;
  /** null: the processor is all there is. */
  readonly accelerator: Accelerator | null;
  readonly acceleratorCount: number;
  /** Bits a second; null: only "moderate" or the like is published. */
  readonly networkBitsPerSecond: number | null;
  /** `--target` of `hone compile`; null: Hone has no back end for it yet. */
  readonly compileTarget: string | null;
  /** The name compile services know, e.g. `ml_g4dn`. */
  readonly serviceTarget: string | null;
  /** Whether it can still be rented. */
  readonly available: boolean;
  readonly prices: readonly Price[];
  readonly source: string;
}

/** What another way of paying costs, as a factor of the hourly price. */
export interface PriceFactor {
  readonly name: 'on-demand' | 'spot' | 'reserved-1y' | 'reserved-3y';
  readonly factor: number;
  readonly source: string;
}

export interface Catalogue {
  readonly sources: readonly CatalogueSource[];
  readonly accelerators: readonly Accelerator[];
  readonly instances: readonly Instance[];
  readonly factors: readonly PriceFactor[];
}
