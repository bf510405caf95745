/** What came of a model: figures, or where it ended and why. */
import type { BenchReport, BenchRow } from 'hone/bench/report';
import { isWrong } from 'hone/bench/report';
import type { PackagedModel, Verdict } from './entry.ts';

export interface Figures {
  readonly kind: 'measured';
  readonly agrees: boolean;
  /** Beyond the tolerance, but no further than onnxruntime with its optimisations: rounding. */
  readonly rounding: boolean;
  /** Largest difference, relative to the output's largest value; null where they cannot be compared. */
  readonly difference: number | null;
  /** Times as fast as onnxruntime: the median, and its quartiles. */
  readonly ratio: number;
  readonly ratioLow: number;
  readonly ratioHigh: number;
  readonly honeMs: number;
  readonly baselineMs: number;
  readonly compileSeconds: number | null;
  /** The machine was busy: the ratio is not to be quoted. */
  readonly busy: boolean;
}

export interface Failure {
  readonly kind: 'failed';
  /** Who failed: the package, Hone (its process as well), or onnxruntime. */
  readonly at: 'package' | 'hone' | 'onnxruntime';
  readonly code: string;
  readonly message: string;
  readonly cure: string | null;
}

export type Outcome = Figures | Failure;

export interface ModelResult extends PackagedModel {
  /** Of the ONNX file with its weights; null where it was not had. */
  readonly bytes: number | null;
  readonly outcome: Outcome;
}

/** The outcome of a bench of one model beside onnxruntime. */
export function outcomeOf({ results, failures }: BenchReport): Outcome {
  const [failure] = failures;
  const ours = results.find((row) => row.engine === 'hone');
  const theirs = results.find((row) => row.engine === 'onnxruntime');
  if (failure !== undefined || ours === undefined || theirs === undefined) {
    const { subject, code, message, cure } = failure ?? NOTHING;
    const at = PEER_CODES.includes(code) && subject === 'onnxruntime' ? 'onnxruntime' : 'hone';
    return { kind: 'failed', at, code, message, cure };
  }
  return figuresOf(ours, theirs);
}

/** An engine that refuses, and a process of an engine that is lost. */
const PEER_CODES: readonly string[] = ['HONE-BENCH-006', 'HONE-BENCH-007'];

const NOTHING = {
  subject: null,
  code: 'HONE-INTERNAL-000',
  message: 'the bench gave neither a figure nor an error',
  cure: 'please report this as a bug',
} as const;

function figuresOf(ours: BenchRow, theirs: BenchRow): Figures {
  const difference = ours.max_error_of_scale ?? Number.NaN;
  return {
    kind: 'measured',
    agrees: ours.outputs_equal !== null && !isWrong(ours),
    rounding: ours.outputs_equal === false && ours.differs_like_baseline,
    difference: Number.isFinite(difference) ? difference : null,
    ratio: ours.ratio_to_baseline ?? Number.NaN,
    ratioLow: ours.ratio_low ?? Number.NaN,
    ratioHigh: ours.ratio_high ?? Number.NaN,
    honeMs: ours.p50_ms,
    baselineMs: theirs.p50_ms,
    compileSeconds: ours.compile_s,
    busy: ours.disturbed,
  };
}

const FAILED: Readonly<Record<Failure['at'], Verdict>> = {
  package: 'not fetched',
  hone: 'fails',
  onnxruntime: 'no baseline',
};

export function verdictOf(outcome: Outcome): Verdict {
  if (outcome.kind === 'failed') return FAILED[outcome.at];
  return outcome.agrees ? 'agrees' : 'differs';
}

/** True for what agrees, or misses as the table says. */
export function isAsExpected({ model, outcome }: ModelResult): boolean {
  const verdict = verdictOf(outcome);
  return verdict === 'agrees' || verdict === model.expected?.verdict;
}
