/**
 * A report as one HTML page that needs nothing else: style and pictures are inline, there is no
 * script. All text is escaped.
 */
import { type BenchReport, type BenchRow, isWrong } from './report.ts';
import { milliseconds, reportTable } from './report-table.ts';

const STYLE = `
:root { color-scheme: light dark; --ours: #2563eb; --other: #9ca3af; --bad: #dc2626; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #8884; }
th.left, td.left { text-align: left; }
tr.bad td { color: var(--bad); }
svg text { font: 12px system-ui, sans-serif; fill: currentColor; }
.ours { fill: var(--ours); } .other { fill: var(--other); }
`;

export function reportHtml(report: BenchReport, title = 'Hone benchmark'): string {
  const table = reportTable(report);
  const side = (column: number): string => (table.align[column] === 'left' ? ' class="left"' : '');
  const head = table.header.map((name, i) => `<th${side(i)}>${escapeHtml(name)}</th>`).join('');
  const body = table.rows
    .map((cells, index) => {
      const result = report.results[index];
      const bad = result !== undefined && isWrong(result) ? ' class="bad"' : '';
      const tds = cells.map((cell, i) => `<td${side(i)}>${escapeHtml(cell)}</td>`).join('');
      return `<tr${bad}>${tds}</tr>`;
    })
    .join('\n');
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
<h1>${escapeHtml(title)}</h1>
${table.lines.map((line) => `<p>${escapeHtml(line)}</p>`).join('\n')}
<h2>Median time of a run, in ms</h2>
${bars(report.results)}
<h2>Figures</h2>
<div class="scroll"><table>
<thead><tr>${head}</tr></thead>
<tbody>
${body}
</tbody>
</table></div>
</html>
`;
}

const LABEL_WIDTH = 260;
const BAR_WIDTH = 420;
const ROW_HEIGHT = 20;

/** One bar per row; each model has a scale of its own, for a network can be 100 times another. */
function bars(rows: readonly BenchRow[]): string {
  const longest = new Map<string, number>();
  const groupOf = (row: BenchRow): string => `${row.model} ${row.batch} ${row.concurrency}`;
  for (const row of rows) {
    longest.set(groupOf(row), Math.max(longest.get(groupOf(row)) ?? 0, row.p50_ms));
  }
  const lines = rows.map((row, index) => {
    const y = index * ROW_HEIGHT;
    const width = (BAR_WIDTH * row.p50_ms) / (longest.get(groupOf(row)) || 1);
    const kind = row.engine === 'hone' ? 'ours' : 'other';
    return `<text x="${LABEL_WIDTH - 8}" y="${y + 14}" text-anchor="end">${escapeHtml(labelOf(row))}</text><rect class="${kind}" x="${LABEL_WIDTH}" y="${y + 3}" width="${width.toFixed(1)}" height="14" rx="2"/><text x="${LABEL_WIDTH + width + 6}" y="${y + 14}">${milliseconds(row.p50_ms)}</text>`;
  });
  const height = rows.length * ROW_HEIGHT + 4;
  return `<svg width="${LABEL_WIDTH + BAR_WIDTH + 80}" height="${height}" role="img" aria-label="median times">\n${lines.join('\n')}\n</svg>`;
}

function labelOf(row: BenchRow): string {
  const more = [
    ...(row.batch === 1 ? [] : [`batch ${row.batch}`]),
    ...(row.concurrency === 1 ? [] : [`${row.concurrency} in flight`]),
  ];
  return [row.model, row.engine, ...more].join(', ');
}

function escapeHtml(text: string): string {
  const names: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return text.replace(/[&<>"']/g, (character) => names[character] ?? character);
}
