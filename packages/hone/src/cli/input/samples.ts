/**
 * Samples for calibration and comparison from the command line: a folder of pictures, .npy and .npz
 * files (searched through, in order of their paths), or one such file. Pictures become tensors as in
 * `hone run`. An array with more entries than an input takes is cut along its first axis; an array
 * with one entry serves all samples of its file. Optional inputs may be left out.
 */
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { at, fail } from 'hone-runtime/base/diagnostics';
import { seededRandom } from 'hone-runtime/base/random';
import { elementCount, type Tensor } from 'hone-runtime/base/tensor';
import type { SampleSpec } from '../../compile/calibrate/request.ts';
import type { Sample } from '../../compile/calibrate/run.ts';
import { randomTensor, readBytes } from './assemble.ts';
import { parseImageOptions } from './image-options.ts';
import { isNpy, parseNpy } from './npy.ts';
import { parseNpz } from './npz.ts';
import { decodePicture, type Picture } from './picture.ts';
import { defaultRange, pictureFormat } from './picture-format.ts';
import { type InputSpec, pictureLayout, picturesToTensor } from './picture-tensor.ts';
import { isZip } from './zip.ts';

/** Files of a sample folder, or the file itself; HONE-CALIBRATE-001 where there are none. */
export function sampleFiles(source: string): readonly string[] {
  const stat = statSync(source, { throwIfNoEntry: false });
  if (stat === undefined) {
    fail('HONE-IO-001', `${source} does not exist`, source, 'check the path of the samples');
  }
  if (!stat.isDirectory()) return [source];
  const files = readdirSync(source, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
  if (files.length > 0) return files;
  return fail(
    'HONE-CALIBRATE-001',
    `${source} has no files`,
    source,
    'put pictures (.png, .jpg), .npy or .npz files there: about a hundred typical ones',
  );
}

/** Reads samples one after the other; `image` is the value of --image, '' without one. */
export function* readSamples(
  source: string,
  inputs: readonly SampleSpec[],
  image: string,
): Generator<Sample> {
  let batch: { readonly picture: Picture; readonly file: string }[] = [];
  const needed = inputs.filter(({ optional }) => optional !== true);
  const only = needed.length === 1 ? needed[0] : undefined;
  for (const file of sampleFiles(source)) {
    const bytes = readBytes(file);
    if (pictureFormat(bytes) !== undefined) {
      const spec = only ?? severalInputs(file, needed);
      batch.push({ picture: decodePicture(bytes, file), file });
      if (batch.length < (pictureLayout(spec.shape)?.batch ?? 1)) continue;
      yield pictureSample(batch, spec, image);
      batch = [];
    } else if (isNpy(bytes)) {
      const spec = only ?? severalInputs(file, needed);
      yield* cut(file, [[spec, parseNpy(bytes, file)]]);
    } else if (isZip(bytes)) {
      yield* cut(file, byInput(file, inputs, parseNpz(bytes, file)));
    } else {
      fail(
        'HONE-CALIBRATE-009',
        `${file} is neither a picture (.png, .jpg) nor .npy or .npz`,
        file,
        'take it out of the folder, or convert it, e.g. numpy.save("input.npy", array)',
      );
    }
  }
  // What is left of a batch is filled up with its own pictures.
  const [first] = batch;
  if (first === undefined || only === undefined) return;
  const size = pictureLayout(only.shape)?.batch ?? 1;
  const full = Array.from({ length: size }, (_, i) => at(batch, i % batch.length));
  yield pictureSample(full, only, image);
}

/** Seeded random samples, for measuring speed alone. */
export function* randomSamples(
  inputs: readonly InputSpec[],
  count: number,
  seed = 0,
): Generator<Sample> {
  const random = seededRandom(seed);
  for (let i = 0; i < count; i++) {
    const tensors = inputs.map((spec) => [spec.name, randomTensor(spec, random)] as const);
    yield { name: `random ${i}`, inputs: Object.fromEntries(tensors) };
  }
}

function severalInputs(file: string, inputs: readonly InputSpec[]): never {
  fail(
    'HONE-CALIBRATE-002',
    `${file} does not say which input it is for: the model has ${inputs.length}`,
    file,
    `give .npz files with the arrays ${inputs.map(({ name }) => name).join(', ')}`,
  );
}

function pictureSample(
  batch: readonly { readonly picture: Picture; readonly file: string }[],
  spec: InputSpec,
  image: string,
): Sample {
  const options = parseImageOptions(image, defaultRange(spec));
  const pictures = batch.map(({ picture }) => picture);
  return {
    name: batch.map(({ file }) => file).join(', '),
    inputs: { [spec.name]: picturesToTensor(pictures, spec, options) },
  };
}

type Arrays = readonly (readonly [InputSpec, Tensor])[];

function byInput(
  file: string,
  inputs: readonly SampleSpec[],
  arrays: ReadonlyMap<string, Tensor>,
): Arrays {
  const [only] = arrays.values();
  return inputs.flatMap((spec): Arrays => {
    const array = arrays.get(spec.name) ?? (inputs.length === 1 && arrays.size === 1 ? only : null);
    if (array !== null && array !== undefined) return [[spec, array]];
    if (spec.optional === true) return [];
    return fail(
      'HONE-CALIBRATE-002',
      `${file} has no array "${spec.name}"`,
      file,
      `write it with numpy.savez(file, **arrays); it has: ${[...arrays.keys()].join(', ') || 'none'}`,
    );
  });
}

/** Arrays as samples: as they are where they fit, else cut along their first axis. */
function* cut(file: string, arrays: Arrays): Generator<Sample> {
  const counts = arrays.map(([spec, array]) => samplesIn(file, spec, array));
  const count = counts.includes(0) ? 0 : Math.max(...counts);
  if (counts.some((other) => other !== count && other !== 1)) {
    fail(
      'HONE-CALIBRATE-003',
      `${file} has arrays for ${counts.join(' and ')} samples`,
      file,
      'give as many entries for every input, or one for all samples',
    );
  }
  for (let i = 0; i < count; i++) {
    const inputs = arrays.map(([spec, array], k): readonly [string, Tensor] => {
      if (at(counts, k) === 1) return [spec.name, { ...array, shape: spec.shape }];
      const size = elementCount(spec.shape);
      const { data, dtype } = array;
      if (!ArrayBuffer.isView(data)) return [spec.name, array];
      return [spec.name, { dtype, shape: spec.shape, data: data.slice(i * size, (i + 1) * size) }];
    });
    yield { name: count === 1 ? file : `${file}[${i}]`, inputs: Object.fromEntries(inputs) };
  }
}

function samplesIn(file: string, spec: InputSpec, array: Tensor): number {
  const { shape } = array;
  const wanted = `${spec.dtype} ${spec.shape.join('x') || 'scalar'}`;
  const rest = shape.length === spec.shape.length ? spec.shape.slice(1) : spec.shape;
  const inner = shape.slice(1);
  const fits =
    shape.join() === spec.shape.join() ||
    (shape.length > 0 &&
      inner.join() === rest.join() &&
      elementCount(shape) % Math.max(1, elementCount(spec.shape)) === 0);
  if (!fits || array.dtype !== spec.dtype) {
    fail(
      'HONE-CALIBRATE-003',
      `${file}: input "${spec.name}" takes ${wanted}, ${array.dtype} ${shape.join('x') || 'scalar'} is given`,
      file,
      'bring the array to the dtype and shape of the input; a first axis may count the samples',
    );
  }
  return elementCount(shape) / Math.max(1, elementCount(spec.shape));
}
