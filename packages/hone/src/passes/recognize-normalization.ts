/**
 * Normalisations written out by exporters: LayerNormalization and RMSNormalization from means and
 * roots (then their scale and bias, one node at a time), and Softmax from Exp and ReduceSum.
 */
import { toNumbers } from 'hone-runtime/base/tensor';
import type { Node, ValueId } from '../graph/types.ts';
import { madeBy, near, uniform } from './match.ts';
import type { Rebuild } from './pass.ts';

/** What a node stands for, if it ends one of these patterns. */
export function recognizeNormalization(node: Node, r: Rebuild): ValueId | undefined {
  if (node.domain !== '' || node.inputs.length !== 2) return undefined;
  const [a, b] = node.inputs.map((id) => (id === null ? null : r.map(id)));
  if (a === null || a === undefined || b === null || b === undefined) return undefined;
  switch (node.op) {
    case 'Div':
      return softmax(r, a, b) ?? normalized(r, a, madeBy(r, b, 'Sqrt')?.inputs[0]);
    case 'Mul':
      return (
        normalized(r, a, rootUnder(r, b)) ??
        normalized(r, b, rootUnder(r, a)) ??
        withScale(node, r, 0, a, b) ??
        withScale(node, r, 1, b, a)
      );
    case 'Add':
      return (
        withBias(node, r, 0, a, b) ??
        withBias(node, r, 1, b, a) ??
        folded(r, a, b) ??
        folded(r, b, a)
      );
    default:
      return undefined;
  }
}

/** v of 1/√v. */
function rootUnder(r: Rebuild, id: ValueId | null | undefined): ValueId | null | undefined {
  const root = madeBy(r, id, 'Reciprocal')?.inputs[0];
  if (root !== undefined) return madeBy(r, root, 'Sqrt')?.inputs[0];
  const division = madeBy(r, id, 'Div');
  if (division === undefined || uniform(r, division.inputs[0]) !== 1) return undefined;
  return madeBy(r, division.inputs[1], 'Sqrt')?.inputs[0];
}

interface Spread {
  readonly x: ValueId;
  readonly mean: ValueId | undefined;
  readonly axis: number;
  readonly epsilon: number;
}

/** centred / √spread, where spread = mean of centred² + ε over trailing axes. */
function normalized(
  r: Rebuild,
  centred: ValueId,
  spread: ValueId | null | undefined,
): ValueId | undefined {
  const found = spreadOf(r, spread, centred);
  if (found === undefined) return undefined;
  const { x, mean, axis, epsilon } = found;
  const { dtype, shape } = r.b.typeOf(x);
  const tail = shape.slice(axis);
  const op = mean === undefined ? 'RMSNormalization' : 'LayerNormalization';
  return r.b.op(op, [x, r.b.filled(dtype, tail, 1, 'ones')], { axis, epsilon });
}

/** Reads mean((x − mean(x))²) + ε, or mean(x²) + ε where `centred` is x itself. */
function spreadOf(
  r: Rebuild,
  spread: ValueId | null | undefined,
  centred: ValueId,
): Spread | undefined {
  const [variance, epsilon] = addend(r, spread) ?? [];
  const squares = madeBy(r, variance, 'ReduceMean');
  const axis = trailingAxis(r, squares);
  if (axis === undefined || epsilon === undefined) return undefined;
  const base = squareRootOf(r, squares?.inputs[0]);
  if (base === undefined) return undefined;
  const difference = centredValue(r, base, axis);
  if (difference !== undefined) {
    const same = base === centred || centredValue(r, centred, axis)?.x === difference.x;
    return same ? { ...difference, axis, epsilon } : undefined;
  }
  return base === centred ? { x: base, mean: undefined, axis, epsilon } : undefined;
}

/** x and mean of Sub(x, ReduceMean(x)). */
function centredValue(
  r: Rebuild,
  id: ValueId,
  axis: number,
): { readonly x: ValueId; readonly mean: ValueId } | undefined {
  const [x, mean] = madeBy(r, id, 'Sub')?.inputs ?? [];
  const reduce = madeBy(r, mean, 'ReduceMean');
  if (x === null || x === undefined || mean === null || mean === undefined) return undefined;
  return reduce?.inputs[0] === x && trailingAxis(r, reduce) === axis ? { x, mean } : undefined;
}

/** The value and the small constant of value + ε. */
function addend(
  r: Rebuild,
  id: ValueId | null | undefined,
): readonly [ValueId, number] | undefined {
  const [a, b] = madeBy(r, id, 'Add')?.inputs ?? [];
  for (const [value, constant] of [
    [a, b],
    [b, a],
  ]) {
    const epsilon = uniform(r, constant);
    if (value !== null && value !== undefined && epsilon !== undefined && epsilon >= 0) {
      return [value, epsilon];
    }
  }
  return undefined;
}

/** d of d·d or d². */
function squareRootOf(r: Rebuild, id: ValueId | null | undefined): ValueId | undefined {
  const [a, b] = madeBy(r, id, 'Mul')?.inputs ?? [];
  if (a !== null && a !== undefined && a === b) return a;
  const [base, exponent] = madeBy(r, id, 'Pow')?.inputs ?? [];
  return near(uniform(r, exponent), 2) ? (base ?? undefined) : undefined;
}

/** The first axis of a mean over all axes from there on that keeps its dimensions. */
function trailingAxis(r: Rebuild, reduce: Node | undefined): number | undefined {
  const [data, axesId] = reduce?.inputs ?? [];
  const axes = r.constant(axesId);
  if (data === null || data === undefined || axes === undefined) return undefined;
  if (reduce?.attrs['keepdims'] !== 1) return undefined;
  const rank = r.b.typeOf(data).shape.length;
  const sorted = [...toNumbers(axes)].map((axis) => (axis < 0 ? axis + rank : axis));
  sorted.sort((p, q) => p - q);
  const first = sorted[0];
  if (first === undefined) return undefined;
  const trailing = sorted.every((axis, i) => axis === first + i);
  return trailing && first + sorted.length === rank ? first : undefined;
}

const NORMALIZATIONS = ['LayerNormalization', 'RMSNormalization'] as const;

/** normalised · constant, where the scale is still 1. */
function withScale(
  node: Node,
  r: Rebuild,
  position: number,
  value: ValueId,
  scale: ValueId,
): ValueId | undefined {
  const norm = NORMALIZATIONS.map((op) => madeBy(r, value, op)).find(
    (found) => found !== undefined,
  );
  const [x, ones, bias] = norm?.inputs ?? [];
  const old = node.inputs[position];
  if (norm === undefined || x === null || x === undefined || (bias ?? null) !== null)
    return undefined;
  if (old === null || old === undefined || r.uses(old) !== 1 || norm.outputs.length !== 1) {
    return undefined;
  }
  if (uniform(r, ones) !== 1 || !fitsTail(r, norm, scale)) return undefined;
  return r.b.op(norm.op, [x, scale], norm.attrs, { name: norm.name });
}

/** normalised + constant, where there is no bias yet. */
function withBias(
  node: Node,
  r: Rebuild,
  position: number,
  value: ValueId,
  bias: ValueId,
): ValueId | undefined {
  const norm = madeBy(r, value, 'LayerNormalization');
  const [x, scale, present] = norm?.inputs ?? [];
  const old = node.inputs[position];
  if (norm === undefined || (present ?? null) !== null || norm.outputs.length !== 1)
    return undefined;
  if (old === null || old === undefined || r.uses(old) !== 1 || !fitsTail(r, norm, bias)) {
    return undefined;
  }
  return r.b.op(norm.op, [x ?? null, scale ?? null, bias], norm.attrs, { name: norm.name });
}

/** A constant that varies along the normalised axes only. */
function fitsTail(r: Rebuild, norm: Node, id: ValueId): boolean {
  const x = norm.inputs[0];
  if (r.constant(id) === undefined || x === null || x === undefined) return false;
  const { dtype, shape } = r.b.typeOf(x);
  const type = r.b.typeOf(id);
  const tail = shape.length - Number(norm.attrs['axis']);
  const skip = type.shape.length - tail;
  if (type.dtype !== dtype || type.shape.length > shape.length) return false;
  return type.shape.every((extent, i) => i >= skip || extent === 1);
}

/**
 * TensorFlow's form: x·a + (β − mean·a) with a = γ/√(variance + ε).
 */
function folded(r: Rebuild, product: ValueId, rest: ValueId): ValueId | undefined {
  const [beta, meanTerm] = madeBy(r, rest, 'Sub')?.inputs ?? [];
  if (beta === null || beta === undefined || r.constant(beta) === undefined) return undefined;
  const [p, q] = madeBy(r, product, 'Mul')?.inputs ?? [];
  const [s, t] = madeBy(r, meanTerm, 'Mul')?.inputs ?? [];
  for (const [x, a] of [
    [p, q],
    [q, p],
  ]) {
    if (x === null || x === undefined || a === null || a === undefined) continue;
    const mean = s === a ? t : t === a ? s : undefined;
    const [u, v] = madeBy(r, a, 'Mul')?.inputs ?? [];
    for (const [inverse, gamma] of [
      [u, v],
      [v, u],
    ]) {
      if (gamma === null || gamma === undefined || r.constant(gamma) === undefined) continue;
      const found = spreadAround(r, rootUnder(r, inverse), x, mean);
      if (found === undefined) continue;
      const { axis, epsilon } = found;
      const made = r.b.op('LayerNormalization', [x, gamma, beta], { axis, epsilon });
      const norm = r.producer(made);
      if (norm !== undefined && fitsTail(r, norm, gamma) && fitsTail(r, norm, beta)) return made;
    }
  }
  return undefined;
}

/** The spread of x around this mean of it. */
function spreadAround(
  r: Rebuild,
  spread: ValueId | null | undefined,
  x: ValueId,
  mean: ValueId | null | undefined,
): Spread | undefined {
  const [variance, epsilon] = addend(r, spread) ?? [];
  const squares = madeBy(r, variance, 'ReduceMean');
  const axis = trailingAxis(r, squares);
  const base = squareRootOf(r, squares?.inputs[0]);
  if (axis === undefined || epsilon === undefined || base === undefined) return undefined;
  const centred = centredValue(r, base, axis);
  if (centred === undefined || centred.x !== x || centred.mean !== mean) return undefined;
  return { x, mean: centred.mean, axis, epsilon };
}

/** e / Σ e with e = Exp(z): Softmax of z, or of x where z = x − max(x). */
function softmax(r: Rebuild, numerator: ValueId, denominator: ValueId): ValueId | undefined {
  const z = madeBy(r, numerator, 'Exp')?.inputs[0];
  const sum = madeBy(r, denominator, 'ReduceSum');
  if (z === null || z === undefined || sum?.inputs[0] !== numerator) return undefined;
  const axis = singleAxis(r, sum);
  if (axis === undefined) return undefined;
  const [x, top] = madeBy(r, z, 'Sub')?.inputs ?? [];
  const max = madeBy(r, top, 'ReduceMax');
  const shifted = max !== undefined && max.inputs[0] === x && singleAxis(r, max) === axis;
  return r.b.op('Softmax', [shifted ? (x ?? z) : z], { axis });
}

function singleAxis(r: Rebuild, reduce: Node): number | undefined {
  const [data, axesId] = reduce.inputs;
  const axes = r.constant(axesId);
  if (data === null || data === undefined || axes?.data.length !== 1) return undefined;
  const [axis = 0] = toNumbers(axes);
  if (reduce.attrs['keepdims'] !== 1) return undefined;
  return axis < 0 ? axis + r.b.typeOf(data).shape.length : axis;
}
