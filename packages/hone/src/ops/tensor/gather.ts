/** Gather, GatherElements and GatherND: reads at positions that are data. */
import { fail } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import {
  elementCount,
  fromNumbers,
  stridesOf,
  type Tensor,
  toNumbers,
} from 'hone-runtime/base/tensor';
import { bound, iadd, imul, index, load } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import { inputType, int, intAttr, normalizeAxis, requireDType, shapeError } from '../checks.ts';
import { defineOp, type InferContext } from '../define-op.ts';
import { mapBody, outAxes } from '../lower.ts';
import { compiled, knownInput } from './bodies.ts';
import { checkedIndex, elementsOf, flatOf, gatherBy } from './elements.ts';

export const INDEX_TYPES: readonly DType[] = ['i32', 'i64'];

/** Indices known at compile time are checked there. */
function knownIndices(ctx: InferContext, position: number, extent: number): number[] | undefined {
  const tensor = knownInput(ctx, position);
  if (tensor === undefined) return undefined;
  return Array.from(toNumbers(tensor), (value) => {
    const at = value < 0 ? value + extent : value;
    if (at < 0 || at >= extent) {
      fail(
        'HONE-SHAPE-004',
        `node ${ctx.node} (${ctx.op}): index ${value} is outside extent ${extent}`,
        ctx.node,
        'the model is not valid for this input shape: check --shape',
      );
    }
    return at;
  });
}

/** start + step · axis when the indices are such a progression, so that the read has a stride. */
function progression(indices: readonly number[], axis: Expr): Expr | undefined {
  const start = indices[0];
  if (start === undefined) return undefined;
  const step = (indices[1] ?? start) - start;
  if (indices.some((value, i) => value !== start + i * step)) return undefined;
  return iadd(imul(axis, step), start);
}

function gatherAxis(ctx: InferContext): number {
  const { shape } = inputType(ctx, 0);
  if (shape.length === 0) shapeError(ctx, 'nothing can be gathered from a scalar');
  requireDType(ctx, inputType(ctx, 1), INDEX_TYPES, 'indices');
  return normalizeAxis(ctx, intAttr(ctx.attrs, 'axis'), shape.length);
}

const table = (): Tensor => fromNumbers('f32', [3, 4], [...Array(12).keys()]);
const indices = (shape: number[], values: number[]): Tensor => fromNumbers('i64', shape, values);

export const Gather = defineOp({
  kind: 'core',
  name: 'Gather',
  doc: 'Slices of the input along an axis, chosen by indices.',
  since: 13,
  attrs: { axis: int(0) },
  infer: (ctx) => {
    const { dtype, shape } = inputType(ctx, 0);
    const axis = gatherAxis(ctx);
    const chosen = inputType(ctx, 1).shape;
    return [{ dtype, shape: [...shape.slice(0, axis), ...chosen, ...shape.slice(axis + 1)] }];
  },
  hostCall: (ctx) =>
    knownInput(ctx, 1) === undefined
      ? { routine: 'gather_texts', attrs: { axis: gatherAxis(ctx) } }
      : undefined,
  lower: (ctx) =>
    compiled(ctx, () => {
      const { dtype, shape } = inputType(ctx, 0);
      const chosen = inputType(ctx, 1);
      const axis = gatherAxis(ctx);
      const extent = shape[axis] as number;
      const out = [...shape.slice(0, axis), ...chosen.shape, ...shape.slice(axis + 1)];
      const axes = outAxes(out.length);
      const at = axes.slice(axis, axis + chosen.shape.length);
      // One index, or a list of evenly spaced ones, is a slice. Where nothing is read, none is checked.
      const isLine = chosen.shape.length <= 1 || elementCount(chosen.shape) === 1;
      const known = isLine && elementCount(out) > 0 ? knownIndices(ctx, 1, extent) : undefined;
      const position =
        (known && progression(known, at.find((_, i) => chosen.shape[i] !== 1) ?? index(0))) ??
        bound(load('1', chosen.dtype, at), extent);
      const from = [...axes.slice(0, axis), position, ...axes.slice(axis + at.length)];
      return [mapBody(out, load('0', dtype, from))];
    }),
  reference: ([x, chosen], attrs, ctx) => {
    const source = x as Tensor;
    const wanted = chosen as Tensor;
    const rank = source.shape.length;
    const axis = (intAttr(attrs, 'axis') + rank) % rank;
    const rows = elementsOf(wanted);
    const strides = stridesOf(source.shape);
    const wantedStrides = stridesOf(wanted.shape);
    const shape = [
      ...source.shape.slice(0, axis),
      ...wanted.shape,
      ...source.shape.slice(axis + 1),
    ];
    const skip = wanted.shape.length;
    return [
      gatherBy(source, shape, (p) => {
        const row = rows[flatOf(p.slice(axis, axis + skip), wantedStrides)];
        const middle = checkedIndex(ctx.node, row, source.shape[axis] as number);
        return flatOf([...p.slice(0, axis), middle, ...p.slice(axis + skip)], strides);
      }),
    ];
  },
  cases: () => [
    { inputs: [table(), indices([2], [2, 0])] },
    {
      note: 'axis 1, negative',
      inputs: [table(), indices([2, 2], [0, -1, 2, 1])],
      attrs: { axis: 1 },
    },
    { note: 'scalar index', inputs: [table(), indices([], [1])], attrs: { axis: -1 } },
    {
      note: 'rows without elements',
      inputs: [fromNumbers('f32', [2, 0], []), indices([1], [5])],
    },
    { note: 'one index in a list', inputs: [table(), indices([1], [-1])] },
    { note: 'i32 indices', inputs: [table(), fromNumbers('i32', [3], [2, 1, 0])] },
  ],
});

export const GatherElements = defineOp({
  kind: 'core',
  name: 'GatherElements',
  doc: 'One element per index: the position itself, but for the index along the axis.',
  since: 13,
  attrs: { axis: int(0) },
  infer: (ctx) => {
    const { dtype, shape } = inputType(ctx, 0);
    const axis = gatherAxis(ctx);
    const chosen = inputType(ctx, 1).shape;
    const fits =
      chosen.length === shape.length &&
      chosen.every((size, i) => i === axis || size <= (shape[i] as number));
    if (!fits) shapeError(ctx, `indices [${chosen.join(',')}] do not fit [${shape.join(',')}]`);
    return [{ dtype, shape: chosen }];
  },
  lower: (ctx) =>
    compiled(ctx, () => {
      const { dtype, shape } = inputType(ctx, 0);
      const chosen = inputType(ctx, 1);
      const axis = gatherAxis(ctx);
      const axes = outAxes(shape.length);
      const position = bound(load('1', chosen.dtype, axes), shape[axis] as number);
      const from = axes.map((at, i) => (i === axis ? position : at));
      return [mapBody(chosen.shape, load('0', dtype, from))];
    }),
  reference: ([x, chosen], attrs, ctx) => {
    const source = x as Tensor;
    const wanted = chosen as Tensor;
    const rank = source.shape.length;
    const axis = (intAttr(attrs, 'axis') + rank) % rank;
    const rows = elementsOf(wanted);
    const strides = stridesOf(source.shape);
    const wantedStrides = stridesOf(wanted.shape);
    return [
      gatherBy(source, wanted.shape, (p) => {
        const row = rows[flatOf(p, wantedStrides)];
        const middle = checkedIndex(ctx.node, row, source.shape[axis] as number);
        return flatOf(
          p.map((at, i) => (i === axis ? middle : at)),
          strides,
        );
      }),
    ];
  },
  cases: () => [
    { inputs: [table(), indices([2, 4], [0, 1, 2, 0, 2, -1, 0, 1])] },
    { note: 'axis 1', inputs: [table(), indices([3, 1], [3, -2, 0])], attrs: { axis: 1 } },
  ],
});

export const GatherND = defineOp({
  kind: 'core',
  name: 'GatherND',
  doc: 'Slices chosen by tuples of indices (the last dimension of the indices).',
  since: 13,
  attrs: { batch_dims: int(0) },
  infer: (ctx) => {
    const { dtype, shape } = inputType(ctx, 0);
    const chosen = inputType(ctx, 1);
    requireDType(ctx, chosen, ['i64'], 'indices');
    const batch = intAttr(ctx.attrs, 'batch_dims');
    const tuple = chosen.shape.at(-1);
    if (tuple === undefined || batch < 0 || batch >= chosen.shape.length) {
      shapeError(ctx, `indices [${chosen.shape.join(',')}] with ${batch} batch dimensions`);
    }
    if (batch + tuple > shape.length) {
      shapeError(ctx, `tuples of ${tuple} indices into [${shape.join(',')}]`);
    }
    for (let i = 0; i < batch; i++) {
      if (chosen.shape[i] !== shape[i]) shapeError(ctx, `batch dimension ${i} differs`);
    }
    return [{ dtype, shape: [...chosen.shape.slice(0, -1), ...shape.slice(batch + tuple)] }];
  },
  lower: (ctx) =>
    compiled(ctx, () => {
      const { dtype, shape } = inputType(ctx, 0);
      const chosen = inputType(ctx, 1);
      const batch = intAttr(ctx.attrs, 'batch_dims');
      const tuple = chosen.shape.at(-1) as number;
      const lead = chosen.shape.length - 1;
      const out = [...chosen.shape.slice(0, -1), ...shape.slice(batch + tuple)];
      const axes = outAxes(out.length);
      const position = (k: number): Expr =>
        bound(
          load('1', chosen.dtype, [...axes.slice(0, lead), index(k)]),
          shape[batch + k] as number,
        );
      const from = [
        ...axes.slice(0, batch),
        ...Array.from({ length: tuple }, (_, k) => position(k)),
        ...axes.slice(lead),
      ];
      return [mapBody(out, load('0', dtype, from))];
    }),
  reference: ([x, chosen], attrs, ctx) => {
    const source = x as Tensor;
    const wanted = chosen as Tensor;
    const batch = intAttr(attrs, 'batch_dims');
    const tuple = wanted.shape.at(-1) as number;
    const lead = wanted.shape.length - 1;
    const values = elementsOf(wanted);
    const strides = stridesOf(source.shape);
    const wantedStrides = stridesOf(wanted.shape);
    const shape = [...wanted.shape.slice(0, -1), ...source.shape.slice(batch + tuple)];
    return [
      gatherBy(source, shape, (p) => {
        const base = flatOf(p.slice(0, lead), wantedStrides.slice(0, lead));
        const middle = Array.from({ length: tuple }, (_, k) =>
          checkedIndex(ctx.node, values[base + k], source.shape[batch + k] as number),
        );
        return flatOf([...p.slice(0, batch), ...middle, ...p.slice(lead)], strides);
      }),
    ];
  },
  cases: () => [
    { inputs: [table(), indices([2, 2], [0, 1, 2, -1])] },
    { note: 'slices', inputs: [table(), indices([2, 1], [2, 0])] },
    {
      note: 'batch',
      inputs: [fromNumbers('f32', [2, 2, 2], [...Array(8).keys()]), indices([2, 1], [1, 0])],
      attrs: { batch_dims: 1 },
    },
  ],
});
