/** docs/precision.md: the tables of an accuracy run. */
import { CALIBRATORS } from 'hone/compile/calibrate/calibrators';
import type { AccuracyRow, SubjectReport } from './main.ts';
import { CLEAR, type Share } from './texts.ts';

export function accuracyPage(reports: readonly SubjectReport[]): string {
  return [
    '# What precisions cost in answers',
    '',
    'Made by `npm run bench -- accuracy --save` (needs HONE_TEST_DATA). Every row is compared with the',
    'same model in fp32 on the same inputs; samples that calibrate are never judged. KL is the',
    'Kullback-Leibler divergence of the output from the fp32 one, in nats; SNR its signal to noise. `auto` is',
    'the fastest mix of fp32, bf16 and int8 that changes at most 1 % of the answers of the calibration',
    'samples; its bound of the mean KL is that of the worst single sample, of those or of the ones it held out, at',
    'least 0.0025. int8 keeps layers in bf16',
    'whose own result would have less than 30 dB signal to noise on samples that calibrate.',
    '',
    ...reports.flatMap(section),
  ].join('\n');
}

function section({ subject, judged, calibration, rows, notes }: SubjectReport): string[] {
  const labelled = rows.some((row) => row.right !== null);
  const pictures = [...(rows[0]?.texts?.byPicture.keys() ?? [])];
  const reads = pictures.length > 0;
  const header = [
    'precision',
    ...(reads ? [...pictures, `margin ≥ ${CLEAR}`] : ['answers changed']),
    ...(labelled ? ['right'] : []),
    'mean KL',
    'largest KL',
    'SNR',
  ];
  const cells = (row: AccuracyRow): string[] => [
    row.precision,
    ...(row.texts === null
      ? [`${row.changed} of ${row.answers.rows}`]
      : [...pictures.map((name) => row.texts?.byPicture.get(name)), row.texts.clear].map(share)),
    ...(labelled ? [`${row.right} of ${judged}`] : []),
    row.klBound === null
      ? row.answers.meanKl.toPrecision(2)
      : `${row.answers.meanKl.toPrecision(2)} (bound ${row.klBound.toPrecision(2)})`,
    row.answers.maxKl.toPrecision(2),
    Number.isFinite(row.answers.snr) ? `${row.answers.snr.toFixed(1)} dB` : 'equal',
  ];
  return [
    `## ${subject.name}`,
    '',
    `${subject.about} ${judged} judged, ${calibration} to calibrate with.`,
    ...(reads ? ABOUT_TEXTS : []),
    '',
    line(header),
    line(header.map(() => '---')),
    ...rows.map((row) => line(cells(row))),
    '',
    ...otherTexts(rows),
    ...notes.flatMap((note) => [note, '']),
  ];
}

const ABOUT_TEXTS = [
  '',
  'Counted are lines that are read as in fp32. The margin of a line is the least distance in fp32, over its',
  'columns, between the probabilities of the surest class and of the next one that would change the text: 0 is a tie.',
];

function share(counts: Share | undefined): string {
  return `${counts?.same ?? 0} of ${counts?.of ?? 0}`;
}

/**
 * Lines of the first picture that are read otherwise than in fp32, and clear ones of the others. Of
 * int8 those of the default calibrator; the table counts the rest.
 */
function otherTexts(rows: readonly AccuracyRow[]): string[] {
  const [first = ''] = rows[0]?.texts?.byPicture.keys() ?? [];
  const listed = rows.filter(
    ({ precision }) => !precision.startsWith('int8') || precision === `int8, ${CALIBRATORS[0]}`,
  );
  const all = listed.flatMap(({ precision, texts }) =>
    (texts?.others ?? [])
      .filter(({ sample, margin }) => sample.startsWith(first) || margin >= CLEAR)
      .map((text) => ({ precision, ...text })),
  );
  if (all.length === 0) return [];
  return [
    `Read otherwise, of ${first} and of the lines elsewhere that fp32 reads clearly (int8: with ${CALIBRATORS[0]}):`,
    '',
    line(['precision', 'line', 'reads', 'fp32 reads', 'margin']),
    line(['---', '---', '---', '---', '---']),
    ...all.map(({ precision, sample, narrow, wide, margin }) =>
      line([precision, sample, `\`${narrow}\``, `\`${wide}\``, margin.toPrecision(2)]),
    ),
    '',
  ];
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}
