/**
 * `npm run fuzz -- [--seconds N] [--seed S] [--target T]`: damaged models through the compiler, some
 * of them built with a sanitizer and run, then random graphs, interpreted and compiled (default 60 s in
 * all). Prints the seed; exit 1 on a fault.
 *
 * `npm run fuzz -- --models N --sanitized M [--first CASE]`: so many models, for as long as it takes.
 *
 * `npm run fuzz -- --operators N [--seed S]`: so many uses of operators; see `operators/main.ts`.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fuzzModels, type ModelFuzzCounts } from './models/fuzz-models.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    target: { type: 'string', default: 'native' },
    models: { type: 'string' },
    sanitized: { type: 'string' },
    operators: { type: 'string' },
    first: { type: 'string', default: '0' },
    jobs: { type: 'string', default: '2' },
  },
});
const [seconds, seed, first, jobs] = [values.seconds, values.seed, values.first, values.jobs].map(
  Number,
) as [number, number, number, number];
const counts = [values.models, values.sanitized, values.operators].map((text) => Number(text ?? 0));
if (
  !(seconds > 0) ||
  ![seed, first, jobs, ...counts].every((n) => Number.isSafeInteger(n) && n >= 0)
) {
  console.error('--seconds takes a number above 0, the others whole numbers');
  process.exit(1);
}
const isCounted = [values.models, values.sanitized, values.operators].some((n) => n !== undefined);
const [models, sanitized, operators] = isCounted ? counts : [Infinity, Infinity, Infinity];

console.log(`seed ${seed}`);
const common = { seed, first, jobs, onFault: (text: string): void => console.log(`\n${text}`) };
let isGood = true;
if (models !== undefined && models > 0) {
  const share = isCounted ? Infinity : seconds / 4;
  const found = await fuzzModels({ ...common, count: models, seconds: share, sanitized: false });
  report('damaged models', found);
}
if (sanitized !== undefined && sanitized > 0) {
  const share = isCounted ? Infinity : seconds / 4;
  const found = await fuzzModels({ ...common, count: sanitized, seconds: share, sanitized: true });
  report('with the sanitizer', found);
}
if (!isCounted) {
  const graphs = ['--seconds', String(seconds / 4), '--seed', String(seed)];
  runMain('random-graphs-main.js', [...graphs, '--target', values.target]);
}
if (operators !== undefined && operators > 0) {
  const share = isCounted ? ['--count', String(operators)] : ['--seconds', String(seconds / 4)];
  const rest = ['--seed', String(seed), '--jobs', String(jobs), '--target', values.target];
  runMain('operators/main.js', [...share, ...rest]);
}
if (!isGood) process.exitCode = 1;

function report(what: string, found: ModelFuzzCounts): void {
  if (found.faults.length > 0) isGood = false;
  console.log(
    `${what}: ${found.tried} tried${found.ran > 0 ? `, ${found.ran} run` : ''}, refused with ${found.codes} codes, ${found.faults.length} faults; the slowest took ${found.slowestMs.toFixed(0)} ms, the most memory of a process was ${(found.peakBytes / 1e6).toFixed(0)} MB`,
  );
  for (const [kind, { refused, imported, compiled }] of Object.entries(found.reached)) {
    const all = refused + imported + compiled;
    console.log(
      `  ${kind}: ${all}, of which ${imported + compiled} reached the passes and ${compiled} became C`,
    );
  }
}

/** A process of its own: compiled code may crash. */
function runMain(file: string, args: readonly string[]): void {
  const script = fileURLToPath(new URL(file, import.meta.url));
  const { status } = spawnSync(process.execPath, [script, ...args], { stdio: 'inherit' });
  if (status !== 0) isGood = false;
}
