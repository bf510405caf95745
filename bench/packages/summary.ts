/** Results as rows of a table, the lines below it, and one JSON object. */
import { geometricMean } from 'hone/bench/statistics';
import { type Align, formatBytes } from 'hone/cli/table';
import { type ModelResult, type Outcome, verdictOf } from './outcome.ts';
import type { PackagesReport } from './run.ts';

/** Differences of speed below this are ties. */
const TIE = 0.04;

export const HEADER: readonly string[] = ['package', 'model', 'size', 'answers', 'ms', 'ratio', ''];
export const ALIGN: readonly Align[] = ['left', 'left', 'right', 'left', 'right', 'right', 'left'];

export function rowOf(result: ModelResult): string[] {
  const { owner, id, bytes, outcome } = result;
  return [
    `${owner.name} ${owner.version}`,
    id.slice(owner.name.length + 1),
    bytes === null ? '-' : formatBytes(bytes),
    answersText(outcome),
    outcome.kind === 'measured' ? outcome.honeMs.toPrecision(3) : '-',
    ratioText(outcome),
    remarksOf(result).join(', '),
  ];
}

function answersText(outcome: Outcome): string {
  if (outcome.kind === 'failed') {
    return outcome.at === 'hone'
      ? outcome.code
      : `${verdictOf(outcome)}${outcome.at === 'package' ? `: ${outcome.code}` : ''}`;
  }
  const { difference } = outcome;
  const size = difference === null ? 'not comparable' : difference.toExponential(0);
  return `${verdictOf(outcome)}, ${size}`;
}

function ratioText(outcome: Outcome): string {
  if (outcome.kind === 'failed') return '-';
  const { ratio, ratioLow, ratioHigh } = outcome;
  return `${ratio.toFixed(2)} (${ratioLow.toFixed(2)}-${ratioHigh.toFixed(2)})`;
}

function remarksOf({ outcome, model: { expected } }: ModelResult): string[] {
  const verdict = verdictOf(outcome);
  const known = expected?.verdict === verdict;
  return [
    ...(outcome.kind === 'measured' && outcome.rounding ? ['sensitive to rounding'] : []),
    ...(outcome.kind === 'measured' && outcome.busy ? ['machine busy'] : []),
    ...(known ? ['known'] : []),
    ...(expected !== undefined && verdict === 'agrees' ? ['better than stated'] : []),
  ];
}

export interface Summary {
  readonly models: number;
  readonly packages: number;
  readonly loaded: number;
  readonly agreeing: number;
  /** Not to be had. */
  readonly unfetched: number;
  /** Of the ratios; null where there are none. */
  readonly geometricMean: number | null;
  readonly worst: { readonly id: string; readonly ratio: number } | null;
}

export function summarizeResults(results: readonly ModelResult[]): Summary {
  const ratios = ratiosOf(results);
  const [worst] = [...ratios].sort((a, b) => a.ratio - b.ratio);
  const count = (fits: (result: ModelResult) => boolean): number => results.filter(fits).length;
  return {
    models: results.length,
    packages: new Set(results.map(({ owner }) => owner)).size,
    loaded: count(({ outcome }) => outcome.kind === 'measured' || outcome.at === 'onnxruntime'),
    agreeing: count(({ outcome }) => verdictOf(outcome) === 'agrees'),
    unfetched: count(({ outcome }) => verdictOf(outcome) === 'not fetched'),
    geometricMean: ratios.length === 0 ? null : geometricMean(ratios.map(({ ratio }) => ratio)),
    worst: worst ?? null,
  };
}

function ratiosOf(results: readonly ModelResult[]): { id: string; ratio: number }[] {
  return results.flatMap(({ id, outcome }) =>
    outcome.kind === 'measured' && Number.isFinite(outcome.ratio)
      ? [{ id, ratio: outcome.ratio }]
      : [],
  );
}

/** Models that are slower than onnxruntime by more than a tie, the slowest first. */
export function slowerModels(results: readonly ModelResult[]): { id: string; ratio: number }[] {
  return ratiosOf(results)
    .filter(({ ratio }) => ratio < 1 - TIE)
    .sort((a, b) => a.ratio - b.ratio);
}

/** How many load, how many agree, how fast they are together and at worst. */
export function summaryLine(results: readonly ModelResult[]): string {
  const { models, packages, loaded, agreeing, unfetched, ...speed } = summarizeResults(results);
  const { geometricMean: mean, worst } = speed;
  return [
    `${counted(models, 'model')} of ${counted(packages, 'package')}: ${loaded} load, ${agreeing} answer as onnxruntime does`,
    ...(unfetched === 0 ? [] : [`${unfetched} were not to be had`]),
    ...(mean === null ? [] : [`geometric mean of the ratios ${mean.toFixed(2)}`]),
    ...(worst === null ? [] : [`worst ${worst.ratio.toFixed(2)} (${worst.id})`]),
  ].join('; ');
}

function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}

/** What failed or differs, with the reason where one is known, and what to do about it. */
export function missLines(results: readonly ModelResult[]): string[] {
  return results.flatMap(({ id, model: { expected }, outcome }) => {
    const verdict = verdictOf(outcome);
    if (verdict === 'agrees') return [];
    const known = expected?.verdict === verdict ? [`  known: ${expected.why}`] : [];
    if (outcome.kind === 'measured') return [`${id} ${answersText(outcome)}`, ...known];
    const { code, message, cure } = outcome;
    const cured = cure === null || known.length > 0 ? [] : [`  cure: ${cure}`];
    return [`${id} ${verdict}: ${code}: ${oneLine(message)}`, ...known, ...cured];
  });
}

const MOST_CHARS = 300;

function oneLine(message: string): string {
  const line = message.replace(/\s+/g, ' ').trim();
  return line.length > MOST_CHARS ? `${line.slice(0, MOST_CHARS)}…` : line;
}

export function reportJson({ machine, results }: PackagesReport): object {
  return {
    machine,
    results: results.map(({ owner, model, id, bytes, outcome }) => ({
      id,
      registry: owner.registry,
      package: owner.name,
      version: owner.version,
      path: model.path,
      bytes,
      verdict: verdictOf(outcome),
      expected: model.expected ?? null,
      ...outcome,
    })),
    summary: summarizeResults(results),
  };
}
