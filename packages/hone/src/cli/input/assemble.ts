/**
 * The inputs of a run from the command line: files by name, pictures, and seeded random values for
 * the rest. Every mismatch with the model's signature is a coded error that names the input.
 */
import { readFileSync } from 'node:fs';
import { fail } from 'hone-runtime/base/diagnostics';
import { isFloat } from 'hone-runtime/base/dtype';
import { seededRandom } from 'hone-runtime/base/random';
import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { formatImageOptions, type ImageOptions, parseImageOptions } from './image-options.ts';
import { isNpy, parseNpy } from './npy.ts';
import { defaultRange, pictureFormat } from './picture-format.ts';
import type { InputSpec } from './picture-tensor.ts';

export interface InputRequest {
  /** Values of --input: NAME=FILE, or FILE. */
  readonly given: readonly string[];
  readonly random: boolean;
  readonly seed: number;
  /** The value of --image, '' without one. */
  readonly image: string;
}

export interface AssembledInputs {
  readonly tensors: Readonly<Record<string, Tensor>>;
  /** Where each came from: a path or "random". */
  readonly sources: Readonly<Record<string, string>>;
  /** What was done to pictures, defaults filled in; null without pictures. */
  readonly image: string | null;
}

export async function assembleInputs(
  signature: readonly InputSpec[],
  request: InputRequest,
): Promise<AssembledInputs> {
  const files = filesByInput(signature, request.given);
  const tensors: Record<string, Tensor> = {};
  const sources: Record<string, string> = {};
  const random = seededRandom(request.seed);
  let image: string | null = null;
  for (const spec of signature) {
    const paths = files.get(spec.name);
    if (paths !== undefined) {
      const options = parseImageOptions(request.image, defaultRange(spec));
      const read = await readInput(spec, paths, options);
      if (read.picture) image = formatImageOptions(options);
      tensors[spec.name] = read.tensor;
      sources[spec.name] = paths.join(', ');
    } else if (request.random) {
      tensors[spec.name] = randomTensor(spec, random);
      sources[spec.name] = 'random';
    } else {
      fail(
        'HONE-INPUT-001',
        `input "${spec.name}" (${spec.dtype} ${spec.shape.join('x')}) is not given`,
        spec.name,
        `add --input ${spec.name}=FILE, or --random for seeded random values`,
      );
    }
  }
  return { tensors, sources, image };
}

function filesByInput(
  signature: readonly InputSpec[],
  given: readonly string[],
): Map<string, string[]> {
  const names = signature.map((spec) => spec.name);
  const files = new Map<string, string[]>();
  for (const item of given) {
    // A name may hold "=" itself, so the known names are tried first.
    const known = names.find((name) => item.startsWith(`${name}=`));
    const split = item.indexOf('=');
    const only = names.length === 1 ? names[0] : undefined;
    let name = known;
    let path = known === undefined ? '' : item.slice(known.length + 1);
    if (name === undefined && split < 0) {
      if (only === undefined) {
        fail(
          'HONE-INPUT-002',
          `--input ${item} does not say which input it is for`,
          item,
          `write NAME=${item} with one of: ${names.join(', ')}`,
        );
      }
      name = only;
      path = item;
    }
    if (name === undefined) {
      fail(
        'HONE-INPUT-002',
        `the model has no input "${item.slice(0, split)}"`,
        item.slice(0, split),
        `its inputs are: ${names.join(', ')}`,
      );
    }
    files.set(name, [...(files.get(name) ?? []), path]);
  }
  return files;
}

/** Decoders are loaded where they are needed: a run on .npy files takes no memory for them. */
async function readInput(
  spec: InputSpec,
  paths: readonly string[],
  options: ImageOptions,
): Promise<{ readonly tensor: Tensor; readonly picture: boolean }> {
  const contents = paths.map((path) => ({ path, bytes: readBytes(path) }));
  if (contents.every(({ bytes }) => pictureFormat(bytes) !== undefined)) {
    const { decodePicture } = await import('./picture.ts');
    const { picturesToTensor } = await import('./picture-tensor.ts');
    const pictures = contents.map(({ path, bytes }) => decodePicture(bytes, path));
    return { tensor: picturesToTensor(pictures, spec, options), picture: true };
  }
  const [first, second] = contents;
  if (first === undefined || second !== undefined) {
    fail(
      'HONE-INPUT-017',
      `input "${spec.name}" is given ${paths.length} files that are not all pictures`,
      spec.name,
      'give one .npy or .pb file, or pictures only',
    );
  }
  const { path, bytes } = first;
  if (bytes.length === 0) {
    fail('HONE-INPUT-017', `${path} is empty`, path, 'give a .npy, .png, .jpg or .pb file');
  }
  if (!isNpy(bytes) && !path.endsWith('.pb')) {
    fail(
      'HONE-INPUT-017',
      `${path} is neither .npy nor .png, .jpg or .pb`,
      path,
      'convert it, e.g. numpy.save("input.npy", array)',
    );
  }
  if (isNpy(bytes)) return { tensor: fitTensor(spec, parseNpy(bytes, path), path), picture: false };
  const { readTensorProto } = await import('../../frontends/onnx/tensor-proto.ts');
  return { tensor: fitTensor(spec, readTensorProto(bytes, path), path), picture: false };
}

export function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
    fail('HONE-IO-001', `cannot read ${path}: ${code}`, path, 'check the path and its permissions');
  }
}

/** The tensor as it is, or a coded error: values are never converted behind the user's back. */
function fitTensor(spec: InputSpec, tensor: Tensor, path: string): Tensor {
  const { bounded = [], least } = spec;
  const sizes = spec.shape.map((size, axis) => {
    const place = least === undefined ? -1 : bounded.indexOf(axis);
    return place < 0 ? { min: size, max: size } : { min: least?.[place] ?? 0, max: size };
  });
  const shown = sizes.map(({ min, max }) => (min === max ? max : `${min}..${max}`));
  const wanted = `${spec.dtype} ${shown.join('x')}`;
  if (tensor.dtype !== spec.dtype) {
    fail(
      'HONE-INPUT-003',
      `input "${spec.name}" takes ${wanted}, ${path} holds ${tensor.dtype}`,
      spec.name,
      `convert it, e.g. array.astype("${NUMPY_NAMES[spec.dtype] ?? spec.dtype}")`,
    );
  }
  if (tensor.shape.length !== spec.shape.length) {
    fail(
      'HONE-INPUT-004',
      `input "${spec.name}" takes ${wanted} (rank ${spec.shape.length}), ${path} has rank ${tensor.shape.length}`,
      spec.name,
      `reshape it to ${spec.shape.join('x') || 'a scalar'}`,
    );
  }
  const isOutside = (extent: number, axis: number): boolean => {
    const { min = 0, max = 0 } = sizes[axis] ?? {};
    return extent < min || extent > max;
  };
  if (tensor.shape.some(isOutside)) {
    fail(
      'HONE-INPUT-005',
      `input "${spec.name}" takes ${wanted}, ${path} has shape ${tensor.shape.join('x')}`,
      spec.name,
      `bring it to that shape, or compile with --shape ${spec.name}=${tensor.shape.join('x')} where the model allows it`,
    );
  }
  return tensor;
}

const NUMPY_NAMES: Readonly<Record<string, string>> = {
  f16: 'float16',
  f32: 'float32',
  f64: 'float64',
  i8: 'int8',
  i16: 'int16',
  i32: 'int32',
  i64: 'int64',
  u8: 'uint8',
  u16: 'uint16',
  u32: 'uint32',
  u64: 'uint64',
  bool: 'bool',
};

/**
 * Seeded random values: floats uniform in [0, 1), bytes over their range, other integers 0 or 1
 * (they are often indices, and every table has two rows).
 */
export function randomTensor(spec: InputSpec, random: ReturnType<typeof seededRandom>): Tensor {
  if (spec.dtype === 'string') {
    fail(
      'HONE-INPUT-018',
      `input "${spec.name}" takes strings, which --random does not make`,
      spec.name,
      `give it with --input ${spec.name}=FILE.pb`,
    );
  }
  const values = new Float64Array(elementCount(spec.shape));
  const bound = spec.dtype === 'u8' ? 256 : 2;
  for (let at = 0; at < values.length; at++) {
    values[at] = isFloat(spec.dtype) ? random.next() : random.integer(bound);
  }
  return fromNumbers(spec.dtype, spec.shape, values);
}
