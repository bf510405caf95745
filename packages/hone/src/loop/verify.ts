/**
 * Checks that a loop function is well formed: names defined once and before use, dtypes that agree,
 * loops of each mode where they may stand, registers addressed at constant positions. What passes
 * can be printed as C and interpreted.
 */
import { fail } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import { printExpr } from '../expr/print.ts';
import { visitExpr } from '../expr/rewrite.ts';
import type { Expr } from '../expr/types.ts';
import { constantOf, sumOf } from './affine.ts';
import type { Instr, LoopFn, Stmt } from './types.ts';

/** Where a statement stands. */
interface Place {
  readonly buffers: ReadonlyMap<string, BufferFacts>;
  /** Axes and lets in scope; the inclusive range where all values are known when compiling. */
  readonly axes: ReadonlyMap<string, readonly [number, number] | undefined>;
  readonly inParallel: boolean;
  readonly lane: string | undefined;
  /** Inside of a branch that workers may take differently. */
  readonly divergent: boolean;
}

interface BufferFacts {
  readonly dtype: DType;
  readonly space: 'read' | 'write' | 'stack' | 'register';
  readonly count: number | undefined;
}

const KNOWN_LANES: readonly number[] = [4, 8, 16];
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Throws HONE-GRAPH-2xx at the first thing that is wrong; returns the function. */
export function verifyLoop(
  fn: LoopFn,
  instrs: ReadonlyMap<string, Instr> | undefined = undefined,
): LoopFn {
  const wrong = (number: string, message: string): never =>
    fail(
      `HONE-GRAPH-${number}`,
      `loop ${fn.name}: ${message}`,
      fn.name,
      'please report this as a bug',
    );
  const check = createChecks(fn, instrs, wrong);
  if (!NAME.test(fn.name)) wrong('201', `its name is no identifier`);
  if (!KNOWN_LANES.includes(fn.lanes)) wrong('201', `${fn.lanes} lanes are neither 4, 8 nor 16`);
  let place: Place = {
    buffers: new Map(),
    axes: new Map(),
    inParallel: false,
    lane: undefined,
    divergent: false,
  };
  for (const { name, dtype, access } of fn.buffers) {
    place = check.withBuffer(place, name, { dtype, space: access, count: undefined });
  }
  for (const name of fn.dims) place = check.withAxis(place, name, undefined);
  check.body(place, fn.body);
  return fn;
}

interface Checks {
  readonly withBuffer: (place: Place, name: string, facts: BufferFacts) => Place;
  readonly withAxis: (
    place: Place,
    name: string,
    range: readonly [number, number] | undefined,
  ) => Place;
  readonly body: (place: Place, body: readonly Stmt[]) => void;
}

function createChecks(
  fn: LoopFn,
  instrs: ReadonlyMap<string, Instr> | undefined,
  wrong: (number: string, message: string) => never,
): Checks {
  const fresh = (place: Place, name: string): void => {
    if (!NAME.test(name)) wrong('202', `"${name}" is no identifier`);
    if (place.buffers.has(name) || place.axes.has(name)) wrong('202', `"${name}" is defined twice`);
  };
  const withBuffer: Checks['withBuffer'] = (place, name, facts) => {
    fresh(place, name);
    return { ...place, buffers: new Map(place.buffers).set(name, facts) };
  };
  const withAxis: Checks['withAxis'] = (place, name, range) => {
    fresh(place, name);
    return { ...place, axes: new Map(place.axes).set(name, range) };
  };
  const bufferOf = (place: Place, name: string): BufferFacts =>
    place.buffers.get(name) ?? wrong('203', `buffer "${name}" is not defined here`);

  const expr = (place: Place, root: Expr, dtype: DType): void => {
    if (root.dtype !== dtype) wrong('204', `${printExpr(root)} is ${root.dtype}, not ${dtype}`);
    visitExpr(root, (node) => {
      if (node.kind === 'axis' && !place.axes.has(node.name)) {
        wrong('203', `axis "${node.name}" is not defined here`);
      }
      if (node.kind === 'acc') wrong('205', '"acc" belongs to stages');
      if (node.kind === 'load') {
        const { dtype: stored } = bufferOf(place, node.source);
        if (stored !== node.dtype) {
          wrong('204', `${printExpr(node)} reads ${node.dtype} from a buffer of ${stored}`);
        }
        const [index, ...more] = node.index;
        if (index === undefined || more.length > 0 || index.dtype !== 'i64') {
          wrong('205', `${printExpr(node)}: loads in loops have one flat index`);
        }
        inRegister(place, node.source, index);
      }
    });
  };

  /** Register positions must be constant once loops are unrolled, and lie inside. */
  const inRegister = (place: Place, name: string, index: Expr): void => {
    const { space, count } = bufferOf(place, name);
    if (space !== 'register' || count === undefined) return;
    let { constant: lowest, constant: highest } = sumOf(index);
    for (const { atom, factor } of sumOf(index).terms) {
      const range = atom.kind === 'axis' ? place.axes.get(atom.name) : undefined;
      const isLane = atom.kind === 'axis' && atom.name === place.lane;
      if (range === undefined || (isLane ? factor !== 1 : factor % fn.lanes !== 0)) {
        wrong('206', `${name}[${printExpr(index)}] is not a constant register when unrolled`);
      }
      const ends = range.map((value) => value * factor);
      lowest += Math.min(...ends);
      highest += Math.max(...ends);
    }
    if (lowest < 0 || highest >= count) {
      wrong('206', `${name}[${printExpr(index)}] reaches ${lowest} to ${highest} of ${count}`);
    }
  };

  const target = (place: Place, name: string, index: Expr): BufferFacts => {
    expr(place, index, 'i64');
    inRegister(place, name, index);
    return bufferOf(place, name);
  };

  const checkFor = (place: Place, loop: Extract<Stmt, { kind: 'for' }>): void => {
    expr(place, loop.lo, 'i64');
    expr(place, loop.hi, 'i64');
    if (!Number.isSafeInteger(loop.step) || loop.step < 1) wrong('207', `step ${loop.step}`);
    const lo = constantOf(loop.lo);
    const hi = constantOf(loop.hi);
    const known = lo !== undefined && hi !== undefined;
    const last = known ? lo + (Math.ceil((hi - lo) / loop.step) - 1) * loop.step : 0;
    const isConstant = loop.mode === 'unroll' || loop.mode === 'vector';
    const range = known && isConstant ? ([lo, Math.max(lo, last)] as const) : undefined;
    const inner = withAxis(place, loop.axis, range);
    switch (loop.mode) {
      case 'parallel':
        if (place.inParallel) wrong('208', `parallel loop "${loop.axis}" inside of another`);
        if (place.lane !== undefined) wrong('208', `parallel loop "${loop.axis}" in a vector loop`);
        body({ ...inner, inParallel: true }, loop.body);
        return;
      case 'vector':
        if (place.lane !== undefined) wrong('208', `vector loop "${loop.axis}" inside of another`);
        if (loop.step !== 1) wrong('207', `vector loop "${loop.axis}" steps by ${loop.step}`);
        body({ ...inner, lane: loop.axis }, loop.body);
        return;
      case 'unroll':
        if (!known) wrong('207', `unrolled loop "${loop.axis}" has no constant bounds`);
        body(inner, loop.body);
        return;
      case 'serial':
        body(inner, loop.body);
        return;
      default:
        loop.mode satisfies never;
    }
  };

  const checkCall = (place: Place, stmt: Extract<Stmt, { kind: 'call' }>): void => {
    const instr = instrs?.get(stmt.instr);
    if (instrs !== undefined && instr === undefined) wrong('209', `no instruction ${stmt.instr}`);
    if (instr !== undefined && instr.params.length !== stmt.operands.length) {
      wrong('209', `${stmt.instr} takes ${instr.params.length} operands`);
    }
    stmt.operands.forEach((operand, i) => {
      const param = instr?.params[i];
      if ((param?.access === 'scalar') !== (operand.kind === 'scalar') && param !== undefined) {
        wrong('209', `${stmt.instr}: operand "${param.name}" is of the wrong kind`);
      }
      if (operand.kind === 'scalar') {
        expr(place, operand.value, param?.dtype ?? operand.value.dtype);
        return;
      }
      const { dtype, space } = target(place, operand.buffer, operand.index);
      if (param !== undefined && dtype !== param.dtype) {
        wrong('204', `${stmt.instr}: operand "${param.name}" is ${dtype}, not ${param.dtype}`);
      }
      if (param?.access === 'write' && space === 'read') {
        wrong('210', `${stmt.instr} writes "${operand.buffer}", which is only read`);
      }
    });
  };

  const body = (start: Place, stmts: readonly Stmt[]): void => {
    let place = start;
    for (const stmt of stmts) {
      switch (stmt.kind) {
        case 'for':
          checkFor(place, stmt);
          break;
        case 'let': {
          expr(place, stmt.value, 'i64');
          const value = constantOf(stmt.value);
          place = withAxis(place, stmt.name, value === undefined ? undefined : [value, value]);
          break;
        }
        case 'assign':
        case 'accumulate': {
          const { dtype, space } = target(place, stmt.buffer, stmt.index);
          if (space === 'read') wrong('210', `"${stmt.buffer}" is written but only read`);
          expr(place, stmt.value, dtype);
          break;
        }
        case 'alloc': {
          const { dtype, space, count } = stmt;
          if (!Number.isSafeInteger(count) || count < 1) wrong('211', `${count} elements`);
          if (space === 'register' && (count % fn.lanes !== 0 || place.lane !== undefined)) {
            wrong('211', `register buffer "${stmt.buffer}" of ${count} elements`);
          }
          place = withBuffer(place, stmt.buffer, { dtype, space, count });
          break;
        }
        case 'if':
          expr(place, stmt.cond, 'bool');
          for (const branch of [stmt.then, stmt.else]) {
            body({ ...place, divergent: place.divergent || readsData(stmt.cond) }, branch);
          }
          break;
        case 'call':
          checkCall(place, stmt);
          break;
        case 'prefetch':
          target(place, stmt.buffer, stmt.index);
          break;
        case 'barrier':
          if (place.inParallel || place.lane !== undefined || place.divergent) {
            wrong('212', 'a barrier that not every worker passes');
          }
          break;
        case 'block':
          body(place, stmt.body);
          break;
        default:
          stmt satisfies never;
      }
    }
  };
  return { withBuffer, withAxis, body };
}

/** What is loaded may differ between workers, or change before another one looks. */
function readsData(cond: Expr): boolean {
  let reads = false;
  visitExpr(cond, (node) => {
    if (node.kind === 'load') reads = true;
  });
  return reads;
}
