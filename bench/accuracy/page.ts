/** docs/precision.md: the tables of an accuracy run. */
import type { AccuracyRow, SubjectReport } from './main.ts';

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
  const reads = rows.some((row) => row.sameText !== null);
  const labelled = rows.some((row) => row.right !== null);
  const header = [
    'precision',
    reads ? 'same text' : 'answers changed',
    ...(labelled ? ['right'] : []),
    'mean KL',
    'largest KL',
    'SNR',
  ];
  const cells = (row: AccuracyRow): string[] => [
    row.precision,
    reads ? `${row.sameText} of ${judged}` : `${row.changed} of ${row.answers.rows}`,
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
    '',
    line(header),
    line(header.map(() => '---')),
    ...rows.map((row) => line(cells(row))),
    '',
    ...otherTexts(rows),
    ...notes.flatMap((note) => [note, '']),
  ];
}

/** What is read otherwise than in fp32, and how near to a tie fp32 was there. */
function otherTexts(rows: readonly AccuracyRow[]): string[] {
  const all = rows.flatMap(({ precision, otherTexts: texts }) =>
    (texts ?? []).map((text) => ({ precision, ...text })),
  );
  if (all.length === 0) return [];
  return [
    'Read otherwise; the margin is the least distance in fp32, over the places of that line, between the',
    'probabilities of the best two characters:',
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
