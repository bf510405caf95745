/**
 * The process of one engine: does what its parent asks, one thing after the other, and sleeps in
 * between. Ends with its parent.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { HoneError, invariant } from 'hone-runtime/base/diagnostics';
import { bytesOf } from 'hone-runtime/base/tensor';
import type { Engine } from './engine.ts';
import { openHone } from './engine-hone.ts';
import { makeInputs } from './engine-inputs.ts';
import { openOnnxruntime } from './engine-onnxruntime.ts';
import type {
  EngineReplies,
  EngineReply,
  EngineRequest,
  OpenRequest,
  OutputFile,
} from './engine-protocol.ts';

let engine: Engine | undefined;

async function carryOut(request: EngineRequest): Promise<EngineReplies[EngineRequest['kind']]> {
  if (request.kind === 'memory') return { peakRssBytes: peakRssBytes() };
  if (request.kind === 'open') {
    engine = await open(request);
    return engine.opened;
  }
  invariant(engine !== undefined, 'the engine is not open');
  switch (request.kind) {
    case 'turn':
      return engine.turn(request);
    case 'outputs':
      return writeOutputs(engine, request.folder);
    case 'close':
      await engine.close();
      return null;
    default:
      return request satisfies never;
  }
}

function open(request: OpenRequest): Promise<Engine> {
  const inputs = makeInputs(request.inputs);
  return request.engine === 'hone' ? openHone(request, inputs) : openOnnxruntime(request, inputs);
}

function writeOutputs(of: Engine, folder: string): OutputFile[] {
  return Object.entries(of.outputs).map(([name, tensor], index) => {
    const file = path.join(folder, `${process.pid}-${index}.bin`);
    writeFileSync(file, bytesOf(tensor));
    return { name, dtype: tensor.dtype, shape: tensor.shape, file };
  });
}

/** The most memory this process ever had; starts anew with the process, unlike its parent's. */
function peakRssBytes(): number {
  try {
    const line = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
    if (line !== null) return Number(line[1]) * 1024;
  } catch {
    // Not Linux.
  }
  return process.resourceUsage().maxRSS * 1024;
}

function failure(thrown: unknown): EngineReply {
  const error = thrown instanceof HoneError ? thrown : undefined;
  return {
    ok: false,
    code: error?.code ?? 'HONE-BENCH-006',
    message: thrown instanceof Error ? thrown.message : String(thrown),
    ...(error?.cure === undefined ? {} : { cure: error.cure }),
  };
}

process.on('disconnect', () => process.exit(0));
process.on('message', (request: EngineRequest) => {
  carryOut(request)
    .then((value): EngineReply => ({ ok: true, value }), failure)
    .then((reply) => process.send?.(reply));
});
