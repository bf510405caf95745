/**
 * Inlining: a map is substituted into the map or reduction that reads it.
 *
 * Arithmetic is inlined only into a single reader, and never where it would be evaluated many
 * times (windows, repeated softmax passes of costly functions). Pure data movement may be
 * inlined into several readers.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { type DType, isFloat } from 'hone-runtime/base/dtype';
import { children, substituteAxes, visitExpr } from '../expr/rewrite.ts';
import type { Expr } from '../expr/types.ts';
import { isOpaque, type MapBody, type View } from '../stages/types.ts';
import {
  bodyValues,
  type Draft,
  dropUnusedOperands,
  loadsOf,
  mapBodyValues,
  mergeOperands,
  renumber,
  rewriteLoads,
  sameList,
} from './draft.ts';

const COSTLY = new Set(['exp', 'log', 'sin', 'cos', 'tan', 'tanh', 'erf', 'sigmoid', 'pow']);
/** Expressions larger than this are kept apart: compilers slow down and nothing is gained. */
export const MAX_NODES = 400;
/** Loads of data movement that may be carried out more than once: an index goes through memory at every level. */
const MAX_REPEATED_LOADS = 8;

/** Work of evaluating an expression once: arithmetic counts 1, transcendental functions 12. */
export function evaluationCost(expr: Expr): number {
  let cost = 0;
  visitExpr(expr, (node) => {
    if (node.dtype === 'i64') return;
    if (node.kind === 'unary') cost += COSTLY.has(node.op) || node.op.length > 5 ? 12 : 1;
    if (node.kind === 'binary') cost += COSTLY.has(node.op) ? 12 : 1;
    if (node.kind === 'select') cost += 1;
  });
  return cost;
}

/** A map whose value is one load, perhaps guarded: nothing is computed. */
export function isMovement(body: MapBody): boolean {
  return body.value.kind === 'load' || evaluationCost(body.value) === 0;
}

/** A value rounded to fewer bits: it was rounded to lie in memory so. */
function isNarrowing(value: Expr): boolean {
  return value.kind === 'cast' && isFloat(value.x.dtype) && NARROW.has(value.dtype);
}
const NARROW: ReadonlySet<DType> = new Set(['bf16', 'f16', 'u8', 'i8']);

/** A map that makes an f32 of one narrow value, at most shifted and scaled. */
export function isWidening({ body }: Draft): boolean {
  if (body.kind !== 'map' || body.value.dtype !== 'f32') return false;
  const [read, ...others] = loadsOf(body.value).filter((node) => NARROW.has(node.dtype));
  return read !== undefined && others.length === 0 && evaluationCost(body.value) <= 2;
}

/** The value at output index j is the value of axis j: the map covers its whole output in order. */
export function isIdentityWrite(outIndex: readonly Expr[]): boolean {
  return outIndex.every((expr, i) => expr.kind === 'axis' && expr.name === `i${i}`);
}

/** Why `map` cannot be inlined into `reader`, or null when it can. `readers` counts all readers. */
export function whyNotInlined(
  map: Draft,
  reader: Draft,
  output: View,
  readers: number,
): string | null {
  if (map.body.kind !== 'map') return 'its producer is not element-wise';
  if (isNarrowing(map.body.value)) return 'the narrow value is what lies in memory';
  if (!isIdentityWrite(map.body.outIndex)) return 'its producer writes a part of a buffer';
  if (isOpaque(reader.body) || reader.body.kind === 'concat') {
    return `${reader.body.kind} stages read finished buffers`;
  }
  const numbers = operandNumbers(reader, output);
  for (const k of numbers) {
    if (at(reader.operands, k).offset !== undefined) return 'only a region is read';
    if (!sameList(at(reader.operands, k).shape, output.shape)) return 'a reshape lies between';
  }
  if (reader.body.kind === 'contract' && numbers.some((k) => k < 2)) {
    return 'contractions read finished buffers';
  }
  if (readers > 1 && !isMovement(map.body)) return 'several stages read the result';
  const cost = evaluationCost(map.body.value);
  const loads = bodyValues(reader.body).flatMap((expr) => numbers.flatMap((k) => loadsOf(expr, k)));
  if (cost > 0 && loads.some(isWindow)) return 'the reader reads overlapping windows';
  if (loads.length > 1 && cost * (loads.length - 1) > 8) {
    return 'the reader evaluates the value several times';
  }
  if (readers * loads.length > 1 && loadsOf(map.body.value).length > MAX_REPEATED_LOADS) {
    return 'its many loads would be repeated';
  }
  // Broadcasting: the reader would evaluate one value for many outputs.
  if (cost > 4 && reader.body.kind !== 'contract' && isBroadcast(reader, loads)) {
    return 'the reader repeats the value (broadcast)';
  }
  return null;
}

/** A load whose index mixes output and reduction axes in one dimension. */
function isWindow(node: Extract<Expr, { kind: 'load' }>): boolean {
  return node.index.some((expr) => {
    const names = new Set<string>();
    visitExpr(expr, (item) => {
      if (item.kind === 'axis') names.add(item.name.slice(0, 1));
    });
    return names.size > 1;
  });
}

function isBroadcast(reader: Draft, loads: readonly Extract<Expr, { kind: 'load' }>[]): boolean {
  const body = reader.body;
  if (body.kind !== 'map' && body.kind !== 'reduce') return false;
  const names = body.axes.flatMap((extent, i) => (extent > 1 ? [`i${i}`] : []));
  if (body.kind === 'reduce') {
    names.push(...body.reduceAxes.flatMap((extent, i) => (extent > 1 ? [`r${i}`] : [])));
  }
  return loads.some((node) => {
    const used = new Set<string>();
    visitExpr(node, (item) => {
      if (item.kind === 'axis') used.add(item.name);
    });
    return names.some((name) => !used.has(name));
  });
}

function operandNumbers(reader: Draft, output: View): number[] {
  return reader.operands.flatMap((view, k) => (view.buffer === output.buffer ? [k] : []));
}

/** `reader` with every load of `output` replaced by the map's value there; null when too large. */
export function inlineMap(map: Draft, reader: Draft, output: View): Draft | null {
  if (map.body.kind !== 'map') return null;
  const value = map.body.value;
  const { operands, table } = mergeOperands(reader.operands, map.operands);
  const numbers = new Set(operandNumbers(reader, output));
  const sizeOf = sizeInlined(value, numbers);
  if (bodyValues(reader.body).some((expr) => sizeOf(expr) > MAX_NODES)) return null;
  const moved = renumber(value, table);
  const body = mapBodyValues(reader.body, (expr) =>
    rewriteLoads(expr, (operand, node) => {
      if (!numbers.has(operand)) return node;
      return substituteAxes(moved, new Map(node.index.map((item, i) => [`i${i}`, item])));
    }),
  );
  return dropUnusedOperands({
    nodes: [...map.nodes, ...reader.nodes],
    ops: [...map.ops, ...reader.ops],
    operands,
    outputs: reader.outputs,
    body,
  });
}

/**
 * How many nodes an expression will have once its loads of the operands `numbers` are `value`. Counted before
 * anything is built: an index that goes through the same load again grows as a power of the levels.
 */
function sizeInlined(value: Expr, numbers: ReadonlySet<number>): (expr: Expr) => number {
  const uses = new Map<string, number>();
  let own = 0;
  visitExpr(value, (node) => {
    if (node.kind === 'axis') uses.set(node.name, (uses.get(node.name) ?? 0) + 1);
    else own++;
  });
  const sizeOf = (expr: Expr): number => {
    if (expr.kind === 'load' && numbers.has(Number(expr.source))) {
      const grown = expr.index.map((item, i) => (uses.get(`i${i}`) ?? 0) * sizeOf(item));
      return grown.reduce((sum, size) => sum + size, own);
    }
    return children(expr).reduce((sum, child) => sum + sizeOf(child), 1);
  };
  return sizeOf;
}
