/** Reads the text that `print.ts` writes. Bad text is a HONE-PARSE-001 that names the line. */
import { acc, axis, binary, constant, load, select, unary } from './build.ts';
import { Scanner } from './scanner.ts';
import { BINARY_OPS, type BinaryOp, type Expr, UNARY_OPS, type UnaryOp } from './types.ts';

const UNARY: ReadonlySet<string> = new Set(UNARY_OPS);
const BINARY: ReadonlySet<string> = new Set(BINARY_OPS);

/** A whole text that is one expression. */
export function parseExpr(text: string): Expr {
  const scanner = new Scanner(text);
  const expr = readExpr(scanner);
  if (!scanner.atEnd) scanner.fail('unexpected text after the expression');
  return expr;
}

/** The expression at the scanner's position. */
export function readExpr(scanner: Scanner): Expr {
  const number = scanner.acceptNumber();
  if (number !== undefined) {
    return constant(scanner.accept(':') ? scanner.dtype() : 'i64', number);
  }
  if (scanner.accept('%')) {
    const operand = scanner.integer();
    scanner.expect('[');
    return readLoad(scanner, `${operand}`);
  }
  const quoted = scanner.peekString();
  const name = scanner.name();
  if (scanner.accept('[')) return readLoad(scanner, name);
  if (quoted) return axis(name);
  if (name === 'cast') {
    scanner.expect(':');
    const dtype = scanner.dtype();
    scanner.expect('(');
    const [x] = readArguments(scanner, 1) as [Expr];
    return Object.freeze({ kind: 'cast', dtype, x });
  }
  const step = /^acc(\d+)$/.exec(name)?.[1];
  if (step !== undefined) {
    scanner.expect(':');
    return acc(Number(step), scanner.dtype());
  }
  return scanner.accept('(') ? readCall(scanner, name) : axis(name);
}

function readLoad(scanner: Scanner, source: string): Expr {
  const index = scanner.list(']', () => readExpr(scanner));
  return load(source, scanner.accept(':') ? scanner.dtype() : 'f32', index);
}

function readArguments(scanner: Scanner, count: number): readonly Expr[] {
  const args = scanner.list(')', () => readExpr(scanner));
  if (args.length !== count) scanner.fail(`expected ${count} arguments, found ${args.length},`);
  return args;
}

function readCall(scanner: Scanner, name: string): Expr {
  if (UNARY.has(name)) {
    const [x] = readArguments(scanner, 1) as [Expr];
    return unary(name as UnaryOp, x);
  }
  if (BINARY.has(name)) {
    const [a, b] = readArguments(scanner, 2) as [Expr, Expr];
    if (a.dtype !== b.dtype) scanner.fail(`${name} of ${a.dtype} and ${b.dtype}`);
    return binary(name as BinaryOp, a, b);
  }
  if (name === 'sel') {
    const [cond, a, b] = readArguments(scanner, 3) as [Expr, Expr, Expr];
    if (a.dtype !== b.dtype) scanner.fail(`sel between ${a.dtype} and ${b.dtype}`);
    return select(cond, a, b);
  }
  if (name === 'bound') {
    const [x, extent] = readArguments(scanner, 2) as [Expr, Expr];
    return Object.freeze({ kind: 'bound', dtype: 'i64', x, extent });
  }
  return scanner.fail(`${name} is not an operator of expressions`);
}
