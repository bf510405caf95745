/**
 * A vector loop as C: each statement over all lanes at once, or, where a statement has no vector
 * form, a scalar loop over the lanes for that statement alone (the meaning is the same: statements
 * of a vector loop happen one after the other in all lanes).
 */
import { isFloat } from 'hone-runtime/base/dtype';
import { binary } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import { constantOf } from '../../loop/affine.ts';
import type { Stmt } from '../../loop/types.ts';
import { type CExpr, callOf, identifier, primary } from './c-text.ts';
import { bufferInfo, bufferName, type Context, freshName, tempOptions } from './emit-context.ts';
import { elementText, isNumber, scalarExpr, storeText } from './emit-scalar.ts';
import { planTemps } from './emit-temps.ts';
import {
  type LaneAxis,
  memoryPosition,
  notVector,
  registerText,
  repOf,
  tryVector,
  varies,
  vectorType,
} from './emit-lane-axis.ts';
import { vectorExpr } from './emit-vector.ts';

type Write = Extract<Stmt, { kind: 'assign' | 'accumulate' }>;
type For = Extract<Stmt, { kind: 'for' }>;

/** The lanes of a vector loop when its extent is a width that vectors have. */
export function laneAxisOf(context: Context, loop: For): LaneAxis | undefined {
  if (loop.mode !== 'vector' || loop.step !== 1) return undefined;
  const width = constantOf(binary('sub', loop.hi, loop.lo));
  const { lanes } = context.fn;
  if (width === undefined || ![4, 8, 16].includes(width) || lanes % width !== 0) return undefined;
  return { axis: loop.axis, width, lo: loop.lo };
}

/** Lines of one assignment or accumulation in all lanes; undefined when it has no vector form. */
export function laneWrite(
  context: Context,
  lane: LaneAxis,
  stmt: Write,
): readonly string[] | undefined {
  const counter = context.counter;
  const outer = context.temps;
  const lines = tryVector(() => writeLines(context, lane, stmt));
  context.temps = outer;
  if (lines === undefined) context.counter = counter;
  else context.widths.add(lane.width);
  return lines;
}

function writeLines(context: Context, lane: LaneAxis, stmt: Write): readonly string[] {
  const info = bufferInfo(context, stmt.buffer);
  const lines: string[] = [];
  if (!varies(context, lane, stmt.index)) return reduceLanes(context, lane, stmt);
  repOf(info.dtype);
  const temps = new Map<Expr, string>(context.temps);
  context.temps = temps;
  for (const { node, equals } of planTemps([stmt.value], tempOptions(context, true)).temps) {
    const name = freshName(context);
    const inLanes = varies(context, lane, node);
    const type = inLanes ? vectorType(node.dtype, lane.width) : scalarType(node);
    const value = inLanes ? vectorExpr(context, lane, node, undefined) : scalarExpr(context, node);
    lines.push(`const ${type} ${name} = ${value.text};`);
    for (const equal of equals) temps.set(equal, name);
  }
  const value = vectorExpr(context, lane, stmt.value, undefined);
  if (info.space === 'register') {
    const target = registerText(context, lane, stmt.buffer, stmt.index);
    lines.push(registerWrite(context, lane, stmt, target, value));
    return lines;
  }
  const at = memoryPosition(context, lane, stmt.index);
  const pointer = primary(`&${bufferName(stmt.buffer)}[${at.text}]`);
  const suffix = `${info.dtype}x${lane.width}`;
  const stored =
    stmt.kind === 'assign'
      ? value
      : combined(context, lane, stmt, callOf(`hone_load_${suffix}`, pointer), value);
  lines.push(`${callOf(`hone_store_${suffix}`, pointer, stored).text};`);
  return lines;
}

function registerWrite(
  context: Context,
  lane: LaneAxis,
  stmt: Write,
  target: CExpr,
  value: CExpr,
): string {
  const { dtype } = bufferInfo(context, stmt.buffer);
  if (stmt.kind === 'assign') return `${target.text} = ${value.text};`;
  if ((dtype === 'f32' || dtype === 'f64') && stmt.op === 'sum')
    return `${target.text} += ${value.text};`;
  return `${target.text} = ${combined(context, lane, stmt, target, value).text};`;
}

/** old ∘ value for an accumulation. */
function combined(context: Context, lane: LaneAxis, stmt: Write, old: CExpr, value: CExpr): CExpr {
  if (stmt.kind !== 'accumulate') return value;
  const { dtype } = bufferInfo(context, stmt.buffer);
  const op = stmt.op === 'sum' ? 'add' : stmt.op === 'prod' ? 'mul' : stmt.op;
  const rep = repOf(dtype);
  if (dtype === 'bool') {
    const sign = op === 'add' || op === 'max' ? '|' : '&';
    return { text: `${old.text} ${sign} (${value.text})`, prec: 0 };
  }
  if ((rep === 'f32' || rep === 'f64') && (op === 'add' || op === 'mul')) {
    const sum = primary(`${old.text} ${op === 'add' ? '+' : '*'} (${value.text})`);
    return dtype === rep ? sum : callOf(`hone_round_${dtype}x${lane.width}`, sum);
  }
  if (rep === 'f64') return notVector(`${op} of f64`);
  const constant = rep === 'f32' && isNumber(stmt.value) ? '_const' : '';
  const result = callOf(`hone_${op}${constant}_${rep}x${lane.width}`, old, value);
  const small = rep === 'i32' && dtype !== 'i32';
  return small ? callOf(`hone_wrap_${dtype}x${lane.width}`, result) : result;
}

/** An accumulation of all lanes into one element: combined pairwise, then added. */
function reduceLanes(context: Context, lane: LaneAxis, stmt: Write): readonly string[] {
  const { dtype } = bufferInfo(context, stmt.buffer);
  if (stmt.kind === 'assign') {
    // The last lane's value stays.
    if (varies(context, lane, stmt.value)) return notVector('last lane');
    return [storeText(context, stmt.buffer, stmt.index, scalarExpr(context, stmt.value))];
  }
  if (dtype !== 'f32' && dtype !== 'i32') return notVector(`${dtype} lanes into one`);
  const op = stmt.op === 'sum' ? 'add' : stmt.op === 'prod' ? 'mul' : stmt.op;
  const all = callOf(
    `hone_reduce_${op}_${dtype}x${lane.width}`,
    vectorExpr(context, lane, stmt.value, undefined),
  );
  const element = elementText(context, stmt.buffer, stmt.index);
  if (op === 'add' && isFloat(dtype)) return [`${element.text} += ${all.text};`];
  return [`${element.text} = ${callOf(`hone_${op}_${dtype}`, element, all).text};`];
}

function scalarType(node: Expr): string {
  const rep = node.dtype;
  if (rep === 'bool') return 'int';
  if (rep === 'f64') return 'double';
  if (isFloat(rep)) return 'float';
  return `${rep.startsWith('u') ? 'uint' : 'int'}${rep.slice(1)}_t`;
}

/** The header of the scalar loop over the lanes that stands in for a vector statement. */
export function laneLoopHead(lane: LaneAxis, lo: string, hi: string): string {
  const axis = identifier(lane.axis);
  return `for (int64_t ${axis} = ${lo}; ${axis} < ${hi}; ${axis}++) {`;
}
