/**
 * Absorption: a map joins the contraction or reduction whose result it reads, as its epilogue.
 * The joined stage stands where the map stood, so that the map's other operands are ready.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { load } from '../expr/build.ts';
import { exprSize, substituteAxes } from '../expr/rewrite.ts';
import type { Expr } from '../expr/types.ts';
import type { Buffer, ContractBody, ReduceBody, View } from '../stages/types.ts';
import {
  type Draft,
  dropUnusedOperands,
  loadsOf,
  mergeOperands,
  renumber,
  rewriteLoads,
  sameList,
} from './draft.ts';
import { isIdentityWrite, MAX_NODES } from './inline.ts';

/** Why `map` cannot become the epilogue of `producer`, or null when it can. */
export function whyNotAbsorbed(
  producer: Draft,
  map: Draft,
  output: View,
  readers: number,
  buffers: readonly Buffer[],
): string | null {
  const { body } = map;
  if (body.kind !== 'map') return 'the reader is not element-wise';
  if (producer.body.kind !== 'contract' && producer.body.kind !== 'reduce') {
    return `nothing joins a ${producer.body.kind} stage`;
  }
  if (readers > 1) return 'several stages read the result';
  if (!sameList(body.axes, output.shape)) return 'the reader changes the shape';
  for (const [k, view] of map.operands.entries()) {
    if (view.buffer !== output.buffer) continue;
    if (view.offset !== undefined || !sameList(view.shape, output.shape)) {
      return 'a reshape lies between';
    }
    if (!loadsOf(body.value, k).every((node) => isIdentityIndex(node.index, output.shape))) {
      return 'the reader moves elements';
    }
  }
  const result = resultOf(producer.body);
  const own = loadsOf(body.value).filter(
    (node) => at(map.operands, Number(node.source)).buffer === output.buffer,
  );
  if (exprSize(body.value) + own.length * exprSize(result) > MAX_NODES) {
    return 'the joined expression would be too large';
  }
  if (producer.body.kind === 'contract') {
    const plainReads = loadsOf(body.value).every((node) => isAxisOrConstant(node.index));
    if (!plainReads) return 'an operand of the reader is indexed in another order';
    const isWhole = map.operands.every((view, k) =>
      loadsOf(body.value, k).every((node) => coversAxes(node.index, view.shape, body.axes)),
    );
    if (!isWhole) return 'an operand of the reader covers a part of the result';
    if (isBlockable(producer, producer.body, buffers)) {
      const isFast = map.operands.every(
        (view, k) =>
          view.buffer === output.buffer ||
          loadsOf(body.value, k).every(({ index }) => isBlocked(view, index, output, buffers)),
      );
      if (!isFast) return 'an operand of the reader runs along rows or columns only';
    }
    if (producer.body.accDtype === 'i32' && body.value.dtype === 'i64') return 'integer widening';
  }
  return null;
}

/** Could it be a convolution in blocks of channels, as long as its epilogue is? */
function isBlockable(
  { operands }: Draft,
  { spec }: ContractBody,
  buffers: readonly Buffer[],
): boolean {
  if (spec.kind !== 'conv' || spec.kernel.length !== 2) return false;
  return at(buffers, at(operands, 1).buffer).role === 'constant';
}

/**
 * Can blocks of channels read an operand: an image like the result, a value per channel, or one for all?
 * Masks of places do not fit: they are cheap on their own, and a convolution without blocks is slow.
 */
function isBlocked(
  { shape, buffer }: View,
  index: readonly Expr[],
  output: View,
  buffers: readonly Buffer[],
): boolean {
  if (sameList(shape, output.shape)) return true;
  const names = index.flatMap((expr) => (expr.kind === 'axis' ? [expr.name] : []));
  if (names.length === 0) return true;
  const { role } = at(buffers, buffer);
  if (role === 'constant') return names.every((name) => name === 'i1');
  return role === 'temp' && shape.length === 4 && shape[2] === 1 && shape[3] === 1;
}

/** What a contraction or reduction writes. */
function resultOf(body: ContractBody | ReduceBody): Expr {
  return body.kind === 'contract' ? body.epilogue : body.value;
}

/** index j is axis ij (or 0 where the extent is 1). */
export function isIdentityIndex(index: readonly Expr[], shape: readonly number[]): boolean {
  return index.every(
    (expr, i) =>
      (expr.kind === 'axis' && expr.name === `i${i}`) || (at(shape, i) === 1 && isZero(expr)),
  );
}

function isZero(expr: Expr): boolean {
  return expr.kind === 'const' && Number(expr.value) === 0;
}

function isAxisOrConstant(index: readonly Expr[]): boolean {
  return index.every((expr) => expr.kind === 'axis' || expr.kind === 'const');
}

/** Do the axes of a load run over the whole of the dimensions they index? Not behind a border of padding. */
function coversAxes(
  index: readonly Expr[],
  shape: readonly number[],
  axes: readonly number[],
): boolean {
  return index.every(
    (expr, dim) => expr.kind !== 'axis' || at(shape, dim) === at(axes, Number(expr.name.slice(1))),
  );
}

/** The producer with the map's value as its epilogue. */
export function absorbMap(producer: Draft, map: Draft, output: View): Draft {
  if (map.body.kind !== 'map') throw new TypeError('only maps are absorbed');
  const outIndexOf = producer.body;
  if (outIndexOf.kind !== 'contract' && outIndexOf.kind !== 'reduce') {
    throw new TypeError('only contractions and reductions absorb');
  }
  const { operands, table } = mergeOperands(producer.operands, map.operands);
  const position = new Map(outIndexOf.outIndex.map((expr, i) => [`i${i}`, expr]));
  const result = resultOf(outIndexOf);
  const outputNumber = operands.findIndex((view) => view.buffer === output.buffer);
  const moved = substituteAxes(renumber(map.body.value, table), position);
  const value = rewriteLoads(moved, (operand, node) =>
    operand === outputNumber ? result : load(`${operand}`, node.dtype, node.index),
  );
  const outIndex = map.body.outIndex.map((expr) => substituteAxes(expr, position));
  const body =
    outIndexOf.kind === 'contract'
      ? { ...outIndexOf, epilogue: value, outIndex }
      : { ...outIndexOf, value, outIndex };
  return dropUnusedOperands({
    nodes: [...producer.nodes, ...map.nodes],
    ops: [...producer.ops, ...map.ops],
    operands,
    outputs: map.outputs,
    body,
  });
}

/** Does the producer write its output in order, so that a reader's index is its own? */
export function writesInOrder(producer: Draft): boolean {
  return producer.body.kind === 'contract' ? isIdentityWrite(producer.body.outIndex) : true;
}
