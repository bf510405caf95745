/** The value of --image: how a picture becomes a tensor. Every setting has a printed default. */
import { fail } from 'hone-runtime/base/diagnostics';

export type Resize =
  /** To the size the input asks for, whatever the proportions. */
  | { readonly kind: 'input' }
  | { readonly kind: 'none' }
  /** The short side to N pixels, the other in proportion. */
  | { readonly kind: 'short'; readonly size: number }
  | { readonly kind: 'exact'; readonly width: number; readonly height: number };

export type Crop =
  | { readonly kind: 'none' }
  /** To the size the input asks for. */
  | { readonly kind: 'input' }
  | { readonly kind: 'exact'; readonly width: number; readonly height: number };

export interface ImageOptions {
  readonly order: 'rgb' | 'bgr';
  /** Highest value of the scale that mean and std are in: 1 or 255. */
  readonly range: 1 | 255;
  /** Subtracted, then divided by `std`; one value per channel in the order fed, or one for all. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly resize: Resize;
  /** From the centre, after resizing. */
  readonly crop: Crop;
}

const KEYS = ['order', 'range', 'mean', 'std', 'resize', 'crop'];
const CURE =
  'write order=rgb|bgr, range=0-1|0-255, mean=0.485,0.456,0.406, std=…, resize=input|none|short:256|224x224, crop=none|input|224x224';

/**
 * Reads `key=value` parts separated by commas; a part without a key continues the list before it.
 * Without `resize` the picture is resized to the input, or left alone when `crop` is given; without
 * `crop` it is cropped to the input after resize=short:N only.
 */
export function parseImageOptions(text: string, defaultRange: 1 | 255): ImageOptions {
  const values = new Map<string, string[]>();
  let key = '';
  for (const part of text.split(',').map((item) => item.trim())) {
    const split = part.indexOf('=');
    if (split > 0) {
      key = part.slice(0, split);
      if (!KEYS.includes(key)) bad(`has no setting "${key}"`);
      if (values.has(key)) bad(`gives ${key} twice`);
      values.set(key, [part.slice(split + 1)]);
    } else if (part !== '') {
      if (key !== 'mean' && key !== 'std') bad(`has a part "${part}" that is no setting`);
      values.get(key)?.push(part);
    }
  }
  const one = (name: string): string | undefined => values.get(name)?.[0];
  const resize =
    parseResize(one('resize')) ??
    (one('crop') === undefined || one('crop') === 'none' ? { kind: 'input' } : { kind: 'none' });
  return {
    order: choice('order', one('order') ?? 'rgb', ['rgb', 'bgr']),
    range:
      one('range') === undefined
        ? defaultRange
        : choice('range', one('range') ?? '', ['0-1', '0-255']) === '0-1'
          ? 1
          : 255,
    mean: numbers('mean', values.get('mean')) ?? [0],
    std: numbers('std', values.get('std')) ?? [1],
    resize,
    crop:
      parseCrop(one('crop')) ?? (resize.kind === 'short' ? { kind: 'input' } : { kind: 'none' }),
  };
}

/** The options in the form they are written, nothing left out. */
export function formatImageOptions(options: ImageOptions): string {
  const { resize, crop } = options;
  const sizeText =
    resize.kind === 'short'
      ? `short:${resize.size}`
      : resize.kind === 'exact'
        ? `${resize.width}x${resize.height}`
        : resize.kind;
  return [
    `order=${options.order}`,
    `range=0-${options.range}`,
    `mean=${options.mean.join(',')}`,
    `std=${options.std.join(',')}`,
    `resize=${sizeText}`,
    `crop=${crop.kind === 'exact' ? `${crop.width}x${crop.height}` : crop.kind}`,
  ].join(',');
}

function bad(problem: string): never {
  fail('HONE-CLI-006', `--image ${problem}`, '--image', CURE);
}

function choice<T extends string>(key: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((item) => item === value);
  if (found === undefined) bad(`does not take ${key}=${value}`);
  return found;
}

function numbers(key: string, parts: readonly string[] | undefined): number[] | undefined {
  if (parts === undefined) return undefined;
  // Slashes and colons separate too, for shells and habits that dislike the commas.
  const list = parts.flatMap((part) => part.split(/[/:]/)).map(Number);
  if (list.some((value) => !Number.isFinite(value)) || (list.length !== 1 && list.length !== 3)) {
    bad(`needs one or three numbers in ${key}`);
  }
  if (key === 'std' && list.includes(0)) bad('has a zero in std');
  return list;
}

function parseSize(text: string): { width: number; height: number } | undefined {
  const match = /^([1-9]\d{0,4})x([1-9]\d{0,4})$/.exec(text);
  return match === null ? undefined : { width: Number(match[1]), height: Number(match[2]) };
}

function parseResize(text: string | undefined): Resize | undefined {
  if (text === undefined) return undefined;
  if (text === 'none' || text === 'input') return { kind: text };
  const short = /^short:([1-9]\d{0,4})$/.exec(text);
  if (short !== null) return { kind: 'short', size: Number(short[1]) };
  const size = parseSize(text);
  if (size === undefined) bad(`does not take resize=${text}`);
  return { kind: 'exact', ...size };
}

function parseCrop(text: string | undefined): Crop | undefined {
  if (text === undefined) return undefined;
  if (text === 'none' || text === 'input') return { kind: text };
  const size = parseSize(text);
  if (size === undefined) bad(`does not take crop=${text}`);
  return { kind: 'exact', ...size };
}
