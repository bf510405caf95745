/**
 * Operators whose output size depends on data: Compress, NonZero, Unique. They are inferred where
 * that data is known at compile time, by running the reference.
 */
import { isBig } from 'hone-runtime/base/dtype';
import {
  elementCount,
  fromNumbers,
  stridesOf,
  type Tensor,
  toNumbers,
} from 'hone-runtime/base/tensor';
import type { Attrs, ValueType } from '../../graph/types.ts';
import {
  constantInput,
  inputType,
  int,
  intAttr,
  normalizeAxis,
  optionalInt,
  shapeError,
} from '../checks.ts';
import { defineOp, type InferContext } from '../define-op.ts';
import {
  eachPosition,
  type Element,
  elementsOf,
  gatherBy,
  newElements,
  tensorOf,
} from './elements.ts';

/** Types of tensors computed at compile time. */
export const typesOf = (tensors: readonly Tensor[]): ValueType[] =>
  tensors.map(({ dtype, shape }) => ({ dtype, shape }));

function chosenPositions(condition: Tensor): number[] {
  const flags = elementsOf(condition);
  return Array.from({ length: flags.length }, (_, i) => i).filter((i) => Number(flags[i]) !== 0);
}

/** The axis, or undefined for the flattened input. */
function axisOf(ctx: InferContext): number | undefined {
  const axis = ctx.attrs['axis'];
  if (typeof axis !== 'number') return undefined;
  const rank = inputType(ctx, 0).shape.length;
  if (rank === 0) shapeError(ctx, `axis ${axis} of a scalar`);
  return normalizeAxis(ctx, axis, rank);
}

export const Compress = defineOp({
  kind: 'composite',
  name: 'Compress',
  doc: 'The slices along an axis (or elements) for which a condition holds.',
  since: 11,
  attrs: { axis: optionalInt },
  infer: (ctx) => {
    const { dtype, shape } = inputType(ctx, 0);
    const axis = axisOf(ctx);
    const kept = chosenPositions(constantInput(ctx, 1, 'condition'));
    const extent = axis === undefined ? elementCount(shape) : (shape[axis] as number);
    if ((kept.at(-1) ?? -1) >= extent) shapeError(ctx, `condition is longer than ${extent}`);
    if (axis === undefined) return [{ dtype, shape: [kept.length] }];
    return [{ dtype, shape: shape.map((size, i) => (i === axis ? kept.length : size)) }];
  },
  decompose: (b, [x = null], ctx) => {
    const axis = axisOf(ctx);
    const kept = b.ints(chosenPositions(constantInput(ctx, 1, 'condition')));
    const source = axis === undefined ? b.op('Reshape', [x, b.ints([-1])]) : x;
    return [b.op('Gather', [source, kept], { axis: axis ?? 0 })];
  },
  reference: ([x, condition], attrs) => {
    const source = x as Tensor;
    const kept = chosenPositions(condition as Tensor);
    const rank = source.shape.length;
    const given = attrs['axis'];
    const axis = typeof given === 'number' ? (given + rank) % rank : 0;
    const flat = typeof given === 'number' ? source.shape : [elementCount(source.shape)];
    const strides = stridesOf(flat);
    const shape = flat.map((size, i) => (i === axis ? kept.length : size));
    return [
      gatherBy(source, shape, (p) =>
        p.reduce(
          (sum, at, i) => sum + (i === axis ? (kept[at] as number) : at) * (strides[i] as number),
          0,
        ),
      ),
    ];
  },
  cases: () => {
    const x = fromNumbers('f32', [3, 2], [1, 2, 3, 4, 5, 6]);
    return [
      { inputs: [x, fromNumbers('bool', [3], [0, 1, 1])], attrs: { axis: 0 } },
      { note: 'flattened, short', inputs: [x, fromNumbers('bool', [5], [0, 1, 0, 0, 1])] },
    ];
  },
});

function nonZero(x: Tensor): Tensor {
  const values = elementsOf(x);
  const found: number[][] = [];
  eachPosition(x.shape, (p, flat) => {
    const value = values[flat];
    // -0 as a half is the pattern 0x8000.
    const half = x.dtype === 'f16' || x.dtype === 'bf16';
    const zero = value === '' || Number(value) === 0 || (half && value === 0x8000);
    if (!zero) found.push([...p]);
  });
  const rank = x.shape.length;
  const rows = Array.from({ length: rank }, (_, axis) => found.map((p) => p[axis] as number));
  return fromNumbers('i64', [rank, found.length], rows.flat());
}

export const NonZero = defineOp({
  kind: 'host',
  name: 'NonZero',
  doc: 'The positions of the elements that are not 0, one column each.',
  since: 13,
  attrs: {},
  reason: 'output size depends on data',
  isPlanned: true,
  infer: (ctx) => typesOf([nonZero(constantInput(ctx, 0, 'the number of non-zero elements'))]),
  reference: ([x]) => [nonZero(x as Tensor)],
  cases: () => [
    { inputs: [fromNumbers('f32', [2, 3], [1, 0, 2, 0, 0, 3])] },
    { note: 'none', inputs: [fromNumbers('i64', [2], [0, 0])] },
  ],
});

/** Orders keys element by element, NaN behind all numbers. */
function compareKeys(a: readonly Element[], b: readonly Element[]): number {
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] as Element, b[i] as Element];
    if (x === y) continue;
    if (x < y) return -1;
    if (x > y) return 1;
    const byNaN = Number(Number.isNaN(x)) - Number(Number.isNaN(y));
    if (byNaN !== 0) return byNaN;
  }
  return 0;
}

/** A NaN is equal to nothing. */
const isSame = (a: readonly Element[], b: readonly Element[]): boolean =>
  a.every((x, i) => x === b[i]);

function unique(x: Tensor, attrs: Attrs): Tensor[] {
  const given = attrs['axis'];
  const flat = typeof given !== 'number';
  const shape = flat ? [elementCount(x.shape)] : x.shape;
  const axis = flat ? 0 : (given + shape.length) % shape.length;
  const extent = shape[axis] as number;
  const inner = elementCount(shape.slice(axis + 1));
  const outer = elementCount(shape.slice(0, axis));
  const values = elementsOf(x);
  const isStored = x.dtype === 'string' || isBig(x.dtype);
  const comparable: ArrayLike<Element> = isStored ? values : toNumbers(x);
  const keys = Array.from({ length: extent }, (_, i) => {
    const key: Element[] = [];
    for (let o = 0; o < outer; o++) {
      for (let k = 0; k < inner; k++) key.push(comparable[(o * extent + i) * inner + k] as Element);
    }
    return key;
  });
  const order = keys.map((_, i) => i);
  order.sort((i, j) => compareKeys(keys[i] as Element[], keys[j] as Element[]) || i - j);
  const groups: number[][] = [];
  for (const i of order) {
    const group = groups.at(-1);
    const first = group?.[0];
    const same = first !== undefined && isSame(keys[first] as Element[], keys[i] as Element[]);
    if (group && same) group.push(i);
    else groups.push([i]);
  }
  if (intAttr(attrs, 'sorted') === 0) groups.sort((a, b) => (a[0] as number) - (b[0] as number));
  const outShape = shape.map((size, i) => (i === axis ? groups.length : size));
  const out = newElements(x.dtype, elementCount(outShape));
  const inverse = new Array<number>(extent).fill(0);
  groups.forEach((group, g) => {
    for (const i of group) inverse[i] = g;
    const first = group[0] as number;
    for (let o = 0; o < outer; o++) {
      for (let k = 0; k < inner; k++) {
        out[(o * groups.length + g) * inner + k] = values[
          (o * extent + first) * inner + k
        ] as Element;
      }
    }
  });
  const list = (items: readonly number[]): Tensor => fromNumbers('i64', [items.length], items);
  return [
    tensorOf(x.dtype, outShape, out),
    list(groups.map((group) => group[0] as number)),
    list(inverse),
    list(groups.map((group) => group.length)),
  ];
}

export const Unique = defineOp({
  kind: 'host',
  name: 'Unique',
  doc: 'The distinct elements (or slices), where each first occurs, which each is, how often.',
  since: 11,
  attrs: { axis: optionalInt, sorted: int(1) },
  reason: 'output size depends on data',
  isPlanned: true,
  infer: (ctx) => {
    axisOf(ctx);
    const x = constantInput(ctx, 0, 'the number of distinct elements');
    return typesOf(unique(x, ctx.attrs)).slice(0, ctx.outputCount);
  },
  reference: ([x], attrs) => unique(x as Tensor, attrs),
  cases: () => [
    { inputs: [fromNumbers('f32', [6], [2, 1, 1, 3, 4, 3])], outputs: 4 },
    {
      note: 'in order of occurrence',
      inputs: [fromNumbers('i64', [4], [7, 2, 7, 1])],
      attrs: { sorted: 0 },
      outputs: 3,
    },
    {
      note: 'rows',
      inputs: [fromNumbers('f32', [3, 2], [1, 0, 1, 0, 2, 3])],
      attrs: { axis: 0 },
      outputs: 4,
    },
  ],
});
