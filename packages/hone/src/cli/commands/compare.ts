/** `hone compare`: error per layer and at the outputs, against the model an artifact was made of. */
import { openArtifact } from 'hone-runtime/artifact/read';
import {
  type Comparison,
  compareModel,
  type LayerComparison,
  type OutputComparison,
} from '../../compile/compare/index.ts';
import type { Invocation, Outcome } from '../command.ts';
import { readOperators } from '../compile-request.ts';
import { randomSamples, readSamples } from '../input/samples.ts';
import { requireArtifact, requireModel } from '../model-path.ts';
import { reportFor } from '../stored-report.ts';
import { formatTable } from '../table.ts';

const RANDOM_SAMPLES = 4;

export async function run({ args, options, log, progress }: Invocation): Promise<Outcome> {
  const [artifact = '', model = ''] = args;
  requireArtifact(artifact);
  requireModel(model);
  const source = options.text('inputs');
  const image = options.text('image') ?? '';
  const seed = options.integer('seed', 0, 2 ** 32 - 1) ?? 0;
  const threads = options.integer('threads', 1, 256);
  const operators = await readOperators(options);
  const opened = openArtifact(artifact);
  if (source === undefined) log('samples: random values; give real ones with --inputs');
  const comparison = await compareModel(
    artifact,
    model,
    (inputs) =>
      source === undefined
        ? randomSamples(inputs, RANDOM_SAMPLES, seed)
        : readSamples(source, inputs, image),
    (target) => reportFor(opened, target).stages,
    {
      ...(threads === undefined ? {} : { threads }),
      ...(operators === undefined ? {} : { operators }),
      onProgress: progress,
    },
  );
  return {
    json: { artifact, model, source: source ?? 'random', ...comparison },
    text: textOf(comparison),
    exitCode: comparison.layers.some(({ verdict }) => verdict === 'bug') ? 1 : 0,
  };
}

function textOf({ samples, layers, outputs, worst }: Comparison): string[] {
  const bugs = layers.filter(({ verdict }) => verdict === 'bug');
  return [
    `${samples} samples; signal to noise in dB against the model in fp32`,
    '',
    ...formatTable(
      ['layer', 'type', 'SNR', 'emulated', 'lost', 'cosine', 'largest error', 'saturated', ''],
      layers.map(layerCells),
      ['left', 'left', 'right', 'right', 'right', 'right', 'right', 'right', 'left'],
    ),
    '',
    ...outputs.map(outputLine),
    ...(worst.length === 0 ? ['no layer stands out'] : [`layers at fault: ${worst.join(', ')}`]),
    ...(bugs.length === 0
      ? []
      : ['layers marked "bug" are not explained by their precision: please report them']),
  ];
}

function layerCells(layer: LayerComparison): string[] {
  const { saturated } = layer;
  const marks = [layer.verdict === 'fine' ? '' : layer.verdict, layer.constant ? 'constant' : ''];
  return [
    layer.layer,
    layer.dtype,
    decibelText(layer.snr),
    decibelText(layer.emulatedSnr),
    layer.lost.toFixed(1),
    layer.cosine.toFixed(5),
    layer.largestError.toPrecision(2),
    saturated === null ? '' : `${(saturated * 100).toFixed(2)} %`,
    marks.filter((mark) => mark !== '').join(', '),
  ];
}

function decibelText(value: number | null): string {
  return value === null ? 'equal' : value.toFixed(1);
}

function outputLine({ name, answers, errors }: OutputComparison): string {
  const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
  const kl = answers.meanKl.toPrecision(2);
  return `${name}: top-1 agrees ${percent(answers.agreement)}, in the top 5 ${percent(answers.top5)} of ${answers.rows} rows; mean KL ${kl}, SNR ${decibelText(errors.snr)}`;
}
