/** Resize, and Upsample, which older models call it. */
import { fail } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import type { Attrs, ValueId } from '../../graph/types.ts';
import { constantTensor } from '../../graph/walk.ts';
import type { OpBuilder } from '../builder.ts';
import {
  constantInput,
  float,
  inputType,
  int,
  intAttr,
  ints,
  optionalType,
  requireDType,
  shapeError,
  text,
  textAttr,
  typeError,
} from '../checks.ts';
import { defineOp, type InferContext, type OldNode } from '../define-op.ts';
import { compiled } from './bodies.ts';
import { elementsOf } from './elements.ts';
import { attrsWithout } from './reshape.ts';
import { type ResizeAxis, resizeAxes } from './resize-axes.ts';
import { lowerResize, type ResizeLowering } from './resize-lower.ts';
import { resizeReference } from './resize-reference.ts';

const CHOICES: Readonly<Record<string, readonly string[]>> = {
  mode: ['nearest', 'linear', 'cubic'],
  nearest_mode: ['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'],
  keep_aspect_ratio_policy: ['stretch', 'not_larger', 'not_smaller'],
  coordinate_transformation_mode: [
    'half_pixel',
    'half_pixel_symmetric',
    'pytorch_half_pixel',
    'align_corners',
    'asymmetric',
    'tf_crop_and_resize',
    'tf_half_pixel_for_nn',
  ],
};

function axesOf(ctx: InferContext): ResizeAxis[] {
  for (const [name, allowed] of Object.entries(CHOICES)) {
    const value = textAttr(ctx.attrs, name);
    if (!allowed.includes(value)) typeError(ctx, `${name} ${value} is not supported`);
  }
  // An empty tensor stands for an absent one.
  const read = (position: number, what: string): Tensor | undefined => {
    const input = ctx.inputs[position];
    const absent = !input || input.type.shape.includes(0);
    return absent ? undefined : constantInput(ctx, position, what);
  };
  const { shape } = inputType(ctx, 0);
  const sizes = read(3, 'sizes');
  const crops = textAttr(ctx.attrs, 'coordinate_transformation_mode') === 'tf_crop_and_resize';
  return resizeAxes(ctx, ctx.attrs, {
    shape,
    roi: crops ? read(1, 'roi') : undefined,
    scales: sizes === undefined ? read(2, 'scales') : undefined,
    sizes,
  });
}

function planOf(dtype: Tensor['dtype'], attrs: Attrs, axes: readonly ResizeAxis[]): ResizeLowering {
  return {
    dtype,
    axes,
    mode: textAttr(attrs, 'mode'),
    nearest: textAttr(attrs, 'nearest_mode'),
    cubicA: intAttr(attrs, 'cubic_coeff_a'),
    excludeOutside: intAttr(attrs, 'exclude_outside') !== 0,
    antialias: intAttr(attrs, 'antialias') !== 0,
    extrapolation: intAttr(attrs, 'extrapolation_value'),
  };
}

/** Attributes with which the old operators round. */
const OLD_ROUNDING = { coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' };

/** Resize-10 and Upsample: scales only, rounded down (up when every axis shrinks or stays). */
function fromScales(
  b: OpBuilder,
  node: OldNode,
  scales: ValueId,
): { inputs: readonly (ValueId | null)[]; attrs: Attrs; op: string } {
  const mode = node.attrs['mode'] ?? 'nearest';
  const value = b.graph.value(scales);
  if (value.constant === undefined && node.op === 'Resize' && mode === 'nearest') {
    fail(
      'HONE-SHAPE-002',
      `node ${node.name} (Resize): which way nearest rounds depends on scales that are input data`,
      node.name,
      'export the model with opset 11 or newer, where an attribute says it',
    );
  }
  const factors =
    value.constant === undefined ? [] : Array.from(constantTensor(value).data, Number);
  const shrinks = factors.some((factor) => factor < 1) && factors.every((factor) => factor <= 1);
  return {
    op: 'Resize',
    inputs: [node.inputs[0] ?? null, null, scales],
    attrs: {
      ...OLD_ROUNDING,
      ...(shrinks ? { nearest_mode: 'ceil' } : {}),
      mode: mode === 'bilinear' || mode === 'trilinear' ? 'linear' : mode,
    },
  };
}

const image = (): Tensor => fromNumbers('f32', [1, 1, 4, 4], [...Array(16).keys()]);
const scalesOf = (...values: number[]): Tensor => fromNumbers('f32', [values.length], values);
const sizesOf = (...values: number[]): Tensor => fromNumbers('i64', [values.length], values);

export const Resize = defineOp({
  kind: 'core',
  name: 'Resize',
  doc: 'Samples the input on another grid: nearest, linear or cubic.',
  since: 19,
  attrs: {
    antialias: int(0),
    axes: ints(),
    coordinate_transformation_mode: text('half_pixel'),
    cubic_coeff_a: float(-0.75),
    exclude_outside: int(0),
    extrapolation_value: float(0),
    keep_aspect_ratio_policy: text('stretch'),
    mode: text('nearest'),
    nearest_mode: text('round_prefer_floor'),
  },
  upgrade: (b, node) => {
    const scales = node.inputs[1];
    if (node.opset >= 11 || scales === undefined || scales === null) {
      return { inputs: node.inputs, attrs: node.attrs };
    }
    return fromScales(b, node, scales);
  },
  infer: (ctx) => {
    const [scales, sizes] = [optionalType(ctx, 2), optionalType(ctx, 3)];
    if (scales !== undefined) requireDType(ctx, scales, ['f32'], 'scales');
    if (sizes !== undefined) requireDType(ctx, sizes, ['i64'], 'sizes');
    return [{ dtype: inputType(ctx, 0).dtype, shape: axesOf(ctx).map((item) => item.size) }];
  },
  lower: (ctx) =>
    compiled(ctx, () => lowerResize(planOf(inputType(ctx, 0).dtype, ctx.attrs, axesOf(ctx)))),
  reference: ([x, roi, scales, sizes], attrs, ctx) => {
    const source = x as Tensor;
    const axes = resizeAxes({ node: ctx.node, op: 'Resize' }, attrs, {
      shape: source.shape,
      roi: roi ?? undefined,
      scales: scales ?? undefined,
      sizes: sizes ?? undefined,
    });
    return [resizeReference(source, planOf(source.dtype, attrs, axes))];
  },
  cases: () => {
    const x = image();
    const up = scalesOf(1, 1, 2, 2);
    const odd = scalesOf(1, 1, 0.6, 1.7);
    const mode = (coordinates: string, more: Attrs = {}): Attrs => ({
      coordinate_transformation_mode: coordinates,
      ...more,
    });
    return [
      { note: 'nearest', inputs: [x, null, up] },
      ...['floor', 'ceil', 'round_prefer_ceil'].map((nearest) => ({
        note: `nearest ${nearest}`,
        inputs: [x, null, odd],
        attrs: { nearest_mode: nearest },
      })),
      { note: 'i64', inputs: [fromNumbers('i64', [3], [1, 2, 3]), null, null, sizesOf(7)] },
      { note: 'linear', inputs: [x, null, up], attrs: { mode: 'linear' } },
      {
        note: 'linear to sizes',
        inputs: [x, null, null, sizesOf(1, 1, 3, 7)],
        attrs: { mode: 'linear' },
      },
      ...['half_pixel_symmetric', 'pytorch_half_pixel', 'align_corners', 'asymmetric'].map((c) => ({
        note: `linear ${c}`,
        inputs: [x, null, odd],
        attrs: mode(c, { mode: 'linear' }),
      })),
      { note: 'cubic', inputs: [x, null, up], attrs: { mode: 'cubic' } },
      {
        note: 'cubic, outside excluded',
        inputs: [x, null, odd],
        attrs: { mode: 'cubic', exclude_outside: 1, cubic_coeff_a: -0.5 },
      },
      ...['linear', 'cubic'].map((kind) => ({
        note: `${kind} antialiased`,
        inputs: [x, null, scalesOf(1, 1, 0.6, 0.5)],
        attrs: { mode: kind, antialias: 1 },
      })),
      {
        note: 'crop',
        inputs: [x, scalesOf(0, 0, 0.4, 0.6, 1, 1, 1.2, 1.7), null, sizesOf(1, 1, 3, 3)],
        attrs: mode('tf_crop_and_resize', { mode: 'linear', extrapolation_value: 10 }),
      },
      ...['linear', 'cubic'].map((kind) => ({
        note: `${kind} crop that runs backwards`,
        inputs: [x, scalesOf(0, 0, 0.9, 1.6, 1, 1, 0.1, 0.2), null, sizesOf(1, 1, 3, 3)],
        attrs: mode('tf_crop_and_resize', { mode: kind, extrapolation_value: 10 }),
      })),
      {
        note: 'axes, keeping the aspect',
        inputs: [x, null, null, sizesOf(7, 8)],
        attrs: { axes: [3, 2], keep_aspect_ratio_policy: 'not_larger' },
      },
    ];
  },
});

export const Upsample = defineOp({
  kind: 'composite',
  name: 'Upsample',
  doc: 'Old name of Resize: enlarges by scales, rounding positions down.',
  since: 10,
  attrs: { mode: text('nearest') },
  upgrade: (b, node) => {
    const [x = null, scales = null] = node.inputs;
    const { attrs } = node;
    if (scales !== null) return fromScales(b, node, scales);
    const factors = attrs['scales'] ?? [1, 1, attrs['height_scale'], attrs['width_scale']];
    const list = factors as readonly number[];
    const input = b.constant(fromNumbers('f32', [list.length], list), 'scales');
    return fromScales(b, { ...node, inputs: [x], attrs: attrsWithout(attrs, 'scales') }, input);
  },
  infer: (ctx) => {
    const { dtype, shape } = inputType(ctx, 0);
    requireDType(ctx, inputType(ctx, 1), ['f32'], 'scales');
    const scales = elementsOf(constantInput(ctx, 1, 'scales'));
    if (scales.length !== shape.length) shapeError(ctx, `${scales.length} scales`);
    return [
      {
        dtype,
        shape: shape.map((extent, i) => Math.floor(Math.fround(extent * Number(scales[i])))),
      },
    ];
  },
  decompose: (b, inputs, ctx) => [
    b.op('Resize', [inputs[0] ?? null, null, inputs[1] ?? null], {
      ...OLD_ROUNDING,
      mode: textAttr(ctx.attrs, 'mode'),
    }),
  ],
  reference: ([x, scales], attrs, ctx) =>
    Resize.reference(
      [x ?? null, null, scales ?? null, null],
      { ...defaults(), ...OLD_ROUNDING, mode: textAttr(attrs, 'mode') },
      ctx,
    ),
  cases: () => [
    { inputs: [image(), scalesOf(1, 1, 2, 3)] },
    { inputs: [image(), scalesOf(1, 1, 2, 2)], attrs: { mode: 'linear' } },
  ],
});

/** Resize's attributes that have defaults. */
function defaults(): Attrs {
  const pairs = Object.entries(Resize.attrs).map(([name, spec]) => [
    name,
    (spec as { default?: number | string }).default,
  ]);
  return Object.fromEntries(pairs.filter(([, value]) => value !== undefined));
}
