/** Precision of kernels, for `hone explain`: what they multiply and write, with scales, and why. */
import type { CalibrationRecord } from '../compile/calibrate/request.ts';
import type { CompileOptions } from '../compile/options.ts';
import type { StageOutput, StageReport } from '../compile/report.ts';
import type { SearchRecord } from '../compile/precision-search/types.ts';
import { CONTRACTIONS, type PrecisionPlan } from '../passes/precision-plan.ts';
import { formatTable } from './table.ts';

type Choices = Pick<CompileOptions, 'plan' | 'reasons'>;
type Recorded = Pick<CompileOptions, 'precision' | 'autocast' | 'calibrated' | 'searched'>;

/** Name in a plan of the contraction that a kernel carries out. */
function contractionOf({ ops, nodes, label }: StageReport): string | undefined {
  const position = ops.findIndex((op) => CONTRACTIONS.has(op));
  // What lies in a body has the body in front of its name.
  const prefix = label.slice(0, Math.max(0, label.length - nodes.join(' + ').length));
  return position < 0 ? undefined : `${prefix}${nodes[position]}`;
}

/** What a kernel multiplies; null for kernels that multiply nothing. */
export function precisionOf(stage: StageReport, plan: PrecisionPlan | undefined): string | null {
  const node = contractionOf(stage);
  if (node === undefined) return null;
  const row = /_(u8i8|bf16|f16)_/.exec(stage.row)?.[1];
  return plan?.contractions.get(node) ?? (row === 'u8i8' ? 'int8' : (row ?? 'f32'));
}

/** Why a contraction has its precision. */
export function whyOf(
  stage: StageReport,
  reasons: Choices['reasons'],
  recorded: Recorded,
): string | null {
  const node = contractionOf(stage);
  if (node === undefined) return null;
  const found = reasons?.get(node);
  if (found !== undefined) return found;
  const { precision = 'fp32', calibrated, autocast = 'all' } = recorded;
  if (precision === 'int8') {
    return calibrated === undefined
      ? 'int8 was asked for'
      : `int8 was asked for; ranges by ${calibrated.calibrator} over ${calibrated.samples} ${calibrated.origin === 'random' ? 'random inputs' : 'samples'}`;
  }
  return precision === 'fp32' ? 'as the model has it' : `${precision} was asked for (${autocast})`;
}

/** Nothing for models that are f32 throughout. */
export function precisionLines(
  stages: readonly StageReport[],
  { plan, reasons }: Choices,
  recorded: Recorded,
): string[] {
  const isNarrow = ({ dtype }: StageOutput): boolean => dtype !== 'f32' && dtype !== 'f64';
  const shown = stages.filter((stage) => {
    const kind = precisionOf(stage, plan);
    return kind !== null || stage.writes.some(isNarrow);
  });
  if (!shown.some((stage) => (precisionOf(stage, plan) ?? 'f32') !== 'f32')) return [];
  const { calibrated, searched } = recorded;
  return [
    ...formatTable(
      ['kernel', 'multiplies', 'writes', 'because'],
      shown.map((stage) => [
        stage.kernel,
        precisionOf(stage, plan) ?? '',
        stage.writes.map(writtenText).join(', '),
        whyOf(stage, reasons, recorded) ?? '',
      ]),
    ),
    '',
    ...(plan?.weightBits === 7
      ? [
          'weights of int8 have 7 bits, -63 to 63: the pairs of products that vpmaddubsw adds in 16 bits cannot overflow (255 * 63 * 2 < 32768), so sums are exact',
        ]
      : []),
    ...(calibrated === undefined
      ? []
      : [
          `calibrated by ${calibrated.calibrator} over ${calibrated.samples} samples (SHA-256 ${calibrated.sha256.slice(0, 12)}…)`,
          ...carriedLines(calibrated),
        ]),
    ...(searched === undefined ? [] : searchedLines(searched)),
    '',
  ];
}

/** State that samples were fed back with, and what the answers kept. */
export function carriedLines({ carried, answers }: CalibrationRecord): string[] {
  if (carried === undefined) return [];
  const pairs = Object.entries(carried).map(([input, output]) => `${output} to ${input}`);
  const measured =
    answers === undefined
      ? ''
      : `: over ${answers.samples} samples the answers keep ${answers.snr.toFixed(0)} dB signal to noise`;
  return [`state carried from run to run, ${pairs.join(', ')}${measured}`];
}

/** What a search came to: on the samples that it judged by, and on those that it did not see. */
export function searchedLines(record: SearchRecord): string[] {
  const { metric, drop, maxDrop, meanKl, klBound, judged, heldOut } = record;
  const short = (value: number): string => value.toPrecision(2);
  const expected = `mean KL ${short(meanKl)}, to be expected below ${short(klBound)} (the worst single sample)`;
  const seen = `${metric} loses ${short(drop)} of at most ${maxDrop} on ${judged} samples; ${expected}`;
  if (heldOut === undefined) return [`${seen}; too few samples to hold some out`];
  const { samples, drop: others, meanKl: otherKl } = heldOut;
  const over = others > maxDrop ? ': more than the budget; calibrate with more samples' : '';
  const held = `on ${samples} samples held out ${metric} loses ${short(others)}, mean KL ${short(otherKl)}`;
  return [seen, `${held}${over}`];
}

function writtenText({ dtype, scale, zeroPoint }: StageOutput): string {
  return scale === undefined
    ? dtype
    : `${dtype} (scale ${scale.toPrecision(3)}, zero ${zeroPoint})`;
}
