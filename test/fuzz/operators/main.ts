/**
 * `node operators/main.js [--count N] [--seconds S] [--seed F] [--target T] [--jobs J]
 * [--against compiled|peer|opset|free] [--list]`: random uses of operators, compiled, interpreted and given to
 * onnxruntime-node. Case n has seed F + n; `--seed S --count 1` repeats one. Exit 1 on a
 * disagreement. `--list` prints the operators that are not drawn, and the inputs whose floats are always finite,
 * and why.
 *
 * Cases run in processes of their own: where one crashes or hangs, its batch runs again in parts.
 * One batch in four is compiled with the product's flags, the others without optimisation.
 */
import { parseArgs } from 'node:util';
import type { Batch } from './batch.ts';
import type { Against } from './check-cases.ts';
import { finiteInputs } from './non-finite.ts';
import { operatorsLeftOut } from './random-case.ts';
import { Worker } from './worker.ts';

const BATCH = 200;
const MAX_FAULTS = 40;
/** Into so many parts falls a batch whose process ended. */
const PARTS = 14;
/** Said every so many cases. */
const PROGRESS = 2000;
/** One batch in so many has the product's flags. */
const PRODUCT_ONE_IN = 4;

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: String(Number.MAX_SAFE_INTEGER) },
    seconds: { type: 'string', default: 'Infinity' },
    seed: { type: 'string', default: '1' },
    target: { type: 'string', default: 'native' },
    jobs: { type: 'string', default: '2' },
    against: { type: 'string' },
    list: { type: 'boolean', default: false },
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
if (values.list) {
  for (const { name, reason } of operatorsLeftOut()) console.log(`${name}: ${reason}`);
  console.log('\nFloats of these are finite:');
  for (const text of finiteInputs()) console.log(text);
  process.exit(0);
}

console.log(`seed ${firstSeed}`);
const deadline = performance.now() + seconds * 1000;
const operators = new Set<string>();
const again: Batch[] = [];
const sums = {
  tried: 0,
  refused: 0,
  faulty: 0,
  peers: 0,
  opsets: 0,
  free: 0,
  freeRefused: 0,
  peerEnds: 0,
  faults: 0,
};
let started = 0;
await Promise.all(Array.from({ length: jobs }, lane));
console.log(
  `operators: ${sums.tried} cases of ${operators.size} operators, ${sums.refused} without a compiled form, ${sums.faulty} refused for their data, ${sums.peers} answered by onnxruntime-node too and ${sums.opsets} in an older opset (which ended the process at ${sums.peerEnds}), ${sums.free} imported with what decides sizes as inputs (${sums.freeRefused} more refused), ${sums.faults} faults`,
);
if (sums.faults > 0) process.exitCode = 1;

function nextBatch(): Batch | undefined {
  const waiting = again.pop();
  if (waiting !== undefined) return waiting;
  if (started >= count || performance.now() >= deadline || sums.faults >= MAX_FAULTS) {
    return undefined;
  }
  // A short run takes small batches, so that it ends in time.
  const size = Math.min(seconds < 60 ? BATCH / 4 : BATCH, count - started);
  const batch = { seed: firstSeed + started, count: size };
  started += size;
  if (values.against !== undefined) return { ...batch, against: values.against as Against };
  again.push(
    { ...batch, against: 'free' },
    { ...batch, against: 'opset' },
    { ...batch, against: 'peer' },
  );
  return { ...batch, against: 'compiled' };
}

async function lane(): Promise<void> {
  const [own, peer] = [new Worker(), new Worker()];
  for (let batch = nextBatch(); batch !== undefined; batch = nextBatch()) {
    const quick = Math.floor(batch.seed / BATCH) % PRODUCT_ONE_IN !== 0;
    const isOwn = batch.against === 'compiled';
    const options = { target: values.target, quick, quiet: !isOwn };
    const result = await (isOwn ? own : peer).run({ batch, options });
    if (typeof result === 'string') lost(batch, result);
    else {
      if (isOwn) {
        const before = sums.tried;
        sums.tried += batch.count;
        if (Math.floor(before / PROGRESS) < Math.floor(sums.tried / PROGRESS)) {
          const seconds_ = Math.round(performance.now() / 1000);
          console.log(`  ${sums.tried} cases in ${seconds_} s, ${sums.faults} faults`);
        }
        sums.faulty += result.faulty;
        sums.refused += result.refused;
      }
      if (batch.against === 'peer') sums.peers += result.peers;
      if (batch.against === 'opset') sums.opsets += result.peers;
      if (batch.against === 'free') {
        sums.free += result.peers;
        sums.freeRefused += result.refused;
      }
      for (const name of result.operators) operators.add(name);
      for (const text of result.faults) fault(text);
    }
  }
  own.stop();
  peer.stop();
}

/** The process of a batch ended: its parts, or what it was that ended it. */
function lost(batch: Batch, how: string): void {
  if (batch.count > 1) {
    // Few levels: every process that ends costs the start of another.
    const size = Math.ceil(batch.count / PARTS);
    for (let done = 0; done < batch.count; done += size) {
      const count_ = Math.min(size, batch.count - done);
      again.push({ ...batch, seed: batch.seed + done, count: count_ });
    }
  } else if (batch.against === 'peer' || batch.against === 'opset') {
    sums.peerEnds++;
    console.log(`seed ${batch.seed}: ended onnxruntime: ${how}`);
  } else {
    sums.tried++;
    fault(`seed ${batch.seed}: the process ended: ${how}`);
  }
}

function fault(text: string): void {
  sums.faults++;
  console.log(`\n${text}`);
}
