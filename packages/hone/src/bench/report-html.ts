/** A bench report as a page. */
import { printPage, printTable, printTiles } from './report-html/page.ts';
import { escapeHtml, figure, milliseconds } from './report-html/text.ts';
import { type BenchReport, type BenchRow, isWrong } from './report.ts';
import { baselineOf, reportTable } from './report-table.ts';

export function reportHtml(report: BenchReport, title = 'Hone benchmark'): string {
  const { results, machine, geometric_mean: mean } = report;
  const table = reportTable(report);
  const columns = table.header.map((name, i) => ({
    title: name || 'remarks',
    kind: table.align[i] === 'left' ? ('text' as const) : ('number' as const),
  }));
  const rows = table.rows.map((cells, index) => {
    const result = results[index];
    const bad = result !== undefined && isWrong(result);
    return { cells: cells.map(escapeHtml), ...(bad ? { mark: 'bad' as const } : {}) };
  });
  const { peak } = machine;
  const tiles = [
    ...(mean === null
      ? []
      : [
          {
            name: `Ratio to ${baselineOf(results)}`,
            value: `${mean.toFixed(2)} ×`,
            remark: 'geometric mean; above 1 is faster',
          },
        ]),
    { name: 'Threads', value: `${machine.threads}`, remark: machine.cpu },
    ...(peak === null
      ? []
      : [
          {
            name: 'Measured peak',
            value: `${figure(peak.fp32_gflops)} GFLOP/s`,
            remark: 'fp32, all threads',
          },
        ]),
  ];
  return printPage({
    title,
    head: `<p class="kicker">Benchmark</p>\n<h1>${escapeHtml(title)}</h1>\n${printTiles(tiles)}`,
    sections: [
      {
        id: 'times',
        title: 'Median time of a run',
        html: `<figure><div class="scroll" role="region" tabindex="0" aria-label="Median times">${bars(results)}</div><figcaption>Each model has a scale of its own. The table has the figures.</figcaption></figure>`,
      },
      { id: 'figures', title: 'Figures', html: printTable('All measurements', columns, rows) },
      {
        id: 'notes',
        title: 'Notes',
        html: `<ul class="notes">${table.lines.map((line) => `<li>${escapeHtml(line.trim())}</li>`).join('\n')}</ul>`,
      },
    ],
    foot: '<p>Made by <code>hone bench</code>. This page is one file: it loads nothing and sends nothing.</p>',
  });
}

const LABEL_WIDTH = 300;
const BAR_WIDTH = 500;
const ROW_HEIGHT = 22;
const GROUP_GAP = 9;

/** One bar per row; each model has a scale of its own, for a network can be 100 times another. */
function bars(rows: readonly BenchRow[]): string {
  const longest = new Map<string, number>();
  const groupOf = (row: BenchRow): string => `${row.model} ${row.batch} ${row.concurrency}`;
  for (const row of rows) {
    longest.set(groupOf(row), Math.max(longest.get(groupOf(row)) ?? 0, row.p50_ms));
  }
  let y = -ROW_HEIGHT;
  let before: string | undefined;
  const lines = rows.map((row) => {
    y += ROW_HEIGHT + (before === undefined || before === groupOf(row) ? 0 : GROUP_GAP);
    before = groupOf(row);
    const width = (BAR_WIDTH * row.p50_ms) / (longest.get(groupOf(row)) || 1);
    const kind = row.engine === 'hone' ? 'ours' : 'other';
    return `<text x="${LABEL_WIDTH - 10}" y="${y + 15}" text-anchor="end">${escapeHtml(labelOf(row))}</text><rect class="${kind}" x="${LABEL_WIDTH}" y="${y + 3}" width="${width.toFixed(1)}" height="16" rx="2"/><text x="${LABEL_WIDTH + width + 8}" y="${y + 15}">${milliseconds(row.p50_ms)}</text>`;
  });
  const told = rows.map((row) => `${labelOf(row)}: ${milliseconds(row.p50_ms)}`).join('; ');
  return `<svg class="wide-chart" viewBox="0 0 ${LABEL_WIDTH + BAR_WIDTH + 90} ${y + ROW_HEIGHT + 4}" role="img" aria-label="${escapeHtml(told)}">\n${lines.join('\n')}\n</svg>`;
}

function labelOf(row: BenchRow): string {
  const more = [
    ...(row.batch === 1 ? [] : [`batch ${row.batch}`]),
    ...(row.concurrency === 1 ? [] : [`${row.concurrency} in flight`]),
  ];
  return [row.model, row.engine, ...more].join(', ');
}
