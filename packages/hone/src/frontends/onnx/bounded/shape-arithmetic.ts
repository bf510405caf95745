/**
 * What models compute of shapes whose extents are not all known: element by element, on numbers with
 * intervals. Known elements stay known; what comes out all known is a constant.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { dtypeFromCode } from 'hone-runtime/base/dtype';
import { fromNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueId } from '../../../graph/types.ts';
import type { OpBuilder } from '../../../ops/builder.ts';
import { type Int, type Ints, isKnown, leastOf, mostOf } from './ints.ts';

interface List {
  readonly items: readonly Int[];
  /** A scalar has one element and no axis. */
  readonly isScalar: boolean;
}

type Lists = readonly (List | null)[];

/** The output of an operator on noted lists; undefined: none is, or the operator is another. */
export function shapeArithmetic(
  b: OpBuilder,
  ints: Ints,
  op: string,
  attrs: Attrs,
  inputs: readonly (ValueId | null)[],
): readonly ValueId[] | undefined {
  if (!inputs.some((id) => id !== null && ints.isNoted(id))) return undefined;
  const lists: (List | null)[] = [];
  for (const id of inputs) {
    const items = id === null ? null : ints.noted(id);
    if (items === undefined) return undefined;
    const isScalar = id !== null && b.typeOf(id).shape.length === 0;
    lists.push(items === null ? null : { items, isScalar });
  }
  const [first] = inputs;
  // Only 64-bit numbers are followed; they become other ones by a Cast at the end.
  const numbers = op === 'Where' ? inputs.slice(1) : inputs;
  if (numbers.some((id) => id !== null && op !== 'Cast' && b.typeOf(id).dtype !== 'i64'))
    return undefined;
  if (op === 'Cast') {
    const to = dtypeFromCode(Number(attrs['to']));
    if (first == null || to !== 'i64' || b.typeOf(first).dtype !== 'i64') return undefined;
    return [first];
  }
  const decided = compare(op, lists);
  if (decided !== undefined) {
    const flags = decided.items.map((item) => Number(item));
    return [b.constant(fromNumbers('bool', decided.isScalar ? [] : [flags.length], flags))];
  }
  const made = compute(ints, op, attrs, lists);
  if (made === undefined) return undefined;
  const id = made.isScalar ? ints.id(at(made.items, 0)) : ints.list(made.items);
  ints.note(id, made.items);
  return [id];
}

function compute(ints: Ints, op: string, attrs: Attrs, lists: Lists): List | undefined {
  const [x, y] = lists;
  if (x == null) return undefined;
  switch (op) {
    case 'Identity':
      return x;
    case 'Gather':
      return y == null ? undefined : gather(x, y);
    case 'Unsqueeze':
      return x.isScalar && y?.items.length === 1 ? { items: x.items, isScalar: false } : undefined;
    case 'Squeeze':
      return x.items.length === 1 ? { items: x.items, isScalar: true } : undefined;
    case 'Reshape':
      return reshape(x, y);
    case 'Concat':
      return {
        items: lists.flatMap((list) => list?.items ?? []),
        isScalar: false,
      };
    case 'Slice':
      return slice(lists);
    case 'ReduceProd':
    case 'ReduceMin':
    case 'ReduceMax':
    case 'ReduceSum':
      return reduced(ints, op, attrs, x, y);
    case 'Where': {
      const [, , no] = lists;
      return y == null || no == null ? undefined : choose(x, y, no);
    }
    case 'Neg':
      return { ...x, items: x.items.map((item) => ints.sub(0, item)) };
    case 'Add':
      return pairwise(x, y, (a, c) => ints.add(a, c));
    case 'Sub':
      return pairwise(x, y, (a, c) => ints.sub(a, c));
    case 'Mul':
      return pairwise(x, y, (a, c) => ints.mul(a, c));
    case 'Div':
      if (![x, y].every((list) => list?.items.every((item) => leastOf(item) >= 0) === true))
        return undefined;
      return y?.items.every((item) => isKnown(item) && item > 0) === true
        ? pairwise(x, y, (a, c) => ints.div(a, c))
        : undefined;
    case 'Min':
    case 'Max':
      if (lists.length === 1) return x;
      if (lists.length > 2) return undefined;
      return pairwise(x, y, (a, c) => (op === 'Min' ? ints.min(a, c) : ints.max(a, c)));
    default:
      return undefined;
  }
}

function gather(x: List, indices: List): List | undefined {
  if (x.isScalar || !indices.items.every(isKnown)) return undefined;
  const items = indices.items.map((index) => x.items.at(index));
  if (items.some((item) => item === undefined)) return undefined;
  return { items: items as Int[], isScalar: indices.isScalar };
}

function reshape(x: List, shape: List | null | undefined): List | undefined {
  if (shape == null || shape.items.length > 1) return undefined;
  if (shape.items.length === 0) return x.items.length === 1 ? { ...x, isScalar: true } : undefined;
  const [size] = shape.items;
  return size === -1 || size === x.items.length ? { ...x, isScalar: false } : undefined;
}

function slice([x, starts, ends, axes, steps]: Lists): List | undefined {
  const [start] = starts?.items ?? [];
  const [end] = ends?.items ?? [];
  const [step] = steps?.items ?? [1];
  if (x == null || x.isScalar || starts?.items.length !== 1 || step !== 1) return undefined;
  if (axes != null && axes.items[0] !== 0 && axes.items[0] !== -1) return undefined;
  if (start === undefined || end === undefined || !isKnown(start) || !isKnown(end))
    return undefined;
  return { items: x.items.slice(start, end), isScalar: false };
}

function reduced(
  ints: Ints,
  op: string,
  attrs: Attrs,
  x: List,
  axes: List | null | undefined,
): List | undefined {
  const isEmpty =
    x.items.length === 0 || (axes?.items.length === 0 && attrs['noop_with_empty_axes'] === 1);
  if (isEmpty) return undefined;
  const step = (a: Int, c: Int): Int => {
    if (op === 'ReduceSum') return ints.add(a, c);
    if (op === 'ReduceProd') return ints.mul(a, c);
    return op === 'ReduceMin' ? ints.min(a, c) : ints.max(a, c);
  };
  return { items: [x.items.reduce(step)], isScalar: attrs['keepdims'] === 0 || x.isScalar };
}

/** Which of two numbers holds where is known, as exporters ask whether an extent is -1. */
function choose(condition: List, yes: List, no: List): List | undefined {
  const count = Math.max(condition.items.length, yes.items.length, no.items.length);
  if ([condition, yes, no].some(({ items }) => items.length !== count && items.length !== 1))
    return undefined;
  const pick = ({ items }: List, i: number): Int => at(items, items.length === 1 ? 0 : i);
  const items: Int[] = [];
  for (let i = 0; i < count; i++) {
    const holds = pick(condition, i);
    if (!isKnown(holds)) return undefined;
    items.push(pick(holds === 0 ? no : yes, i));
  }
  return { items, isScalar: condition.isScalar && yes.isScalar && no.isScalar };
}

/** Comparisons that intervals decide. */
function compare(op: string, [x, y]: Lists): List | undefined {
  const isOne = (a: Int, c: Int): Int | undefined => {
    const [below, above] = [mostOf(a) < leastOf(c), leastOf(a) > mostOf(c)];
    const isEqual = isKnown(a) && a === c;
    switch (op) {
      case 'Equal':
        return isEqual ? 1 : below || above ? 0 : undefined;
      case 'Less':
        return below ? 1 : leastOf(a) >= mostOf(c) ? 0 : undefined;
      case 'Greater':
        return above ? 1 : mostOf(a) <= leastOf(c) ? 0 : undefined;
      default:
        return undefined;
    }
  };
  let isDecided = true;
  const made = pairwise(x ?? { items: [], isScalar: true }, y, (a, c) => {
    const result = isOne(a, c);
    isDecided &&= result !== undefined;
    return result ?? 0;
  });
  return isDecided ? made : undefined;
}

function pairwise(
  x: List,
  y: List | null | undefined,
  of: (a: Int, b: Int) => Int,
): List | undefined {
  if (y == null) return undefined;
  const count = Math.max(x.items.length, y.items.length);
  const isOdd = (list: List): boolean => list.items.length !== count && list.items.length !== 1;
  if (isOdd(x) || isOdd(y) || x.items.length === 0 || y.items.length === 0) return undefined;
  const item = (list: List, i: number): Int => at(list.items, list.items.length === 1 ? 0 : i);
  const items = Array.from({ length: count }, (_, i) => of(item(x, i), item(y, i)));
  // Numbers that could be anything are computed like other data.
  if (items.some((result) => Number.isNaN(leastOf(result)) || Number.isNaN(mostOf(result))))
    return undefined;
  return { items, isScalar: x.isScalar && y.isScalar };
}
