/**
 * Scalar expressions as C. Semantics are those of `expr/types.ts`; where C's own operator differs
 * (wrapping, division by zero, NaN in min/max, saturating casts) a helper of hone_math.h is called.
 */
import { invariant } from 'hone-runtime/base/diagnostics';
import { type DType, isBitPattern, isFloat, isSmallInt } from 'hone-runtime/base/dtype';
import { children } from '../../expr/rewrite.ts';
import type { BinaryOp, Expr, UnaryOp } from '../../expr/types.ts';
import { constantOf, type Sum, sumOf, type Term } from '../../loop/affine.ts';
import {
  type CExpr,
  callOf,
  identifier,
  infix,
  literal,
  negated,
  PREC,
  primary,
  storageType,
  ternary,
  wrap,
} from './c-text.ts';
import {
  bufferInfo,
  bufferName,
  type Context,
  isNonNegative,
  registerPosition,
} from './emit-context.ts';

type Node<K extends Expr['kind']> = Extract<Expr, { kind: K }>;

const INFIX: Partial<Record<BinaryOp, readonly [string, number]>> = {
  add: ['+', PREC.add],
  sub: ['-', PREC.add],
  mul: ['*', PREC.mul],
  div: ['/', PREC.mul],
};

const COMPARE: Partial<Record<BinaryOp, readonly [string, number]>> = {
  lt: ['<', PREC.compare],
  le: ['<=', PREC.compare],
  gt: ['>', PREC.compare],
  ge: ['>=', PREC.compare],
  eq: ['==', PREC.equal],
  ne: ['!=', PREC.equal],
};

const BITWISE: Partial<Record<BinaryOp, readonly [string, number]>> = {
  and: ['&', PREC.bitand],
  or: ['|', PREC.bitor],
  xor: ['^', PREC.bitxor],
};

/** The C expression of a scalar value; bools are 0 or 1, narrow floats are floats. */
export function scalarExpr(context: Context, expr: Expr): CExpr {
  const temp = context.temps.get(expr);
  if (temp !== undefined) return primary(temp);
  switch (expr.kind) {
    case 'const':
      return literal(expr.dtype, expr.value);
    case 'axis': {
      const value = context.substitutions.get(expr.name);
      return value === undefined ? primary(identifier(expr.name)) : scalarExpr(context, value);
    }
    case 'load':
      return scalarLoad(context, expr);
    case 'unary':
      return scalarUnary(context, expr);
    case 'binary':
      return scalarBinary(context, expr);
    case 'select': {
      const parts = [expr.cond, expr.a, expr.b].map((part) => scalarExpr(context, part));
      return ternary(parts[0] as CExpr, parts[1] as CExpr, parts[2] as CExpr);
    }
    case 'cast':
      return scalarCast(scalarExpr(context, expr.x), expr.x.dtype, expr.dtype);
    case 'bound':
      return callOf(
        'hone_bound',
        scalarExpr(context, expr.x),
        scalarExpr(context, expr.extent),
        primary('worker'),
      );
    case 'acc':
      return invariant(false, `${context.fn.name}: "acc" has no meaning in loops`) as never;
    default:
      return expr satisfies never;
  }
}

/** An index or loop bound, written as a sum of products. */
export function indexExpr(context: Context, expr: Expr): CExpr {
  const temp = context.temps.get(expr);
  if (temp !== undefined) return primary(temp);
  return affineText(context, sumOf(expr));
}

export function affineText(context: Context, form: Sum): CExpr {
  const [only] = form.terms;
  if (only === undefined) return literal('i64', form.constant);
  if (form.terms.length === 1 && form.constant === 0 && only.factor === 1) {
    return scalarExpr(context, only.atom);
  }
  let text = '';
  // A sum reads better when it does not begin with a minus.
  const first = form.terms.findIndex((term) => term.factor > 0);
  const terms = first < 1 ? form.terms : form.terms.with(0, form.terms[first] as Term);
  const ordered = first < 1 ? terms : terms.with(first, form.terms[0] as Term);
  for (const { atom, factor } of ordered) {
    const size = Math.abs(factor);
    const inner = scalarExpr(context, atom);
    const term = size === 1 ? wrap(inner, PREC.add + 1) : `${wrap(inner, PREC.mul)} * ${size}`;
    text +=
      text === ''
        ? factor < 0
          ? `-${size === 1 ? wrap(inner, PREC.unary) : term}`
          : term
        : `${factor < 0 ? ' - ' : ' + '}${term}`;
  }
  if (form.constant !== 0) {
    text += `${form.constant < 0 ? ' - ' : ' + '}${Math.abs(form.constant)}`;
  }
  const sum = form.terms.length > 1 || form.constant !== 0;
  return { text, prec: sum ? PREC.add : PREC.mul };
}

/** The C lvalue of a buffer's element, as it is stored. */
export function elementText(context: Context, buffer: string, index: Expr): CExpr {
  const info = bufferInfo(context, buffer);
  const name = bufferName(buffer);
  if (info.space !== 'register') return primary(`${name}[${indexExpr(context, index).text}]`);
  const position = registerPosition(context, index, undefined);
  if (position !== undefined) {
    return primary(`${name}[${affineText(context, position.register).text}][${position.lane}]`);
  }
  const at = wrap(indexExpr(context, index), PREC.mul);
  const { lanes } = context.fn;
  return primary(`${name}[${at} / ${lanes}][${at} % ${lanes}]`);
}

function scalarLoad(context: Context, expr: Node<'load'>): CExpr {
  const [index] = expr.index;
  invariant(index !== undefined && expr.index.length === 1, 'loads in loops have one flat index');
  const element = elementText(context, expr.source, index);
  if (bufferInfo(context, expr.source).space === 'register') {
    return expr.dtype === 'bool' ? infix('!=', PREC.equal, element, primary('0')) : element;
  }
  if (isBitPattern(expr.dtype)) {
    return callOf(`hone_load_${expr.dtype}`, { ...element, text: `&${element.text}` });
  }
  return expr.dtype === 'bool' ? infix('!=', PREC.equal, element, primary('0')) : element;
}

/** The statement that stores a value (in computing form) into an element. */
export function storeText(context: Context, buffer: string, index: Expr, value: CExpr): string {
  const { dtype, space } = bufferInfo(context, buffer);
  const element = elementText(context, buffer, index);
  if (isBitPattern(dtype) && space !== 'register') {
    return `hone_store_${dtype}(&${element.text}, ${value.text});`;
  }
  if (dtype === 'bool' && space === 'register') {
    return `${element.text} = -(${value.text});`;
  }
  return `${element.text} = ${value.text};`;
}

function scalarUnary(context: Context, expr: Node<'unary'>): CExpr {
  const x = scalarExpr(context, expr.x);
  const { op } = expr;
  const dtype = expr.x.dtype;
  const wide = isBitPattern(dtype) ? 'f32' : dtype;
  if (op === 'isnan' || op === 'isinf') {
    return isFloat(dtype) ? callOf(`hone_${op}_${wide}`, x) : primary('0');
  }
  if (op === 'not') {
    if (dtype === 'bool') return { text: `!${wrap(x, PREC.unary)}`, prec: PREC.unary };
    return narrow(dtype, { text: `~${wrap(x, PREC.unary)}`, prec: PREC.unary });
  }
  if (!isFloat(dtype)) return integerUnary(context, expr, x);
  if (op === 'neg') return negated(x);
  const result = callOf(`hone_${op}_${wide}`, x);
  return ROUNDS.has(op) ? rounded(dtype, result) : result;
}

/** Operators whose result may not be a value of the half type even if the operand is. */
export const ROUNDS: ReadonlySet<UnaryOp> = new Set<UnaryOp>([
  'sqrt',
  'exp',
  'log',
  'sin',
  'cos',
  'tan',
  'asin',
  'acos',
  'atan',
  'sinh',
  'cosh',
  'tanh',
  'asinh',
  'acosh',
  'atanh',
  'erf',
  'sigmoid',
]);

function integerUnary(context: Context, expr: Node<'unary'>, x: CExpr): CExpr {
  const dtype = expr.x.dtype;
  switch (expr.op) {
    case 'floor':
    case 'ceil':
    case 'round':
    case 'trunc':
      return x;
    case 'neg':
    case 'abs':
    case 'sign':
      if (expr.op === 'neg' && dtype === 'i64' && isIndexArithmetic(expr.x)) {
        return negated(x);
      }
      return dtype === 'bool' ? x : callOf(`hone_${expr.op}_${dtype}`, x);
    default: {
      const real = scalarCast(x, dtype, 'f64');
      void context;
      return scalarCast(callOf(`hone_${expr.op}_f64`, real), 'f64', dtype);
    }
  }
}

function scalarBinary(context: Context, expr: Node<'binary'>): CExpr {
  const { op } = expr;
  const dtype = expr.a.dtype;
  const compare = COMPARE[op];
  const bitwise = BITWISE[op];
  const isArithmetic = compare === undefined && bitwise === undefined;
  if (isArithmetic && dtype === 'i64' && isIndexArithmetic(expr)) {
    return indexBinary(context, expr);
  }
  const a = scalarExpr(context, expr.a);
  const b = scalarExpr(context, expr.b);
  if (compare !== undefined) return infix(compare[0], compare[1], a, b);
  if (dtype === 'bool') return boolBinary(op, a, b);
  if (isFloat(dtype)) return rounded(dtype, floatBinary(expr, a, b));
  if (bitwise !== undefined) {
    const text = `${wrap(a, PREC.add)} ${bitwise[0]} ${wrap(b, PREC.add)}`;
    return narrow(dtype, { text, prec: bitwise[1] });
  }
  const plain = INFIX[op];
  if (plain !== undefined && op !== 'div' && (dtype === 'u32' || dtype === 'u64')) {
    return infix(plain[0], plain[1], a, b);
  }
  return callOf(`hone_${op}_${dtype}`, a, b);
}

/** Bools are combined by bit: both sides are computed anyway, and no branch keeps loops simple. */
function boolBinary(op: BinaryOp, a: CExpr, b: CExpr): CExpr {
  const join = (sign: string, prec: number): CExpr => ({
    text: `${wrap(a, PREC.add)} ${sign} ${wrap(b, PREC.add)}`,
    prec,
  });
  switch (op) {
    case 'and':
    case 'mul':
    case 'min':
      return join('&', PREC.bitand);
    case 'or':
    case 'add':
    case 'max':
      return join('|', PREC.bitor);
    case 'xor':
      return join('^', PREC.bitxor);
    default:
      return invariant(false, `${op} of bool has no meaning`) as never;
  }
}

function floatBinary(expr: Node<'binary'>, a: CExpr, b: CExpr): CExpr {
  const { op } = expr;
  const wide = expr.a.dtype === 'f64' ? 'f64' : 'f32';
  const plain = INFIX[op];
  if (plain !== undefined) return infix(plain[0], plain[1], a, b);
  if (op === 'min' || op === 'max') {
    // With a constant on one side a single compare keeps NaN.
    if (isNumber(expr.b)) return callOf(`hone_${op}_const_${wide}`, a, b);
    if (isNumber(expr.a)) return callOf(`hone_${op}_const_${wide}`, b, a);
  }
  return callOf(`hone_${op}_${wide}`, a, b);
}

/** A constant that is not NaN. */
export function isNumber(expr: Expr): boolean {
  return expr.kind === 'const' && !Number.isNaN(Number(expr.value));
}

/**
 * i64 arithmetic over axes cannot overflow, so C's own operators serve. Operands are written once, as part of
 * the sum or by themselves: indices inside of indices would take twice as long with every level.
 */
function indexBinary(context: Context, expr: Node<'binary'>): CExpr {
  const { op } = expr;
  const plain = op === 'div' ? undefined : INFIX[op];
  const form = plain === undefined ? undefined : sumOf(expr);
  const itself = form?.terms.length === 1 && form.terms[0]?.atom === expr;
  if (form !== undefined && !itself) return affineText(context, form);
  const a = scalarExpr(context, expr.a);
  const b = scalarExpr(context, expr.b);
  if (plain !== undefined) return infix(plain[0], plain[1], a, b);
  const divisor = constantOf(expr.b);
  if (divisor !== undefined && divisor > 0 && isNonNegative(context, expr.a)) {
    if (op === 'div' || op === 'floordiv') return infix('/', PREC.mul, a, b);
    if (op === 'mod' || op === 'fmod') return infix('%', PREC.mul, a, b);
  }
  return callOf(`hone_${op}_i64`, a, b);
}

/** Made of axes, small constants and checked indices only. */
function isIndexArithmetic(expr: Expr): boolean {
  if (expr.kind === 'bound') return true;
  if (expr.kind === 'load') return false;
  if (expr.kind === 'const') return Number.isSafeInteger(Number(expr.value));
  return children(expr).every(isIndexArithmetic);
}

/** Conversion of a computed value. */
export function scalarCast(x: CExpr, from: DType, to: DType): CExpr {
  if (from === to) return x;
  if (to === 'bool') return infix('!=', PREC.equal, x, primary('0'));
  if (isFloat(to)) {
    const target = to === 'f64' ? 'double' : 'float';
    const wide = from === 'f64' ? 'f64' : 'f32';
    if (isFloat(from)) {
      if (to === 'f32' && wide === 'f32') return x;
      if (isBitPattern(to)) {
        return rounded(to, wide === 'f64' ? castText('float', x) : x);
      }
      return castText(target, x);
    }
    return rounded(to, castText(target, x));
  }
  if (isFloat(from)) return callOf(`hone_cvt_${from === 'f64' ? 'f64' : 'f32'}_${to}`, x);
  if (from === 'bool') return x;
  if (isSmallInt(to)) return callOf(`hone_wrap_${to}`, castText('int32_t', x));
  return castText(storageType(to), x);
}

function castText(type: string, x: CExpr): CExpr {
  return { text: `(${type})${wrap(x, PREC.unary)}`, prec: PREC.unary };
}

/** Rounds a float to the narrow type it belongs to. */
function rounded(dtype: DType, x: CExpr): CExpr {
  return isBitPattern(dtype) ? callOf(`hone_round_${dtype}`, x) : x;
}

/** Undoes C's promotion of small integers. */
function narrow(dtype: DType, x: CExpr): CExpr {
  if (isSmallInt(dtype)) return callOf(`hone_wrap_${dtype}`, x);
  const small = dtype === 'i8' || dtype === 'u8' || dtype === 'i16' || dtype === 'u16';
  return small ? castText(storageType(dtype), x) : x;
}
