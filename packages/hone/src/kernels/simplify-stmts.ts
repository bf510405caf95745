/** Simplifies every index of a loop body, knowing the range of each loop axis. */
import { isIndex } from '../expr/build.ts';
import { interval } from '../expr/interval.ts';
import { simplifyExpr } from '../expr/simplify.ts';
import type { Expr } from '../expr/types.ts';
import type { Stmt } from '../loop/types.ts';

type Ranges = ReadonlyMap<string, readonly [number, number]>;

export function simplifyAll(body: readonly Stmt[], ranges: Ranges = new Map()): Stmt[] {
  let known = ranges;
  return body.flatMap((stmt) => {
    const done = simplifyOne(stmt, known);
    if (done.kind === 'let') {
      known = new Map([...known, [done.name, interval(done.value, known)]]);
    }
    return isOneRound(done) ? done.body : [done];
  });
}

/** A loop of one round is its body, where that declares nothing of its own. */
function isOneRound(stmt: Stmt): stmt is Extract<Stmt, { kind: 'for' }> {
  if (stmt.kind !== 'for' || (stmt.mode !== 'serial' && stmt.mode !== 'unroll')) return false;
  const { lo, hi, step, axis } = stmt;
  if (!isIndex(lo) || !isIndex(hi)) return false;
  const rounds = (Number(hi.value) - Number(lo.value)) / step;
  if (rounds <= 0 || rounds > 1) return false;
  return stmt.body.every((inner) => !declares(inner) && !mentions(inner, axis));
}

function declares(stmt: Stmt): boolean {
  return stmt.kind === 'alloc' || stmt.kind === 'let';
}

/** Is an axis still named? (Its range is one value, so simplification has put that in its place.) */
function mentions(stmt: Stmt, axis: string): boolean {
  return new RegExp(`"name":"${axis}"`).test(
    JSON.stringify(stmt, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value)),
  );
}

function simplifyOne(stmt: Stmt, ranges: Ranges): Stmt {
  const s = (expr: Expr): Expr => simplifyExpr(expr, ranges);
  switch (stmt.kind) {
    case 'for': {
      const lo = s(stmt.lo);
      const hi = s(stmt.hi);
      const from = interval(lo, ranges)[0];
      const end = interval(hi, ranges)[1] - 1;
      // The last value a stepping axis takes.
      const to = from + Math.floor((end - from) / stmt.step) * stmt.step;
      const inner = new Map([...ranges, [stmt.axis, [from, Math.max(from, to)] as const]]);
      return { ...stmt, lo, hi, body: simplifyAll(stmt.body, inner) };
    }
    case 'let':
      return { ...stmt, value: s(stmt.value) };
    case 'assign':
    case 'accumulate':
      return { ...stmt, index: s(stmt.index), value: s(stmt.value) };
    case 'if':
      return {
        ...stmt,
        cond: s(stmt.cond),
        then: simplifyAll(stmt.then, ranges),
        else: simplifyAll(stmt.else, ranges),
      };
    case 'prefetch':
      return { ...stmt, index: s(stmt.index) };
    case 'call':
      return {
        ...stmt,
        operands: stmt.operands.map((operand) =>
          operand.kind === 'at'
            ? { ...operand, index: s(operand.index) }
            : { ...operand, value: s(operand.value) },
        ),
      };
    case 'block':
      return { ...stmt, body: simplifyAll(stmt.body, ranges) };
    case 'alloc':
    case 'barrier':
      return stmt;
    default:
      return stmt satisfies never;
  }
}
