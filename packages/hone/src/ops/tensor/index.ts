/** The tensor operators; one line per operator or family. */
import type { OpDef } from '../define-op.ts';
import { CenterCropPad } from './center-crop-pad.ts';
import { Col2Im } from './col2im.ts';
import { Concat } from './concat.ts';
import { Compress, NonZero, Unique } from './data-sized.ts';
import { DepthToSpace, SpaceToDepth } from './depth-space.ts';
import { Expand, Tile } from './expand.ts';
import { Gather, GatherElements, GatherND } from './gather.ts';
import { ConstantOfShape, EyeLike, Range } from './generate.ts';
import { AffineGrid, GridSample, SizedGridSample } from './grid-sample.ts';
import { NonMaxSuppression, PaddedNonMaxSuppression } from './non-max-suppression.ts';
import { OneHot } from './one-hot.ts';
import { Pad } from './pad.ts';
import { Positions } from './positions.ts';
import { Flatten, Identity, Reshape, Squeeze, Unsqueeze } from './reshape.ts';
import { Resize, Upsample } from './resize.ts';
import { ReverseSequence } from './reverse-sequence.ts';
import { Scatter, ScatterElements, ScatterND } from './scatter.ts';
import { Shape, Size } from './shape.ts';
import { Slice } from './slice.ts';
import { Split } from './split.ts';
import { TensorScatter } from './tensor-scatter.ts';
import { TopK } from './top-k.ts';
import { Transpose } from './transpose.ts';
import { Trilu } from './trilu.ts';
import { Within } from './within.ts';

export const TENSOR_OPS: readonly OpDef[] = [
  ...[Reshape, Flatten, Squeeze, Unsqueeze, Identity],
  ...[Transpose, Concat, Slice, Split, Pad, CenterCropPad, Trilu, ReverseSequence],
  ...[Gather, GatherElements, GatherND, ScatterElements, ScatterND, Scatter, TensorScatter],
  ...[Expand, Tile, Resize, Upsample, GridSample, SizedGridSample, AffineGrid],
  ...[DepthToSpace, SpaceToDepth, Col2Im],
  ...[Shape, Size, ConstantOfShape, Range, EyeLike, OneHot],
  ...[
    TopK,
    Compress,
    NonZero,
    Unique,
    NonMaxSuppression,
    PaddedNonMaxSuppression,
    Positions,
    Within,
  ],
];
