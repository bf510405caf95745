/**
 * The frame of every report: one file that needs nothing else. Style, pictures and script are in
 * it; its own security policy forbids everything that is not. All text is escaped by who writes it.
 */
import { createHash } from 'node:crypto';
import { STYLE } from './style.ts';
import { escapeHtml } from './text.ts';

export interface Page {
  readonly title: string;
  /** HTML above the sections, with the h1. */
  readonly head: string;
  readonly sections: readonly Section[];
  /** HTML of the last lines. */
  readonly foot: string;
  /** Runs when the page is there. */
  readonly script?: string;
}

export interface Section {
  /** Plain word: the target of links. */
  readonly id: string;
  readonly title: string;
  readonly html: string;
}

/** What a column of a table is called; `text` ones are aligned left. */
export interface Column {
  readonly title: string;
  readonly kind: 'text' | 'number';
  /** Says in full what an abbreviated title means. */
  readonly long?: string;
}

export interface Row {
  /** HTML, the first one names the row. */
  readonly cells: readonly string[];
  /** `best`, `bad`. */
  readonly mark?: 'best' | 'bad';
}

export function printPage({ title, head, sections, foot, script }: Page): string {
  const body = sections
    .map(
      ({ id, title: name, html }) =>
        `<section aria-labelledby="${id}">\n<h2 id="${id}">${escapeHtml(name)}</h2>\n${html}\n</section>`,
    )
    .join('\n');
  const code = script === undefined ? '' : `\n${script}\n`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy(code)}">
<meta name="referrer" content="no-referrer">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the report</a>
<div class="page">
<header>
${head}
</header>
<main id="main" tabindex="-1">
${body}
</main>
<footer>
${foot}
</footer>
</div>${code === '' ? '' : `\n<script>${code}</script>`}
</body>
</html>
`;
}

/** Nothing is fetched, and only the script that is written here runs. */
function policy(code: string): string {
  const hash = createHash('sha256').update(code).digest('base64');
  const scripts = code === '' ? '' : `; script-src 'sha256-${hash}'`;
  return `default-src 'none'; style-src 'unsafe-inline'${scripts}; base-uri 'none'; form-action 'none'`;
}

/** A table that scrolls by itself where the page is narrow, also from the keyboard. */
export function printTable(
  caption: string,
  columns: readonly Column[],
  rows: readonly Row[],
  id?: string,
): string {
  const head = columns
    .map(({ title, kind, long }) => {
      const more =
        long === undefined ? '' : ` abbr="${escapeHtml(long)}" title="${escapeHtml(long)}"`;
      return `<th scope="col"${kind === 'text' ? ' class="text"' : ''}${more}>${escapeHtml(title)}</th>`;
    })
    .join('');
  const body = id === undefined ? '' : ` id="${id}"`;
  return `<div class="scroll" role="region" tabindex="0" aria-label="${escapeHtml(caption)}">
<table${columns.length < 4 ? ' class="short"' : ''}>
<caption><span>${escapeHtml(caption)}</span></caption>
<thead><tr>${head}</tr></thead>
<tbody${body}>
${printRows(rows, columns)}
</tbody>
</table>
</div>`;
}

/** Goes into the page's own script as it is: it uses nothing else. */
export function printRows(
  rows: readonly Row[],
  columns: readonly { readonly kind: string }[],
): string {
  return rows
    .map(({ cells, mark }) => {
      const line = cells.map((cell, i) => {
        const side = columns[i]?.kind === 'text' ? ' class="text"' : '';
        return i === 0 ? `<th scope="row"${side}>${cell}</th>` : `<td${side}>${cell}</td>`;
      });
      return `<tr${mark === undefined ? '' : ` class="${mark}"`}>${line.join('')}</tr>`;
    })
    .join('\n');
}

/** Facts as a row of tiles: name, figure, remark. All but the figure's HTML are texts. */
export function printTiles(
  tiles: readonly { readonly name: string; readonly value: string; readonly remark?: string }[],
): string {
  const one = tiles.map(({ name, value, remark }) => {
    const small = remark === undefined ? '' : `<small>${escapeHtml(remark)}</small>`;
    return `<div><dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}${small}</dd></div>`;
  });
  return `<dl class="tiles">${one.join('')}</dl>`;
}

/** Data as JSON that cannot end the script it stands in. */
export function printData(value: unknown): string {
  return JSON.stringify(value)
    .replaceAll('<', '\\u003c')
    .replaceAll('\u2028', '\\u2028')
    .replaceAll('\u2029', '\\u2029');
}
