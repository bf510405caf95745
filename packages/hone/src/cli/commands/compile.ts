/** `hone compile`: a model into an artifact folder. */
import { basename } from 'node:path';
import { readPrivateKey, shortId } from 'hone-runtime/artifact/keys';
import { checkTarget } from 'hone-runtime/artifact/write';
import {
  type CompiledModel,
  type CompiledVariant,
  compileModel,
  peakBytes,
  writeArtifact,
} from '../../compile/index.ts';
import { kernelCount } from '../../compile/report.ts';
import type { Invocation, Outcome } from '../command.ts';
import { readCompileRequest, readOperators, toCompileOptions } from '../compile-request.ts';
import { carriedLines, searchedLines } from '../explain-precision.ts';
import { requireModel } from '../model-path.ts';
import { formatBytes, formatCount } from '../table.ts';
import { boundLines, boundsJson, specJson, specLine } from '../specs.ts';

export async function run(invocation: Invocation): Promise<Outcome> {
  const { options, progress } = invocation;
  const path = invocation.args[0] ?? '';
  requireModel(path);
  const request = readCompileRequest(path, options);
  const custom = await readOperators(options);
  const output = options.text('output') ?? `${basename(path).replace(/\.onnx$/i, '')}.hone`;
  const keyFile = options.text('sign');
  // What cannot be done at the end is said before the work.
  const key = keyFile === undefined ? undefined : readPrivateKey(keyFile);
  checkTarget(output);
  const begin = performance.now();
  const model = await compileModel(path, { ...toCompileOptions(request, progress), ...custom });
  await writeArtifact(model, output, key === undefined ? {} : { key });
  const seconds = (performance.now() - begin) / 1000;
  const { program, report, target, notes, variants } = model;
  return {
    json: {
      model: path,
      artifact: output,
      target: target.name,
      targets: variants.map((variant) => ({
        target: variant.target.name,
        stages: variant.report.stages.length,
        arena_bytes: variant.program.arenaBytes,
        weights_bytes: variant.program.weightsBytes,
        peak_bytes: peakBytes(variant.report),
        library_bytes: variant.build.library.byteLength,
      })),
      inputs: program.inputs.map(specJson),
      outputs: program.outputs.map(specJson),
      stages: report.stages.length,
      flops: report.flops,
      arena_bytes: program.arenaBytes,
      weights_bytes: program.weightsBytes,
      peak_bytes: peakBytes(report),
      seconds,
      signed_by: key?.id ?? null,
      precision: request.precision ?? 'fp32',
      calibration: model.calibrated ?? null,
      search: model.searched ?? null,
      layers: layersOf(model),
      bounds: boundsJson(model.bounds),
      notes,
    },
    text: [
      ...notes.map((note) => `note: ${note}`),
      `wrote ${output} for ${variants.map((variant) => variant.target.name).join(', ')} in ${seconds.toFixed(1)} s`,
      ...(key === undefined ? [] : [`  signed with key ${shortId(key.id)}`]),
      ...(model.calibrated === undefined
        ? []
        : carriedLines(model.calibrated).map((line) => `  ${line}`)),
      ...searchLines(model),
      ...program.inputs.map((spec) => `  input   ${specLine(spec)}`),
      ...program.outputs.map((spec) => `  output  ${specLine(spec)}`),
      ...boundLines(model.bounds).map((line) => `  ${line}`),
      ...variants.flatMap((variant) => summary(variant, variants.length > 1)),
    ],
  };
}

function layersOf({ plan, reasons }: CompiledModel): unknown {
  if (plan === undefined || reasons === undefined) return null;
  return [...plan.contractions].map(([node, precision]) => ({
    node,
    precision,
    why: reasons.get(node) ?? null,
  }));
}

function searchLines({ plan, searched }: CompiledModel): string[] {
  if (plan === undefined || searched === undefined) return [];
  const counts = new Map<string, number>();
  for (const kind of plan.contractions.values()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const mix = [...counts].map(([kind, count]) => `${count} in ${kind}`).join(', ');
  return [`  layers: ${mix}`, ...searchedLines(searched).map((line) => `  ${line}`)];
}

function summary({ target, program, report }: CompiledVariant, named: boolean): string[] {
  const weights = formatBytes(program.weightsBytes);
  const peak = `${formatBytes(peakBytes(report))} (${peakBytes(report)} bytes)`;
  const lean = report.leanStages ?? 0;
  return [
    ...(named ? [`  ${target.name}`] : []),
    `  ${kernelCount(report)} kernels, ${formatCount(report.flops)} operations a run`,
    `  memory: ${weights} of weights and ${formatBytes(program.arenaBytes)} of working memory, ${peak} at most; inputs and outputs apart`,
    ...(lean === 0 ? [] : [`  ${lean} kernels would be faster with more memory (--memory)`]),
  ];
}
