/**
 * `node operators/main.js [--count N] [--seconds S] [--seed F] [--target T] [--jobs J] [--against compiled|peer]`:
 * random uses of operators, compiled, interpreted and given to onnxruntime-node. Case n has seed
 * F + n; `--seed S --count 1` repeats one. Exit 1 on a disagreement.
 *
 * Cases run in child processes: where one crashes or hangs, its batch runs again in halves.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Against, type CaseProblem, checkCases } from './check-cases.ts';
import { type OpCase, printCase } from './op-case.ts';
import { randomCase } from './random-case.ts';
import { shrinkCase } from './shrink-case.ts';

const BATCH = 100;
const MAX_FAULTS = 40;
const SHRINK_MS = 20_000;
const TIMEOUT_MS = 900_000;

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: String(Number.MAX_SAFE_INTEGER) },
    seconds: { type: 'string', default: 'Infinity' },
    seed: { type: 'string', default: '1' },
    target: { type: 'string', default: 'native' },
    jobs: { type: 'string', default: '2' },
    against: { type: 'string' },
  },
});
const [count, seconds, firstSeed, jobs] = [
  values.count,
  values.seconds,
  values.seed,
  values.jobs,
].map(Number) as [number, number, number, number];
if (!(seconds > 0 && count > 0 && jobs > 0) || !Number.isSafeInteger(firstSeed)) {
  console.error('--seconds, --count and --jobs take numbers above 0, --seed a whole number');
  process.exit(1);
}

interface BatchResult {
  readonly refused: number;
  readonly peers: number;
  readonly operators: readonly string[];
  readonly faults: readonly string[];
}

interface Batch {
  readonly seed: number;
  readonly count: number;
  readonly against: Against;
}

if (process.send === undefined) await parent();
else await child();

async function child(): Promise<void> {
  const result = await runBatch({ seed: firstSeed, count, against: values.against as Against });
  process.send?.(result, () => process.disconnect());
}

async function runBatch(batch: Batch): Promise<BatchResult> {
  const faults: string[] = [];
  const items: { readonly seed: number; readonly item: OpCase }[] = [];
  for (let seed = batch.seed; seed < batch.seed + batch.count; seed++) {
    try {
      items.push({ seed, item: randomCase(seed) });
    } catch (error) {
      // Inference and references answer, or refuse with a code.
      if (batch.against === 'peer') continue;
      faults.push(`seed ${seed}, reference: ${(error as Error).stack}`);
    }
  }
  const all = items.map(({ item }) => item);
  const checked = await checkCases(all, batch.against, values.target);
  for (const [i, { seed, item }] of items.entries()) {
    const problem = checked.problems[i];
    if (problem !== undefined) faults.push(await describe(seed, item, problem));
  }
  const operators = [...new Set(items.map(({ item: { op } }) => `${op.domain ?? ''}:${op.name}`))];
  return { refused: checked.refused, peers: checked.peers, operators, faults };
}

async function describe(seed: number, item: OpCase, problem: CaseProblem): Promise<string> {
  const check = async (other: OpCase): Promise<CaseProblem | undefined> => {
    const against = problem.phase === 'peer' ? 'peer' : 'compiled';
    const { problems } = await checkCases([other], against, values.target);
    return problems[0]?.phase === problem.phase ? problems[0] : undefined;
  };
  const deadline = performance.now() + SHRINK_MS;
  const isFailing = async (other: OpCase): Promise<boolean> => (await check(other)) !== undefined;
  const small = await shrinkCase(item, isFailing, deadline);
  const text = (await check(small))?.text ?? `fails only among others: ${problem.text}`;
  return `seed ${seed}, ${problem.phase}: ${text.split('\n').slice(0, 6).join('\n')}\n${printCase(small)}`;
}

async function parent(): Promise<void> {
  console.log(`seed ${firstSeed}`);
  const deadline = performance.now() + seconds * 1000;
  const operators = new Set<string>();
  const again: Batch[] = [];
  let [started, tried, refused, peers, peerEnds, faults] = [0, 0, 0, 0, 0, 0];
  const next = (): Batch | undefined => {
    const half = again.pop();
    if (half !== undefined) return half;
    if (started >= count || performance.now() >= deadline || faults >= MAX_FAULTS) return undefined;
    // A short run takes small batches, so that it ends in time.
    const size = Math.min(seconds < 60 ? BATCH / 4 : BATCH, count - started);
    const batch = { seed: firstSeed + started, count: size };
    started += size;
    if (values.against !== undefined) return { ...batch, against: values.against as Against };
    again.push({ ...batch, against: 'peer' });
    return { ...batch, against: 'compiled' };
  };
  const fault = (text: string): void => {
    faults++;
    console.log(`\n${text}`);
  };
  const lane = async (): Promise<void> => {
    for (let batch = next(); batch !== undefined; batch = next()) {
      const result = await runChild(batch);
      if (typeof result !== 'string') {
        if (batch.against === 'compiled') tried += batch.count;
        refused += result.refused;
        peers += result.peers;
        for (const name of result.operators) operators.add(name);
        for (const text of result.faults) fault(text);
      } else if (batch.count === 1) {
        if (batch.against === 'peer') {
          peerEnds++;
          continue;
        }
        tried++;
        fault(`seed ${batch.seed}: the process ended: ${result}`);
      } else {
        const half = Math.ceil(batch.count / 2);
        again.push(
          { ...batch, count: half },
          { ...batch, seed: batch.seed + half, count: batch.count - half },
        );
      }
    }
  };
  await Promise.all(Array.from({ length: jobs }, lane));
  console.log(
    `operators: ${tried} cases of ${operators.size} operators, ${refused} without a compiled form, ${peers} answered by onnxruntime-node too (which ended the process at ${peerEnds}), ${faults} faults`,
  );
  if (faults > 0) process.exitCode = 1;
}

/** The batch in a process of its own; how that ended where it gave no result. */
function runChild(batch: Batch): Promise<BatchResult | string> {
  return new Promise((resolve) => {
    const args = ['--seed', String(batch.seed), '--count', String(batch.count)];
    const process_ = fork(
      fileURLToPath(import.meta.url),
      [...args, '--target', values.target, '--against', batch.against],
      { stdio: ['ignore', 2, batch.against === 'peer' ? 'ignore' : 2, 'ipc'] },
    );
    let result: BatchResult | undefined;
    const timer = setTimeout(() => process_.kill('SIGKILL'), TIMEOUT_MS);
    process_.on('message', (message) => {
      result = message as BatchResult;
    });
    process_.on('exit', (code, signal) => {
      clearTimeout(timer);
      resolve(result ?? signal ?? `exit code ${code}`);
    });
  });
}
