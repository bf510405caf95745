/**
 * Rules for floor division and remainder by a positive constant. The numerator must not wrap
 * (its interval is bounded) and must be simplified already.
 *
 * Writing n = c·q + r with r the terms that c does not divide:
 *   n floordiv c = q + (r floordiv c)        n mod c = r mod c
 * and a remainder or quotient of r is decided when r's interval lies between two multiples of c.
 */
import { addAffine, type Affine, asAffine, fromAffine, type OpaqueTerms } from './affine.ts';
import { binary, index } from './build.ts';
import { interval, isBounded, type Ranges } from './interval.ts';
import type { Expr } from './types.ts';

/** n floordiv c. */
export function floorDiv(numerator: Expr, divisor: number, ranges: Ranges): Expr {
  if (divisor === 1) return numerator;
  const opaque: OpaqueTerms = new Map();
  const sum = asAffine(numerator, opaque);
  const parts = sum && split(sum, divisor);
  if (!parts) return binary('floordiv', numerator, index(divisor));
  const rest = fromAffine(parts.rest, opaque);
  const inner = restDiv(parts.rest, rest, divisor, ranges, opaque);
  const innerTerms = asAffine(inner, opaque);
  const total = innerTerms && addAffine(parts.quotient, innerTerms);
  return total ? fromAffine(total, opaque) : binary('floordiv', numerator, index(divisor));
}

/** n mod c. */
export function floorMod(numerator: Expr, divisor: number, ranges: Ranges): Expr {
  if (divisor === 1) return index(0);
  const opaque: OpaqueTerms = new Map();
  const sum = asAffine(numerator, opaque);
  const parts = sum && split(sum, divisor);
  if (!parts) return binary('mod', numerator, index(divisor));
  const rest = fromAffine(parts.rest, opaque);
  const whole = quotientOf(rest, divisor, ranges);
  if (whole !== undefined) {
    const shifted = addAffine(parts.rest, { terms: new Map(), constant: -whole * divisor });
    if (shifted) return fromAffine(shifted, opaque);
  }
  const nested = singleTerm(parts.rest, opaque);
  if (nested?.op === 'mod' && nested.divisor % divisor === 0) {
    return floorMod(nested.numerator, divisor, ranges);
  }
  const common = commonFactor(parts.rest, divisor);
  if (common > 1) {
    // (g·x + k) mod (g·d) = g·(x mod d) + k for 0 ≤ k < g.
    const small = ((parts.rest.constant % common) + common) % common;
    const scaled = divideTerms(parts.rest, common, (parts.rest.constant - small) / common);
    const inner = asAffine(floorMod(fromAffine(scaled, opaque), divisor / common, ranges), opaque);
    const total = inner && addAffine({ terms: new Map(), constant: small }, inner, common);
    if (total) return fromAffine(total, opaque);
  }
  return binary('mod', rest, index(divisor));
}

function restDiv(
  terms: Affine,
  rest: Expr,
  divisor: number,
  ranges: Ranges,
  opaque: OpaqueTerms,
): Expr {
  const whole = quotientOf(rest, divisor, ranges);
  if (whole !== undefined) return index(whole);
  const common = commonFactor(terms, divisor);
  if (common > 1) {
    // floor((g·x + k) / (g·d)) = floor((x + floor(k/g)) / d).
    const scaled = divideTerms(terms, common, Math.floor(terms.constant / common));
    return floorDiv(fromAffine(scaled, opaque), divisor / common, ranges);
  }
  const nested = singleTerm({ ...terms, constant: 0 }, opaque);
  if (nested?.op === 'floordiv' && Number.isSafeInteger(nested.divisor * divisor)) {
    // floor((floor(x/a) + k) / c) = floor((x + k·a) / (a·c)).
    const shift = { terms: new Map(), constant: terms.constant * nested.divisor };
    const inner = asAffine(nested.numerator, opaque);
    const moved = inner && addAffine(inner, shift);
    if (moved && isBounded(interval(nested.numerator, ranges))) {
      return floorDiv(fromAffine(moved, opaque), nested.divisor * divisor, ranges);
    }
  }
  if (nested?.op === 'mod' && nested.divisor % divisor === 0 && terms.constant === 0) {
    // floor((x mod (c·d)) / c) = floor(x/c) mod d.
    if (isBounded(interval(nested.numerator, ranges))) {
      const quotient = floorDiv(nested.numerator, divisor, ranges);
      return floorMod(quotient, nested.divisor / divisor, ranges);
    }
  }
  return binary('floordiv', rest, index(divisor));
}

/**
 * Joins quotient and remainder of one number: k·c·(x floordiv c) + k·(x mod c) = k·x.
 * This is what undoes the split of a flat index into coordinates.
 */
export function recombine(sum: Affine, opaque: OpaqueTerms, ranges: Ranges): Affine {
  for (const [key, coefficient] of sum.terms) {
    const term = opaque.get(key);
    if (term?.kind !== 'binary' || term.op !== 'mod' || term.b.kind !== 'const') continue;
    const divisor = Number(term.b.value);
    if (divisor <= 0 || !isBounded(interval(term.a, ranges))) continue;
    const quotient = asAffine(floorDiv(term.a, divisor, ranges), opaque);
    const numerator = asAffine(term.a, opaque);
    if (quotient === null || numerator === null || quotient.terms.size !== 1) continue;
    const [name, scale] = [...quotient.terms][0] as [string, number];
    if (sum.terms.get(name) !== coefficient * divisor * scale) continue;
    const without = addAffine(
      addAffine(sum, { terms: new Map([[key, 1]]), constant: 0 }, -coefficient) ?? sum,
      quotient,
      -coefficient * divisor,
    );
    const joined = without && addAffine(without, numerator, coefficient);
    if (joined && !joined.terms.has(key)) return recombine(joined, opaque, ranges);
  }
  return sum;
}

function split(sum: Affine, divisor: number): { quotient: Affine; rest: Affine } {
  const quotient = new Map<string, number>();
  const rest = new Map<string, number>();
  for (const [name, coefficient] of sum.terms) {
    if (coefficient % divisor === 0) quotient.set(name, coefficient / divisor);
    else rest.set(name, coefficient);
  }
  const whole = Math.floor(sum.constant / divisor);
  return {
    quotient: { terms: quotient, constant: whole },
    rest: { terms: rest, constant: sum.constant - whole * divisor },
  };
}

/** The multiple of the divisor below all values, when all have the same one. */
function quotientOf(rest: Expr, divisor: number, ranges: Ranges): number | undefined {
  const [lo, hi] = interval(rest, ranges);
  if (!Number.isFinite(lo) || !Number.isFinite(hi)) return undefined;
  const whole = Math.floor(lo / divisor);
  return whole === Math.floor(hi / divisor) ? whole : undefined;
}

function commonFactor(sum: Affine, divisor: number): number {
  let common = divisor;
  for (const coefficient of sum.terms.values()) {
    common = greatestCommonDivisor(common, Math.abs(coefficient));
  }
  return sum.terms.size === 0 ? 1 : common;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

function divideTerms(sum: Affine, factor: number, constant: number): Affine {
  const terms = new Map([...sum.terms].map(([name, value]) => [name, value / factor]));
  return { terms, constant };
}

interface Division {
  readonly op: 'floordiv' | 'mod';
  readonly numerator: Expr;
  readonly divisor: number;
}

/** The sum when it is exactly one floordiv or mod by a positive constant. */
function singleTerm(sum: Affine, opaque: OpaqueTerms): Division | undefined {
  if (sum.terms.size !== 1 || sum.constant !== 0) return undefined;
  const [key, coefficient] = [...sum.terms][0] as [string, number];
  const term = opaque.get(key);
  if (coefficient !== 1 || term?.kind !== 'binary' || term.b.kind !== 'const') return undefined;
  const divisor = Number(term.b.value);
  if ((term.op !== 'floordiv' && term.op !== 'mod') || divisor <= 0) return undefined;
  return { op: term.op, numerator: term.a, divisor };
}
