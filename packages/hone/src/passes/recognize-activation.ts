/**
 * Activation functions written out by exporters: Gelu by Erf or by Tanh, Swish, HardSwish.
 * Each is a product; see `match.ts`.
 */
import type { Node, ValueId } from '../graph/types.ts';
import { isPolynomial, madeBy, near, polynomial, products, uniform } from './match.ts';
import type { Rebuild } from './pass.ts';

const ROOT_HALF = Math.SQRT1_2;
const TANH_SCALE = Math.sqrt(2 / Math.PI);
const TANH_CUBIC = 0.044715;

/** What a product at this node stands for. */
export function recognizeActivation(node: Node, r: Rebuild): ValueId | undefined {
  if (node.domain !== '' || (node.op !== 'Mul' && node.op !== 'Div')) return undefined;
  const [left, right] = node.inputs.map((id) => (id === null ? null : r.map(id)));
  if (left === null || left === undefined || right === null || right === undefined)
    return undefined;
  for (const { constant, factors } of productsOf(r, node.op, left, right)) {
    const [a, b] = factors;
    if (factors.length !== 2 || a === undefined || b === undefined) continue;
    const made = ofFactors(r, constant, a, b) ?? ofFactors(r, constant, b, a);
    if (made !== undefined) return made;
  }
  return undefined;
}

/** The products of the node itself, which is not in the new graph yet. */
function productsOf(r: Rebuild, op: string, left: ValueId, right: ValueId) {
  const a = products(r, left);
  if (op === 'Div') {
    const divisor = uniform(r, right);
    if (divisor === undefined || divisor === 0) return [];
    return a.map((p) => ({ constant: p.constant / divisor, factors: p.factors }));
  }
  const b = products(r, right);
  return a.flatMap((p) =>
    b.map((q) => ({ constant: p.constant * q.constant, factors: [...p.factors, ...q.factors] })),
  );
}

/** constant · x · gate(x) */
function ofFactors(r: Rebuild, constant: number, x: ValueId, gate: ValueId): ValueId | undefined {
  if (near(constant, 0.5)) {
    const approximate = geluGate(r, x, gate);
    if (approximate !== undefined) return r.b.op('Gelu', [x], { approximate });
  }
  if (near(constant, 1)) {
    const sigmoid = madeBy(r, gate, 'Sigmoid')?.inputs[0];
    const slope = sigmoid === null || sigmoid === undefined ? undefined : polynomial(r, sigmoid, x);
    if (slope?.length === 2 && slope[0] === 0) {
      return r.b.op('Swish', [x], { alpha: slope[1] ?? 1 });
    }
    const hard = madeBy(r, gate, 'HardSigmoid');
    const standard =
      near(Number(hard?.attrs['alpha']), 1 / 6) && near(Number(hard?.attrs['beta']), 0.5);
    if (hard?.inputs[0] === x && standard) return r.b.op('HardSwish', [x]);
  }
  if (near(constant, 1 / 6)) {
    const clip = madeBy(r, gate, 'Clip');
    const [inner, low, high] = clip?.inputs ?? [];
    const shifted = inner === null || inner === undefined ? undefined : polynomial(r, inner, x);
    const limits = near(uniform(r, low), 0) && near(uniform(r, high), 6);
    if (limits && isPolynomial(shifted, [3, 1])) return r.b.op('HardSwish', [x]);
  }
  return undefined;
}

/** 1 + erf(x/√2) or 1 + tanh(√(2/π)·(x + 0.044715·x³)), in any arrangement. */
function geluGate(r: Rebuild, x: ValueId, gate: ValueId): 'none' | 'tanh' | undefined {
  const add = madeBy(r, gate, 'Add');
  for (const [one, fn] of [add?.inputs ?? [], [...(add?.inputs ?? [])].reverse()]) {
    if (!near(uniform(r, one), 1)) continue;
    const erf = madeBy(r, fn, 'Erf')?.inputs[0];
    if (erf !== null && erf !== undefined && isPolynomial(polynomial(r, erf, x), [0, ROOT_HALF])) {
      return 'none';
    }
    const tanh = madeBy(r, fn, 'Tanh')?.inputs[0];
    const wanted = [0, TANH_SCALE, 0, TANH_SCALE * TANH_CUBIC];
    if (tanh !== null && tanh !== undefined && isPolynomial(polynomial(r, tanh, x), wanted)) {
      return 'tanh';
    }
  }
  return undefined;
}
