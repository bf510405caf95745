/** Reads the text that `print.ts` writes. Bad text is a HONE-PARSE-001 that names the line. */
import { readExpr } from '../expr/parse.ts';
import { Scanner } from '../expr/scanner.ts';
import type { Expr } from '../expr/types.ts';
import { ACCUMULATE_SIGNS } from './print.ts';
import type { AccumulateOp, BufferParam, LoopFn, LoopMode, Operand, Stmt } from './types.ts';

const MODES: readonly LoopMode[] = ['serial', 'parallel', 'unroll', 'vector'];
const SIGNS = Object.entries(ACCUMULATE_SIGNS) as [AccumulateOp, string][];

/** A whole text that is one loop function. */
export function parseLoop(text: string): LoopFn {
  const scanner = new Scanner(text);
  scanner.expect('loop');
  const name = scanner.string();
  scanner.expect('lanes');
  const lanes = scanner.integer();
  scanner.expect('(');
  const buffers = scanner.list(')', () => readParam(scanner));
  let dims: readonly string[] = [];
  if (scanner.accept('dims')) {
    scanner.expect('(');
    dims = scanner.list(')', () => scanner.name());
  }
  const body = readBody(scanner);
  if (!scanner.atEnd) scanner.fail('unexpected text after the function');
  return { name, lanes, buffers, dims, body };
}

function readParam(scanner: Scanner): BufferParam {
  const access = scanner.accept('write') ? 'write' : 'read';
  if (access === 'read') scanner.expect('read');
  const name = scanner.name();
  scanner.expect(':');
  return { name, dtype: scanner.dtype(), access };
}

function readBody(scanner: Scanner): Stmt[] {
  scanner.expect('{');
  const body: Stmt[] = [];
  while (!scanner.accept('}')) {
    if (scanner.atEnd) scanner.fail('expected "}"');
    body.push(readStmt(scanner));
  }
  return body;
}

function readStmt(scanner: Scanner): Stmt {
  if (scanner.peekString()) return readWrite(scanner);
  if (scanner.accept('for')) return readFor(scanner);
  if (scanner.accept('let')) {
    const name = scanner.name();
    scanner.expect('=');
    return { kind: 'let', name, value: readExpr(scanner) };
  }
  if (scanner.accept('alloc')) return readAlloc(scanner);
  if (scanner.accept('if')) {
    const cond = readExpr(scanner);
    const then = readBody(scanner);
    return { kind: 'if', cond, then, else: scanner.accept('else') ? readBody(scanner) : [] };
  }
  if (scanner.accept('call')) {
    const instr = scanner.name();
    scanner.expect('(');
    return { kind: 'call', instr, operands: scanner.list(')', () => readOperand(scanner)) };
  }
  if (scanner.accept('prefetch')) return { kind: 'prefetch', ...readPlace(scanner) };
  if (scanner.accept('barrier')) return { kind: 'barrier' };
  if (scanner.accept('block')) {
    const comment = scanner.string();
    return { kind: 'block', comment, body: readBody(scanner) };
  }
  return readWrite(scanner);
}

function readFor(scanner: Scanner): Stmt {
  const axis = scanner.name();
  scanner.expect('in');
  const lo = readExpr(scanner);
  scanner.expect('to');
  const hi = readExpr(scanner);
  const step = scanner.accept('step') ? scanner.integer() : 1;
  const mode = MODES.find((name) => scanner.accept(name)) ?? scanner.fail('expected a loop mode');
  return { kind: 'for', axis, lo, hi, step, mode, body: readBody(scanner) };
}

function readAlloc(scanner: Scanner): Stmt {
  const space = scanner.accept('register') ? 'register' : 'stack';
  if (space === 'stack') scanner.expect('stack');
  const buffer = scanner.name();
  scanner.expect(':');
  const dtype = scanner.dtype();
  scanner.expect('[');
  const count = scanner.integer();
  scanner.expect(']');
  return { kind: 'alloc', buffer, dtype, count, space };
}

function readOperand(scanner: Scanner): Operand {
  if (scanner.accept('value')) return { kind: 'scalar', value: readExpr(scanner) };
  scanner.expect('at');
  return { kind: 'at', ...readPlace(scanner) };
}

function readPlace(scanner: Scanner): { buffer: string; index: Expr } {
  const buffer = scanner.name();
  scanner.expect('[');
  const index = readExpr(scanner);
  scanner.expect(']');
  return { buffer, index };
}

function readWrite(scanner: Scanner): Stmt {
  const place = readPlace(scanner);
  const sign = SIGNS.find(([, text]) => scanner.accept(text));
  if (sign !== undefined) {
    return { kind: 'accumulate', op: sign[0], ...place, value: readExpr(scanner) };
  }
  scanner.expect('=');
  return { kind: 'assign', ...place, value: readExpr(scanner) };
}
