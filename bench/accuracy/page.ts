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
    'samples; its bound of the mean KL is twice what it had there, at least 0.0025.',
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
    ...notes.flatMap((note) => [note, '']),
  ];
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}
