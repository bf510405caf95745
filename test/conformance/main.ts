/**
 * `npm run conformance -- [--suite DIR] [--json] [--filter PATTERN] [--paths interpreter,compiled,kernels,naive]
 *  [--limit N] [--short] [--target T] [--jobs N] [--docs]`
 *
 * Runs the ONNX backend suite (default: onnx-1.22.0 under HONE_TEST_DATA) on the interpreter and as
 * compiled code (`kernels`: hand-written routines and steps of the Node runtime do not count; `naive`:
 * without fusion, every stage by its naive lowering). Exit 1 on a wrong
 * answer, 0 when there are only refusals. `--limit` takes tests spread over the suite, `--short` is
 * `--limit 240`; `--docs` writes docs/conformance.md from a whole run.
 */
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { resolveTarget } from 'hone-runtime/target/parse';
import { dataPath, missingData } from '../support/data.ts';
import { renderPage, type SizeCounts, type Summary, summarize } from './report.ts';
import { runBatches } from './run-batches.ts';
import { spread, suiteTests, withoutAnswer } from './suite.ts';
import { type Path, PATHS, USUAL_PATHS } from './types.ts';

const SUITE = 'onnx-1.22.0';
const PAGE = path.join('docs', 'conformance.md');
const SHORT = '240';

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      suite: { type: 'string' },
      filter: { type: 'string' },
      paths: { type: 'string', default: USUAL_PATHS.join(',') },
      limit: { type: 'string' },
      short: { type: 'boolean', default: false },
      target: { type: 'string', default: 'native' },
      jobs: { type: 'string', default: '2' },
      json: { type: 'boolean', default: false },
      docs: { type: 'boolean', default: false },
    },
  });
  const missing = values.suite === undefined ? missingData(SUITE) : false;
  if (missing !== false) {
    console.error(`skipped: ${missing}`);
    return 0;
  }
  const suite = path.resolve(values.suite ?? dataPath(SUITE));
  if (!existsSync(suite)) return usage(`--suite: there is no ${suite}`);
  const paths = values.paths.split(',') as Path[];
  const strange = paths.find((name) => !PATHS.includes(name));
  if (strange !== undefined) return usage(`--paths: ${strange} is none of ${PATHS.join(', ')}`);
  const limit = Number(values.limit ?? (values.short ? SHORT : Number.POSITIVE_INFINITY));
  const jobs = Number(values.jobs);
  if (!(limit > 0 && jobs > 0)) return usage('--limit and --jobs take a number above 0');
  const isWhole = values.filter === undefined && limit === Number.POSITIVE_INFINITY;
  if (values.docs && !(isWhole && paths.join() === USUAL_PATHS.join())) {
    return usage('--docs needs a whole run: no --filter, --limit, --short or --paths');
  }
  const pattern = new RegExp(values.filter ?? '');
  const wanted = spread(
    suiteTests(suite).filter((test) => pattern.test(test)),
    limit,
  );
  if (wanted.length === 0) return usage('no test is named like that');
  const notApplicable = new Map<string, string>();
  for (const test of wanted) {
    const reason = withoutAnswer(test);
    if (reason !== undefined) notApplicable.set(test, reason);
  }
  const tests = wanted.filter((test) => !notApplicable.has(test));
  const target = resolveTarget(values.target).name;
  const results = await runBatches({
    suite,
    tests,
    paths,
    target,
    jobs,
    onProgress: (done) => console.error(`${done} of ${tests.length} tests`),
  });
  const summary = summarize({ suite: path.basename(suite), target, paths, notApplicable, results });
  if (values.docs) writeFileSync(PAGE, renderPage(summary, 'npm run conformance -- --docs'));
  console.log(values.json ? JSON.stringify({ ...summary, results }) : shortText(summary));
  return summary.failures.length > 0 ? 1 : 0;
}

function usage(message: string): number {
  console.error(message);
  return 1;
}

function shortText({ tests, counts, failures, refusals, paths, ...rest }: Summary): string {
  const skipped = Object.values(rest.notApplicable).reduce((sum, count) => sum + count, 0);
  return [
    ...failures.map(({ test, path: on, reason }) => `FAIL ${test} (${on}): ${reason}`),
    ...paths.flatMap((on) => refusedText(on, refusals)),
    `${rest.suite} on ${rest.target}: ${tests} tests, ${skipped} more not applicable`,
    ...sizesText(rest.sizes),
    ...paths.map((on) => {
      const { pass = 0, folded = 0, random = 0, refused = 0, fail = 0 } = counts[on] ?? {};
      const rate = ((100 * (pass + folded)) / Math.max(1, tests - random)).toFixed(1);
      return `${on}: ${pass} passed, ${folded} folded, ${random} random, ${refused} refused, ${fail} failed (${rate} % right)`;
    }),
  ].join('\n');
}

/** Whose sizes the run decides, and why inputs of others are bound. */
function sizesText({ unbound, ofRun, asked, bound }: SizeCounts): readonly string[] {
  const reasons = bound.map(({ why }) => why.replace(/^node \S+ /, ''));
  return [
    `sizes: ${unbound} tests with no input bound (the run decides sizes of outputs in ${ofRun}; ${asked} with --bound), ${bound.length} with inputs bound`,
    ...[...new Set(reasons)].map(
      (why) => `bound: ${reasons.filter((other) => other === why).length} ${why}`,
    ),
  ];
}

/** A line per code: how many tests of which operators. */
function refusedText(on: Path, refusals: Summary['refusals']): readonly string[] {
  const mine = refusals.filter((refusal) => refusal.path === on);
  return [...new Set(mine.map(({ code }) => code))].map((code) => {
    const same = mine.filter((refusal) => refusal.code === code);
    const list = same.map(({ operator, tests }) => `${operator} ${tests.length}`).join(', ');
    return `refused by ${on}: ${code}: ${list}`;
  });
}

process.exitCode = await main();
