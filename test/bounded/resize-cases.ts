/** Uses of Resize on pictures whose rows and columns are of unknown extent, in all its ways. */
import type { BoundOptions } from 'hone/frontends/onnx/bounded/bounds';
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import type { RawNode } from '../onnx/raw-model.ts';
import { i64 } from './cases.ts';

export type ListName = 'roi' | 'scales' | 'sizes';

export interface ResizeCase {
  readonly note: string;
  readonly attrs: RawNode['attrs'];
  readonly lists: Readonly<Partial<Record<ListName, Tensor>>>;
  /** Lists that are inputs of the model. */
  readonly data?: readonly ListName[];
  readonly bounds?: BoundOptions;
  readonly dtype?: Tensor['dtype'];
  /** Does onnxruntime compute the same? */
  readonly hasPeer?: true;
}

const text = (value: string) => ({ text: value });
const int = (value: number) => ({ int: value });
const f32 = (...values: number[]): Tensor => fromNumbers('f32', [values.length], values);

const LINES = [
  ...['half_pixel', 'half_pixel_symmetric', 'pytorch_half_pixel', 'align_corners', 'asymmetric'],
] as const;
const ROUNDINGS = ['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'] as const;

/** Smaller, larger, and both; a ratio of the extents, and none. */
const SMOOTHED: readonly ResizeCase[] = ['linear', 'cubic'].flatMap((mode) =>
  LINES.flatMap((line, k) =>
    [
      { scales: f32(1, 1, 0.6, 0.5) },
      { scales: f32(1, 1, 0.3, 1.7) },
      { sizes: i64(1, 2, 3, 9) },
    ].map((lists, i) => ({
      note: `${mode}, antialiased, ${line}, ${i}`,
      attrs: {
        ...{ mode: text(mode), antialias: int(1), exclude_outside: int((i + k) % 2) },
        coordinate_transformation_mode: text(line),
      },
      lists,
    })),
  ),
);

const crop = (more: RawNode['attrs']): RawNode['attrs'] => ({
  coordinate_transformation_mode: text('tf_crop_and_resize'),
  extrapolation_value: { float: 10 },
  ...more,
});
/** Sizes that no picture has: onnxruntime takes no part where an axis stays as long as it is. */
const WINDOW = f32(0, 0, 0.3713, 0.6129, 1, 1, 1.2391, 1.7477);
const BACK = f32(0, 0, 0.91, 1.63, 1, 1, 0.12, 0.23);

const CROPPED: readonly ResizeCase[] = [
  ...ROUNDINGS.map((nearest) => ({
    note: `crop, nearest ${nearest}`,
    attrs: crop({ mode: text('nearest'), nearest_mode: text(nearest) }),
    lists: { roi: WINDOW, sizes: i64(1, 2, 9, 8) },
    hasPeer: true as const,
  })),
  ...['linear', 'cubic'].flatMap((mode) => [
    {
      note: `crop, ${mode}`,
      attrs: crop({ mode: text(mode) }),
      lists: { roi: WINDOW, sizes: i64(1, 2, 9, 8) },
      hasPeer: true as const,
    },
    {
      note: `crop backwards, ${mode}`,
      attrs: crop({ mode: text(mode) }),
      lists: { roi: BACK, sizes: i64(1, 2, 4, 1) },
    },
    {
      note: `crop by scales, ${mode}`,
      attrs: crop({ mode: text(mode) }),
      lists: { roi: WINDOW, scales: f32(1, 1, 1.7, 0.9) },
    },
    {
      note: `crop, ${mode}, antialiased`,
      attrs: crop({ mode: text(mode), antialias: int(1) }),
      lists: { roi: WINDOW, sizes: i64(1, 2, 3, 2) },
    },
  ]),
  {
    note: 'crop of some axes',
    attrs: crop({ mode: text('linear'), axes: { ints: [3, 2] } }),
    lists: { roi: f32(0.1, 0.2, 0.9, 0.7), sizes: i64(6, 3) },
  },
  {
    note: 'crop that data says',
    attrs: crop({ mode: text('linear') }),
    lists: { roi: WINDOW, sizes: i64(1, 2, 3, 5) },
    data: ['roi'],
  },
];

const KEPT: readonly ResizeCase[] = ['not_larger', 'not_smaller'].flatMap((policy) =>
  [
    { mode: 'nearest', antialias: 0 },
    { mode: 'linear', antialias: 0 },
    { mode: 'cubic', antialias: 0 },
    { mode: 'linear', antialias: 1 },
  ].flatMap(({ mode, antialias }, k) =>
    [i64(4, 6), i64(9, 3)].map((sizes, i) => ({
      note: `${policy}, ${mode}, antialias: ${antialias}, ${i}`,
      attrs: {
        ...{ mode: text(mode), antialias: int(antialias), axes: { ints: [2, 3] } },
        keep_aspect_ratio_policy: text(policy),
        coordinate_transformation_mode: text(LINES[(k + i) % LINES.length] ?? ''),
      },
      lists: { sizes },
      bounds: { y: [1, 2, 70, 70] },
    })),
  ),
);

const WHOLE: readonly ResizeCase[] = (['u8', 'i8', 'i32'] as const).flatMap((dtype) => [
  {
    note: `${dtype}, linear`,
    attrs: { mode: text('linear') },
    lists: { scales: f32(1, 1, 2, 0.7) },
    dtype,
  },
  {
    note: `${dtype}, cubic`,
    attrs: { mode: text('cubic') },
    lists: { sizes: i64(1, 2, 5, 5) },
    dtype,
  },
  {
    note: `${dtype}, crop`,
    attrs: crop({ mode: text('linear') }),
    lists: { roi: WINDOW, sizes: i64(1, 2, 5, 5) },
    dtype,
  },
]);

const DATA: readonly ResizeCase[] = [
  {
    note: 'sizes that data says',
    attrs: { mode: text('linear'), antialias: int(1) },
    lists: { sizes: i64(1, 2, 3, 6) },
    data: ['sizes'],
    bounds: { sizes: [1, 2, 8, 8] },
  },
  ...[i64(1, 2, 3, 6), i64(1, 2, 8, 1)].flatMap((sizes, i) =>
    LINES.map((line) => ({
      note: `any sizes that data says, ${line}, ${i}`,
      attrs: {
        ...{ mode: text('cubic'), antialias: int(1), exclude_outside: int(i) },
        coordinate_transformation_mode: text(line),
      },
      lists: { sizes },
      data: ['sizes'] as const,
      bounds: { sizes: [1, 2, 8, 8] },
    })),
  ),
  {
    note: 'sizes that data says, keeping the aspect',
    attrs: {
      ...{ mode: text('linear'), axes: { ints: [2, 3] } },
      keep_aspect_ratio_policy: text('not_larger'),
    },
    lists: { sizes: i64(3, 6) },
    data: ['sizes'],
    bounds: { sizes: [8, 8] },
  },
  ...['nearest', 'linear'].map((mode) => ({
    note: `scales that data says, ${mode}`,
    attrs: { mode: text(mode), antialias: int(mode === 'linear' ? 1 : 0) },
    lists: { scales: f32(1, 1, 1.6, 0.8) },
    data: ['scales'] as const,
    bounds: { y: [1, 2, 12, 12] },
    hasPeer: true as const,
  })),
];

const OTHERS: readonly ResizeCase[] = [
  ...(['f16', 'f64'] as const).map((dtype) => ({
    note: `${dtype}`,
    attrs: { mode: text('cubic') },
    lists: { scales: f32(1, 1, 1.7, 0.6) },
    dtype,
  })),
  ...ROUNDINGS.map((nearest) => ({
    note: `half pixels of nearest neighbours, ${nearest}`,
    attrs: {
      ...{ mode: text('nearest'), nearest_mode: text(nearest) },
      coordinate_transformation_mode: text('tf_half_pixel_for_nn'),
    },
    lists: { scales: f32(1, 1, 2, 0.7) },
  })),
];

export const RESIZE_CASES: readonly ResizeCase[] = [
  ...SMOOTHED,
  ...CROPPED,
  ...KEPT,
  ...WHOLE,
  ...DATA,
  ...OTHERS,
];
