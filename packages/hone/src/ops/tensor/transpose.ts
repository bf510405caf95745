/** Transpose. */
import { fromNumbers, stridesOf, type Tensor } from 'hone-runtime/base/tensor';
import { load } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { Attrs } from '../../graph/types.ts';
import { inputType, ints, intsAttr, shapeError } from '../checks.ts';
import { defineOp } from '../define-op.ts';
import { mapBody, outAxes } from '../lower.ts';
import { compiled } from './bodies.ts';
import { stridedCopy } from './elements.ts';

/** Input dimension of each output dimension; the default reverses them. */
export function permutation(attrs: Attrs, rank: number): readonly number[] {
  return intsAttr(attrs, 'perm') ?? Array.from({ length: rank }, (_, i) => rank - 1 - i);
}

export const Transpose = defineOp({
  kind: 'core',
  name: 'Transpose',
  doc: 'Permutes the dimensions; reverses them when `perm` is absent.',
  since: 1,
  attrs: { perm: ints() },
  infer: (ctx) => {
    const { dtype, shape } = inputType(ctx, 0);
    const perm = permutation(ctx.attrs, shape.length);
    const sorted = [...perm].sort((a, b) => a - b);
    if (perm.length !== shape.length || sorted.some((axis, i) => axis !== i)) {
      shapeError(ctx, `perm [${perm.join(',')}] does not permute rank ${shape.length}`);
    }
    return [{ dtype, shape: perm.map((axis) => shape[axis] as number) }];
  },
  lower: (ctx) =>
    compiled(ctx, () => {
      const { dtype, shape } = inputType(ctx, 0);
      const perm = permutation(ctx.attrs, shape.length);
      const axes = outAxes(perm.length);
      const from = shape.map((_, axis) => axes[perm.indexOf(axis)] as Expr);
      const out = perm.map((axis) => shape[axis] as number);
      // Extents of 1 do not move anything: such a transpose is a reshape.
      const moved = perm.filter((axis) => shape[axis] !== 1);
      if (moved.every((axis, i) => i === 0 || axis > (moved[i - 1] as number))) {
        return [{ kind: 'alias' }];
      }
      return [mapBody(out, load('0', dtype, from))];
    }),
  reference: ([x], attrs) => {
    const source = x as Tensor;
    const perm = permutation(attrs, source.shape.length);
    const strides = stridesOf(source.shape);
    return [
      stridedCopy(
        source,
        perm.map((axis) => source.shape[axis] as number),
        0,
        perm.map((axis) => strides[axis] as number),
      ),
    ];
  },
  cases: () => {
    const x = fromNumbers('f32', [2, 3, 4], [...Array(24).keys()]);
    return [
      { inputs: [x] },
      { inputs: [x], attrs: { perm: [1, 0, 2] } },
      { note: 'i64', inputs: [fromNumbers('i64', [2, 2], [1, 2, 3, 4])], attrs: { perm: [1, 0] } },
      { note: 'moves an extent of 1', inputs: [fromNumbers('f32', [1, 3], [1, 2, 3])] },
    ];
  },
});
