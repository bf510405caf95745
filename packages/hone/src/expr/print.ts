/**
 * Text of expressions: function-call syntax. `parseExpr(printExpr(x))` equals `x`.
 *
 * Constants are `7` (i64), `7n` (i64 held as a bigint), `1.5:f32`; axes are bare names; loads are
 * `%0[i0, i1]` (an operand's position) or `name[i0]`, f32 unless a dtype follows (`%0[i0]:u8`);
 * `acc0:f32`; `cast:f16(x)`; `sel(c, a, b)`; `bound(x, 10)`; every other operator by its name.
 */
import type { Expr } from './types.ts';
import { printName, printNumber } from './scanner.ts';

const OPERAND = /^\d+$/;
/** Words the parser reads as something else where an axis could stand. */
const RESERVED = /^(?:inf|nan|cast|acc\d+)$/;

export function printExpr(expr: Expr): string {
  switch (expr.kind) {
    case 'const': {
      const { value, dtype } = expr;
      const text = typeof value === 'bigint' ? `${value}n` : printNumber(value);
      return dtype === 'i64' ? text : `${text}:${dtype}`;
    }
    case 'axis':
      return RESERVED.test(expr.name) ? JSON.stringify(expr.name) : printName(expr.name);
    case 'load': {
      const source = OPERAND.test(expr.source) ? `%${expr.source}` : printName(expr.source);
      const text = `${source}[${expr.index.map(printExpr).join(', ')}]`;
      return expr.dtype === 'f32' ? text : `${text}:${expr.dtype}`;
    }
    case 'unary':
      return `${expr.op}(${printExpr(expr.x)})`;
    case 'binary':
      return `${expr.op}(${printExpr(expr.a)}, ${printExpr(expr.b)})`;
    case 'select':
      return `sel(${printExpr(expr.cond)}, ${printExpr(expr.a)}, ${printExpr(expr.b)})`;
    case 'cast':
      return `cast:${expr.dtype}(${printExpr(expr.x)})`;
    case 'bound':
      return `bound(${printExpr(expr.x)}, ${printExpr(expr.extent)})`;
    case 'acc':
      return `acc${expr.step}:${expr.dtype}`;
    default:
      return expr satisfies never;
  }
}
