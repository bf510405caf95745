/** report.json: what was made of the model, stage by stage. Stable keys; read by explain and advise. */
import type { DType } from 'hone-runtime/base/dtype';
import type { FusionNote } from '../stages/types.ts';

export interface StageReport {
  readonly id: number;
  /** Names of the nodes, joined; also the label of the program's step. */
  readonly label: string;
  readonly nodes: readonly string[];
  readonly ops: readonly string[];
  /** C symbol. */
  readonly kernel: string;
  /** Row of the kernel table; "control" for a step that decides on the next one. */
  readonly row: string;
  /** Why this row. */
  readonly why: string;
  /** Memory of the kernel alone while it runs; part of the arena. */
  readonly workspaceBytes: number;
  readonly flops: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Values it reads, without constants, by their names in the model. */
  readonly reads: readonly string[];
  readonly writes: readonly StageOutput[];
  /** How often it runs where that is not once; null: that depends on data. Figures are of one time. */
  readonly runs?: number | null;
}

/** What a kernel writes, and where that lies when its step is done. */
export interface StageOutput {
  /** Name in the model; a value kept narrow has the name of what it stands for. */
  readonly value: string;
  /** Name in graph.ir, where that is another. */
  readonly stored?: string;
  readonly dtype: DType;
  /** Of the whole buffer. */
  readonly shape: readonly number[];
  /** u8: real = (stored - zeroPoint) · scale. */
  readonly scale?: number;
  readonly zeroPoint?: number;
  /** Where it writes a part of the buffer only: first index and extents. */
  readonly part?: { readonly from: readonly number[]; readonly shape: readonly number[] };
  /** In working memory; absent for outputs of the model. */
  readonly memory?: {
    readonly offset: number;
    readonly bytes: number;
    /** Channels lie in blocks of this size. */
    readonly block: number;
    /** Borders around height and width: top, left, bottom, right. */
    readonly halo: readonly number[];
  };
}

/** Steps that are kernels: all but those that decide on the next one. */
export function kernelCount({ stages }: Report): number {
  return stages.filter(({ row }) => row !== 'control').length;
}

/** A report of an artifact for several targets: of its first one, and of the others. */
export interface ArtifactReport extends TargetReport {
  readonly others?: readonly TargetReport[];
}

export interface TargetReport extends Report {
  /** Canonical name. */
  readonly target: string;
}

export interface Report {
  readonly stages: readonly StageReport[];
  /** Why neighbours were not fused. */
  readonly notes: readonly FusionNote[];
  readonly arenaBytes: number;
  /** Largest live set: the least an arena could be. */
  readonly liveBytes: number;
  readonly weightsBytes: number;
  readonly parameterBytes: number;
  readonly flops: number;
  /** Kernels that would be faster with more memory than there is to use; absent without need. */
  readonly leanStages?: number;
}
