/**
 * `npm test [-- WORD…]`: builds, then runs the compiled tests through node:test.
 *
 * The list of files is made from the sources, so a compiled test whose source is gone never runs,
 * and a source without a compiled file is an error. With words, only files whose path contains one
 * of them run. Exit 1 on a build error, a failure, no test at all, a file without tests, or (when
 * HONE_TEST_DATA is set) a skip for want of that data.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { run } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FILE_TIMEOUT_MS = 10 * 60_000;
const words = process.argv.slice(2);

process.chdir(ROOT);
// What was measured on this machine must not change what tests expect.
process.env.HONE_RESULTS ??= join(ROOT, 'build', 'no-measurements.jsonl');
const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
const build = spawnSync(process.execPath, [tsc, '-b'], { stdio: 'inherit' });

const files = sources(join(ROOT, 'test'))
  .map((source) => join('build', relative(ROOT, source)).replace(/\.ts$/, '.js'))
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort();
const missing = files.filter((file) => !existsSync(file));
for (const file of missing) console.log(`not built: ${file}`);

const started = new Map();
const skips = [];
const failures = [];
const empty = [];
const closing = [];
let tests = 0;

await new Promise((resolve) => {
  const stream = run({
    files: files.filter((file) => existsSync(file)).map((file) => join(ROOT, file)),
    concurrency: 2,
    timeout: FILE_TIMEOUT_MS,
  });
  stream.on('test:pass', (event) => settled(event));
  stream.on('test:fail', (event) => {
    settled(event);
    // A parent fails because of its children: the children are what is worth reading.
    if (event.details?.error?.failureType !== 'subtestsFailed') {
      failures.push(event);
      report(event);
    }
  });
  stream.on('test:diagnostic', (event) => {
    if (event.nesting === 0 && /^[a-z_]+ [\d.]+$/.test(event.message)) closing.push(event.message);
    else console.log(`  ${nameOf(event.file)}: ${event.message}`);
  });
  stream.on('test:stdout', (event) => process.stdout.write(event.message));
  stream.on('test:stderr', (event) => process.stderr.write(event.message));
  stream.on('end', resolve);
  // Events come without reading the stream, its end does not.
  stream.resume();
  stream.on('error', (error) => {
    console.log(String(error));
    process.exitCode = 1;
    resolve();
  });
});

for (const [file, ms] of [...started].sort((a, b) => b[1] - a[1]).slice(0, 5)) {
  console.log(`slow: ${nameOf(file)} ${(ms / 1000).toFixed(1)} s`);
}
for (const skip of skips)
  console.log(`skipped: ${nameOf(skip.file)} › ${skip.name}: ${skip.reason}`);
for (const event of failures) console.log(`failed: ${nameOf(event.file)} › ${event.name}`);
for (const file of empty) console.log(`no tests in: ${nameOf(file)}`);
for (const line of closing) console.log(`# ${line}`);

const dataSkips = process.env.HONE_TEST_DATA
  ? skips.filter((skip) => skip.reason.includes('HONE_TEST_DATA'))
  : [];
if (dataSkips.length > 0) {
  console.log(`HONE_TEST_DATA is set, yet ${dataSkips.length} tests miss data under it`);
}
if (build.status !== 0) console.log('the build has errors');
if (tests === 0) console.log('no test ran');
const bad =
  build.status !== 0 ||
  missing.length > 0 ||
  failures.length > 0 ||
  empty.length > 0 ||
  dataSkips.length > 0 ||
  tests === 0;
// Set, not exited: a pipe must be drained first.
if (bad) process.exitCode = 1;

function settled(event) {
  // node:test counts a file in which no test ran as one test named after the file.
  if (event.nesting === 0 && /\.test\.js$/.test(event.name)) {
    if (event.details?.type !== 'suite' && event.details?.error === undefined)
      empty.push(event.name);
    return;
  }
  if (event.details?.type === 'suite') return;
  tests++;
  const ms = event.nesting === 0 ? (event.details?.duration_ms ?? 0) : 0;
  started.set(event.file, (started.get(event.file) ?? 0) + ms);
  if (event.skip !== undefined && event.skip !== false) {
    skips.push({
      file: event.file,
      name: event.name,
      reason: typeof event.skip === 'string' ? event.skip : 'no reason given',
    });
  }
}

function report(event) {
  const error = event.details?.error;
  const cause = error?.cause ?? error;
  console.log(`\n✖ ${nameOf(event.file)} › ${event.name}`);
  const text = cause instanceof Error || cause?.stack ? cause.stack : String(cause);
  console.log(String(text).replace(/^/gm, '    '));
}

function nameOf(file) {
  return file === undefined ? '(unknown file)' : relative(join(ROOT, 'build', 'test'), file);
}

function sources(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}
