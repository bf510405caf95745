/**
 * Common sub-expressions of one statement: which nodes are computed once into a temporary.
 *
 * A node is taken when structurally equal nodes are used at least twice and computing it in
 * advance is safe: everything it loads or checks is loaded or checked anyway, outside of every
 * branch of a `select`.
 */
import { children } from '../../expr/rewrite.ts';
import type { Expr } from '../../expr/types.ts';

/** Nodes to compute in advance, operands first; each stands for all its equals. */
export interface TempPlan {
  readonly temps: readonly { readonly node: Expr; readonly equals: readonly Expr[] }[];
}

interface Interned {
  readonly id: number;
  readonly node: Expr;
  readonly parts: readonly Interned[];
  readonly equals: Set<Expr>;
  uses: number;
  unconditional: boolean;
}

export interface TempOptions {
  /** Values that are as good as a temporary already. */
  readonly isFree: (node: Expr) => boolean;
  /** In vector code the condition of a select also guards the loads of its branches. */
  readonly lanes: boolean;
}

export function planTemps(roots: readonly Expr[], options: TempOptions): TempPlan {
  const byKey = new Map<string, Interned>();
  const byNode = new Map<Expr, Interned>();
  const order: Interned[] = [];
  const intern = (node: Expr): Interned => {
    const known = byNode.get(node);
    if (known !== undefined) return known;
    const parts = children(node).map(intern);
    const key = `${headOf(node)}(${parts.map((part) => part.id).join(',')})`;
    let entry = byKey.get(key);
    if (entry === undefined) {
      entry = { id: byKey.size, node, parts, equals: new Set(), uses: 0, unconditional: false };
      byKey.set(key, entry);
      order.push(entry);
      for (const part of parts) part.uses++;
    }
    entry.equals.add(node);
    byNode.set(node, entry);
    return entry;
  };
  const tops = roots.map(intern);
  const markUnconditional = (entry: Interned): void => {
    if (entry.unconditional) return;
    entry.unconditional = true;
    const always = entry.node.kind === 'select' ? entry.parts.slice(0, 1) : entry.parts;
    for (const part of always) markUnconditional(part);
  };
  for (const top of tops) {
    top.uses++;
    markUnconditional(top);
  }
  const safe = new Map<Interned, boolean>();
  const isSafe = (entry: Interned): boolean => {
    const known = safe.get(entry);
    if (known !== undefined) return known;
    const risky = entry.node.kind === 'load' || entry.node.kind === 'bound';
    const result = (!risky || entry.unconditional) && entry.parts.every(isSafe);
    safe.set(entry, result);
    return result;
  };
  if (options.lanes) {
    for (const { node, parts } of order) {
      if (node.kind !== 'select' || parts.slice(1).every(isSafe)) continue;
      const [cond] = parts;
      if (cond !== undefined) cond.uses++;
    }
  }
  const temps = order
    .filter((entry) => entry.uses > 1 && isSafe(entry))
    .filter(({ node }) => isWorthwhile(node) && !options.isFree(node))
    .map((entry) => ({ node: entry.node, equals: [...entry.equals] }));
  return { temps };
}

/** Leaves and index arithmetic are as short as the temporary's name. */
function isWorthwhile(node: Expr): boolean {
  if (node.kind === 'const' || node.kind === 'axis' || node.kind === 'acc') return false;
  return node.dtype !== 'i64' || containsLoad(node);
}

function containsLoad(node: Expr): boolean {
  if (node.kind === 'load') return true;
  return children(node).some(containsLoad);
}

function headOf(node: Expr): string {
  switch (node.kind) {
    case 'const':
      return `${node.dtype}:${Object.is(node.value, -0) ? '-0' : node.value}`;
    case 'axis':
      return `axis ${node.name}`;
    case 'load':
      return `load ${node.source}:${node.dtype}`;
    case 'unary':
    case 'binary':
      return node.op;
    case 'select':
    case 'bound':
      return node.kind;
    case 'cast':
      return `cast ${node.dtype}`;
    case 'acc':
      return `acc ${node.step}:${node.dtype}`;
    default:
      return node satisfies never;
  }
}
