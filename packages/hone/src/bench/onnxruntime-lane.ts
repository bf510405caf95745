/** A worker thread with an onnxruntime session of its own: one of several requests in flight. */
import { parentPort, workerData } from 'node:worker_threads';
import { HoneError } from 'hone-runtime/base/diagnostics';
import type { Engine } from './engine.ts';
import { makeInputs } from './engine-inputs.ts';
import { type LaneMessage, openOnnxruntime } from './engine-onnxruntime.ts';
import type { OpenRequest, TurnPlan } from './engine-protocol.ts';

const request = workerData as OpenRequest;

function say(message: LaneMessage): void {
  parentPort?.postMessage(message);
}

function failed(thrown: unknown): void {
  const code = thrown instanceof HoneError ? thrown.code : 'HONE-BENCH-006';
  say({ kind: 'failed', code, message: thrown instanceof Error ? thrown.message : String(thrown) });
}

async function open(): Promise<Engine> {
  const engine = await openOnnxruntime(request, makeInputs(request.inputs));
  say({ kind: 'opened', opened: engine.opened, outputs: engine.outputs });
  return engine;
}

const engine = open();
engine.catch(failed);
parentPort?.on('message', (plan: TurnPlan) => {
  engine
    .then((opened) => opened.turn(plan))
    .then((turn) => say({ kind: 'turn', turn }))
    .catch(failed);
});
