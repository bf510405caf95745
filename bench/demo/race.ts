/**
 * A model in Hone and in onnxruntime-node, on the same inputs with as many threads: times, and how
 * far the answers are apart. The engines take turns in short blocks with a pause in between, so
 * that neither runs beside threads of the other that are still awake. A look, not a benchmark:
 * `npm run bench` gives every engine a process of its own and watches for disturbances.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { elementCount, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Session } from 'hone-runtime';
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';

type Onnxruntime = typeof import('onnxruntime-node');
type Tensors = Readonly<Record<string, Tensor>>;

export interface Times {
  readonly openMs: number;
  readonly firstMs: number;
  /** Median of a run. */
  readonly runMs: number;
}

export interface Race {
  readonly hone: Times;
  readonly onnxruntime: Times;
  readonly runs: number;
  /** Largest difference of two elements of an output, in parts of that output's largest. */
  readonly difference: number;
}

const BLOCKS = 10;
const RUNS = 8;
const PAUSE_MS = 25;
const WARNINGS_OFF = 3;

/** onnxruntime-node, or why it is not there. */
export async function findOnnxruntime(): Promise<Onnxruntime | string> {
  try {
    return await import('onnxruntime-node');
  } catch (error) {
    return error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
  }
}

/** Runs both; `opened` is Hone's session with its times so far. */
export async function race(
  ort: Onnxruntime,
  model: string,
  opened: { readonly session: Session; readonly openMs: number; readonly firstMs: number },
  inputs: readonly Tensors[],
): Promise<Race> {
  const { session } = opened;
  const feeds = inputs.map((tensors) => feedsOf(ort, tensors));
  const openStart = performance.now();
  const peer = await ort.InferenceSession.create(model, {
    intraOpNumThreads: session.threads,
    logSeverityLevel: WARNINGS_OFF,
  });
  const firstStart = performance.now();
  await peer.run(pick(feeds, 0));
  const firstEnd = performance.now();
  const [ours, theirs]: [number[], number[]] = [[], []];
  for (let block = 0; block < BLOCKS; block++) {
    await takeTurn(ours, (i) => session.runSync(pick(inputs, i)));
    await takeTurn(theirs, (i) => peer.run(pick(feeds, i)));
  }
  const difference = await compare(session, peer, inputs, feeds);
  await peer.release();
  return {
    hone: { openMs: opened.openMs, firstMs: opened.firstMs, runMs: median(ours) },
    onnxruntime: {
      openMs: firstStart - openStart,
      firstMs: firstEnd - firstStart,
      runMs: median(theirs),
    },
    runs: ours.length,
    difference,
  };
}

/** One untimed run to wake the threads, then some timed ones, then a pause for them to sleep. */
async function takeTurn(times: number[], run: (i: number) => unknown): Promise<void> {
  await run(0);
  for (let i = 0; i < RUNS; i++) {
    const start = performance.now();
    await run(i);
    times.push(performance.now() - start);
  }
  await pause(PAUSE_MS);
}

async function compare(
  session: Session,
  peer: InferenceSession,
  inputs: readonly Tensors[],
  feeds: readonly Readonly<Record<string, OrtTensor>>[],
): Promise<number> {
  let difference = 0;
  for (const [i, tensors] of inputs.entries()) {
    const ours = session.runSync(tensors);
    const theirs = await peer.run(pick(feeds, i));
    for (const { name } of session.signature.outputs) {
      const got = ours[name];
      const wanted = theirs[name]?.data;
      if (got === undefined || !(wanted instanceof Float32Array)) continue;
      const worst = toNumbers(got).reduce(
        (most, value, at) => Math.max(most, Math.abs(value - (wanted[at] ?? Number.NaN))),
        0,
      );
      const scale = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      difference = Math.max(difference, worst / (scale || 1));
    }
  }
  return difference;
}

function feedsOf(ort: Onnxruntime, tensors: Tensors): Record<string, OrtTensor> {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { data, shape }]) => {
      if (!(data instanceof Float32Array) || data.length !== elementCount(shape)) {
        throw new TypeError(`input ${name} is not f32`);
      }
      return [name, new ort.Tensor('float32', data, shape)];
    }),
  );
}

function pick<T>(items: readonly T[], index: number): T {
  const item = items[index % items.length];
  if (item === undefined) throw new RangeError('no inputs');
  return item;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}
