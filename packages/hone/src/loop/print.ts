/**
 * Text of loop functions; `parseLoop(printLoop(fn))` equals `fn`.
 *
 *     loop "scale" lanes 16 (read x: f32, write y: f32) dims (n) {
 *       for i in 0 to n step 16 parallel {
 *         for l in 0 to 16 vector {
 *           y[add(i, l)] = mul(x[add(i, l)], 2:f32)
 *         }
 *       }
 *     }
 *
 * Writes are `=`, `+=`, `*=`, `max=` and `min=`; expressions as in `expr/print.ts`.
 */
import { printExpr } from '../expr/print.ts';
import { printName } from '../expr/scanner.ts';
import type { AccumulateOp, LoopFn, Operand, Stmt } from './types.ts';

/** Words that begin a statement: a buffer of such a name is quoted. */
export const STATEMENT_WORDS: ReadonlySet<string> = new Set([
  'for',
  'let',
  'alloc',
  'if',
  'call',
  'prefetch',
  'barrier',
  'block',
]);

export const ACCUMULATE_SIGNS: Readonly<Record<AccumulateOp, string>> = {
  sum: '+=',
  prod: '*=',
  max: 'max=',
  min: 'min=',
};

export function printLoop(fn: LoopFn): string {
  const buffers = fn.buffers.map(
    ({ name, dtype, access }) => `${access} ${printName(name)}: ${dtype}`,
  );
  const dims = fn.dims.length === 0 ? '' : ` dims (${fn.dims.map(printName).join(', ')})`;
  const head = `loop ${JSON.stringify(fn.name)} lanes ${fn.lanes} (${buffers.join(', ')})${dims} {`;
  return `${[head, ...printStmts(fn.body), '}'].join('\n')}\n`;
}

/** Statements as indented lines. */
export function printStmts(body: readonly Stmt[]): readonly string[] {
  return body.flatMap(printStmt).map((line) => `  ${line}`);
}

function printStmt(stmt: Stmt): readonly string[] {
  switch (stmt.kind) {
    case 'for': {
      const step = stmt.step === 1 ? '' : ` step ${stmt.step}`;
      const range = `${printExpr(stmt.lo)} to ${printExpr(stmt.hi)}${step}`;
      const head = `for ${printName(stmt.axis)} in ${range} ${stmt.mode} {`;
      return [head, ...printStmts(stmt.body), '}'];
    }
    case 'let':
      return [`let ${printName(stmt.name)} = ${printExpr(stmt.value)}`];
    case 'assign':
      return [`${place(stmt.buffer, stmt.index)} = ${printExpr(stmt.value)}`];
    case 'accumulate': {
      const sign = ACCUMULATE_SIGNS[stmt.op];
      return [`${place(stmt.buffer, stmt.index)} ${sign} ${printExpr(stmt.value)}`];
    }
    case 'alloc':
      return [`alloc ${stmt.space} ${printName(stmt.buffer)}: ${stmt.dtype} [${stmt.count}]`];
    case 'if': {
      const otherwise = stmt.else.length === 0 ? [] : ['} else {', ...printStmts(stmt.else)];
      return [`if ${printExpr(stmt.cond)} {`, ...printStmts(stmt.then), ...otherwise, '}'];
    }
    case 'call':
      return [`call ${printName(stmt.instr)}(${stmt.operands.map(printOperand).join(', ')})`];
    case 'prefetch':
      return [`prefetch ${place(stmt.buffer, stmt.index)}`];
    case 'barrier':
      return ['barrier'];
    case 'block':
      return [`block ${JSON.stringify(stmt.comment)} {`, ...printStmts(stmt.body), '}'];
    default:
      return stmt satisfies never;
  }
}

function printOperand(operand: Operand): string {
  if (operand.kind === 'scalar') return `value ${printExpr(operand.value)}`;
  return `at ${place(operand.buffer, operand.index)}`;
}

function place(buffer: string, index: Parameters<typeof printExpr>[0]): string {
  const name = STATEMENT_WORDS.has(buffer) ? JSON.stringify(buffer) : printName(buffer);
  return `${name}[${printExpr(index)}]`;
}
