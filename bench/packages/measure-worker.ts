/** The process of one model: compiles it, measures it beside onnxruntime, and ends. */
import path from 'node:path';
import { runBench } from 'hone/bench/bench';
import type { BenchReport } from 'hone/bench/report';
import { asHoneError } from 'hone/cli/errors';
import { compileModel, writeArtifact } from 'hone/compile/index';
import type { MeasureMessage, MeasureOrder } from './measure-messages.ts';

function measure({ id, onnx, model, folder, settings }: MeasureOrder): Promise<BenchReport> {
  const { values, ...options } = model;
  const artifact = path.join(folder, 'model.hone');
  const log = (text: string): void => say({ kind: 'progress', text });
  const prepare = async () => {
    const begin = performance.now();
    const compiled = await compileModel(onnx, options);
    for (const note of compiled.notes) log(`${id}: note: ${note}`);
    await writeArtifact(compiled, artifact);
    const compileSeconds = (performance.now() - begin) / 1000;
    return { model: id, artifact, onnx, compileSeconds, ...(values ? { values } : {}) };
  };
  return runBench([{ model: id, prepare }], {
    ...settings,
    baseline: 'onnxruntime',
    progress: log,
    log,
  });
}

function say(message: MeasureMessage): void {
  process.send?.(message);
}

process.on('disconnect', () => process.exit(1));
process.once('message', (order: MeasureOrder) => {
  measure(order).then(
    (report) => say({ kind: 'done', report }),
    (thrown: unknown) => {
      const { code, message, cure } = asHoneError(thrown);
      say({ kind: 'failed', error: { code, message, cure: cure ?? null } });
    },
  );
});
