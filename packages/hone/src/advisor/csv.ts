/** Tables as text: comma-separated, the first line names the columns, quotes where a comma is meant. */
import { fail } from 'hone-runtime/base/diagnostics';

export interface CsvRow {
  /** Line in the file, from 1. */
  readonly line: number;
  readonly cells: Readonly<Record<string, string>>;
}

/** Throws HONE-ADVISE-001 for a line with more or fewer cells than columns, or an open quote. */
export function parseCsv(text: string, file: string): readonly CsvRow[] {
  const lines = text.split(/\r?\n/);
  const header = splitLine(lines[0] ?? '', file, 1);
  return lines.flatMap((content, index) => {
    if (index === 0 || content.trim() === '' || content.startsWith('#')) return [];
    const cells = splitLine(content, file, index + 1);
    if (cells.length !== header.length) {
      badLine(file, index + 1, `${cells.length} cells for ${header.length} columns`);
    }
    const row = Object.fromEntries(header.map((name, column) => [name, cells[column] ?? '']));
    return [{ line: index + 1, cells: row }];
  });
}

function splitLine(content: string, file: string, line: number): string[] {
  const cells: string[] = [];
  const pattern = /\s*(?:"((?:[^"]|"")*)"|([^,"]*))\s*(,|$)/y;
  for (let at = 0; at <= content.length; ) {
    pattern.lastIndex = at;
    const match = pattern.exec(content);
    if (match === null) badLine(file, line, 'a quote that does not end, or stands inside a cell');
    cells.push((match[1]?.replaceAll('""', '"') ?? match[2] ?? '').trim());
    if (match[3] === '') break;
    at = pattern.lastIndex;
  }
  return cells;
}

function badLine(file: string, line: number, what: string): never {
  return fail(
    'HONE-ADVISE-001',
    `${file}:${line}: ${what}`,
    `${file}:${line}`,
    'one line an entry, cells separated by commas, quotes around a cell that contains one',
  );
}
