/**
 * Questions that recognising passes ask about the values of a graph being rebuilt: by which
 * operator, as which product, as which polynomial of another value it is made.
 */
import { elementCount, toNumbers } from 'hone-runtime/base/tensor';
import type { Node, ValueId } from '../graph/types.ts';
import type { Rebuild } from './pass.ts';

/** The node of a standard operator that makes a value. */
export function madeBy(r: Rebuild, id: ValueId | null | undefined, op: string): Node | undefined {
  if (id === null || id === undefined) return undefined;
  const node = r.producer(id);
  return node?.op === op && node.domain === '' ? node : undefined;
}

const MAX_UNIFORM = 4096;

/** The one number a constant consists of (all elements equal). */
export function uniform(r: Rebuild, id: ValueId | null | undefined): number | undefined {
  if (id === null || id === undefined) return undefined;
  // Constants of the patterns are small; weights must not be read for nothing.
  if (elementCount(r.b.typeOf(id).shape) > MAX_UNIFORM) return undefined;
  const tensor = r.constant(id);
  if (tensor === undefined || tensor.dtype === 'string' || tensor.data.length === 0)
    return undefined;
  const first = Number(tensor.data[0]);
  const [value] = toNumbers({ ...tensor, data: tensor.data.slice(0, 1) as Float32Array });
  const same = (tensor.data as Float32Array).every((element) => Number(element) === first);
  return same ? value : undefined;
}

/** Near enough to be the same constant after rounding to a narrow float in an exporter. */
export function near(value: number | undefined, wanted: number, tolerance = 2e-5): boolean {
  return (
    value !== undefined && Math.abs(value - wanted) <= tolerance * Math.max(1, Math.abs(wanted))
  );
}

/** A value as constant · factors. */
export interface Product {
  readonly constant: number;
  readonly factors: readonly ValueId[];
}

/** Ways to read a value as a product, taking apart up to `depth` levels of Mul and Div. */
export function products(r: Rebuild, id: ValueId, depth = 3): readonly Product[] {
  const value = uniform(r, id);
  if (value !== undefined) return [{ constant: value, factors: [] }];
  const whole: Product = { constant: 1, factors: [id] };
  if (depth === 0) return [whole];
  const mul = madeBy(r, id, 'Mul');
  const node = mul ?? madeBy(r, id, 'Div');
  const [a, b] = node?.inputs ?? [];
  if (a === null || a === undefined || b === null || b === undefined) return [whole];
  if (mul === undefined) {
    const divisor = uniform(r, b);
    if (divisor === undefined || divisor === 0) return [whole];
    const parts = products(r, a, depth - 1);
    return [whole, ...parts.map((p) => ({ ...p, constant: p.constant / divisor }))];
  }
  const right = products(r, b, depth - 1);
  const both = products(r, a, depth - 1).flatMap((p) =>
    right.map((q) => ({
      constant: p.constant * q.constant,
      factors: [...p.factors, ...q.factors],
    })),
  );
  return [whole, ...both];
}

/** Coefficients by power: `[c0, c1, …]`. */
export type Polynomial = readonly number[];

const MAX_DEGREE = 6;

/** A value as a polynomial of `x` with constant coefficients. */
export function polynomial(r: Rebuild, id: ValueId, x: ValueId, depth = 8): Polynomial | undefined {
  if (id === x) return [0, 1];
  const value = uniform(r, id);
  if (value !== undefined) return [value];
  const node = r.producer(id);
  if (node === undefined || node.domain !== '' || depth === 0) return undefined;
  const [left, right] = node.inputs;
  if (left === null || left === undefined) return undefined;
  const a = polynomial(r, left, x, depth - 1);
  if (a === undefined) return undefined;
  if (node.op === 'Neg') return a.map((c) => -c);
  if (right === null || right === undefined) return undefined;
  const b = polynomial(r, right, x, depth - 1);
  if (b === undefined) return undefined;
  const [constant = 0] = b;
  switch (node.op) {
    case 'Add':
      return sumOf(a, b, 1);
    case 'Sub':
      return sumOf(a, b, -1);
    case 'Mul':
      return productOf(a, b);
    case 'Div':
      return b.length === 1 && constant !== 0 ? a.map((c) => c / constant) : undefined;
    case 'Pow': {
      if (b.length !== 1 || !Number.isInteger(constant) || constant < 1) return undefined;
      let power: Polynomial | undefined = a;
      for (let n = 1; n < constant && power !== undefined; n++) power = productOf(power, a);
      return power;
    }
    default:
      return undefined;
  }
}

/** Equal coefficients, within rounding. */
export function isPolynomial(p: Polynomial | undefined, wanted: Polynomial): boolean {
  if (p === undefined) return false;
  const length = Math.max(p.length, wanted.length);
  return Array.from({ length }, (_, i) => near(p[i] ?? 0, wanted[i] ?? 0)).every(Boolean);
}

function sumOf(a: Polynomial, b: Polynomial, factor: number): Polynomial {
  const length = Math.max(a.length, b.length);
  return Array.from({ length }, (_, i) => (a[i] ?? 0) + factor * (b[i] ?? 0));
}

function productOf(a: Polynomial, b: Polynomial): Polynomial | undefined {
  const length = a.length + b.length - 1;
  if (length > MAX_DEGREE + 1) return undefined;
  const out = new Array<number>(length).fill(0);
  a.forEach((p, i) => {
    b.forEach((q, j) => {
      out[i + j] = (out[i + j] ?? 0) + p * q;
    });
  });
  return out;
}
