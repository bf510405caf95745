/**
 * Pictures into the tensor an input asks for. The input's shape tells the layout: a channel count
 * of 1 or 3 behind the batch is NCHW, at the end NHWC (and without a batch CHW or HWC).
 */
import { fail } from 'hone-runtime/base/diagnostics';
import { type DType, isFloat } from 'hone-runtime/base/dtype';
import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import type { ImageOptions } from './image-options.ts';
import { cropPicture, type Picture, resizePicture } from './picture.ts';

export interface InputSpec {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Axes that vary from run to run, and the least extent along each. */
  readonly bounded?: readonly number[];
  readonly least?: readonly number[];
}

interface PictureLayout {
  readonly batch: number;
  readonly channels: 1 | 3;
  readonly height: number;
  readonly width: number;
  /** Channels after the pixels. */
  readonly channelsLast: boolean;
}

/** How an input holds pictures; undefined when its shape is not one of pictures. */
export function pictureLayout(shape: readonly number[]): PictureLayout | undefined {
  if (shape.length === 2) {
    const [height = 0, width = 0] = shape;
    return { batch: 1, channels: 1, height, width, channelsLast: true };
  }
  if (shape.length !== 3 && shape.length !== 4) return undefined;
  const batch = shape.length === 4 ? (shape[0] as number) : 1;
  const [first = 0, second = 0, third = 0] = shape.slice(-3);
  if (first === 1 || first === 3) {
    return { batch, channels: first, height: second, width: third, channelsLast: false };
  }
  if (third === 1 || third === 3) {
    return { batch, channels: third, height: first, width: second, channelsLast: true };
  }
  return undefined;
}

/** The tensor of one picture per batch entry. */
export function picturesToTensor(
  pictures: readonly Picture[],
  spec: InputSpec,
  options: ImageOptions,
): Tensor {
  const layout = pictureLayout(spec.shape);
  if (layout === undefined) {
    fail(
      'HONE-INPUT-012',
      `input "${spec.name}" has shape ${spec.shape.join('x')}, which does not hold pictures`,
      spec.name,
      'give a .npy file of that shape',
    );
  }
  if (pictures.length !== layout.batch) {
    fail(
      'HONE-INPUT-013',
      `input "${spec.name}" takes ${layout.batch} pictures, ${pictures.length} given`,
      spec.name,
      'repeat --input with the same name, once per picture of the batch; or compile with --batch',
    );
  }
  const values = new Float64Array(elementCount(spec.shape));
  pictures.forEach((picture, item) => {
    const fitted = fitPicture(picture, layout, spec.name, options);
    writePixels(fitted, layout, options, values, item);
  });
  return fromNumbers(spec.dtype, spec.shape, isFloat(spec.dtype) ? values : values.map(Math.round));
}

/** Resized and cropped to the size of the input. */
function fitPicture(
  picture: Picture,
  layout: PictureLayout,
  input: string,
  options: ImageOptions,
): Picture {
  const { width, height } = layout;
  const { resize, crop } = options;
  let fitted = picture;
  if (resize.kind === 'input') {
    fitted = resizePicture(picture, width, height);
  } else if (resize.kind === 'exact') {
    fitted = resizePicture(picture, resize.width, resize.height);
  } else if (resize.kind === 'short') {
    const scale = resize.size / Math.min(picture.width, picture.height);
    fitted = resizePicture(
      picture,
      Math.max(resize.size, Math.round(picture.width * scale)),
      Math.max(resize.size, Math.round(picture.height * scale)),
    );
  }
  if (crop.kind !== 'none') {
    const size = crop.kind === 'exact' ? crop : layout;
    if (size.width > fitted.width || size.height > fitted.height) {
      sizeError(input, `cannot crop ${size.width}x${size.height} from`, fitted, layout);
    }
    const left = Math.round((fitted.width - size.width) / 2);
    const top = Math.round((fitted.height - size.height) / 2);
    fitted = cropPicture(fitted, left, top, size.width, size.height);
  }
  if (fitted.width !== width || fitted.height !== height) {
    sizeError(input, `takes ${width}x${height} pixels, not`, fitted, layout);
  }
  return fitted;
}

function sizeError(input: string, problem: string, got: Picture, layout: PictureLayout): never {
  fail(
    'HONE-INPUT-014',
    `input "${input}" ${problem} a picture of ${got.width}x${got.height}`,
    input,
    `leave resize out of --image, or give resize=${layout.width}x${layout.height}`,
  );
}

/** ITU-R BT.601 luma, for inputs of one channel. */
const LUMA = [0.299, 0.587, 0.114] as const;

function writePixels(
  picture: Picture,
  layout: PictureLayout,
  options: ImageOptions,
  out: Float64Array,
  item: number,
): void {
  const { channels, channelsLast } = layout;
  const pixels = picture.width * picture.height;
  const scale = options.range / 255;
  const begin = item * pixels * channels;
  for (let channel = 0; channel < channels; channel++) {
    const from = options.order === 'bgr' ? 2 - channel : channel;
    const mean = options.mean[channel] ?? options.mean[0] ?? 0;
    const std = options.std[channel] ?? options.std[0] ?? 1;
    for (let pixel = 0; pixel < pixels; pixel++) {
      const at = pixel * 3;
      const value =
        channels === 3
          ? (picture.rgb[at + from] as number)
          : LUMA[0] * (picture.rgb[at] as number) +
            LUMA[1] * (picture.rgb[at + 1] as number) +
            LUMA[2] * (picture.rgb[at + 2] as number);
      const to = channelsLast ? pixel * channels + channel : channel * pixels + pixel;
      out[begin + to] = (value * scale - mean) / std;
    }
  }
}
