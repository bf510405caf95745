/**
 * `npm run demo`: compiles two trained models from npm packages, runs them on real pictures, and
 * says how fast that was beside onnxruntime-node. Writes to demo-out/ only.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cropPicture, decodePicture, type Picture } from 'hone/cli/input/picture';
import { HoneError } from 'hone-runtime';
import type { Tensor } from 'hone-runtime/base/tensor';
import { npmModel, npmPicture } from '../npm-files.ts';
import { faceInput, findFaces } from './blazeface.ts';
import { compileAndOpen, type Opened, shown } from './compiled.ts';
import { drawFaces, upsideDown, writePng } from './drawing.ts';
import { findOnnxruntime, type Race, race, type Times } from './race.ts';
import { LINE_SHAPE, lineInput, readDirection } from './text-direction.ts';

type Tensors = Readonly<Record<string, Tensor>>;

const OUT = fileURLToPath(new URL('../../../demo-out/', import.meta.url));
const PHOTOS = [1, 2, 3, 4, 5, 6] as const;
const FACE_PIXELS = 256;
/** Where the screenshot has a line of text. */
const LINE = { left: 0, top: 1102, width: 170, height: 20 };

const say = (line = ''): void => console.log(line);
const ms = (value: number): string => `${value.toFixed(value < 10 ? 2 : 0)} ms`;
const percent = (value: number): string => `${Math.round(value * 100)} %`;

async function main(): Promise<void> {
  mkdirSync(OUT, { recursive: true });
  const ort = await findOnnxruntime();
  say('Hone: two trained models, compiled for this machine, on real pictures.');
  for (const part of [faces, direction]) {
    say();
    const { model, opened, inputs } = await part();
    if (typeof ort === 'string') {
      say(`   Not compared with onnxruntime-node, which does not load here: ${ort}`);
    } else {
      printRace(await race(ort, model, opened, inputs), opened, ort.env.versions.node);
    }
    opened.session.close();
  }
  say();
  say(`Next: npx hone explain ${shown(join(OUT, 'faces.hone'))}   what each kernel does, and why`);
  say(`      npx hone profile ${shown(join(OUT, 'faces.hone'))}   where the time goes`);
  say('      npm run bench                         the proper measurement');
}

interface Part {
  readonly model: string;
  readonly opened: Opened;
  readonly inputs: readonly Tensors[];
}

async function faces(): Promise<Part> {
  const model = npmModel('blazeface-back');
  const photos = PHOTOS.map((number) => npmPicture(number));
  const pictures = photos.map(readPicture);
  const inputs = pictures.map((picture) => ({ 'input:0': faceInput(picture, FACE_PIXELS) }));
  say('1. Where are the faces? BlazeFace on six photos of people.');
  const opened = await compileAndOpen(model, join(OUT, 'faces.hone'), inputs[0] ?? {});
  printCompiled(opened, 'faces.hone');
  for (const [i, picture] of pictures.entries()) {
    const start = performance.now();
    const out = opened.session.runSync(inputs[i] ?? {});
    const took = performance.now() - start;
    const values = (name: string): Float32Array => out[name]?.data as Float32Array;
    const scores = [values('Identity:0'), values('Identity_1:0')];
    const boxes = [values('Identity_2:0'), values('Identity_3:0')];
    const found = findFaces(scores, boxes, picture, FACE_PIXELS);
    const file = join(OUT, `${basename(photos[i] ?? '', '.jpg')}.png`);
    writePng(drawFaces(picture, found), file);
    const sure = found.map((face) => percent(face.score)).join(', ');
    const count = `${found.length} face${found.length === 1 ? ' ' : 's'}`;
    say(`   ${shown(file)}  ${count}  ${ms(took)}  sure: ${sure}`);
  }
  return { model, opened, inputs };
}

async function direction(): Promise<Part> {
  const model = npmModel('ppocr-cls');
  const { left, top, width, height } = LINE;
  const line = cropPicture(readPicture(npmPicture('screenshot')), left, top, width, height);
  const turned = upsideDown(line);
  const inputs = [line, turned].map((picture) => ({ x: lineInput(picture) }));
  say('2. Is this line of text upright? PP-OCR’s direction classifier, on a line of a screenshot.');
  const options = { shapes: { x: LINE_SHAPE } };
  const opened = await compileAndOpen(model, join(OUT, 'direction.hone'), inputs[0] ?? {}, options);
  printCompiled(opened, 'direction.hone');
  for (const [i, name] of ['line.png', 'line-turned.png'].entries()) {
    const file = join(OUT, name);
    writePng(i === 0 ? line : turned, file);
    const start = performance.now();
    const out = opened.session.runSync(inputs[i] ?? {});
    const took = performance.now() - start;
    const { degrees, sure } = readDirection(Object.values(out)[0]?.data as Float32Array);
    say(
      `   ${shown(file).padEnd(24)}  ${`${degrees}°`.padEnd(4)}  ${ms(took)}  sure: ${percent(sure)}`,
    );
  }
  return { model, opened, inputs };
}

function readPicture(file: string): Picture {
  return decodePicture(readFileSync(file), file);
}

function printCompiled({ compileMs, kernels, session }: Opened, name: string): void {
  const seconds = (compileMs / 1000).toFixed(1);
  say(
    `   Compiled in ${seconds} s to ${shown(join(OUT, name))}: ${kernels} steps, ${session.target}`,
  );
}

function printRace(result: Race, opened: Opened, version: string | undefined): void {
  const row = (name: string, { openMs, firstMs, runMs }: Times): void =>
    say(
      `   ${name.padEnd(21)}${ms(openMs).padStart(9)}${ms(firstMs).padStart(14)}${ms(runMs).padStart(9)}`,
    );
  const threads = `${opened.session.threads} thread${opened.session.threads === 1 ? '' : 's'}`;
  say(`   ${threads}, median of ${result.runs} runs, taking turns:`);
  say(`   ${''.padEnd(21)}${'open'.padStart(9)}${'first answer'.padStart(14)}${'run'.padStart(9)}`);
  row('Hone', result.hone);
  row(`onnxruntime ${version ?? ''}`, result.onnxruntime);
  const ratio = result.onnxruntime.runMs / result.hone.runMs;
  const speed =
    ratio >= 1 ? `${ratio.toFixed(2)} times as fast` : `${(1 / ratio).toFixed(2)} times slower`;
  say(
    `   Hone is ${speed}; answers differ by ${result.difference.toExponential(0)} of the scale at most.`,
  );
}

try {
  await main();
} catch (error) {
  if (!(error instanceof HoneError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  if (error.cure !== undefined) console.error(`  cure: ${error.cure}`);
  process.exitCode = error.exitCode;
}
