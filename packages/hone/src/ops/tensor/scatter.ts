/**
 * ScatterElements and ScatterND: writes at positions that are data. Compiled, they are the routines
 * `scatter_elements_…` and `scatter_nd_…` of native/routines.h.
 */
import { dtypeBytes, isBig } from 'hone-runtime/base/dtype';
import {
  elementCount,
  fromNumbers,
  stridesOf,
  type Tensor,
  toNumbers,
} from 'hone-runtime/base/tensor';
import type { Attrs } from '../../graph/types.ts';
import {
  inputType,
  int,
  intAttr,
  normalizeAxis,
  requireDType,
  shapeError,
  text,
  textAttr,
  typeError,
} from '../checks.ts';
import { defineOp, type InferContext } from '../define-op.ts';
import { compiled } from './bodies.ts';
import {
  checkedIndex,
  eachPosition,
  type Element,
  type Elements,
  elementsOf,
  flatOf,
  newElements,
  tensorOf,
} from './elements.ts';
import { INDEX_TYPES } from './gather.ts';

const REDUCTIONS = ['none', 'add', 'mul', 'max', 'min'];

function checkScatter(ctx: InferContext): void {
  const reduction = textAttr(ctx.attrs, 'reduction');
  if (!REDUCTIONS.includes(reduction)) typeError(ctx, `reduction ${reduction}`);
  const { dtype } = inputType(ctx, 0);
  if (inputType(ctx, 2).dtype !== dtype) typeError(ctx, 'data and updates differ in dtype');
  if (reduction !== 'none' && (dtype === 'string' || dtype === 'bool')) {
    typeError(ctx, `reduction ${reduction} of ${dtype}`);
  }
}

/** The routine's last name: the reduction and what it works on. */
function variant(ctx: InferContext): string {
  const reduction = textAttr(ctx.attrs, 'reduction');
  const { dtype } = inputType(ctx, 0);
  return reduction === 'none' ? `none_b${dtypeBytes(dtype)}` : `${reduction}_${dtype}`;
}

/** A copy of the data with one way to combine an update into it. */
function target(
  data: Tensor,
  updates: Tensor,
  attrs: Attrs,
): { put: (at: number, update: number) => void; done: () => Tensor } {
  const reduction = textAttr(attrs, 'reduction');
  const count = elementCount(data.shape);
  const plain = reduction === 'none' || isBig(data.dtype);
  // Halves are combined as doubles: their storage is a bit pattern.
  const out: Elements = plain ? newElements(data.dtype, count) : (toNumbers(data) as Elements);
  if (plain) for (let i = 0; i < count; i++) out[i] = elementsOf(data)[i] as Element;
  const values: Elements = plain ? elementsOf(updates) : (toNumbers(updates) as Elements);
  return {
    put: (at, update) => {
      out[at] = combine(reduction, out[at] as Element, values[update] as Element);
    },
    done: () =>
      plain
        ? tensorOf(data.dtype, data.shape, out)
        : fromNumbers(data.dtype, data.shape, out as unknown as Float64Array),
  };
}

function combine(reduction: string, old: Element, value: Element): Element {
  if (typeof old === 'bigint' && typeof value === 'bigint') {
    if (reduction === 'add') return old + value;
    if (reduction === 'mul') return old * value;
    if (reduction === 'max') return old > value ? old : value;
    if (reduction === 'min') return old < value ? old : value;
    return value;
  }
  if (typeof old !== 'number' || typeof value !== 'number') return value;
  if (reduction === 'add') return old + value;
  if (reduction === 'mul') return old * value;
  if (reduction === 'max') return Math.max(old, value);
  return reduction === 'min' ? Math.min(old, value) : value;
}

const list = (shape: number[], values: number[]): Tensor => fromNumbers('i64', shape, values);

export const ScatterElements = defineOp({
  kind: 'core',
  name: 'ScatterElements',
  doc: 'A copy of the data with single elements replaced, or combined with, by position.',
  since: 18,
  attrs: { axis: int(0), reduction: text('none') },
  infer: (ctx) => {
    checkScatter(ctx);
    const type = inputType(ctx, 0);
    const indices = inputType(ctx, 1);
    requireDType(ctx, indices, INDEX_TYPES, 'indices');
    const axis = normalizeAxis(ctx, intAttr(ctx.attrs, 'axis'), type.shape.length);
    const updates = inputType(ctx, 2).shape;
    const fits =
      indices.shape.length === type.shape.length &&
      updates.length === type.shape.length &&
      indices.shape.every(
        (size, i) => size === updates[i] && (i === axis || size <= (type.shape[i] as number)),
      );
    if (!fits) {
      shapeError(
        ctx,
        `indices [${indices.shape.join(',')}] and updates [${updates.join(',')}] for [${type.shape.join(',')}]`,
      );
    }
    return [type];
  },
  lower: (ctx) =>
    compiled(ctx, () => {
      const { shape } = inputType(ctx, 0);
      const indices = inputType(ctx, 1);
      const axis = normalizeAxis(ctx, intAttr(ctx.attrs, 'axis'), shape.length);
      const wide = indices.dtype === 'i64' ? 1 : 0;
      const dims = [wide, shape.length, axis, ...shape, ...indices.shape];
      return [{ kind: 'routine', routine: `scatter_elements_${variant(ctx)}`, dims, scalars: [] }];
    }),
  reference: ([data, indices, updates], attrs, ctx) => {
    const [into, where, what] = [data, indices, updates] as [Tensor, Tensor, Tensor];
    const rank = into.shape.length;
    const axis = (intAttr(attrs, 'axis') + rank) % rank;
    const strides = stridesOf(into.shape);
    const chosen = elementsOf(where);
    const { put, done } = target(into, what, attrs);
    eachPosition(where.shape, (p, flat) => {
      const at = [...p];
      at[axis] = checkedIndex(ctx.node, chosen[flat], into.shape[axis] as number);
      put(flatOf(at, strides), flat);
    });
    return [done()];
  },
  cases: () => {
    const data = fromNumbers('f32', [3, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const updates = fromNumbers('f32', [2, 3], [10, 20, 30, 40, 50, 60]);
    const indices = list([2, 3], [1, 0, 2, 1, -1, 0]);
    return [
      { inputs: [data, list([2, 3], [1, 0, 2, 0, -1, 0]), updates] },
      ...['add', 'mul', 'max', 'min'].map((reduction) => ({
        note: reduction,
        inputs: [data, indices, updates],
        attrs: { reduction },
      })),
      {
        note: 'axis 1, i64',
        inputs: [list([1, 3], [1, 2, 3]), list([1, 1], [-1]), list([1, 1], [9])],
        attrs: { axis: 1 },
      },
    ];
  },
});

/** The name of ScatterElements before opset 11. */
export const Scatter = defineOp({
  kind: 'composite',
  name: 'Scatter',
  doc: 'Old name of ScatterElements.',
  since: 11,
  attrs: { axis: int(0) },
  upgrade: (_b, { inputs, attrs }) => ({ op: 'ScatterElements', inputs, attrs }),
  infer: (ctx) => ScatterElements.infer({ ...ctx, attrs: { ...ctx.attrs, reduction: 'none' } }),
  decompose: (b, inputs, ctx) => [
    b.op('ScatterElements', inputs, { axis: intAttr(ctx.attrs, 'axis') }),
  ],
  reference: (inputs, attrs, ctx) =>
    ScatterElements.reference(inputs, { ...attrs, reduction: 'none' }, ctx),
  cases: () => [
    {
      inputs: [
        fromNumbers('f32', [1, 3], [1, 2, 3]),
        list([1, 2], [2, 0]),
        fromNumbers('f32', [1, 2], [8, 9]),
      ],
      attrs: { axis: 1 },
    },
  ],
});

export const ScatterND = defineOp({
  kind: 'core',
  name: 'ScatterND',
  doc: 'A copy of the data with slices replaced, or combined with, by tuples of indices.',
  since: 18,
  attrs: { reduction: text('none') },
  infer: (ctx) => {
    checkScatter(ctx);
    const type = inputType(ctx, 0);
    const indices = inputType(ctx, 1);
    requireDType(ctx, indices, ['i64'], 'indices');
    const tuple = indices.shape.at(-1) ?? shapeError(ctx, 'the indices are a scalar');
    if (tuple > type.shape.length) shapeError(ctx, `tuples of ${tuple} indices`);
    const wanted = [...indices.shape.slice(0, -1), ...type.shape.slice(tuple)];
    const updates = inputType(ctx, 2).shape;
    if (wanted.length !== updates.length || wanted.some((size, i) => size !== updates[i])) {
      shapeError(ctx, `updates are [${updates.join(',')}], not [${wanted.join(',')}]`);
    }
    return [type];
  },
  lower: (ctx) =>
    compiled(ctx, () => {
      const { shape } = inputType(ctx, 0);
      const indices = inputType(ctx, 1).shape;
      const tuple = indices.at(-1) as number;
      const tuples = elementCount(indices.slice(0, -1));
      const slice = elementCount(shape.slice(tuple));
      const dims = [tuples, tuple, slice, elementCount(shape), ...shape.slice(0, tuple)];
      return [{ kind: 'routine', routine: `scatter_nd_${variant(ctx)}`, dims, scalars: [] }];
    }),
  reference: ([data, indices, updates], attrs, ctx) => {
    const [into, where, what] = [data, indices, updates] as [Tensor, Tensor, Tensor];
    const tuple = where.shape.at(-1) as number;
    const strides = stridesOf(into.shape);
    const slice = elementCount(into.shape.slice(tuple));
    const chosen = elementsOf(where);
    const { put, done } = target(into, what, attrs);
    const tuples = elementCount(where.shape.slice(0, -1));
    // Slices without elements are nowhere, and nothing checks where.
    for (let t = 0; t < tuples && slice > 0; t++) {
      let base = 0;
      for (let k = 0; k < tuple; k++) {
        const at = checkedIndex(ctx.node, chosen[t * tuple + k], into.shape[k] as number);
        base += at * (strides[k] as number);
      }
      for (let i = 0; i < slice; i++) put(base + i, t * slice + i);
    }
    return [done()];
  },
  cases: () => {
    const data = fromNumbers('f32', [4, 2], [1, 2, 3, 4, 5, 6, 7, 8]);
    const updates = fromNumbers('f32', [3, 2], [10, 20, 30, 40, 50, 60]);
    return [
      { inputs: [data, list([3, 1], [3, 0, 1]), updates] },
      {
        note: 'tuples',
        inputs: [data, list([2, 2], [0, 1, -1, 0]), fromNumbers('f32', [2], [9, 8])],
      },
      ...['add', 'mul', 'max', 'min'].map((reduction) => ({
        note: reduction,
        inputs: [data, list([3, 1], [1, 1, 2]), updates],
        attrs: { reduction },
      })),
    ];
  },
});
