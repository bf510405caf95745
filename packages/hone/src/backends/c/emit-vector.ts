/**
 * Statements of a vector loop as C over vector types. A value is either scalar (the same in all
 * lanes) or a vector in computing form: f32, f16 and bf16 as float lanes; i8, u8, i16, u16 and i32
 * as int32 lanes; u32 as uint32 lanes; bool as a mask of all ones or zeros; f64 as double lanes, for sums and
 * products (not for masks or functions). What has no such form (integers of 64 bits, gathers) is left to a scalar loop: `undefined` is returned.
 */
import { type DType, isFloat } from 'hone-runtime/base/dtype';
import { index as indexConst } from '../../expr/build.ts';
import { children } from '../../expr/rewrite.ts';
import type { BinaryOp, Expr } from '../../expr/types.ts';
import { sumOf, strideOf } from '../../loop/affine.ts';
import {
  type CExpr,
  callOf,
  infix,
  literal,
  negated,
  PREC,
  primary,
  ternary,
  wrap,
} from './c-text.ts';
import { bufferInfo, bufferName, type Context } from './emit-context.ts';
import {
  atFirstLane,
  inlineLets,
  type LaneAxis,
  memoryPosition,
  notVector,
  registerText,
  repOf,
  varies,
} from './emit-lane-axis.ts';
import { affineText, indexExpr, isNumber, ROUNDS, scalarExpr } from './emit-scalar.ts';

type Node<K extends Expr['kind']> = Extract<Expr, { kind: K }>;

/** A value in all lanes, as a vector (scalars are broadcast). `guard`: mask of lanes that count. */
export function vectorExpr(
  context: Context,
  lane: LaneAxis,
  expr: Expr,
  guard: CExpr | undefined,
): CExpr {
  if (varies(context, lane, expr)) return laneExpr(context, lane, expr, guard);
  return splat(context, lane, expr, guard);
}

function helper(lane: LaneAxis, name: string, ...args: readonly CExpr[]): CExpr {
  return callOf(`hone_${name}x${lane.width}`, ...args);
}

function splat(context: Context, lane: LaneAxis, expr: Expr, guard: CExpr | undefined): CExpr {
  const rep = repOf(expr.dtype);
  const x = uniformExpr(context, lane, expr, guard);
  const value = expr.dtype === 'bool' ? negated(x) : x;
  return helper(lane, `splat_${rep}`, value);
}

/** A vector operand of C's own operators, which broadcast scalars themselves. */
function operand(context: Context, lane: LaneAxis, expr: Expr, guard: CExpr | undefined): CExpr {
  if (varies(context, lane, expr)) return laneExpr(context, lane, expr, guard);
  return uniformExpr(context, lane, expr, guard);
}

/** A value equal in all lanes; what it reads is read only if some lane needs it. */
function uniformExpr(
  context: Context,
  lane: LaneAxis,
  expr: Expr,
  guard: CExpr | undefined,
): CExpr {
  const x = scalarExpr(context, expr);
  if (guard === undefined || !readsMemory(context, expr)) return x;
  return ternary(helper(lane, 'any_i32', guard), x, literal(expr.dtype, 0));
}

function readsMemory(context: Context, expr: Expr): boolean {
  if (context.temps.has(expr)) return false;
  if (expr.kind === 'load' || expr.kind === 'bound') return true;
  return children(expr).some((child) => readsMemory(context, child));
}

function laneExpr(context: Context, lane: LaneAxis, expr: Expr, guard: CExpr | undefined): CExpr {
  const temp = context.temps.get(expr);
  if (temp !== undefined) return primary(temp);
  switch (expr.kind) {
    case 'load':
      return laneLoad(context, lane, expr, guard);
    case 'unary':
      return laneUnary(context, lane, expr, guard);
    case 'binary':
      return laneBinary(context, lane, expr, guard);
    case 'select':
      return laneSelect(context, lane, expr, guard);
    case 'cast':
      return laneCast(context, lane, expr, guard);
    default:
      return notVector(expr.kind);
  }
}

function laneLoad(
  context: Context,
  lane: LaneAxis,
  expr: Node<'load'>,
  guard: CExpr | undefined,
): CExpr {
  const index = expr.index[0] ?? indexConst(0);
  repOf(expr.dtype);
  if (bufferInfo(context, expr.source).space === 'register') {
    return registerText(context, lane, expr.source, index);
  }
  const at = memoryPosition(context, lane, index);
  const pointer = primary(`&${bufferName(expr.source)}[${at.text}]`);
  if (guard === undefined) return helper(lane, `load_${expr.dtype}`, pointer);
  if (expr.dtype === 'f64') return notVector('f64 lanes under a mask');
  return helper(lane, `load_masked_${expr.dtype}`, pointer, guard);
}

function laneUnary(
  context: Context,
  lane: LaneAxis,
  expr: Node<'unary'>,
  guard: CExpr | undefined,
): CExpr {
  const x = laneExpr(context, lane, expr.x, guard);
  const dtype = expr.x.dtype;
  const { op } = expr;
  if (op === 'not')
    return wrapped(lane, dtype, { text: `~${wrap(x, PREC.unary)}`, prec: PREC.unary });
  if (isFloat(dtype)) {
    repOf(dtype);
    if (op === 'neg') return negated(x);
    if (dtype === 'f64') return notVector(`${op} of f64`);
    const result = helper(lane, `${op}_f32`, x);
    return ROUNDS.has(op) ? rounded(lane, dtype, result) : result;
  }
  if (op === 'floor' || op === 'ceil' || op === 'round' || op === 'trunc') return x;
  if (dtype === 'bool') return notVector(`${op} of bool`);
  if (op === 'neg' || op === 'abs' || op === 'sign') {
    return wrapped(lane, dtype, helper(lane, `${op}_${repOf(dtype)}`, x));
  }
  return notVector(`${op} of ${dtype}`);
}

const FLOAT_INFIX: Partial<Record<BinaryOp, readonly [string, number]>> = {
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

function laneBinary(
  context: Context,
  lane: LaneAxis,
  expr: Node<'binary'>,
  guard: CExpr | undefined,
): CExpr {
  const { op } = expr;
  const dtype = expr.a.dtype;
  const compare = COMPARE[op];
  if (dtype === 'i64' && compare !== undefined) return compareLane(context, lane, expr);
  const rep = repOf(dtype);
  const both = (): [CExpr, CExpr] => [
    vectorExpr(context, lane, expr.a, guard),
    vectorExpr(context, lane, expr.b, guard),
  ];
  if (compare !== undefined) {
    if (dtype === 'f64') return notVector('masks of f64 lanes');
    // The result of comparing unsigned or float lanes is a signed mask already.
    return infix(compare[0], compare[1], ...both());
  }
  const bitwise = BITWISE[op];
  if (bitwise !== undefined && !isFloat(dtype)) {
    const [a, b] = both();
    return { text: `${wrap(a, PREC.add)} ${bitwise[0]} ${wrap(b, PREC.add)}`, prec: bitwise[1] };
  }
  if (dtype === 'bool') {
    if (op !== 'mul' && op !== 'min' && op !== 'add' && op !== 'max') return notVector(op);
    const [a, b] = both();
    const [sign, prec] = op === 'mul' || op === 'min' ? ['&', PREC.bitand] : ['|', PREC.bitor];
    return { text: `${wrap(a, PREC.add)} ${sign} ${wrap(b, PREC.add)}`, prec: Number(prec) };
  }
  if (isFloat(dtype)) return rounded(lane, dtype, floatBinary(context, lane, expr, guard));
  const known = ['add', 'sub', 'mul', 'min', 'max', 'shl', 'shr'].includes(op);
  if (!known) return notVector(`${op} of ${dtype}`);
  const [a, b] = both();
  const suffix = op === 'shl' || op === 'shr' ? dtype : rep;
  return wrapped(lane, dtype, helper(lane, `${op}_${suffix}`, a, b));
}

function floatBinary(
  context: Context,
  lane: LaneAxis,
  expr: Node<'binary'>,
  guard: CExpr | undefined,
): CExpr {
  const { op } = expr;
  const plain = FLOAT_INFIX[op];
  if (plain !== undefined) {
    const a = operand(context, lane, expr.a, guard);
    const b = operand(context, lane, expr.b, guard);
    return infix(plain[0], plain[1], a, b);
  }
  if (expr.dtype === 'f64') return notVector(`${op} of f64`);
  const a = vectorExpr(context, lane, expr.a, guard);
  const b = vectorExpr(context, lane, expr.b, guard);
  if (op === 'min' || op === 'max') {
    if (isNumber(expr.b)) return helper(lane, `${op}_const_f32`, a, b);
    if (isNumber(expr.a)) return helper(lane, `${op}_const_f32`, b, a);
  }
  if (!['min', 'max', 'pow', 'floordiv'].includes(op)) return notVector(op);
  return helper(lane, `${op}_f32`, a, b);
}

/** i64 comparison whose sides differ by ±lane + something the same in all lanes. */
function compareLane(context: Context, lane: LaneAxis, expr: Node<'binary'>): CExpr {
  const difference = sumOf(
    inlineLets(context, { kind: 'binary', dtype: 'i64', op: 'sub', a: expr.a, b: expr.b }),
  );
  const stride = strideOf(difference, lane.axis);
  if (stride !== 1 && stride !== -1) return notVector('comparison of i64 lanes');
  // a - b = ±lane + rest, so compare ±lane with -rest.
  const rest = {
    constant: -difference.constant,
    terms: difference.terms
      .filter(({ atom }) => !(atom.kind === 'axis' && atom.name === lane.axis))
      .map(({ atom, factor }) => ({ atom, factor: -factor })),
  };
  const lo = sumOf(lane.lo);
  const bound = {
    constant: rest.constant - stride * lo.constant,
    terms: [
      ...rest.terms,
      ...lo.terms.map(({ atom, factor }) => ({ atom, factor: -stride * factor })),
    ],
  };
  const limit = callOf('hone_lane_limit', affineText(context, bound));
  const iota = primary(`hone_iota_i32x${lane.width}()`);
  const lanes = stride === 1 ? iota : negated(iota);
  const [sign, prec] = COMPARE[expr.op] as readonly [string, number];
  return infix(sign, prec, lanes, helper(lane, 'splat_i32', limit));
}

function laneSelect(
  context: Context,
  lane: LaneAxis,
  expr: Node<'select'>,
  guard: CExpr | undefined,
): CExpr {
  if (!varies(context, lane, expr.cond)) {
    const cond = scalarExpr(context, expr.cond);
    return ternary(
      cond,
      vectorExpr(context, lane, expr.a, guard),
      vectorExpr(context, lane, expr.b, guard),
    );
  }
  if (expr.dtype === 'f64') return notVector('selection of f64 lanes');
  const cond = laneExpr(context, lane, expr.cond, guard);
  const inverse: CExpr = { text: `~${wrap(cond, PREC.unary)}`, prec: PREC.unary };
  const both = (mask: CExpr): CExpr =>
    guard === undefined
      ? mask
      : { text: `${wrap(guard, PREC.add)} & ${wrap(mask, PREC.add)}`, prec: PREC.bitand };
  return helper(
    lane,
    `select_${repOf(expr.dtype)}`,
    cond,
    vectorExpr(context, lane, expr.a, both(cond)),
    vectorExpr(context, lane, expr.b, both(inverse)),
  );
}

function laneCast(
  context: Context,
  lane: LaneAxis,
  expr: Node<'cast'>,
  guard: CExpr | undefined,
): CExpr {
  const from = expr.x.dtype;
  const to = expr.dtype;
  if (from === 'i64') return castOfLane(context, lane, expr);
  const quantized = quantizedLane(context, lane, expr, guard);
  if (quantized !== undefined) return quantized;
  const x = laneExpr(context, lane, expr.x, guard);
  const source = repOf(from);
  const target = repOf(to);
  if (source === 'f64' || target === 'f64') return castOfDouble(lane, x, from, to);
  if (from === 'bool') return to === 'bool' ? x : helper(lane, `cvt_bool_${target}`, x);
  if (to === 'bool') {
    const zero = literal(source === 'f32' ? 'f32' : 'i32', 0);
    return infix('!=', PREC.equal, x, helper(lane, `splat_${source}`, zero));
  }
  if (source === 'f32' && target === 'f32') return to === 'f32' ? x : rounded(lane, to, x);
  if (source === 'f32') return helper(lane, `cvt_f32_${to}`, x);
  if (target === 'f32') return rounded(lane, to, helper(lane, `cvt_${source}_f32`, x));
  const same = source === target ? x : castTo(`hone_${target}x${lane.width}`, x);
  return wrapped(lane, to, same);
}

/** Doubles are converted from and to floats; narrower ones would be rounded twice. */
function castOfDouble(lane: LaneAxis, x: CExpr, from: DType, to: DType): CExpr {
  if (from === to) return x;
  if (from === 'f64' && to === 'f32') return helper(lane, 'cvt_f64_f32', x);
  if (to === 'f64' && isFloat(from)) return helper(lane, 'cvt_f32_f64', x);
  return notVector(`${from} lanes as ${to}`);
}

/**
 * cast(u8, round(x) + zero point) in the instructions that do just that; the sum is one of
 * integers, which is the same: whole numbers of this size are exact in both.
 */
function quantizedLane(
  context: Context,
  lane: LaneAxis,
  expr: Node<'cast'>,
  guard: CExpr | undefined,
): CExpr | undefined {
  const { dtype, x } = expr;
  if (dtype !== 'u8' || x.dtype !== 'f32') return undefined;
  const isSum = x.kind === 'binary' && x.op === 'add' && x.b.kind === 'const';
  const zero = isSum && x.b.kind === 'const' ? Number(x.b.value) : 0;
  const whole = isSum ? x.a : x;
  if (whole.kind !== 'unary' || whole.op !== 'round' || context.temps.has(x)) return undefined;
  if (context.temps.has(whole) || !Number.isInteger(zero) || Math.abs(zero) > 255) return undefined;
  const real = laneExpr(context, lane, whole.x, guard);
  return helper(lane, 'quantize_u8', real, literal('i32', zero));
}

/** cast(±lane + rest): counting lanes. */
function castOfLane(context: Context, lane: LaneAxis, expr: Node<'cast'>): CExpr {
  const form = sumOf(inlineLets(context, expr.x));
  const stride = strideOf(form, lane.axis);
  if (stride === undefined || expr.dtype !== 'f32') {
    return notVector('conversion of i64 lanes');
  }
  const base = indexExpr(context, atFirstLane(context, lane, expr.x));
  const iota = helper(lane, 'cvt_i32_f32', primary(`hone_iota_i32x${lane.width}()`));
  const scaled = stride === 1 ? iota : infix('*', PREC.mul, iota, literal('f32', stride));
  return infix('+', PREC.add, castTo('float', base), scaled);
}

function castTo(type: string, x: CExpr): CExpr {
  return { text: `(${type})${wrap(x, PREC.unary)}`, prec: PREC.unary };
}

function rounded(lane: LaneAxis, dtype: DType, x: CExpr): CExpr {
  return dtype === 'f16' || dtype === 'bf16' ? helper(lane, `round_${dtype}`, x) : x;
}

/** Brings int32 lanes back into the range of a small integer type. */
function wrapped(lane: LaneAxis, dtype: DType, x: CExpr): CExpr {
  const small = dtype === 'i8' || dtype === 'u8' || dtype === 'i16' || dtype === 'u16';
  return small ? helper(lane, `wrap_${dtype}`, x) : x;
}
