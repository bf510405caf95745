/** Pictures: PNG and JPEG decoded to RGB, cropped and resized. Alpha is dropped. */
import jpeg from 'jpeg-js';
import { PNG } from 'pngjs';
import { fail } from 'hone-runtime/base/diagnostics';
import { pictureFormat } from './picture-format.ts';

/** Interleaved RGB; values 0 to 255, fractional after resizing. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array | Float32Array;
}

/** Beyond this a picture is taken for a bomb. */
const MAX_MEGAPIXELS = 200;

/** Decodes a PNG or JPEG; `name` is the file, for errors. */
export function decodePicture(bytes: Uint8Array, name: string): Picture {
  const format = pictureFormat(bytes);
  if (format === undefined) {
    fail('HONE-INPUT-011', `${name} is neither PNG nor JPEG`, name, 'convert it to one of them');
  }
  try {
    const { width, height, data } = format === 'png' ? decodePng(bytes) : decodeJpeg(bytes);
    return { width, height, rgb: dropAlpha(data, width * height) };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    fail(
      'HONE-INPUT-011',
      `${name} cannot be decoded: ${reason}`,
      name,
      'the picture is damaged, truncated or unusually coded: save it again',
    );
  }
}

interface Rgba {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

function decodePng(bytes: Uint8Array): Rgba {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 33) throw new Error('the file is truncated');
  const pixels = view.getUint32(16) * view.getUint32(20);
  if (pixels > MAX_MEGAPIXELS * 1e6) throw new Error(`more than ${MAX_MEGAPIXELS} megapixels`);
  return PNG.sync.read(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}

function decodeJpeg(bytes: Uint8Array): Rgba {
  return jpeg.decode(bytes, {
    useTArray: true,
    formatAsRGBA: true,
    tolerantDecoding: false,
    maxResolutionInMP: MAX_MEGAPIXELS,
    maxMemoryUsageInMB: 4096,
  });
}

function dropAlpha(rgba: Uint8Array, pixels: number): Uint8Array {
  const rgb = new Uint8Array(pixels * 3);
  for (let pixel = 0; pixel < pixels; pixel++) {
    rgb[pixel * 3] = rgba[pixel * 4] as number;
    rgb[pixel * 3 + 1] = rgba[pixel * 4 + 1] as number;
    rgb[pixel * 3 + 2] = rgba[pixel * 4 + 2] as number;
  }
  return rgb;
}

/** A rectangle of a picture; it must lie inside. */
export function cropPicture(
  picture: Picture,
  left: number,
  top: number,
  width: number,
  height: number,
): Picture {
  const rgb = new Float32Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const begin = ((top + y) * picture.width + left) * 3;
    rgb.set(picture.rgb.subarray(begin, begin + width * 3), y * width * 3);
  }
  return { width, height, rgb };
}

/**
 * Bilinear with antialiasing: when shrinking, the triangle widens to cover the pixels that fall
 * together. Pixel centres are at half-integers, and the edges see only the pixels inside.
 */
export function resizePicture(picture: Picture, width: number, height: number): Picture {
  if (picture.width === width && picture.height === height) return picture;
  const across = resampleAxis(picture.rgb, picture.height, picture.width, 3, width);
  const down = resampleAxis(across, 1, picture.height, width * 3, height);
  return { width, height, rgb: down };
}

/** Resamples the middle axis of [outer, size, inner] to `target` positions. */
function resampleAxis(
  source: Uint8Array | Float32Array,
  outer: number,
  size: number,
  inner: number,
  target: number,
): Float32Array {
  const out = new Float32Array(outer * target * inner);
  const taps = triangleTaps(size, target);
  for (let block = 0; block < outer; block++) {
    for (let to = 0; to < target; to++) {
      const { first, weights } = taps[to] as Taps;
      const write = (block * target + to) * inner;
      for (let tap = 0; tap < weights.length; tap++) {
        const weight = weights[tap] as number;
        const read = (block * size + first + tap) * inner;
        for (let lane = 0; lane < inner; lane++) {
          out[write + lane] =
            (out[write + lane] as number) + weight * (source[read + lane] as number);
        }
      }
    }
  }
  return out;
}

interface Taps {
  readonly first: number;
  readonly weights: readonly number[];
}

function triangleTaps(size: number, target: number): Taps[] {
  const scale = size / target;
  const radius = Math.max(1, scale);
  return Array.from({ length: target }, (_unused, to) => {
    const centre = (to + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - radius + 0.5));
    const end = Math.min(size, Math.floor(centre + radius + 0.5));
    const raw = Array.from({ length: Math.max(1, end - first) }, (_none, tap) =>
      Math.max(0, 1 - Math.abs(first + tap + 0.5 - centre) / radius),
    );
    const sum = raw.reduce((total, weight) => total + weight, 0);
    return { first, weights: raw.map((weight) => weight / sum) };
  });
}
