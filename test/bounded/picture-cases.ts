/** Operators that sample pictures, on pictures of unknown extents (wide-cases.ts). */
import type { Tensor } from 'hone-runtime/base/tensor';
import { type BoundedCase, f32, i64, noise } from './cases.ts';
import { cut, float, int, ints, text, wide } from './wide-cases.ts';

const MODES = ['bilinear', 'nearest', 'bicubic'] as const;
const PADDINGS = ['zeros', 'border', 'reflection'] as const;

/** Places in pictures and so far around; the middle of an even extent lies between two pixels. */
function grid(reach: number): Tensor {
  const places = noise([2, 4, 5, 2], 60).data as Float32Array;
  const around = Array.from(places, (value, i) => (i < 4 ? 0 : value * reach));
  return f32([2, 4, 5, 2], around);
}

/** Outside, onnxruntime reads the border tap by tap, ONNX's reference at the nearest place inside. */
const reachOf = (mode: string, padding: string): number =>
  mode === 'bicubic' && padding === 'border' ? 1 : 1.6;

const SAMPLED: readonly BoundedCase[] = [0, 1].flatMap((aligned) =>
  PADDINGS.flatMap((padding) =>
    MODES.map((mode) =>
      wide('GridSample', `${mode}, ${padding}, aligned: ${aligned}`, 9, {
        inputs: [cut([2, 3, 9, 9], 2, 3), grid(reachOf(mode, padding))],
        attrs: {
          ...{ mode: text(mode), padding_mode: text(padding) },
          align_corners: int(aligned),
        },
        ...{ opset: 16, lengths: [9, 8, 5, 2, 1] },
      }),
    ),
  ),
);

const VOLUMES: readonly BoundedCase[] = PADDINGS.map((padding, i) =>
  wide('GridSample', `volumes, ${padding}`, 5, {
    inputs: [cut([2, 2, 5, 4, 5], 2, 4), noise([2, 2, 3, 2, 3], 61)],
    attrs: { mode: text('linear'), padding_mode: text(padding), align_corners: int(i % 2) },
    opset: 20,
  }),
);

const BOXES = f32([3, 4], [0, 0, 5, 6, 1.5, 2.25, 4, 3, -3, 2, 12, 9.5]);

const REGIONS: readonly BoundedCase[] = ['half_pixel', 'output_half_pixel'].flatMap((place) =>
  ['avg', 'max'].flatMap((mode) =>
    [1, 2].map((ratio) =>
      wide('RoiAlign', `${mode}, ${place}, ${ratio} samples`, 8, {
        inputs: [cut([2, 3, 8, 8], 2, 3), BOXES, i64(0, 1, 0)],
        attrs: {
          ...{ mode: text(mode), coordinate_transformation_mode: text(place) },
          ...{ output_height: int(3), output_width: int(2), sampling_ratio: int(ratio) },
          spatial_scale: float(0.75),
        },
        ...{ opset: 16, lengths: [8, 7, 4, 2, 1] },
      }),
    ),
  ),
);

const MOVED: readonly BoundedCase[] = [
  wide('DeformConv', 'pictures and their offsets', 6, {
    inputs: [
      ...[cut([1, 2, 6, 6], 2, 3), noise([2, 2, 3, 3], 62), cut([1, 18, 6, 6], 2, 3)],
      ...[noise([2], 63), cut([1, 9, 6, 6], 2, 3)],
    ],
    ...{ attrs: { pads: ints(1, 1, 1, 1) }, opset: 19 },
  }),
  wide('DeformConv', 'pictures that have as many windows', 6, {
    inputs: [cut([1, 2, 6, 6], 2, 3), noise([2, 2, 2, 2], 64), noise([1, 8, 3, 3], 65)],
    ...{ attrs: { strides: ints(2, 2), pads: ints(1, 1, 0, 0) }, opset: 19, lengths: [6, 5] },
  }),
];

export const PICTURE_CASES: readonly BoundedCase[] = [...SAMPLED, ...VOLUMES, ...REGIONS, ...MOVED];
