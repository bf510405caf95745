/** `hone reduce`: the smallest part of a model that fails as the model does, as a model of its own. */
import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { writeWholeFile } from 'hone-runtime/artifact/whole-file';
import { fail } from 'hone-runtime/base/diagnostics';
import { memorySource } from 'hone-runtime/base/io';
import { type CompileOptions, targetsOf } from '../../compile/index.ts';
import { type Reduction, reduceModel } from '../../compile/reduce/index.ts';
import { nodeName } from '../../frontends/onnx/analyze.ts';
import { type OnnxModel, openOnnx, readOnnx, signatureOf } from '../../frontends/onnx/index.ts';
import type { Invocation, Outcome } from '../command.ts';
import { readCompileRequest, readOperators, toCompileOptions } from '../compile-request.ts';
import { requireModel } from '../model-path.ts';
import { badValue, type OptionReader } from '../option-reader.ts';
import {
  type Failure,
  failureError,
  failureText,
  findFailure,
  isSameFailure,
  type Stage,
} from '../reduce/find-failure.ts';
import { fileSpec, specLine } from '../specs.ts';
import { formatBytes } from '../table.ts';

const SHOWN_NODES = 20;

export async function run({ args, options, progress }: Invocation): Promise<Outcome> {
  const path = args[0] ?? '';
  requireModel(path);
  const last = readCheck(options);
  const precision = options.text('precision');
  if (precision === 'int8' || precision === 'auto') {
    badValue('precision', precision, 'parts of a model have no samples: give fp32, bf16 or fp16');
  }
  const seed = options.integer('seed', 0, 2 ** 32 - 1) ?? 0;
  const maxTimeMs = options.duration('max-time') ?? Number.POSITIVE_INFINITY;
  const output = options.text('output') ?? `${basename(path).replace(/\.onnx$/i, '')}.reduced.onnx`;
  const request: CompileOptions = {
    ...toCompileOptions(readCompileRequest(path, options), () => {}),
    ...(await readOperators(options)),
  };
  targetsOf(request);
  const begin = performance.now();
  const model = openOnnx(path);
  try {
    progress('looking for the failure');
    const failure = await findFailure(model, request, last, seed);
    if (failure === null) return nothingFails(path, last);
    const nodes = new Set(model.graph.nodes.map(nodeName));
    const check = async (part: OnnxModel): Promise<boolean> => {
      const found = await findFailure(part, withoutSizes(request, part), failure.stage, seed);
      return isSameFailure(failure, found, nodes);
    };
    const reduction = await reduceModel(model, check, {
      ...request,
      ...(failure.subject === null ? {} : { suspect: failure.subject }),
      isOver: () => performance.now() - begin > maxTimeMs,
      onProgress: progress,
    });
    if (reduction === undefined) {
      throw failureError(failure, 'no part of the model fails this way: nothing to reduce');
    }
    const part = readOnnx(memorySource(reduction.bytes, output));
    const verified = await check(part);
    await write(output, reduction.bytes);
    const seconds = (performance.now() - begin) / 1000;
    return outcome(path, output, model, part, failure, reduction, verified, seconds);
  } finally {
    model.close();
  }
}

/** How far models are followed. */
function readCheck(options: OptionReader): Stage {
  const check = options.text('check') ?? 'compile';
  if (check === 'compile') return 'build';
  if (check === 'outputs') return 'outputs';
  return badValue('check', check, 'give compile or outputs');
}

/** Inputs of parts have their sizes; lengths of lists, and bounds, are still asked for. */
function withoutSizes(request: CompileOptions, part: OnnxModel): CompileOptions {
  const {
    shapes = {},
    dims: _dims,
    least: _least,
    batch: _batch,
    bounds = {},
    ...others
  } = request;
  const lists = part.graph.inputs.filter(({ type }) => type.kind !== 'tensor');
  const kept = Object.entries(shapes).filter(([key]) =>
    lists.some(({ name }) => key === name || key.startsWith(`${name}.`)),
  );
  const named = new Set([
    ...part.graph.inputs.map(({ name }) => name),
    ...part.graph.nodes.flatMap(({ outputs }) => outputs),
  ]);
  const there = Object.entries(bounds).filter(([key]) => named.has(key.replace(/\[\d+\]$/, '')));
  const rest = there.length === 0 ? others : { ...others, bounds: Object.fromEntries(there) };
  return kept.length === 0 ? rest : { ...rest, shapes: Object.fromEntries(kept) };
}

function nothingFails(path: string, last: Stage): never {
  return last === 'outputs'
    ? fail(
        'HONE-CLI-009',
        `nothing to reduce: ${path} compiles, and its outputs are the interpreter's`,
        path,
        'give the options it fails with: --shape, --target, --precision, another --seed',
      )
    : fail(
        'HONE-CLI-009',
        `nothing to reduce: ${path} compiles`,
        path,
        'give the options it fails with (--shape, --target, --precision), or --check outputs where its answers are wrong',
      );
}

async function write(output: string, bytes: Uint8Array): Promise<void> {
  await writeWholeFile(output, async (file) => writeFileSync(file, bytes));
}

function outcome(
  path: string,
  output: string,
  model: OnnxModel,
  part: OnnxModel,
  failure: Failure,
  reduction: Reduction,
  verified: boolean,
  seconds: number,
): Outcome {
  const { inputs, outputs } = signatureOf(part);
  const { nodes, freed, tests, minimal, bytes } = reduction;
  const before = model.graph.nodes.length;
  const shown = nodes.slice(0, SHOWN_NODES);
  return {
    json: {
      model: path,
      output,
      failure,
      nodes_before: before,
      nodes: nodes.map(({ op, domain, name }) => ({
        op,
        domain: domain === '' ? 'ai.onnx' : domain,
        name,
      })),
      inputs: inputs.map(fileSpec),
      outputs: outputs.map(fileSpec),
      freed,
      bytes: bytes.byteLength,
      tests,
      minimal,
      verified,
      seconds,
    },
    text: [
      failureText(failure),
      `wrote ${output}: ${nodes.length} of ${before} nodes, ${formatBytes(bytes.byteLength)}, after ${tests} parts in ${seconds.toFixed(1)} s`,
      ...shown.map(({ op, domain, name }) => `  ${domain === '' ? op : `${domain}.${op}`} ${name}`),
      ...(nodes.length > shown.length ? [`  and ${nodes.length - shown.length} more`] : []),
      ...inputs.map((value) => `  input   ${specLine(fileSpec(value))}`),
      ...outputs.map((value) => `  output  ${specLine(fileSpec(value))}`),
      ...(freed.length === 0 ? [] : [`  constants that became inputs: ${freed.join(', ')}`]),
      ...(minimal ? [] : ['  not the smallest part: the time was over (--max-time)']),
      ...(verified ? [] : ['  the file does not fail in this way when it is read again']),
    ],
  };
}
