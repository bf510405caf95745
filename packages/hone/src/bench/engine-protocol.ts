/** What the bench and its engine processes say to each other. Plain data, one reply per request. */
import type { DType } from 'hone-runtime/base/dtype';

export type EngineName = 'hone' | 'onnxruntime';

/** What is measured beside our artifact: another engine, or the model compiled by us in fp32. */
export type BaselineName = 'onnxruntime' | 'hone-fp32';

/** Values of an input: floats uniform in [low, high), integers in low … high - 1. */
export interface InputValues {
  readonly low?: number;
  readonly high?: number;
  /** page: dark strokes in lines on a bright ground, for models whose noise is all "nothing". */
  readonly content?: 'noise' | 'page';
}

export interface InputPlan extends InputValues {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

export interface OpenRequest {
  readonly kind: 'open';
  readonly engine: EngineName;
  /** Artifact folder (hone) or ONNX file (onnxruntime). */
  readonly path: string;
  /** Intra-op threads of each lane. */
  readonly threads: number;
  /** Requests in flight. */
  readonly lanes: number;
  readonly inputs: readonly InputPlan[];
  /** false: the engine's reference mode, without graph optimisations. */
  readonly optimise: boolean;
  /** Sizes of named dimensions, so that an engine may plan for them. */
  readonly dims: Readonly<Record<string, number>>;
}

/** How long an engine's turn lasts. Every lane obeys it. */
export interface TurnPlan {
  /** Runs before timing: at least one, for at least this long. */
  readonly warmMs: number;
  readonly minMs: number;
  readonly minRuns: number;
}

export interface TurnRequest extends TurnPlan {
  readonly kind: 'turn';
}

/** Writes the outputs of the first run to files in a folder. */
export interface OutputsRequest {
  readonly kind: 'outputs';
  readonly folder: string;
}

export type EngineRequest =
  | OpenRequest
  | TurnRequest
  | OutputsRequest
  | { readonly kind: 'memory' }
  | { readonly kind: 'close' };

/** Cold start of an engine in a new process. */
export interface Opened {
  /** Loading the engine's own code. */
  readonly importMs: number;
  /** Creating the session; with several lanes, until all are there. */
  readonly openMs: number;
  readonly firstRunMs: number;
}

export interface Turn {
  /** Times of the single runs. */
  readonly runs: readonly number[];
  /** From the first begin to the last end of the timed runs. */
  readonly ms: number;
}

export interface OutputFile {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly file: string;
}

export interface EngineReplies {
  readonly open: Opened;
  readonly turn: Turn;
  readonly outputs: readonly OutputFile[];
  readonly memory: { readonly peakRssBytes: number };
  readonly close: null;
}

export type EngineReply =
  | { readonly ok: true; readonly value: EngineReplies[EngineRequest['kind']] }
  | {
      readonly ok: false;
      readonly code: string;
      readonly message: string;
      readonly cure?: string;
    };
