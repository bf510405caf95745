/** Counts of a conformance run, as an object with stable keys and as the page docs/conformance.md. */
import path from 'node:path';
import { LOOSE } from './suite.ts';
import { type Outcome, type Path, PATHS, type Status, type TestResult } from './types.ts';

export interface Summary {
  readonly suite: string;
  readonly target: string;
  readonly paths: readonly Path[];
  /** Tests with an answer that can be asked for. */
  readonly tests: number;
  readonly notApplicable: Readonly<Record<string, number>>;
  readonly sizes: SizeCounts;
  readonly counts: Readonly<Partial<Record<Path, Counts>>>;
  readonly operators: readonly OperatorCounts[];
  readonly refusals: readonly Refusal[];
  readonly failures: readonly Failure[];
}

export interface SizeCounts {
  /** Tests without a bound input. */
  readonly unbound: number;
  /** Of these, tests with outputs whose extents the run decides. */
  readonly ofRun: number;
  /** Of the unbound, tests with bounds that were asked for. */
  readonly asked: number;
  readonly bound: readonly BoundTest[];
}

/** A test with inputs bound to its own values. */
export interface BoundTest {
  readonly test: string;
  readonly inputs: readonly string[];
  readonly why: string;
}

export type Counts = Readonly<Record<Status, number>>;

export interface OperatorCounts {
  readonly operator: string;
  readonly tests: number;
  readonly counts: Readonly<Partial<Record<Path, Counts>>>;
}

export interface Refusal {
  readonly path: Path;
  readonly code: string;
  readonly operator: string;
  /** Of the first such test. */
  readonly reason: string;
  readonly tests: readonly string[];
}

export interface Failure {
  readonly test: string;
  readonly path: Path;
  readonly reason: string;
}

export interface RunFacts {
  readonly suite: string;
  readonly target: string;
  readonly paths: readonly Path[];
  /** Reason by test. */
  readonly notApplicable: ReadonlyMap<string, string>;
  readonly results: readonly TestResult[];
}

export function summarize({ results, notApplicable, ...facts }: RunFacts): Summary {
  const byOperator = new Map<string, TestResult[]>();
  for (const result of results) {
    byOperator.set(result.operator, [...(byOperator.get(result.operator) ?? []), result]);
  }
  const reasons = [...notApplicable.values()].sort();
  return {
    ...facts,
    tests: results.length,
    notApplicable: Object.fromEntries(
      reasons.map((reason) => [reason, reasons.filter((other) => other === reason).length]),
    ),
    sizes: sizesOf(results),
    counts: countAll(results),
    operators: [...byOperator]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([operator, list]) => ({ operator, tests: list.length, counts: countAll(list) })),
    refusals: refusalsOf(results),
    failures: each(results).flatMap(({ test, path, outcome }) =>
      outcome.status === 'fail' ? [{ test, path, reason: outcome.reason ?? '' }] : [],
    ),
  };
}

function sizesOf(results: readonly TestResult[]): SizeCounts {
  const unbound = results.flatMap(({ sizes }) => (sizes.bound.length === 0 ? [sizes] : []));
  return {
    unbound: unbound.length,
    ofRun: unbound.filter(({ isOfRun }) => isOfRun).length,
    asked: unbound.filter(({ bounds }) => bounds.length > 0).length,
    bound: results.flatMap(({ test, sizes: { bound, why } }) =>
      bound.length === 0 ? [] : [{ test, inputs: bound, why }],
    ),
  };
}

interface Item {
  readonly test: string;
  readonly operator: string;
  readonly path: Path;
  readonly outcome: Outcome;
}

function each(results: readonly TestResult[]): readonly Item[] {
  return results.flatMap(({ test, operator, outcomes }) =>
    PATHS.flatMap((on) => {
      const outcome = outcomes[on];
      return outcome === undefined ? [] : [{ test, operator, path: on, outcome }];
    }),
  );
}

function countAll(results: readonly TestResult[]): Summary['counts'] {
  const counts: Partial<Record<Path, Record<Status, number>>> = {};
  for (const { path, outcome } of each(results)) {
    counts[path] ??= { pass: 0, fail: 0, refused: 0, folded: 0, random: 0 };
    counts[path][outcome.status]++;
  }
  return counts;
}

function refusalsOf(results: readonly TestResult[]): readonly Refusal[] {
  const groups = new Map<string, Refusal>();
  for (const { test, operator, path, outcome } of each(results)) {
    if (outcome.status !== 'refused') continue;
    const { code = '', reason = '' } = outcome;
    const key = `${path} ${code} ${operator}`;
    const group = groups.get(key) ?? { path, code, operator, reason, tests: [] };
    groups.set(key, { ...group, tests: [...group.tests, test] });
  }
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group);
}

/** The page; `command` is what made it. */
export function renderPage(summary: Summary, command: string): string {
  const { paths, notApplicable } = summary;
  const left = Object.entries(notApplicable);
  const total = left.reduce((sum, [, count]) => sum + count, 0);
  const head = paths.flatMap((path) => statusesOf(path).map((status) => `${path}: ${status}`));
  const row = (counts: Summary['counts']): string =>
    paths
      .flatMap((path) => statusesOf(path).map((status) => `${counts[path]?.[status] || '·'}`))
      .join(' | ');
  return [
    `<!-- Made by \`${command}\`. Do not edit. -->`,
    '',
    '# Conformance',
    '',
    `The ONNX backend suite (${summary.suite}): ${summary.tests + total} tests, of which ${total} ask for`,
    `nothing an inference compiler should give (${left.map(([reason, n]) => `${n} ${reason}`).join(', ')}).`,
    `Target: \`${summary.target}\`. Tolerance: relative 1e-3, absolute 1e-7; integers exact.`,
    ...LOOSE.map(
      ({ pattern, absolute, reason }) =>
        `\`${pattern.source.slice(1)}…\`: absolute ${absolute}, because it ${reason}.`,
    ),
    '',
    'The compiled path runs with one thread, with one thread and poisoned memory, and with two threads',
    'and poisoned memory; all three must give the same bytes and write nothing beside the outputs.',
    'refused: a coded error that says why. folded: right, but every input is bound, so no code is left to run.',
    '',
    ...sizesText(summary.sizes),
    '',
    'kernels: the compiled path where hand-written routines and steps of the Node runtime do not count. Checks of',
    'bounds (`within_…`), which compute nothing, are no routines in that.',
    'random: the test asks for random elements, so shape, dtype and mean are judged.',
    '',
    `share: right ones (pass and folded) among the ${summary.tests + total - randomTests(summary)} tests whose output is not random.`,
    '',
    ...table(
      ['path', ...STATUSES, 'share'],
      paths.map((path) => [
        path,
        ...STATUSES.map((s) => `${summary.counts[path]?.[s] ?? 0}`),
        share(summary, path, total),
      ]),
    ),
    '',
    '## Wrong answers',
    '',
    ...(summary.failures.length === 0
      ? ['None.']
      : table(
          ['test', 'path', 'what'],
          summary.failures.map((f) => [f.test, f.path, cell(f.reason)]),
        )),
    '',
    '## Refusals',
    '',
    ...table(
      ['path', 'code', 'operator', 'tests', 'reason of the first'],
      summary.refusals.map((r) => [
        r.path,
        r.code,
        r.operator,
        `${r.tests.length}`,
        cell(r.reason),
      ]),
    ),
    '',
    '## Tests with inputs bound to their own values',
    '',
    ...boundText(summary.sizes.bound),
    '',
    '## By operator',
    '',
    ...table(
      ['operator', 'tests', ...head],
      summary.operators.map((o) => [o.operator, `${o.tests}`, row(o.counts)]),
    ),
    '',
  ].join('\n');
}

function sizesText({ unbound, ofRun, asked, bound }: SizeCounts): readonly string[] {
  return [
    `sizes: ${unbound} tests are imported with all of their inputs as inputs. In ${ofRun} of them the run decides sizes of`,
    `outputs, which are compared as they are. ${asked} have bounds, as \`--bound\` gives them, that follow from the data: a`,
    'number is bounded by twice itself and 2, as are extents that nothing else bounds.',
    `In ${bound.length} tests inputs are bound to the test's own values, as the importer refuses the model (listed below).`,
  ];
}

/** One line per reason and its inputs. */
function boundText(bound: readonly BoundTest[]): readonly string[] {
  if (bound.length === 0) return ['None.'];
  const groups = new Map<string, string[]>();
  for (const { test, inputs, why } of bound) {
    const key = `${inputs.join(', ')} | ${cell(why)}`;
    groups.set(key, [...(groups.get(key) ?? []), path.basename(test)]);
  }
  return table(
    ['inputs', 'why', 'tests'],
    [...groups].map(([key, tests]) => [key, tests.join(', ')]),
  );
}

function randomTests({ counts, paths }: Summary): number {
  return Math.max(0, ...paths.map((path) => counts[path]?.random ?? 0));
}

function share(summary: Summary, path: Path, left: number): string {
  const { pass = 0, folded = 0 } = summary.counts[path] ?? {};
  const all = summary.tests + left - randomTests(summary);
  return `${((100 * (pass + folded)) / Math.max(1, all)).toFixed(2)} %`;
}

const STATUSES: readonly Status[] = ['pass', 'folded', 'random', 'refused', 'fail'];

/** Nothing is folded on the interpreter's path; few tests are random. */
function statusesOf(path: Path): readonly Status[] {
  return STATUSES.filter(
    (status) => status !== 'random' && (path !== 'interpreter' || status !== 'folded'),
  );
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}

function cell(text: string): string {
  const plain = text.replaceAll(/\s+/g, ' ').replaceAll('|', '\\|');
  return plain.length > 160 ? `${plain.slice(0, 157)}…` : plain;
}
