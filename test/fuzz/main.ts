/**
 * `npm run fuzz -- [--seconds N] [--seed S] [--target T]`: damaged models into the front end, then
 * random graphs interpreted and compiled, each for half of the time (default 60 s). Prints the seed;
 * exit 1 on a fault.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fuzzOnnxBytes } from './onnx-bytes.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    target: { type: 'string', default: 'native' },
  },
});
const [seconds, seed] = [Number(values.seconds), Number(values.seed)];
if (!(seconds > 0) || !Number.isSafeInteger(seed) || seed < 0) {
  console.error('--seconds takes a number above 0, --seed a whole number');
  process.exit(1);
}

console.log(`seed ${seed}`);
const bytes = fuzzOnnxBytes({ seed, count: Number.POSITIVE_INFINITY, seconds: seconds / 2 });
const refused = Object.values(bytes.refused).reduce((sum, count) => sum + count, 0);
console.log(
  `damaged models: ${bytes.tried} tried, ${bytes.imported} still imported, ${refused} refused with ${Object.keys(bytes.refused).length} codes, ${bytes.faults.length} faults; the slowest took ${bytes.slowestMs.toFixed(0)} ms`,
);
for (const fault of bytes.faults.slice(0, 10)) console.log(`\n${fault}`);
// A process of its own: compiled code may crash.
const graphs = spawnSync(
  process.execPath,
  [
    fileURLToPath(new URL('random-graphs-main.js', import.meta.url)),
    ...['--seconds', String(seconds / 2), '--seed', String(seed), '--target', values.target],
  ],
  { stdio: 'inherit' },
);
if (bytes.faults.length > 0 || graphs.status !== 0) process.exitCode = 1;
