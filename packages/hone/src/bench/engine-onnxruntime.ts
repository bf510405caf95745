/**
 * onnxruntime-node as an engine under test: all graph optimisations, the threads that were asked
 * for, everything else as it comes. Its `run` keeps the JavaScript thread busy, so several requests
 * in flight have a worker thread with a session each. Output arrays are reused where it takes them.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { fail, HoneError } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import type { Tensor } from 'hone-runtime/base/tensor';
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { type Engine, joinTurns, type RunOnce, timeRuns } from './engine.ts';
import type { OpenRequest, Opened, Turn, TurnPlan } from './engine-protocol.ts';

/** Its names of our dtypes; others cannot be handed to it from JavaScript. */
export const ORT_TYPES: Partial<Record<DType, OrtTensor.Type>> = {
  f32: 'float32',
  f64: 'float64',
  f16: 'float16',
  i8: 'int8',
  i16: 'int16',
  i32: 'int32',
  i64: 'int64',
  u8: 'uint8',
  u16: 'uint16',
  u32: 'uint32',
  u64: 'uint64',
  bool: 'bool',
  string: 'string',
};

export async function openOnnxruntime(
  request: OpenRequest,
  inputs: Readonly<Record<string, Tensor>>,
): Promise<Engine> {
  return request.lanes > 1 ? openThreads(request) : openHere(request, inputs);
}

type Ort = typeof import('onnxruntime-node');

async function openHere(
  request: OpenRequest,
  inputs: Readonly<Record<string, Tensor>>,
): Promise<Engine> {
  const begin = performance.now();
  const ort = await import('onnxruntime-node');
  const imported = performance.now();
  const session = await ort.InferenceSession.create(request.path, sessionOptions(request));
  const opened = performance.now();
  const feeds: Record<string, OrtTensor> = {};
  for (const [name, tensor] of Object.entries(inputs)) feeds[name] = toOrt(ort, name, tensor);
  const ready = performance.now();
  const first = await session.run(feeds);
  const firstRunMs = performance.now() - ready;
  const run = await reusingOutputs(ort, session, feeds, first);
  return {
    opened: { importMs: imported - begin, openMs: opened - imported, firstRunMs },
    outputs: Object.fromEntries(
      Object.entries(first).map(([name, value]) => [name, fromOrt(name, value)]),
    ),
    turn: (plan) => timeRuns(run, plan),
    close: () => session.release(),
  };
}

function sessionOptions(request: OpenRequest): InferenceSession.SessionOptions {
  return {
    intraOpNumThreads: request.threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: request.optimise ? 'all' : 'disabled',
    logSeverityLevel: 3,
    ...(Object.keys(request.dims).length === 0 ? {} : { freeDimensionOverrides: request.dims }),
  };
}

/** Runs that write to the same arrays each time; plain runs where the session refuses that. */
async function reusingOutputs(
  ort: Ort,
  session: InferenceSession,
  feeds: Readonly<Record<string, OrtTensor>>,
  first: InferenceSession.OnnxValueMapType,
): Promise<RunOnce> {
  try {
    const fetches = Object.fromEntries(
      Object.entries(first).map(([name, value]) => {
        const { dtype, shape, data } = fromOrt(name, value);
        return [name, toOrt(ort, name, { dtype, shape, data: data.slice() as Tensor['data'] })];
      }),
    );
    await session.run(feeds, fetches);
    return () => session.run(feeds, fetches);
  } catch {
    return () => session.run(feeds);
  }
}

function toOrt(ort: Ort, name: string, tensor: Tensor): OrtTensor {
  const { dtype, shape, data } = tensor;
  const type = ORT_TYPES[dtype];
  if (type === undefined || dtype === 'string') {
    const cure = 'leave --baseline out for this model';
    fail('HONE-BENCH-005', `onnxruntime-node cannot be given ${dtype} tensors`, name, cure);
  }
  return new ort.Tensor(type, data as Float32Array, shape);
}

function fromOrt(name: string, value: InferenceSession.OnnxValueMapType[string]): Tensor {
  const tensor = value as OrtTensor;
  const entry = Object.entries(ORT_TYPES).find(([, type]) => type === tensor.type);
  if (entry === undefined || tensor.type === 'string') {
    const cure = 'leave --baseline out for this model';
    fail('HONE-BENCH-005', `output "${name}" of type ${tensor.type} is not compared`, name, cure);
  }
  return {
    dtype: entry[0] as DType,
    shape: tensor.dims.map(Number),
    data: tensor.data as Tensor['data'],
  };
}

/** What a lane's thread answers; `outputs` with the first message only. */
export type LaneMessage =
  | { readonly kind: 'opened'; readonly opened: Opened; readonly outputs: Engine['outputs'] }
  | { readonly kind: 'turn'; readonly turn: Turn }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

async function openThreads(request: OpenRequest): Promise<Engine> {
  const begin = performance.now();
  const workers = Array.from(
    { length: request.lanes },
    () =>
      new Worker(new URL('./onnxruntime-lane.js', import.meta.url), {
        workerData: { ...request, lanes: 1 },
      }),
  );
  const hear = async (worker: Worker): Promise<LaneMessage> => {
    const [message] = (await once(worker, 'message')) as [LaneMessage];
    if (message.kind !== 'failed') return message;
    throw new HoneError({
      code: message.code as HoneError['code'],
      message: message.message,
      subject: 'onnxruntime',
    });
  };
  const lanes = await Promise.all(workers.map(hear));
  const openMs = performance.now() - begin;
  const [first] = lanes;
  if (first?.kind !== 'opened') fail('HONE-INTERNAL-001', 'a lane did not say that it is open');
  return {
    opened: { ...first.opened, openMs: openMs - first.opened.importMs - first.opened.firstRunMs },
    outputs: first.outputs,
    async turn(plan: TurnPlan) {
      const turns = workers.map((worker) => {
        const answer = hear(worker);
        worker.postMessage(plan);
        return answer;
      });
      const done = await Promise.all(turns);
      return joinTurns(done.flatMap((message) => (message.kind === 'turn' ? [message.turn] : [])));
    },
    async close() {
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}
