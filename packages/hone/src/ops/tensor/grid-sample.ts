/** GridSample and AffineGrid: sampling at positions that are data. */
import { isFloat } from 'hone-runtime/base/dtype';
import {
  elementCount,
  fromNumbers,
  stridesOf,
  type Tensor,
  toNumbers,
} from 'hone-runtime/base/tensor';
import type { Attrs } from '../../graph/types.ts';
import {
  constantInts,
  inputType,
  int,
  intAttr,
  requireDType,
  shapeError,
  text,
  textAttr,
  typeError,
} from '../checks.ts';
import { defineOp, type InferContext, type TestCase } from '../define-op.ts';
import { mapBody, outAxes } from '../lower.ts';
import { checkedShape, compiled, extentOfRun } from './bodies.ts';
import { cubicWeight } from './cubic.ts';
import { eachPosition, pictureOf } from './elements.ts';
import { affineGridValue, type GridOptions, gridSampleValue } from './grid-lower.ts';
import { HONE_DOMAIN } from './positions.ts';

const MODES = ['linear', 'nearest', 'cubic'];
const PADDINGS = ['zeros', 'border', 'reflection'];
const CUBIC_A = -0.75;

function outShape(ctx: InferContext): number[] {
  const x = inputType(ctx, 0);
  const grid = inputType(ctx, 1).shape;
  const spatial = x.shape.length - 2;
  const fits =
    spatial > 0 &&
    grid.length === x.shape.length &&
    grid[0] === x.shape[0] &&
    grid.at(-1) === spatial;
  if (!fits) shapeError(ctx, `grid [${grid.join(',')}] for [${x.shape.join(',')}]`);
  if (x.shape.slice(2).includes(0)) shapeError(ctx, 'the input is empty');
  const mode = textAttr(ctx.attrs, 'mode');
  const padding = textAttr(ctx.attrs, 'padding_mode');
  if (!MODES.includes(mode)) typeError(ctx, `mode ${mode}`);
  if (mode === 'cubic' && spatial !== 2) typeError(ctx, `mode cubic of ${spatial} dimensions`);
  if (!PADDINGS.includes(padding)) typeError(ctx, `padding_mode ${padding}`);
  if (!isFloat(inputType(ctx, 1).dtype)) typeError(ctx, 'the grid is not of a float type');
  return [...x.shape.slice(0, 2), ...grid.slice(1, -1)];
}

/** Reflects a position at both borders until it is between them. */
function reflect(x: number, low: number, high: number): number {
  const range = high - low;
  if (range === 0) return low;
  const period = 2 * range;
  const phase = (((x - low) % period) + period) % period;
  return low + Math.min(phase, period - phase);
}

/** Reference of one axis: the positions that contribute, -1 for a zero outside, with weights. */
function taps(value: number, extent: number, attrs: Attrs): [number, number][] {
  const aligned = intAttr(attrs, 'align_corners') !== 0;
  const [low, high] = aligned ? [0, extent - 1] : [-0.5, extent - 0.5];
  const padding = textAttr(attrs, 'padding_mode');
  const settle = (x: number): number => {
    if (x >= low && x <= high) return x;
    if (padding === 'border') return Math.min(Math.max(x, 0), extent - 1);
    return padding === 'reflection' ? reflect(x, low, high) : x;
  };
  const raw = aligned ? ((value + 1) / 2) * (extent - 1) : ((value + 1) * extent - 1) / 2;
  const mode = textAttr(attrs, 'mode');
  const position = settle(mode === 'nearest' ? roundEven(raw) : raw);
  const at = (tap: number): number => {
    if (tap >= 0 && tap < extent) return tap;
    return padding === 'zeros' ? -1 : Math.trunc(settle(tap));
  };
  const base = Math.floor(position);
  if (mode === 'nearest') return [[at(roundEven(position)), 1]];
  if (mode === 'linear') {
    return [
      [at(base), 1 - (position - base)],
      [at(base + 1), position - base],
    ];
  }
  return [-1, 0, 1, 2].map((k) => [
    at(base + k),
    cubicWeight(Math.abs(position - base - k), CUBIC_A),
  ]);
}

function roundEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}

export const GridSample = defineOp({
  kind: 'core',
  name: 'GridSample',
  doc: 'Samples the input at the positions (from -1 to 1) of a grid.',
  since: 20,
  attrs: { align_corners: int(0), mode: text('linear'), padding_mode: text('zeros') },
  upgrade: (_b, { inputs, attrs }) => {
    const names: Readonly<Record<string, string>> = { bilinear: 'linear', bicubic: 'cubic' };
    const mode = String(attrs['mode'] ?? 'bilinear');
    return { inputs, attrs: { ...attrs, mode: names[mode] ?? mode } };
  },
  infer: (ctx) => [{ dtype: inputType(ctx, 0).dtype, shape: outShape(ctx) }],
  lower: (ctx) =>
    compiled(ctx, () => [
      mapBody(
        outShape(ctx),
        gridSampleValue(inputType(ctx, 0), inputType(ctx, 1), optionsOf(ctx.attrs)),
      ),
    ]),
  reference: ([x, grid], attrs, ctx) => {
    const source = x as Tensor;
    const values = toNumbers(source);
    const positions = toNumbers(grid as Tensor);
    const shape = ctx.outputTypes[0]?.shape ?? [];
    const extents = source.shape.slice(2);
    const rank = extents.length;
    const strides = stridesOf(source.shape);
    const gridStrides = stridesOf((grid as Tensor).shape);
    const out = new Float64Array(elementCount(shape));
    eachPosition(shape, (p, flat) => {
      const [n, c, ...rest] = p as [number, number, ...number[]];
      const gridAt = [n, ...rest].reduce((sum, at, i) => sum + at * (gridStrides[i] as number), 0);
      let terms: [number, number][] = [
        [n * (strides[0] as number) + c * (strides[1] as number), 1],
      ];
      extents.forEach((extent, axis) => {
        // The grid names the last axis first.
        const value = positions[gridAt + rank - 1 - axis] as number;
        const choices = taps(value, extent, attrs).filter(([at]) => at >= 0);
        terms = terms.flatMap(([base, weight]) =>
          choices.map(([at, w]): [number, number] => [
            base + at * (strides[axis + 2] as number),
            weight * w,
          ]),
        );
      });
      out[flat] = terms.reduce((sum, [at, weight]) => sum + weight * (values[at] as number), 0);
    });
    return [fromNumbers(source.dtype, shape, out)];
  },
  cases: () => gridCases(),
});

/**
 * The same of pictures that are the begin of their room along every axis: the last input says how much of
 * it. No model has this operator: the importer makes it where extents are data.
 */
export const SizedGridSample = defineOp({
  kind: 'core',
  name: 'SizedGridSample',
  domain: HONE_DOMAIN,
  doc: 'As GridSample, of pictures with room: the last input has their extents.',
  since: 1,
  attrs: GridSample.attrs,
  infer: (ctx) => {
    const spatial = inputType(ctx, 0).shape.length - 2;
    requireDType(ctx, inputType(ctx, 2), ['i64'], 'extents');
    if (inputType(ctx, 2).shape.join() !== `${spatial}`) shapeError(ctx, `not ${spatial} extents`);
    return [{ dtype: inputType(ctx, 0).dtype, shape: outShape(ctx) }];
  },
  lower: (ctx) =>
    compiled(ctx, () => {
      const [x, grid] = [inputType(ctx, 0), inputType(ctx, 1)];
      const meant = x.shape.slice(2).map((room, i) => extentOfRun('2', i, room));
      return [mapBody(outShape(ctx), gridSampleValue(x, grid, optionsOf(ctx.attrs), meant))];
    }),
  reference: ([x, grid, extents], attrs, ctx) => {
    const meant = pictureOf(x as Tensor, extents as Tensor);
    return GridSample.reference([meant, grid ?? null], attrs, ctx);
  },
  cases: () =>
    gridCases().map(({ inputs, ...item }, i) => {
      const shape = inputs[0]?.shape.slice(2) ?? [];
      // All of the room, less of it, one pixel.
      const meant = shape.map((extent) => Math.max(1, i % 3 === 0 ? extent : extent - i));
      return { ...item, inputs: [...inputs, fromNumbers('i64', [shape.length], meant)] };
    }),
});

const optionsOf = (attrs: Attrs): GridOptions => ({
  aligned: intAttr(attrs, 'align_corners') !== 0,
  mode: textAttr(attrs, 'mode'),
  padding: textAttr(attrs, 'padding_mode'),
  cubicA: CUBIC_A,
});

function gridCases(): readonly TestCase[] {
  const x = fromNumbers('f32', [1, 2, 3, 4], [...Array(24).keys()]);
  const points = [-1, -1, -0.5, 0.3, 0.1, 0.77, 1.3, -1.9, 0.99, 1, 0.2, -0.4];
  const grid = fromNumbers('f32', [1, 2, 3, 2], points);
  const cube = fromNumbers('f32', [1, 1, 2, 2, 2], [...Array(8).keys()]);
  return [
    { inputs: [x, grid] },
    ...MODES.flatMap((mode) =>
      PADDINGS.map((padding_mode, i) => ({
        note: `${mode} ${padding_mode}`,
        inputs: [x, grid],
        attrs: { mode, padding_mode, align_corners: i % 2 },
      })),
    ),
    {
      note: 'cubic, half a pixel beyond the centres',
      inputs: [x, fromNumbers('f32', [1, 1, 2, 2], [-0.9, -0.95, 0.97, 0.8])],
      attrs: { mode: 'cubic', padding_mode: 'border' },
    },
    {
      note: 'volume',
      inputs: [cube, fromNumbers('f32', [1, 1, 1, 2, 3], [0, 0.2, -0.7, 1, 1, 1])],
    },
  ];
}

function affineShape(ctx: InferContext): readonly number[] {
  const theta = inputType(ctx, 0).shape;
  const size = constantInts(ctx, 1, 'size');
  const spatial = size.length - 2;
  const fits =
    theta.length === 3 &&
    theta[0] === size[0] &&
    theta[1] === spatial &&
    theta[2] === spatial + 1 &&
    (spatial === 2 || spatial === 3);
  if (!fits) shapeError(ctx, `theta [${theta.join(',')}] for size [${size.join(',')}]`);
  return checkedShape(ctx, [size[0] as number, ...size.slice(2), spatial]);
}

export const AffineGrid = defineOp({
  kind: 'core',
  name: 'AffineGrid',
  doc: 'The grid of positions that GridSample takes, under an affine transformation.',
  since: 20,
  attrs: { align_corners: int(0) },
  infer: (ctx) => [{ dtype: inputType(ctx, 0).dtype, shape: affineShape(ctx) }],
  lower: (ctx) =>
    compiled(ctx, () => {
      const shape = affineShape(ctx);
      const aligned = intAttr(ctx.attrs, 'align_corners') !== 0;
      const axes = outAxes(shape.length);
      return [mapBody(shape, affineGridValue(inputType(ctx, 0).dtype, shape, axes, aligned))];
    }),
  reference: ([theta], attrs, ctx) => {
    const matrix = toNumbers(theta as Tensor);
    const { dtype, shape } = ctx.outputTypes[0] as { dtype: Tensor['dtype']; shape: number[] };
    const rank = shape.length - 2;
    const aligned = intAttr(attrs, 'align_corners') !== 0;
    const at = (i: number, extent: number): number => {
      if (!aligned) return (2 * i + 1) / extent - 1;
      return extent > 1 ? (2 * i) / (extent - 1) - 1 : 0;
    };
    const out = new Float64Array(elementCount(shape));
    eachPosition(shape, (p, flat) => {
      const row = ((p[0] as number) * rank + (p.at(-1) as number)) * (rank + 1);
      let sum = matrix[row + rank] as number;
      for (let j = 0; j < rank; j++) {
        const axis = rank - j;
        sum += (matrix[row + j] as number) * at(p[axis] as number, shape[axis] as number);
      }
      out[flat] = sum;
    });
    return [fromNumbers(dtype, shape, out)];
  },
  cases: () => {
    const theta = fromNumbers('f32', [1, 2, 3], [1, 0.5, -0.2, -0.5, 1.2, 0.1]);
    const size = fromNumbers('i64', [4], [1, 3, 2, 4]);
    return [
      { inputs: [theta, size] },
      { note: 'aligned', inputs: [theta, size], attrs: { align_corners: 1 } },
    ];
  },
});
