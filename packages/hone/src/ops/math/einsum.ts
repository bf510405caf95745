/**
 * Einsum: sums of products over labelled axes. It decomposes into matrix products, two operands at
 * a time from the left, with transposes and reshapes around them.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { isInteger } from 'hone-runtime/base/dtype';
import {
  elementCount,
  fromNumbers,
  stridesOf,
  toBigInts,
  toNumbers,
} from 'hone-runtime/base/tensor';
import type { ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { inputType, requireDType, textAttr } from '../checks.ts';
import { defineOp, type InferContext, type OpDef } from '../define-op.ts';
import { requireSame } from './binary-family.ts';
import { FLOATS } from './dtypes.ts';
import { type Equation, parseEquation } from './einsum-equation.ts';
import { fromBigInts, given, gridOffsets, outputOf } from './loops.ts';
import { uniform } from './samples.ts';

/** A value whose axes carry labels. */
interface Labelled {
  readonly id: ValueId;
  readonly labels: readonly string[];
}

function equationOf(ctx: InferContext): Equation {
  const shapes = ctx.inputs.map((_, k) => inputType(ctx, k).shape);
  return parseEquation(ctx, textAttr(ctx.attrs, 'equation'), shapes);
}

const isIdentity = (order: readonly number[]): boolean => order.every((axis, i) => axis === i);

/** The axes in the order of `labels`, which are all of x's. */
function transposed(b: OpBuilder, x: Labelled, labels: readonly string[]): ValueId {
  const order = labels.map((label) => x.labels.indexOf(label));
  return isIdentity(order) ? x.id : b.op('Transpose', [x.id], { perm: order });
}

function reshaped(b: OpBuilder, id: ValueId, shape: readonly number[]): ValueId {
  return b.reshape(id, shape);
}

/** x with every label once: of axes that share one, the elements where they agree. */
function diagonal(b: OpBuilder, x: Labelled): Labelled {
  const label = x.labels.find((l, axis) => x.labels.indexOf(l) !== axis);
  if (label === undefined) return x;
  const { shape } = b.typeOf(x.id);
  const inside = x.labels.flatMap((l, axis) => (l === label ? [axis] : []));
  const outside = x.labels.flatMap((l, axis) => (l === label ? [] : [axis]));
  const extent = at(shape, at(inside, 0));
  const rest = outside.map((axis) => at(shape, axis));
  const perm = [...inside, ...outside];
  const front = isIdentity(perm) ? x.id : b.op('Transpose', [x.id], { perm });
  const flat = reshaped(b, front, [extent ** inside.length, ...rest]);
  // A step along every axis at once.
  const step = inside.reduce((sum, _, i) => sum + extent ** i, 0);
  const positions = b.positions(extent, step);
  const id = b.op('Gather', [flat, positions], { axis: 0 });
  return diagonal(b, { id, labels: [label, ...outside.map((axis) => at(x.labels, axis))] });
}

/** Sums out the labels that nobody else wants. */
function summed(b: OpBuilder, x: Labelled, wanted: ReadonlySet<string>): Labelled {
  const axes = x.labels.flatMap((label, axis) => (wanted.has(label) ? [] : [axis]));
  if (axes.length === 0) return x;
  const id = b.op('ReduceSum', [x.id, b.ints(axes)], { keepdims: 0 });
  return { id, labels: x.labels.filter((label) => wanted.has(label)) };
}

/** Axes of extent 1 whose label is longer are repeated, so that axes can be flattened together. */
function stretched(b: OpBuilder, x: Labelled, extents: ReadonlyMap<string, number>): Labelled {
  const wanted = x.labels.map((label) => extents.get(label) ?? 1);
  const shape = b.typeOf(x.id).shape;
  if (wanted.every((extent, axis) => extent === shape[axis])) return x;
  return { id: b.op('Expand', [x.id, b.ints(wanted)]), labels: x.labels };
}

/** The product of two values, summed over the labels both have and `wanted` has not. */
function product(
  b: OpBuilder,
  left: Labelled,
  right: Labelled,
  wanted: ReadonlySet<string>,
  extents: ReadonlyMap<string, number>,
): Labelled {
  const inBoth = new Set(left.labels.filter((label) => right.labels.includes(label)));
  const x = stretched(b, summed(b, left, new Set([...wanted, ...inBoth])), extents);
  const y = stretched(b, summed(b, right, new Set([...wanted, ...inBoth])), extents);
  const batch = x.labels.filter((label) => inBoth.has(label) && wanted.has(label));
  const inner = x.labels.filter((label) => inBoth.has(label) && !wanted.has(label));
  const rows = x.labels.filter((label) => !inBoth.has(label));
  const columns = y.labels.filter((label) => !inBoth.has(label));
  const sizes = (labels: readonly string[]): number[] => labels.map((l) => extents.get(l) ?? 1);
  const [n, k, m, c] = [batch, inner, rows, columns].map((labels) => elementCount(sizes(labels)));
  const shape = (...extent: (number | undefined)[]): number[] => extent.map((e) => e ?? 1);
  const a = reshaped(b, transposed(b, x, [...batch, ...rows, ...inner]), shape(n, m, k));
  const d = reshaped(b, transposed(b, y, [...batch, ...inner, ...columns]), shape(n, k, c));
  const labels = [...batch, ...rows, ...columns];
  return { id: reshaped(b, b.op('MatMul', [a, d]), sizes(labels)), labels };
}

const einsum = defineOp({
  kind: 'composite',
  name: 'Einsum',
  doc: 'Sum of products over labelled axes, as the equation says.',
  since: 12,
  attrs: { equation: { type: 'string', required: true } },
  infer(ctx) {
    const first = inputType(ctx, 0);
    requireDType(ctx, first, [...FLOATS, 'i32', 'i64', 'u32', 'u64']);
    ctx.inputs.forEach((_, k) => {
      requireSame(ctx, first, inputType(ctx, k), `input ${k}`);
    });
    const { output, extents } = equationOf(ctx);
    return [{ dtype: first.dtype, shape: output.map((label) => extents.get(label) ?? 1) }];
  },
  decompose(b, inputs, ctx) {
    const { operands, output, extents } = equationOf(ctx);
    const isMixed = operands.some((labels, k) =>
      labels.some((label, i) => {
        const { shape } = inputType(ctx, k);
        return shape[i] !== shape[labels.indexOf(label)];
      }),
    );
    if (isMixed) return 'a repeated label has different extents within one operand';
    let done: Labelled | undefined;
    inputs.forEach((id, k) => {
      const x = diagonal(b, { id: id ?? -1, labels: at(operands, k) });
      const wanted = new Set([...output, ...operands.slice(k + 1).flat()]);
      done = done === undefined ? x : product(b, done, x, wanted, extents);
    });
    if (done === undefined) return 'there are no operands';
    const result = stretched(b, summed(b, done, new Set(output)), extents);
    const id = transposed(b, result, output);
    return [id === inputs[0] ? b.op('Identity', [id]) : id];
  },
  reference(inputs, attrs, ctx) {
    const tensors = inputs.map((_, k) => given(inputs, k));
    const place = { node: ctx.node, op: 'Einsum' };
    const shapes = tensors.map((tensor) => tensor.shape);
    const { operands, output, extents } = parseEquation(place, textAttr(attrs, 'equation'), shapes);
    const summedLabels = [...extents.keys()].filter((label) => !output.includes(label));
    const labels = [...output, ...summedLabels];
    const grid = labels.map((label) => extents.get(label) ?? 1);
    // A repeated label walks the diagonal: its strides add up. Broadcast axes do not move.
    const offsets = operands.map((own, k) => {
      const strides = stridesOf(at(shapes, k));
      const along = (label: string): number =>
        own.reduce(
          (sum, l, i) => (l === label && shapes[k]?.[i] !== 1 ? sum + at(strides, i) : sum),
          0,
        );
      return gridOffsets(grid, labels.map(along));
    });
    const out = outputOf(ctx);
    const count = elementCount(out.shape);
    const terms = elementCount(summedLabels.map((label) => extents.get(label) ?? 1));
    const position = (k: number, o: number, t: number): number =>
      at(offsets, k)[o * terms + t] as number;
    if (isInteger(out.dtype)) {
      const values = tensors.map(toBigInts);
      const sums = Array.from({ length: count }, (_, o) => {
        let sum = 0n;
        for (let t = 0; t < terms; t++) {
          sum += values.reduce((p, list, k) => p * (list[position(k, o, t)] as bigint), 1n);
        }
        return sum;
      });
      return [fromBigInts(out.dtype, out.shape, sums)];
    }
    const values = tensors.map(toNumbers);
    const sums = new Float64Array(count);
    for (let o = 0; o < count; o++) {
      for (let t = 0; t < terms; t++) {
        sums[o] =
          (sums[o] as number) +
          values.reduce((p, list, k) => p * (list[position(k, o, t)] as number), 1);
      }
    }
    return [fromNumbers(out.dtype, out.shape, sums)];
  },
  cases: () => {
    const equation = (text: string, ...shapes: readonly (readonly number[])[]) => ({
      note: text,
      inputs: shapes.map((shape, k) => uniform(shape, -2, 2, 'f32', k + 1)),
      attrs: { equation: text },
    });
    return [
      equation('ij,jk->ik', [2, 3], [3, 4]),
      equation('bij,bjk', [2, 2, 3], [2, 3, 2]),
      equation('...ij,...kj->...ik', [2, 1, 3, 2], [3, 4, 2]),
      equation('bhid,bhjd->bhij', [2, 2, 3, 4], [2, 2, 5, 4]),
      equation('bihd,bjhd->bhij', [2, 3, 2, 4], [2, 5, 2, 4]),
      equation('ij->ji', [2, 3]),
      equation('ij->i', [2, 3]),
      equation('...i ->...', [2, 3]),
      equation('i,j->ij', [2], [3]),
      equation('i,i', [4], [4]),
      equation('ij,jk,kl->il', [2, 3], [3, 2], [2, 4]),
      equation('ijk,k->ij', [2, 3, 4], [4]),
      equation('ii->i', [3, 3]),
      equation('...ii->...i', [2, 3, 3]),
      equation('iji,jk->ik', [3, 2, 3], [2, 4]),
      equation('iii', [3, 3, 3]),
      equation('ij,kl->i', [2, 3], [2, 2]),
      equation('ij->ij', [2, 2]),
    ];
  },
});

export const EINSUM: readonly OpDef[] = [einsum];
