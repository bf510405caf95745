/**
 * The geometry of Resize: for each axis, which position of the input an output index stands for.
 *
 * Every coordinate transformation is affine in the output index, so an axis is three integers:
 * position(i) = (slope · i + offset) / unit. They are exact where the scale is a ratio of the two
 * extents, and a fixed-point approximation (unit 2^32) elsewhere.
 */
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs } from '../../graph/types.ts';
import { intsAttr, shapeError, textAttr } from '../checks.ts';
import { checkedShape } from './bodies.ts';

export interface ResizeAxis {
  readonly extent: number;
  readonly size: number;
  /** Output elements per input element. */
  readonly scale: number;
  readonly slope: number;
  readonly offset: number;
  readonly unit: number;
  /** Output indices in [first, last) lie inside the input; others extrapolate. */
  readonly first: number;
  readonly last: number;
}

export interface ResizeInputs {
  readonly shape: readonly number[];
  readonly roi: Tensor | undefined;
  readonly scales: Tensor | undefined;
  readonly sizes: Tensor | undefined;
}

const FIXED_POINT = 2 ** 32;
/** Every index of an axis is looked at while compiling. */
const MAX_SIZE = 2 ** 24;
/** Positions further out do not fit into 64 bits. */
const MAX_POSITION = 2 ** 30;
/** Positions this close to the border are on it. */
const SLACK = 1e-6;

/** The input position of output index i. */
export function positionOf(axis: ResizeAxis, i: number): number {
  return (axis.slope * i + axis.offset) / axis.unit;
}

/** True when every output index reads the input at that index. */
export function isIdentity(axis: ResizeAxis): boolean {
  return axis.size === axis.extent && axis.slope === axis.unit && axis.offset === 0;
}

/** One axis per dimension of the input. Throws HONE-SHAPE-… on inputs that do not fit. */
export function resizeAxes(
  ctx: { node: string; op: string },
  attrs: Attrs,
  inputs: ResizeInputs,
): ResizeAxis[] {
  const { shape } = inputs;
  const rank = shape.length;
  const axes = (intsAttr(attrs, 'axes') ?? shape.map((_, i) => i)).map((axis) =>
    axis < 0 ? axis + rank : axis,
  );
  if (axes.some((axis) => !(axis >= 0 && axis < rank)) || new Set(axes).size !== axes.length) {
    shapeError(ctx, `axes [${axes.join(',')}] of rank ${rank}`);
  }
  const extents = axes.map((axis) => shape[axis] as number);
  const roi = roiOf(ctx, attrs, inputs.roi, axes.length);
  const { sizes, scales } = extentsOf(ctx, attrs, inputs, extents, roi);
  checkedShape(ctx, sizes);
  return shape.map((extent, axis) => {
    const k = axes.indexOf(axis);
    if (k < 0) return resizeAxis('asymmetric', extent, extent, 1, [0, 1]);
    const size = sizes[k] as number;
    if (extent === 0 && size > 0) shapeError(ctx, `axis ${axis} is empty`);
    if (size > MAX_SIZE) shapeError(ctx, `axis ${axis} would have ${size} elements`);
    const window = [roi[k] as number, roi[k + axes.length] as number] as const;
    const mode = textAttr(attrs, 'coordinate_transformation_mode');
    const item = resizeAxis(mode, extent, size, scales[k] as number, window);
    const ends = [0, size - 1].map((i) => Math.abs(positionOf(item, i)));
    if (!ends.every((end) => end <= MAX_POSITION)) {
      shapeError(ctx, `axis ${axis} would be sampled from ${window[0]} to ${window[1]} of it`);
    }
    return item;
  });
}

function given(tensor: Tensor | undefined): number[] | undefined {
  return tensor === undefined || tensor.data.length === 0 ? undefined : [...toNumbers(tensor)];
}

function roiOf(
  ctx: { node: string; op: string },
  attrs: Attrs,
  tensor: Tensor | undefined,
  count: number,
): number[] {
  const whole = Array.from({ length: 2 * count }, (_, i) => (i < count ? 0 : 1));
  if (textAttr(attrs, 'coordinate_transformation_mode') !== 'tf_crop_and_resize') return whole;
  const roi = given(tensor) ?? whole;
  if (roi.length !== 2 * count) shapeError(ctx, `roi of ${roi.length} for ${count} axes`);
  return roi;
}

function extentsOf(
  ctx: { node: string; op: string },
  attrs: Attrs,
  inputs: ResizeInputs,
  extents: readonly number[],
  roi: readonly number[],
): { sizes: number[]; scales: number[] } {
  const scales = given(inputs.scales);
  const sizes = given(inputs.sizes);
  const list = sizes ?? scales;
  if (list === undefined) shapeError(ctx, 'neither scales nor sizes are given');
  if (list.length !== extents.length || list.some((value) => !(value >= 0))) {
    shapeError(ctx, `[${list.join(',')}] for ${extents.length} axes`);
  }
  if (sizes === undefined) {
    if (list.some((value) => value === 0)) shapeError(ctx, 'a scale is 0');
    const crops = textAttr(attrs, 'coordinate_transformation_mode') === 'tf_crop_and_resize';
    const spans = extents.map((extent, k) =>
      crops ? extent * ((roi[k + extents.length] as number) - (roi[k] as number)) : extent,
    );
    // The product is rounded to f32 as the scales are: 10 · 0.7f is 7, not 6.9999999.
    const grown = spans.map((span, k) => Math.floor(Math.fround(span * (list[k] as number))));
    return { sizes: grown, scales: list };
  }
  const ratios = sizes.map((size, k) => size / Math.max(1, extents[k] as number));
  const policy = textAttr(attrs, 'keep_aspect_ratio_policy');
  if (policy === 'stretch') return { sizes, scales: ratios };
  const scale = policy === 'not_larger' ? Math.min(...ratios) : Math.max(...ratios);
  return {
    sizes: extents.map((extent) => Math.floor(extent * scale + 0.5)),
    scales: extents.map(() => scale),
  };
}

function resizeAxis(
  mode: string,
  extent: number,
  size: number,
  scale: number,
  window: readonly [number, number],
): ResizeAxis {
  const exact = Math.fround(extent * scale) === size;
  const line =
    (exact ? exactLine(mode, extent, size) : undefined) ??
    fixedLine(mode, extent, size, exact ? size / extent : scale, window);
  const axis = { extent, size, scale: exact ? size / extent : scale, ...line };
  if (mode !== 'tf_crop_and_resize') return { ...axis, first: 0, last: size };
  const inside = Array.from({ length: size }, (_, i) => {
    const position = positionOf({ ...axis, first: 0, last: 0 }, i);
    return position >= -SLACK && position <= extent - 1 + SLACK;
  });
  const first = inside.indexOf(true);
  return { ...axis, first: Math.max(first, 0), last: inside.lastIndexOf(true) + 1 };
}

type Line = Pick<ResizeAxis, 'slope' | 'offset' | 'unit'>;

function exactLine(mode: string, extent: number, size: number): Line | undefined {
  switch (mode) {
    case 'half_pixel':
    case 'half_pixel_symmetric':
      return reduced(2 * extent, extent - size, 2 * size);
    case 'pytorch_half_pixel':
      return size > 1 ? reduced(2 * extent, extent - size, 2 * size) : reduced(0, 0, 1);
    case 'asymmetric':
      return reduced(extent, 0, size);
    case 'tf_half_pixel_for_nn':
      return reduced(2 * extent, extent, 2 * size);
    case 'align_corners':
      return size > 1 ? reduced(extent - 1, 0, size - 1) : reduced(0, 0, 1);
    default:
      return undefined;
  }
}

function fixedLine(
  mode: string,
  extent: number,
  size: number,
  scale: number,
  [start, end]: readonly [number, number],
): Line {
  const fixed = (slope: number, offset: number): Line =>
    reduced(Math.round(slope * FIXED_POINT), Math.round(offset * FIXED_POINT), FIXED_POINT);
  const half = 0.5 / scale - 0.5;
  switch (mode) {
    case 'half_pixel':
      return fixed(1 / scale, half);
    case 'half_pixel_symmetric':
      return fixed(1 / scale, half + (extent / 2) * (1 - size / (extent * scale)));
    case 'pytorch_half_pixel':
      return size > 1 ? fixed(1 / scale, half) : fixed(0, 0);
    case 'tf_half_pixel_for_nn':
      return fixed(1 / scale, 0.5 / scale);
    case 'align_corners':
      return size > 1 ? fixed((extent - 1) / (extent * scale - 1), 0) : fixed(0, 0);
    case 'tf_crop_and_resize':
      return size > 1
        ? fixed(((end - start) * (extent - 1)) / (size - 1), start * (extent - 1))
        : fixed(0, 0.5 * (start + end) * (extent - 1));
    default:
      return fixed(1 / scale, 0);
  }
}

function reduced(slope: number, offset: number, unit: number): Line {
  const divisor = gcd(gcd(slope, Math.abs(offset)), unit) || 1;
  return { slope: slope / divisor, offset: offset / divisor, unit: Math.max(1, unit / divisor) };
}

/** Of whole numbers; of others some number, so that positions made of them can be refused. */
export function gcd(a: number, b: number): number {
  let [x, y] = [Math.abs(a), Math.abs(b)];
  while (y > 0) [x, y] = [y, x % y];
  return x;
}

/** Input index of each output index in nearest mode. */
export function nearestTable(axis: ResizeAxis, mode: string): number[] {
  return Array.from({ length: axis.size }, (_, i) => {
    const scaled = axis.slope * i + axis.offset;
    const floorDiv = (n: number): number =>
      Math.floor((n - (((n % axis.unit) + axis.unit) % axis.unit)) / axis.unit);
    // Doubled, so that a half is a whole number.
    const nearest = (): number => {
      const rest = 2 * (scaled - floorDiv(scaled) * axis.unit);
      switch (mode) {
        case 'floor':
          return floorDiv(scaled);
        case 'ceil':
          return floorDiv(scaled) + (rest > 0 ? 1 : 0);
        case 'round_prefer_ceil':
          return floorDiv(scaled) + (rest >= axis.unit ? 1 : 0);
        default:
          return floorDiv(scaled) + (rest > axis.unit ? 1 : 0);
      }
    };
    return Math.min(Math.max(nearest(), 0), axis.extent - 1);
  });
}
