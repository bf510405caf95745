/**
 * Simplifies expressions without changing what they mean for axes inside their ranges.
 *
 * i64 expressions come out in a normal form (`fromAffine`): equal sums print equally. Divisions and
 * remainders by constants, min, max, comparisons, selects and checked indices are decided by
 * divisibility and intervals. Values of other dtypes keep their exact meaning: floats are folded
 * only where the result is exact. Ranges are inclusive; see `interval.ts`.
 */
import { addAffine, asAffine, fromAffine, type OpaqueTerms } from './affine.ts';
import { constant, index, select, unary } from './build.ts';
import { interval, isBounded, type Ranges } from './interval.ts';
import { printExpr } from './print.ts';
import { children, mapChildren } from './rewrite.ts';
import { floorDiv, floorMod, recombine } from './simplify-division.ts';
import { isConst, simplifyCast, simplifyValue } from './simplify-value.ts';
import type { BinaryOp, Expr } from './types.ts';

type Comparison = Extract<BinaryOp, 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge'>;
const COMPARISONS: ReadonlySet<BinaryOp> = new Set(['eq', 'ne', 'lt', 'le', 'gt', 'ge']);

/** Simplifies an i64 index expression. */
export function simplifyIndex(expr: Expr, ranges: Ranges): Expr {
  return simplifyExpr(expr, ranges);
}

/** Simplifies an expression of any dtype, with the indices and conditions in it. */
export function simplifyExpr(expr: Expr, ranges: Ranges): Expr {
  if (expr.kind === 'select') return simplifySelect(expr, ranges);
  const node = mapChildren(expr, (child) => simplifyExpr(child, ranges));
  switch (node.kind) {
    case 'const':
    case 'axis':
    case 'load':
    case 'acc':
    case 'select':
      return node.kind === 'axis' ? pointOr(node, ranges) : node;
    case 'bound': {
      const [lo, hi] = interval(node.x, ranges);
      const [extent] = interval(node.extent, ranges);
      return lo >= 0 && hi < extent ? node.x : node;
    }
    case 'cast':
      return simplifyCast(node);
    case 'unary':
      if (node.dtype === 'i64' && node.op === 'neg') return normalize(node, ranges);
      return simplifyValue(node);
    case 'binary':
      if (node.dtype === 'i64') return simplifyInteger(node, ranges);
      if (node.a.dtype === 'i64' && COMPARISONS.has(node.op)) {
        return compare(node as CompareNode, ranges);
      }
      return decided(simplifyValue(node), ranges);
    default:
      return node satisfies never;
  }
}

type BinaryNode = Extract<Expr, { kind: 'binary' }>;
type CompareNode = BinaryNode & { readonly op: Comparison };

function simplifyInteger(node: BinaryNode, ranges: Ranges): Expr {
  const { op, a, b } = node;
  switch (op) {
    case 'add':
    case 'sub':
    case 'mul':
      return normalize(node, ranges);
    case 'min':
    case 'max': {
      const order = difference(a, b, ranges);
      if (order[1] <= 0) return op === 'min' ? a : b;
      if (order[0] >= 0) return op === 'min' ? b : a;
      return node;
    }
    case 'div':
    case 'fmod':
    case 'floordiv':
    case 'mod': {
      const truncates = op === 'div' || op === 'fmod';
      const divisor = b.kind === 'const' ? Number(b.value) : 0;
      const [lo, hi] = interval(a, ranges);
      // Wrapped sums cannot be taken apart, and truncation equals flooring only from 0 up.
      const known = divisor > 0 && Number.isSafeInteger(divisor) && isBounded([lo, hi]);
      if (!known || (truncates && lo < 0)) return decided(node, ranges);
      const quotient = op === 'div' || op === 'floordiv';
      return quotient ? floorDiv(a, divisor, ranges) : floorMod(a, divisor, ranges);
    }
    case 'and':
    case 'or':
    case 'xor':
    case 'pow':
    case 'shl':
    case 'shr':
      return decided(simplifyValue(node), ranges);
    case 'eq':
    case 'ne':
    case 'lt':
    case 'le':
    case 'gt':
    case 'ge':
      return node;
    default:
      return op satisfies never;
  }
}

function normalize(node: Expr, ranges: Ranges): Expr {
  const opaque: OpaqueTerms = new Map();
  const sum = asAffine(node, opaque);
  if (sum === null) return node;
  return decided(fromAffine(recombine(sum, opaque, ranges), opaque), ranges);
}

/** Bounds of a - b; unbounded where a or b may wrap. */
function difference(a: Expr, b: Expr, ranges: Ranges): readonly [number, number] {
  const rangeA = interval(a, ranges);
  const rangeB = interval(b, ranges);
  const direct = [rangeA[0] - rangeB[1], rangeA[1] - rangeB[0]] as const;
  if (direct[0] >= 0 || direct[1] <= 0) return direct;
  if (!isBounded(rangeA) || !isBounded(rangeB)) {
    return [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  }
  const opaque: OpaqueTerms = new Map();
  const left = asAffine(a, opaque);
  const right = asAffine(b, opaque);
  const sum = left && right && addAffine(left, right, -1);
  if (sum === null) return direct;
  const [lo, hi] = interval(fromAffine(recombine(sum, opaque, ranges), opaque), ranges);
  return [Math.max(lo, direct[0]), Math.min(hi, direct[1])];
}

function compare(node: CompareNode, ranges: Ranges): Expr {
  const [lo, hi] = difference(node.a, node.b, ranges);
  const verdict = VERDICTS[node.op](lo, hi);
  return verdict === undefined ? node : constant('bool', verdict ? 1 : 0);
}

/** What a comparison of a with b gives when a - b lies in [lo, hi]; undefined: either. */
const VERDICTS: Readonly<Record<Comparison, (lo: number, hi: number) => boolean | undefined>> = {
  lt: (lo, hi) => (hi < 0 ? true : lo >= 0 ? false : undefined),
  le: (lo, hi) => (hi <= 0 ? true : lo > 0 ? false : undefined),
  gt: (lo, hi) => (lo > 0 ? true : hi <= 0 ? false : undefined),
  ge: (lo, hi) => (lo >= 0 ? true : hi < 0 ? false : undefined),
  eq: (lo, hi) => (lo > 0 || hi < 0 ? false : lo === 0 && hi === 0 ? true : undefined),
  ne: (lo, hi) => (lo > 0 || hi < 0 ? true : lo === 0 && hi === 0 ? false : undefined),
};

function simplifySelect(expr: Extract<Expr, { kind: 'select' }>, ranges: Ranges): Expr {
  const cond = simplifyExpr(expr.cond, ranges);
  if (isConst(cond)) return simplifyExpr(Number(cond.value) !== 0 ? expr.a : expr.b, ranges);
  const a = simplifyExpr(expr.a, assume(cond, true, ranges));
  const b = simplifyExpr(expr.b, assume(cond, false, ranges));
  if (a.kind === b.kind && printExpr(a) === printExpr(b)) return a;
  if (expr.dtype === 'bool' && isConst(a) && isConst(b)) {
    return Number(a.value) !== 0 ? cond : simplifyExpr(unary('not', cond), ranges);
  }
  return cond === expr.cond && a === expr.a && b === expr.b ? expr : select(cond, a, b);
}

/** Ranges inside a branch: what a condition on single axes says about them. */
function assume(cond: Expr, holds: boolean, ranges: Ranges): Ranges {
  if (cond.kind === 'unary' && cond.op === 'not') return assume(cond.x, !holds, ranges);
  if (cond.kind !== 'binary') return ranges;
  if (cond.op === (holds ? 'and' : 'or')) {
    return assume(cond.b, holds, assume(cond.a, holds, ranges));
  }
  if (cond.a.dtype !== 'i64' || !COMPARISONS.has(cond.op)) return ranges;
  const left = asAffine(cond.a);
  const right = asAffine(cond.b);
  const sum = left && right && addAffine(left, right, -1);
  const entry = sum?.terms.size === 1 ? [...sum.terms][0] : undefined;
  const known = entry && ranges.get(entry[0]);
  if (!sum || !entry || !known) return ranges;
  const narrowed = narrow(entry[1], sum.constant, holds ? cond.op : NEGATED[cond.op as Comparison]);
  const lo = Math.max(known[0], narrowed[0]);
  const hi = Math.min(known[1], narrowed[1]);
  return lo > hi ? ranges : new Map([...ranges, [entry[0], [lo, hi] as const]]);
}

const NEGATED: Readonly<Record<Comparison, Comparison>> = {
  lt: 'ge',
  ge: 'lt',
  gt: 'le',
  le: 'gt',
  eq: 'ne',
  ne: 'eq',
};

/** The integers x with coefficient·x + offset op 0, as bounds. */
function narrow(coefficient: number, offset: number, op: BinaryOp): readonly [number, number] {
  const none = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY] as const;
  if (op === 'eq') {
    const x = -offset / coefficient;
    return Number.isInteger(x) ? [x, x] : none;
  }
  if (op === 'ne') return none;
  // Upper: coefficient·x ≤ limit; lower: coefficient·x ≥ limit.
  const upper = op === 'lt' || op === 'le';
  const limit = -offset + (op === 'lt' ? -1 : op === 'gt' ? 1 : 0);
  const ratio = limit / coefficient;
  return upper === coefficient > 0 ? [none[0], Math.floor(ratio)] : [Math.ceil(ratio), none[1]];
}

/** A constant where the interval is a single point. */
function decided(expr: Expr, ranges: Ranges): Expr {
  if (expr.kind === 'const') return expr;
  if (expr.dtype !== 'i64' && expr.dtype !== 'bool') return expr;
  return pointOr(expr, ranges);
}

function pointOr(expr: Expr, ranges: Ranges): Expr {
  const [lo, hi] = interval(expr, ranges);
  // A check that may fail is worth more than its value: bound(x, 1) is 0, or an error.
  if (lo !== hi || mayFail(expr)) return expr;
  return expr.dtype === 'i64' ? index(lo) : constant(expr.dtype, lo);
}

/** Of a simplified expression: an index check that could not be decided is left in it. */
function mayFail(expr: Expr): boolean {
  return expr.kind === 'bound' || children(expr).some(mayFail);
}
