/**
 * How far one number can lie behind another that it is computed of: `x[t : t + 1]` is one row, whatever t is.
 * Exporters take such a t through floats and lists of one, and the end through a minimum with the extent.
 */
import { elementCount, toNumbers } from 'hone-runtime/base/tensor';
import type { DType } from 'hone-runtime/base/dtype';
import type { Node, ValueId } from '../../../graph/types.ts';
import { constantTensor } from '../../../graph/walk.ts';
import type { OpBuilder } from '../../../ops/builder.ts';

/** Operators are followed this far back. */
const MAX_DEPTH = 24;

/** Hold every integer that is an extent. */
const WIDE: readonly DType[] = ['i64', 'f32', 'f64'];

/** Operators that give a single element as it is. */
const MOVES: ReadonlySet<string> = new Set([
  ...[
    'Identity',
    'Reshape',
    'Flatten',
    'Squeeze',
    'Unsqueeze',
    'Gather',
    'Slice',
    'Concat',
    'Cast',
  ],
]);

/** A number as another one and a constant. */
interface Sum {
  readonly base: ValueId;
  readonly add: number;
}

/**
 * The most that `to` - `from` can be, where both are sums of the same number; infinite where that is not
 * known. It holds for numbers that f32 has exactly.
 */
export function mostApart(b: OpBuilder, from: ValueId, to: ValueId): number {
  const starts = new Map(sumsOf(b, from, false).map(({ base, add }) => [base, add]));
  const gaps = sumsOf(b, to, true).flatMap(({ base, add }) => {
    const start = starts.get(base);
    return start === undefined ? [] : [add - start];
  });
  return Math.min(Number.POSITIVE_INFINITY, ...gaps);
}

/** What a number is, step by step back; with `below`, also what it is at most. */
function sumsOf(b: OpBuilder, id: ValueId, below: boolean, add = 0, depth = 0): readonly Sum[] {
  const own: Sum = { base: id, add };
  const node = b.graph.producer(id);
  if (node === undefined || depth > MAX_DEPTH || !isNumber(b, id)) return [own];
  const follow = (k: number, more: number): readonly Sum[] => {
    const input = node.inputs[k];
    return input == null ? [] : sumsOf(b, input, below, add + more, depth + 1);
  };
  if (node.domain === 'hone' && node.op === 'Within') return [own, ...follow(0, 0)];
  if (node.domain !== '') return [own];
  if (MOVES.has(node.op) && isMove(b, node)) return [own, ...follow(0, 0)];
  switch (node.op) {
    case 'Add':
      return [
        own,
        ...[0, 1].flatMap((k) => withConstant(b, node.inputs[1 - k], 1, (n) => follow(k, n))),
      ];
    case 'Sub':
      return [own, ...withConstant(b, node.inputs[1], -1, (n) => follow(0, n))];
    case 'Min':
      return below ? [own, ...node.inputs.flatMap((_, k) => follow(k, 0))] : [own];
    default:
      return [own];
  }
}

function isNumber(b: OpBuilder, id: ValueId): boolean {
  return elementCount(b.typeOf(id).shape) === 1;
}

/** A single element of a list of one, in a type that has the same numbers. */
function isMove(b: OpBuilder, node: Node): boolean {
  const [input] = node.inputs;
  if (input == null || !isNumber(b, input)) return false;
  if (node.op === 'Concat') return node.inputs.length === 1;
  const [from, to] = [b.typeOf(input).dtype, node.outputs.map((id) => b.typeOf(id).dtype)[0]];
  return from === to || (to !== undefined && WIDE.includes(to));
}

function withConstant(
  b: OpBuilder,
  id: ValueId | null | undefined,
  sign: number,
  follow: (more: number) => readonly Sum[],
): readonly Sum[] {
  if (id == null) return [];
  const value = b.graph.value(id);
  if (value.constant === undefined || elementCount(value.type.shape) !== 1) return [];
  const more = toNumbers(constantTensor(value))[0];
  return Number.isSafeInteger(more) ? follow(sign * (more ?? 0)) : [];
}
