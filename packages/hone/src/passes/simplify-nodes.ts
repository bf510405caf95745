/**
 * Removes nodes that do nothing and shortens chains: Identity, inference Dropout, casts and
 * reshapes to what a value already is, identity transposes, products with 1; reshapes of reshapes;
 * transposes of transposes; powers with small whole exponents.
 *
 * Exact: no result changes by more than the rounding of `x^n` as repeated products.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { isFloat } from 'hone-runtime/base/dtype';
import type { Node, ValueId } from '../graph/types.ts';
import { valueById } from '../graph/walk.ts';
import { madeBy, uniform } from './match.ts';
import { type Pass, type Rebuild, rewriteGraph } from './pass.ts';
import { isIdentity } from './permute.ts';

export const simplifyNodes: Pass = {
  name: 'simplify-nodes',
  run: (graph, ctx) =>
    rewriteGraph(graph, ctx, (node, r) => {
      if (node.domain !== '' || node.outputs.length !== 1) return undefined;
      const same = noOp(node, r);
      if (same !== undefined) return r.canStandFor(node, same) ? [same] : undefined;
      const made = RULES[node.op]?.(node, r);
      return made === undefined ? undefined : [made];
    }),
};

/** The input a node hands on unchanged. */
function noOp(node: Node, r: Rebuild): ValueId | undefined {
  const [data, second] = node.inputs;
  if (data === null || data === undefined) return undefined;
  const from = valueById(r.old, data).type;
  const to = valueById(r.old, at(node.outputs, 0)).type;
  const sameType = from.dtype === to.dtype && from.shape.join() === to.shape.join();
  const whole = sameType ? r.map(data) : undefined;
  switch (node.op) {
    case 'Identity':
    case 'Cast':
    case 'Reshape':
    case 'Flatten':
    case 'Squeeze':
    case 'Unsqueeze':
    case 'Expand':
      return whole;
    case 'Pad':
      return second !== null && second !== undefined && uniform(r, r.map(second)) === 0
        ? whole
        : undefined;
    case 'Dropout':
      return trains(node, r) ? undefined : whole;
    case 'Transpose':
      return isIdentity(permOf(node, from.shape.length)) ? whole : undefined;
    case 'Concat':
    case 'Sum':
    case 'Max':
    case 'Min':
    case 'Mean':
      return node.inputs.length === 1 ? whole : undefined;
    case 'Mul':
    case 'Div': {
      if (!sameType && node.op === 'Div') return undefined;
      if (second !== null && second !== undefined && whole !== undefined) {
        if (uniform(r, r.map(second)) === 1) return whole;
      }
      return node.op === 'Mul' ? timesOne(node, r) : undefined;
    }
    default:
      return undefined;
  }
}

/** x of 1 · x. */
function timesOne(node: Node, r: Rebuild): ValueId | undefined {
  const [one, data] = node.inputs;
  if (one === null || one === undefined || data === null || data === undefined) return undefined;
  const from = valueById(r.old, data).type;
  const to = valueById(r.old, at(node.outputs, 0)).type;
  const sameType = from.dtype === to.dtype && from.shape.join() === to.shape.join();
  return sameType && uniform(r, r.map(one)) === 1 ? r.map(data) : undefined;
}

function trains(node: Node, r: Rebuild): boolean {
  const mode = node.inputs[2] ?? null;
  return mode !== null && uniform(r, r.map(mode)) !== 0;
}

type Rule = (node: Node, r: Rebuild) => ValueId | undefined;

const RULES: Readonly<Record<string, Rule>> = {
  Reshape: reshapeChain,
  Flatten: reshapeChain,
  Squeeze: reshapeChain,
  Unsqueeze: reshapeChain,
  Transpose: transposeChain,
  Pow: smallPower,
};

const RESHAPES = ['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'] as const;

/** A reshape of a reshape is one reshape. */
function reshapeChain(node: Node, r: Rebuild): ValueId | undefined {
  const [data] = node.inputs;
  if (data === null || data === undefined) return undefined;
  const inner = RESHAPES.map((op) => madeBy(r, r.map(data), op)).find((n) => n !== undefined);
  const source = inner?.inputs[0];
  if (source === null || source === undefined) return undefined;
  const { dtype, shape } = valueById(r.old, at(node.outputs, 0)).type;
  const from = r.b.typeOf(source);
  const back = from.dtype === dtype && from.shape.join() === shape.join();
  if (back && r.canStandFor(node, source)) return source;
  return r.b.reshape(source, shape);
}

/** A transpose of a transpose is one transpose. */
function transposeChain(node: Node, r: Rebuild): ValueId | undefined {
  const [data] = node.inputs;
  if (data === null || data === undefined) return undefined;
  const inner = madeBy(r, r.map(data), 'Transpose');
  const source = inner?.inputs[0];
  if (inner === undefined || source === null || source === undefined) return undefined;
  const rank = r.b.typeOf(source).shape.length;
  const first = permOf(inner, rank);
  const perm = permOf(node, rank).map((axis) => at(first, axis));
  if (isIdentity(perm) && r.canStandFor(node, source)) return source;
  return r.b.op('Transpose', [source], { perm });
}

/** x² and x³ as products, x^½ as a root, x⁻¹ as a reciprocal. */
function smallPower(node: Node, r: Rebuild): ValueId | undefined {
  const [base, power] = node.inputs;
  if (base === null || base === undefined || power === null || power === undefined)
    return undefined;
  const from = valueById(r.old, base).type;
  const to = valueById(r.old, at(node.outputs, 0)).type;
  if (!isFloat(from.dtype) || from.shape.join() !== to.shape.join()) return undefined;
  const x = r.map(base);
  switch (uniform(r, r.map(power))) {
    case 0.5:
      return r.b.op('Sqrt', [x]);
    case -1:
      return r.b.op('Reciprocal', [x]);
    case 1:
      return r.canStandFor(node, x) ? x : undefined;
    case 2:
      return r.b.op('Mul', [x, x]);
    case 3:
      return r.b.op('Mul', [r.b.op('Mul', [x, x]), x]);
    default:
      return undefined;
  }
}

/** The permutation of a Transpose; without the attribute it reverses. */
export function permOf(node: Node, rank: number): readonly number[] {
  const { perm } = node.attrs;
  if (Array.isArray(perm)) return perm.map(Number);
  return Array.from({ length: rank }, (_, i) => rank - 1 - i);
}
