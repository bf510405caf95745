/** A model whose inputs vary in size, in one artifact: what onnxruntime gives at every size. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { load, type Session } from 'hone-runtime';
import { compileModel, writeArtifact } from 'hone/compile/index';
import { importOnnx, readOnnx } from 'hone/frontends/onnx/index';
import { parseGraph } from 'hone/graph/parse';
import { printGraph } from 'hone/graph/print';
import { verifyGraph } from 'hone/graph/verify';
import { interpret } from 'hone/ops/interpret';
import { memorySource } from 'hone-runtime/base/io';
import type { Tensor } from 'hone-runtime/base/tensor';
import { rawModel } from '../onnx/raw-model.ts';
import { check, onnxruntimeOn } from './peer.ts';
import type { RangeCase } from './range-cases.ts';

/** The case's artifact, written into a folder. */
export async function compiledIn(
  folder: string,
  { name, model, options }: RangeCase,
): Promise<string> {
  const file = path.join(folder, `${name}.onnx`);
  writeFileSync(file, rawModel(model));
  const artifact = path.join(folder, `${name}.hone`);
  await writeArtifact(await compileModel(file, options), artifact);
  return artifact;
}

/** Runs a case's artifact both ways. */
async function checkRuns(
  session: Session,
  runs: RangeCase['runs'],
  wanted: readonly (readonly Tensor[])[],
): Promise<void> {
  for (const [i, inputs] of runs.entries()) {
    for (const outputs of [session.runSync(inputs), await session.run(inputs)]) {
      const got = session.signature.outputs.map(({ name }) => outputs[name] as Tensor);
      check(`run ${i}`, got, wanted[i] ?? []);
    }
  }
}

/** Interpreted, and compiled on poisoned memory as 1 and 2 workers. */
export async function checkSizes(folder: string, item: RangeCase): Promise<void> {
  const bytes = rawModel(item.model);
  const outputs = item.model.outputs.map(({ name }) => name);
  const wanted = await onnxruntimeOn(bytes, item.runs, outputs);
  const model = readOnnx(memorySource(bytes, `${item.name}.onnx`));
  const { graph } = importOnnx(model, item.options);
  verifyGraph(graph);
  assert.deepEqual(parseGraph(printGraph(graph, { constants: 'full' })), graph);
  const names = (item.model.inputs ?? []).map(({ name }) => name);
  for (const [i, inputs] of item.runs.entries()) {
    const given = names.map((name) => inputs[name] as Tensor);
    check(`interpreted, run ${i}`, interpret(graph, given), wanted[i] ?? []);
  }
  const artifact = await compiledIn(folder, item);
  for (const threads of [1, 2]) {
    const session = load(artifact, { poison: true, threads });
    await checkRuns(session, item.runs, wanted);
    session.close();
  }
}
