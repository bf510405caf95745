/**
 * Pieces of C text: identifiers, types, exact literals, and expressions that know how tightly they
 * bind, so that parentheses appear only where C needs them.
 */
import { invariant } from 'hone-runtime/base/diagnostics';
import { type DType, dtypeBytes, dtypeKind, isBitPattern } from 'hone-runtime/base/dtype';

/** A C expression and its precedence. */
export interface CExpr {
  readonly text: string;
  readonly prec: number;
}

/** Precedence levels of C, tighter first. */
export const PREC = {
  primary: 100,
  unary: 90,
  mul: 80,
  add: 70,
  shift: 60,
  compare: 50,
  equal: 45,
  bitand: 40,
  bitxor: 38,
  bitor: 36,
  and: 30,
  or: 28,
  ternary: 20,
} as const;

export function primary(text: string): CExpr {
  return { text, prec: PREC.primary };
}

/** The text, in parentheses when it binds less tightly than needed. */
export function wrap(x: CExpr, prec: number): string {
  return x.prec >= prec ? x.text : `(${x.text})`;
}

/** A left-associative infix operator. */
export function infix(op: string, prec: number, a: CExpr, b: CExpr): CExpr {
  return { text: `${wrap(a, prec)} ${op} ${wrap(b, prec + 1)}`, prec };
}

/** -x; a negative literal gets parentheses, because "--" means something else. */
export function negated(x: CExpr): CExpr {
  const inner = x.text.startsWith('-') ? `(${x.text})` : wrap(x, PREC.unary);
  return { text: `-${inner}`, prec: PREC.unary };
}

export function callOf(name: string, ...args: readonly CExpr[]): CExpr {
  return primary(`${name}(${args.map((arg) => arg.text).join(', ')})`);
}

export function ternary(cond: CExpr, a: CExpr, b: CExpr): CExpr {
  const [x, y] = [a, b].map((part) => wrap(part, PREC.ternary + 1));
  return { text: `${wrap(cond, PREC.equal)} ? ${x} : ${y}`, prec: PREC.ternary };
}

/** The C type that holds a value while computing; narrow floats are computed as float. */
export function valueType(dtype: DType): string {
  if (isBitPattern(dtype)) return 'float';
  return storageType(dtype);
}

/** The C type of an element in memory; narrow floats are patterns of 8 or 16 bits. */
export function storageType(dtype: DType): string {
  switch (dtype) {
    case 'f32':
      return 'float';
    case 'f64':
      return 'double';
    case 'f16':
    case 'bf16':
      return 'uint16_t';
    case 'bool':
      return 'uint8_t';
    case 'string':
      invariant(false, 'strings never reach a kernel');
      break;
    default: {
      const isSigned = dtypeKind(dtype) === 'int';
      return `${isSigned ? 'int' : 'uint'}${dtypeBytes(dtype) * 8}_t`;
    }
  }
}

/** Words a kernel's own names must avoid: C's, and those of the function frame. */
const RESERVED: ReadonlySet<string> = new Set(
  (
    'auto break case char const continue default do double else enum extern float for goto if ' +
    'inline int long register restrict return short signed sizeof static struct switch typedef ' +
    'union unsigned void volatile while asm typeof bool true false NULL buf dim worker main'
  ).split(' '),
);

/** A name as a C identifier. Names beginning with "hone_" or a reserved word get a mark. */
export function identifier(name: string): string {
  invariant(/^[A-Za-z_][A-Za-z0-9_]*$/.test(name), `"${name}" is no C identifier`);
  const clashes = RESERVED.has(name) || /^(hone_|HONE_|__|t\d+$)/.test(name);
  return clashes ? `${name}_` : name;
}

/** Text that is safe inside a line comment. */
export function commentText(text: string): string {
  return text.replace(/[^\x20-\x5b\x5d-\x7e]+/g, ' ').trim();
}

/** An exact literal of the value type of a dtype. */
export function literal(dtype: DType, value: number | bigint): CExpr {
  switch (dtype) {
    case 'bool':
      return primary(Number(value) === 0 ? '0' : '1');
    case 'f32':
    case 'f16':
    case 'bf16':
    case 'f8e4m3fn':
    case 'f8e4m3fnuz':
    case 'f8e5m2':
    case 'f8e5m2fnuz':
    case 'f8e8m0':
    case 'f4e2m1':
      return floatLiteral(Math.fround(Number(value)), true);
    case 'f64':
      return floatLiteral(Number(value), false);
    default:
      return integerLiteral(dtype, typeof value === 'bigint' ? value : BigInt(Math.trunc(value)));
  }
}

function floatLiteral(value: number, single: boolean): CExpr {
  if (Number.isNaN(value)) return primary(single ? 'HONE_NAN' : '(double)HONE_NAN');
  if (!Number.isFinite(value)) {
    const sign = value < 0 ? '-' : '';
    return { text: `${sign}${single ? 'HONE_INF' : '(double)HONE_INF'}`, prec: PREC.unary };
  }
  let text = single ? shortestSingle(value) : Object.is(value, -0) ? '-0' : String(value);
  if (!/[.e]/.test(text)) text += '.0';
  if (single) text += 'f';
  return { text, prec: text.startsWith('-') ? PREC.unary : PREC.primary };
}

/** The shortest decimal that reads back as the same float. */
function shortestSingle(value: number): string {
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  for (let digits = 1; digits <= 9; digits++) {
    const read = Number(value.toPrecision(digits));
    // Half a unit in the last place is at least 2^-25 of the value: no tie is near.
    if (Math.abs(read - value) < Math.abs(value) * 2 ** -25) return String(read);
  }
  return value.toPrecision(9);
}

function integerLiteral(dtype: DType, value: bigint): CExpr {
  const unsigned = dtype.startsWith('u');
  const bits = Number(dtype.slice(1));
  const wrapped = unsigned ? BigInt.asUintN(bits, value) : BigInt.asIntN(bits, value);
  if (!unsigned && bits >= 32 && wrapped === -(1n << BigInt(bits - 1))) {
    return primary(bits === 32 ? 'INT32_MIN' : 'INT64_MIN');
  }
  const text = `${wrapped}${unsigned && bits >= 32 ? (bits === 64 ? 'ull' : 'u') : ''}`;
  return { text, prec: wrapped < 0n ? PREC.unary : PREC.primary };
}
