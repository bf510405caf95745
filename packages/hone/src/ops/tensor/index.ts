/** The tensor operators; one line per operator or family. */
import type { OpDef } from '../define-op.ts';
import { Concat } from './concat.ts';
import { Expand, Tile } from './expand.ts';
import { Gather, GatherElements, GatherND } from './gather.ts';
import { ConstantOfShape, EyeLike, Range } from './generate.ts';
import { Pad } from './pad.ts';
import { Flatten, Identity, Reshape, Squeeze, Unsqueeze } from './reshape.ts';
import { Resize, Upsample } from './resize.ts';
import { Shape, Size } from './shape.ts';
import { Slice } from './slice.ts';
import { Split } from './split.ts';
import { Transpose } from './transpose.ts';

export const TENSOR_OPS: readonly OpDef[] = [
  ...[Reshape, Flatten, Squeeze, Unsqueeze, Identity],
  ...[Transpose, Concat, Slice, Split, Pad],
  ...[Gather, GatherElements, GatherND],
  ...[Expand, Tile, Resize, Upsample],
  ...[Shape, Size, ConstantOfShape, Range, EyeLike],
];
