/** `hone compile`: a model into an artifact folder. */
import { basename } from 'node:path';
import { readPrivateKey, shortId } from 'hone-runtime/artifact/keys';
import { checkTarget } from 'hone-runtime/artifact/write';
import { compileModel, writeArtifact } from '../../compile/index.ts';
import type { Invocation, Outcome } from '../command.ts';
import { readCompileRequest, toCompileOptions } from '../compile-request.ts';
import { requireModel } from '../model-path.ts';
import { formatBytes, formatCount } from '../table.ts';
import { specJson, specLine } from '../specs.ts';

export async function run(invocation: Invocation): Promise<Outcome> {
  const { options, progress } = invocation;
  const path = invocation.args[0] ?? '';
  requireModel(path);
  const request = readCompileRequest(path, options);
  const output = options.text('output') ?? `${basename(path).replace(/\.onnx$/i, '')}.hone`;
  const keyFile = options.text('sign');
  // What cannot be done at the end is said before the work.
  const key = keyFile === undefined ? undefined : readPrivateKey(keyFile);
  checkTarget(output);
  const begin = performance.now();
  const model = await compileModel(path, toCompileOptions(request, progress));
  await writeArtifact(model, output, key === undefined ? {} : { key });
  const seconds = (performance.now() - begin) / 1000;
  const { program, report, target, notes } = model;
  return {
    json: {
      model: path,
      artifact: output,
      target: target.name,
      inputs: program.inputs.map(specJson),
      outputs: program.outputs.map(specJson),
      stages: report.stages.length,
      flops: report.flops,
      arena_bytes: program.arenaBytes,
      weights_bytes: program.weightsBytes,
      seconds,
      signed_by: key?.id ?? null,
      notes,
    },
    text: [
      ...notes.map((note) => `note: ${note}`),
      `wrote ${output} for ${target.name} in ${seconds.toFixed(1)} s`,
      ...(key === undefined ? [] : [`  signed with key ${shortId(key.id)}`]),
      ...program.inputs.map((spec) => `  input   ${specLine(spec)}`),
      ...program.outputs.map((spec) => `  output  ${specLine(spec)}`),
      `  ${report.stages.length} kernels, ${formatCount(report.flops)} operations a run`,
      `  ${formatBytes(program.weightsBytes)} of weights, ${formatBytes(program.arenaBytes)} of working memory`,
    ],
  };
}
