/**
 * `node random-graphs-main.js [--seconds N] [--seed S] [--count C] [--target T]`: random graphs
 * interpreted and compiled (default 60 s, native). Exit 1 on a disagreement.
 *
 * The graphs run in a child process, so that a crash is one more fault: its batch is run again,
 * graph by graph.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fuzzGraphs, type GraphFuzzCounts, type GraphFuzzOptions } from './fuzz-graphs.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: String(Number.MAX_SAFE_INTEGER) },
    target: { type: 'string', default: 'native' },
  },
});
const options = {
  seconds: Number(values.seconds),
  seed: Number(values.seed),
  count: Number(values.count),
  target: values.target,
};
if (!(options.seconds > 0 && options.count > 0) || !Number.isSafeInteger(options.seed)) {
  console.error('--seconds and --count take numbers above 0, --seed a whole number');
  process.exit(1);
}
if (process.send === undefined) await parent();
else await child();

type Message =
  | { readonly kind: 'batch'; readonly seed: number; readonly count: number }
  | { readonly kind: 'end'; readonly counts: GraphFuzzCounts };

async function child(): Promise<void> {
  const send = (message: Message): void => {
    process.send?.(message);
  };
  const counts = await fuzzGraphs({
    ...options,
    onBatch: (seed, count) => send({ kind: 'batch', seed, count }),
  });
  send({ kind: 'end', counts });
  process.disconnect();
}

async function parent(): Promise<void> {
  const deadline = performance.now() + options.seconds * 1000;
  const faults: string[] = [];
  let { seed } = options;
  let [tried, kernels, refused] = [0, 0, 0];
  while (performance.now() < deadline && tried < options.count && faults.length === 0) {
    const seconds = (deadline - performance.now()) / 1000;
    const run = await runChild({ ...options, seed, seconds, count: options.count - tried });
    faults.push(...(run.counts?.faults ?? []));
    kernels += run.counts?.kernels ?? 0;
    refused += run.counts?.refused ?? 0;
    if (run.counts === undefined) faults.push(...(await culprits(run)));
    seed = run.seed + run.count;
    tried = seed - options.seed;
  }
  console.log(
    `random graphs on ${options.target}: ${tried} tried, ${refused} without a compiled form, ${kernels} kernels, ${faults.length} faults`,
  );
  for (const fault of faults) console.log(`\n${fault}`);
  if (faults.length > 0) process.exitCode = 1;
}

/** The graphs of a batch that die alone. */
async function culprits(batch: Run): Promise<string[]> {
  const found: string[] = [];
  for (let seed = batch.seed; seed < batch.seed + batch.count; seed++) {
    const { counts, ended } = await runChild({ ...options, seed, count: 1 });
    if (counts === undefined) found.push(`seed ${seed}: the process ended with ${ended}`);
  }
  const seeds = `seeds ${batch.seed} to ${batch.seed + batch.count - 1}`;
  return found.length > 0
    ? found
    : [`${seeds}, only together: the process ended with ${batch.ended}`];
}

interface Run {
  /** The batch last begun. */
  readonly seed: number;
  readonly count: number;
  readonly counts: GraphFuzzCounts | undefined;
  readonly ended: string;
}

function runChild(how: GraphFuzzOptions): Promise<Run> {
  const args = ['seconds', 'seed', 'count', 'target'].flatMap((name) => [
    `--${name}`,
    String(how[name as 'seconds' | 'seed' | 'count' | 'target']),
  ]);
  const process_: ChildProcess = fork(fileURLToPath(import.meta.url), args);
  let run: Run = { seed: how.seed, count: 0, counts: undefined, ended: '' };
  process_.on('message', (message: Message) => {
    if (message.kind === 'batch') run = { ...run, seed: message.seed, count: message.count };
    else run = { ...run, counts: message.counts };
  });
  return new Promise((resolve) => {
    process_.on('close', (code, signal) => {
      resolve({ ...run, ended: signal ?? `exit code ${code}` });
    });
  });
}
