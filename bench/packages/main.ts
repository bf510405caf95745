/**
 * `npm run bench:packages [-- NAME…]`: how Hone does on models of strangers, out of published
 * packages. Progress goes to stderr, the table (or with --json one object) to stdout.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { fail } from 'hone-runtime/base/diagnostics';
import { cacheDirectory } from 'hone/backends/c/toolchain-cache';
import { baselineVersion } from 'hone/bench/baseline';
import { asHoneError, errorText } from 'hone/cli/errors';
import { optionReader } from 'hone/cli/option-reader';
import { formatTable } from 'hone/cli/table';
import { packagedModels, type PackagedModel } from './entry.ts';
import { isAsExpected } from './outcome.ts';
import { packagesPage } from './page.ts';
import { registriesOf } from './registries.ts';
import { type PackagesReport, runPackages } from './run.ts';
import { ALIGN, HEADER, missLines, reportJson, rowOf, summaryLine } from './summary.ts';
import { PACKAGES } from './table.ts';

const USAGE = `npm run bench:packages [-- NAME…] [--list] [--json] [--save] [--quick] [--threads N]
                       [--duration 1s] [--sessions 1] [--limit 10m]
NAME: pypi, npm, or a part of PACKAGE/MODEL as --list shows it; without one, all`;
const PAGE = path.join('docs', 'packages.md');
const DURATION_MS = 1000;
const QUICK_MS = 60;
const LIMIT_MS = 10 * 60_000;

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

try {
  process.exitCode = await main();
} catch (thrown) {
  const error = asHoneError(thrown);
  process.stderr.write(`${errorText(error)}\n`);
  process.exitCode = error.exitCode;
}

async function main(): Promise<number> {
  const { values, positionals } = readArguments();
  if (values.help === true) return print([USAGE]);
  const models = choose(positionals);
  if (values.list === true) return print(listLines(models));
  if (values.save === true && positionals.length > 0) {
    const cure = 'leave the names out, or --save';
    fail('HONE-BENCH-009', '--save writes the page of all packages', '--save', cure);
  }
  baselineVersion();
  const options = optionReader(values);
  const threads = options.integer('threads', 1, 256);
  const report = await runPackages(models, {
    folder: path.join(cacheDirectory(), 'packages'),
    registries: registriesOf(process.env),
    progress: (message) => void process.stderr.write(`${message}\n`),
    limitMs: options.duration('limit') ?? LIMIT_MS,
    settings: {
      ...(threads === undefined ? {} : { threads }),
      durationMs: options.duration('duration') ?? (values.quick ? QUICK_MS : DURATION_MS),
      sessions: options.integer('sessions', 1, 100) ?? 1,
    },
  });
  print(values.json === true ? [JSON.stringify(reportJson(report))] : textLines(report));
  if (values.save === true) {
    writeFileSync(PAGE, packagesPage(report, new Date().toISOString().slice(0, 10)));
    process.stderr.write(`saved ${PAGE}\n`);
  }
  return report.results.every(isAsExpected) ? 0 : 1;
}

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        list: { type: 'boolean' },
        json: { type: 'boolean' },
        save: { type: 'boolean' },
        quick: { type: 'boolean' },
        help: { type: 'boolean' },
        threads: { type: 'string' },
        duration: { type: 'string' },
        sessions: { type: 'string' },
        limit: { type: 'string' },
      },
    });
  } catch (error) {
    return fail('HONE-BENCH-009', (error as Error).message, undefined, USAGE);
  }
}

/** The models that the names mean, in the order of the table. */
function choose(names: readonly string[]): PackagedModel[] {
  const all = packagedModels(PACKAGES);
  const fits = ({ owner, id }: PackagedModel, name: string): boolean =>
    name === owner.registry || id.includes(name);
  for (const name of names) {
    if (all.some((model) => fits(model, name))) continue;
    const cure = '`npm run bench:packages -- --list` shows the names';
    fail('HONE-BENCH-001', `no model of a package fits ${name}`, name, cure);
  }
  return names.length === 0 ? all : all.filter((model) => names.some((name) => fits(model, name)));
}

function listLines(models: readonly PackagedModel[]): string[] {
  const shape = (entry: readonly [string, readonly number[] | number]): string =>
    `${entry[0]}=${typeof entry[1] === 'number' ? entry[1] : entry[1].join('x')}`;
  return formatTable(
    ['registry', 'model', 'version', 'shapes', 'known'],
    models.map(({ owner, model, id }) => [
      owner.registry,
      id,
      owner.version,
      Object.entries({ ...model.shapes, ...model.dims })
        .map(shape)
        .join(' '),
      model.expected === undefined ? '' : `${model.expected.verdict}: ${model.expected.why}`,
    ]),
  );
}

function textLines({ machine, results }: PackagesReport): string[] {
  return [
    ...formatTable(HEADER, results.map(rowOf), ALIGN),
    ...missLines(results),
    ...(machine === null ? [] : [`${machine.cpu}, ${machine.threads} threads`]),
    summaryLine(results),
  ];
}

function print(lines: readonly string[]): number {
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
  return 0;
}
