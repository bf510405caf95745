/** The highest entries of a classifier's output, with labels. */
import { readFileSync } from 'node:fs';
import { fail } from 'hone-runtime/base/diagnostics';
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { asDistribution } from '../../compile/answers.ts';

export interface TopEntry {
  /** Position in the batch. */
  readonly item: number;
  readonly index: number;
  /** The output's own value. */
  readonly score: number;
  /** The score itself where the output is a distribution; else its softmax. */
  readonly probability: number;
  readonly label: string | null;
}

/** The `count` highest entries per batch item, best first; of equals the lower index. */
export function topEntries(
  output: Tensor,
  count: number,
  labels: readonly string[] | undefined,
): TopEntry[] {
  const values = toNumbers(output);
  const batch = output.shape.length > 1 ? (output.shape[0] as number) : 1;
  const classes = batch === 0 ? 0 : values.length / batch;
  return Array.from({ length: batch }, (_unused, item) => {
    const row = values.subarray(item * classes, (item + 1) * classes);
    const probabilities = asDistribution(row);
    const order = Array.from(row.keys()).sort(
      (a, b) => (row[b] as number) - (row[a] as number) || a - b,
    );
    return order.slice(0, count).map((index) => ({
      item,
      index,
      score: row[index] as number,
      probability: probabilities[index] as number,
      label: labels?.[index] ?? null,
    }));
  }).flat();
}

/** Labels by index: a JSON array, a JSON object with indices as keys, or one label a line. */
export function readLabels(path: string): string[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
    fail('HONE-IO-001', `cannot read ${path}: ${code}`, path, 'check the path given to --labels');
  }
  return parseLabels(text, path);
}

export function parseLabels(text: string, name: string): string[] {
  const trimmed = text.trim();
  if (!trimmed.startsWith('[') && !trimmed.startsWith('{')) return trimmed.split(/\r?\n/);
  let parsed: unknown;
  try {
    parsed = JSON.parse(trimmed);
  } catch {
    fail(
      'HONE-INPUT-016',
      `${name} is not valid JSON`,
      name,
      'write a JSON array or one label a line',
    );
  }
  if (Array.isArray(parsed)) return parsed.map(labelText);
  const labels: string[] = [];
  for (const [key, value] of Object.entries(parsed as Readonly<Record<string, unknown>>)) {
    if (!/^\d{1,7}$/.test(key)) {
      fail('HONE-INPUT-016', `${name} has the key "${key}"`, name, 'use class indices as keys');
    }
    labels[Number(key)] = labelText(value);
  }
  return labels;
}

/** Some label files pair a class id with its name: the name is last. */
function labelText(value: unknown): string {
  return Array.isArray(value) ? String(value.at(-1)) : String(value);
}
