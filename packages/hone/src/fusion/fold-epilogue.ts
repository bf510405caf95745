/**
 * Epilogues of integer contractions, arranged for few instructions. Behind the i32 sum stand a zero
 * point's share, a scale, a bias, often a scaled residual, and the division by the output's scale:
 * all linear. They become one multiplication and one addition per output, with constants per
 * channel computed here; scaling passes through minimum and maximum; a bound that saturation to
 * the output's type implies goes away.
 *
 * Numerics: constants are combined in doubles and rounded once, so results differ from the epilogue
 * as written by roundings of f32, far below a step of the output.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import { elementCount, fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import { acc, axis, binary, cast, constant, load } from '../expr/build.ts';
import { children, visitExpr } from '../expr/rewrite.ts';
import type { Expr } from '../expr/types.ts';
import { constantTensor } from '../graph/walk.ts';
import { type ContractBody, PLAIN, type View } from '../stages/types.ts';
import { addBuffer, bufferOf, type Draft, dropUnusedOperands, type Work } from './draft.ts';

export function foldEpilogues(work: Work): void {
  work.drafts.forEach((draft, position) => {
    if (draft?.body.kind !== 'contract' || draft.body.accDtype !== 'i32') return;
    work.drafts[position] = folded(work, draft, draft.body);
  });
}

function folded(work: Work, draft: Draft, body: ContractBody): Draft {
  const channel = channelAxis(work, draft, body);
  if (channel === null) return draft;
  const folder = new Folder(work, draft, channel);
  const epilogue = folder.quantized(body.epilogue);
  const operands = folder.operands;
  return dropUnusedOperands({ ...draft, operands, body: { ...body, epilogue } });
}

/** The axis that the first constant vector of the epilogue runs over, and its extent. */
function channelAxis(
  work: Work,
  draft: Draft,
  body: ContractBody,
): { name: string; extent: number } | null {
  const names = new Map<string, number>();
  visitExpr(body.epilogue, (node) => {
    if (node.kind !== 'load') return;
    const [along] = node.index;
    const view = at(draft.operands, Number(node.source));
    if (node.index.length !== 1 || along?.kind !== 'axis') return;
    if (bufferOf(work, view).constant !== undefined) names.set(along.name, at(view.shape, 0));
  });
  const [only] = names;
  return only !== undefined && names.size === 1 ? { name: only[0], extent: only[1] } : null;
}

/** A number for all channels, or one for each. */
type Coefficients = number | Float64Array;

function combine(a: Coefficients, b: Coefficients, f: (x: number, y: number) => number) {
  if (typeof a === 'number' && typeof b === 'number') return f(a, b);
  const length = typeof a === 'number' ? (b as Float64Array).length : a.length;
  const item = (x: Coefficients, i: number): number => (typeof x === 'number' ? x : (x[i] ?? 0));
  return Float64Array.from({ length }, (_, i) => f(item(a, i), item(b, i)));
}
const times = (a: Coefficients, b: Coefficients): Coefficients => combine(a, b, (x, y) => x * y);
const plus = (a: Coefficients, b: Coefficients): Coefficients => combine(a, b, (x, y) => x + y);

/** sum · acc + Σ coefficient · term + offset. */
interface Linear {
  readonly sum: Coefficients;
  readonly terms: readonly { readonly value: Expr; readonly factor: Coefficients }[];
  readonly offset: Coefficients;
}

function scaleLinear(x: Linear, by: Coefficients): Linear {
  const terms = x.terms.map(({ value, factor }) => ({ value, factor: times(factor, by) }));
  return { sum: times(x.sum, by), terms, offset: times(x.offset, by) };
}

function addLinear(a: Linear, b: Linear): Linear {
  return {
    sum: plus(a.sum, b.sum),
    terms: [...a.terms, ...b.terms],
    offset: plus(a.offset, b.offset),
  };
}

function constantOnly(x: Linear | null): Coefficients | null {
  return x !== null && x.terms.length === 0 && x.sum === 0 ? x.offset : null;
}

class Folder {
  readonly operands: View[];
  readonly #work: Work;
  readonly #node: string;
  readonly #channel: { name: string; extent: number };
  /** Constants made so far, by their elements. */
  readonly #made = new Map<string, Expr>();

  constructor(work: Work, draft: Draft, channel: { name: string; extent: number }) {
    this.#work = work;
    this.#channel = channel;
    this.#node = at(draft.nodes, draft.nodes.length - 1);
    this.operands = [...draft.operands];
  }

  /** The whole epilogue; bounds that saturation implies are dropped. */
  quantized(epilogue: Expr): Expr {
    const limits = saturation(epilogue.dtype);
    if (epilogue.kind !== 'cast' || limits === null) return this.scaled(epilogue, 1);
    const { whole, zero } = shiftedRound(epilogue.x);
    if (whole === null) return this.scaled(epilogue, 1);
    const bounded = this.scaled(whole.x, 1);
    const value = withoutBounds(bounded, limits[0] - zero, limits[1] - zero);
    const rounded: Expr = { ...whole, x: value };
    const shifted = zero === 0 ? rounded : binary('add', rounded, constant('f32', zero));
    return cast(epilogue.dtype, shifted);
  }

  /** expr · by, with linear parts that hold the sum folded. */
  scaled(expr: Expr, by: number): Expr {
    if (!holdsSum(expr)) return by === 1 ? expr : binary('mul', expr, constant('f32', by));
    if (expr.dtype === 'f32') {
      const linear = this.linear(expr);
      if (linear !== null) return this.#write(scaleLinear(linear, by));
      if (expr.kind === 'binary') {
        const number = literalOf(expr.b);
        if (number !== null && number > 0) {
          if (expr.op === 'div') return this.scaled(expr.a, by / number);
          if (expr.op === 'mul') return this.scaled(expr.a, by * number);
        }
        if (number !== null && by > 0 && (expr.op === 'max' || expr.op === 'min')) {
          return binary(expr.op, this.scaled(expr.a, by), constant('f32', number * by));
        }
      }
    }
    const inner = this.#rebuilt(expr);
    return by === 1 ? inner : binary('mul', inner, constant('f32', by));
  }

  #rebuilt(expr: Expr): Expr {
    switch (expr.kind) {
      case 'unary':
      case 'cast':
        return { ...expr, x: this.scaled(expr.x, 1) };
      case 'binary':
        return { ...expr, a: this.scaled(expr.a, 1), b: this.scaled(expr.b, 1) };
      case 'select':
        return {
          ...expr,
          cond: this.scaled(expr.cond, 1),
          a: this.scaled(expr.a, 1),
          b: this.scaled(expr.b, 1),
        };
      default:
        return expr;
    }
  }

  /** The expression as a linear form; null where it is none. */
  linear(expr: Expr): Linear | null {
    const number = literalOf(expr);
    if (number !== null) return { sum: 0, terms: [], offset: number };
    switch (expr.kind) {
      case 'acc':
        return { sum: 1, terms: [], offset: 0 };
      case 'cast':
        if (expr.x.dtype === 'i32' && holdsSum(expr.x)) return this.linear(expr.x);
        return isNarrowLoad(expr) ? this.#term(expr) : null;
      case 'load': {
        const vector = this.#vector(expr);
        if (vector !== null) return { sum: 0, terms: [], offset: vector };
        return expr.dtype === 'f32' ? this.#term(expr) : null;
      }
      case 'unary': {
        const inner = expr.op === 'neg' ? this.linear(expr.x) : null;
        return inner === null ? null : scaleLinear(inner, -1);
      }
      case 'binary':
        return this.#linearBinary(expr);
      default:
        return null;
    }
  }

  #term(value: Expr): Linear {
    return { sum: 0, terms: [{ value, factor: 1 }], offset: 0 };
  }

  #linearBinary(expr: Extract<Expr, { kind: 'binary' }>): Linear | null {
    const [a, b] = [this.linear(expr.a), this.linear(expr.b)];
    if (a === null || b === null) return null;
    const [left, right] = [constantOnly(a), constantOnly(b)];
    switch (expr.op) {
      case 'add':
        return addLinear(a, b);
      case 'sub':
        return addLinear(a, scaleLinear(b, -1));
      case 'mul':
        if (right !== null) return scaleLinear(a, right);
        return left === null ? null : scaleLinear(b, left);
      case 'div': {
        if (right === null) return null;
        return scaleLinear(
          a,
          combine(1, right, (x, y) => x / y),
        );
      }
      default:
        return null;
    }
  }

  /** Elements of a constant with one value for each channel, or one in all. */
  #vector(expr: Extract<Expr, { kind: 'load' }>): Coefficients | null {
    const view = at(this.operands, Number(expr.source));
    const { name, dtype, shape, constant: elements } = bufferOf(this.#work, view);
    if (elements === undefined || (dtype !== 'f32' && dtype !== 'i32')) return null;
    const along = expr.index.every(
      (part, i) => part.kind === 'const' || at(view.shape, i) === elementCount(shape),
    );
    const names = expr.index.flatMap((part) => (part.kind === 'axis' ? [part.name] : []));
    if (!along || names.some((item) => item !== this.#channel.name)) return null;
    if (names.length > 0 && elementCount(shape) !== this.#channel.extent) return null;
    if (names.length === 0 && elementCount(shape) !== 1) return null;
    const values = toNumbers(
      constantTensor({ id: 0, name, type: { dtype, shape }, constant: elements }),
    );
    return names.length === 0 ? at([...values], 0) : Float64Array.from(values);
  }

  #write({ sum, terms, offset }: Linear): Expr {
    let value = binary('mul', cast('f32', acc(0, 'i32')), this.#coefficients(sum, 'scale'));
    if (offset !== 0) value = binary('add', value, this.#coefficients(offset, 'offset'));
    for (const { value: term, factor } of terms) {
      const scaled =
        factor === 1 ? term : binary('mul', term, this.#coefficients(factor, 'factor'));
      value = binary('add', value, scaled);
    }
    return value;
  }

  #coefficients(values: Coefficients, what: string): Expr {
    if (typeof values === 'number') return constant('f32', Math.fround(values));
    const key = values.join();
    const have = this.#made.get(key);
    if (have !== undefined) return have;
    const buffer = addBuffer(this.#work, {
      name: `${this.#node}/${what}`,
      dtype: 'f32',
      shape: [values.length],
      layout: PLAIN,
      role: 'constant',
      constant: { kind: 'inline', tensor: fromNumbers('f32', [values.length], values) },
    });
    this.operands.push({ buffer: buffer.id, shape: [values.length] });
    const made = load(`${this.operands.length - 1}`, 'f32', [axis(this.#channel.name)]);
    this.#made.set(key, made);
    return made;
  }
}

function holdsSum(expr: Expr): boolean {
  return expr.kind === 'acc' || children(expr).some(holdsSum);
}

function literalOf(expr: Expr): number | null {
  if (expr.kind === 'const' && expr.dtype !== 'i64') return Number(expr.value);
  return expr.kind === 'cast' && expr.dtype === 'f32' ? literalOf(expr.x) : null;
}

/** Widening of a stored value: exact in f32. */
function isNarrowLoad(expr: Extract<Expr, { kind: 'cast' }>): boolean {
  const narrow: readonly DType[] = ['u8', 'i8', 'bf16', 'f16'];
  return expr.dtype === 'f32' && expr.x.kind === 'load' && narrow.includes(expr.x.dtype);
}

function saturation(dtype: DType): readonly [number, number] | null {
  if (dtype === 'u8') return [0, 255];
  return dtype === 'i8' ? [-128, 127] : null;
}

/** round(x) + zero, in its parts. */
function shiftedRound(expr: Expr): {
  whole: Extract<Expr, { kind: 'unary' }> | null;
  zero: number;
} {
  const isSum = expr.kind === 'binary' && expr.op === 'add';
  const zero = isSum ? literalOf(expr.b) : 0;
  const inner = isSum ? expr.a : expr;
  if (zero === null || inner.kind !== 'unary' || inner.op !== 'round')
    return { whole: null, zero: 0 };
  return { whole: inner, zero };
}

/** Drops outer bounds at or beyond low and high. */
function withoutBounds(expr: Expr, low: number, high: number): Expr {
  if (expr.kind !== 'binary') return expr;
  const bound = literalOf(expr.b);
  if (bound === null) return expr;
  const implied = (expr.op === 'max' && bound <= low) || (expr.op === 'min' && bound >= high);
  if (implied) return withoutBounds(expr.a, low, high);
  return expr;
}
