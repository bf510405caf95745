/**
 * Where the elements of a value lie, by interval analysis over the operators that compute it: what makes
 * a bound of a size that depends on data. Never too narrow; infinite where nothing is known.
 */
import { elementCount, toNumbers } from 'hone-runtime/base/tensor';
import type { DType } from 'hone-runtime/base/dtype';
import type { Attrs, Node, ValueId } from '../../../graph/types.ts';
import { constantTensor } from '../../../graph/walk.ts';
import type { OpBuilder } from '../../../ops/builder.ts';

export interface Interval {
  readonly min: number;
  readonly max: number;
}

/** What a 32-bit number holds: no bound that memory could be planned at, but sums beyond it wrap. */
const WRAPS_AT = 2 ** 31;

/** Integer dtypes and what they hold at most; the wide ones hold anything. */
export const INTEGERS_UP_TO: ReadonlyMap<DType, Interval> = new Map([
  ['bool', { min: 0, max: 1 }],
  ['u8', { min: 0, max: 255 }],
  ['i8', { min: -128, max: 127 }],
  ['u16', { min: 0, max: 65_535 }],
  ['i16', { min: -32_768, max: 32_767 }],
  ['i32', { min: -Infinity, max: Infinity }],
  ['i64', { min: -Infinity, max: Infinity }],
]);

const ANY: Interval = { min: -Infinity, max: Infinity };
const UNIT: Interval = { min: 0, max: 1 };

/** Operators are followed this far back. */
const MAX_DEPTH = 40;
/** Constants with more elements are not looked at. */
const MAX_ELEMENTS = 65_536;

/** What is known of a value already. */
export type KnownInterval = (id: ValueId) => Interval | undefined;

export function intervalOf(b: OpBuilder, id: ValueId, known: KnownInterval, depth = 0): Interval {
  const have = known(id);
  if (have !== undefined) return have;
  const value = b.graph.value(id);
  const { dtype, shape } = value.type;
  const ofType = INTEGERS_UP_TO.get(dtype) ?? ANY;
  if (dtype === 'string') return ANY;
  if (value.constant !== undefined) {
    const count = elementCount(shape);
    if (count === 0 || count > MAX_ELEMENTS) return ofType;
    let [min, max] = [Infinity, -Infinity];
    for (const x of toNumbers(constantTensor(value))) {
      if (Number.isNaN(x)) return ANY;
      min = Math.min(min, x);
      max = Math.max(max, x);
    }
    return { min, max };
  }
  const node = b.graph.producer(id);
  if (node === undefined || depth > MAX_DEPTH) return ofType;
  const found = ofNode(b, node, node.outputs.indexOf(id), known, depth + 1);
  // What the type cannot hold has wrapped around.
  if (dtype === 'i32' && Math.max(-found.min, found.max) >= WRAPS_AT) return ANY;
  return found.min >= ofType.min && found.max <= ofType.max ? found : ofType;
}

/** Operators whose results are elements of their first input. */
const MOVES: ReadonlySet<string> = new Set([
  ...['Identity', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Transpose', 'Slice', 'Split'],
  ...[
    'Gather',
    'GatherND',
    'GatherElements',
    'Expand',
    'Tile',
    'ReduceMax',
    'ReduceMin',
    'MaxPool',
  ],
]);

function ofNode(
  b: OpBuilder,
  node: Node,
  output: number,
  known: KnownInterval,
  depth: number,
): Interval {
  const input = (k: number): Interval => {
    const id = node.inputs[k];
    return id == null ? ANY : intervalOf(b, id, known, depth);
  };
  const inputs = (): Interval[] => node.inputs.map((_, k) => input(k));
  if (node.domain === 'hone')
    return node.op === 'Within' ? ofCheck(node, input(0)) : ofOwn(b, node, output);
  if (node.domain !== '') return ANY;
  if (node.op === 'TopK' && output === 1) return ofPositions(b, node, node.attrs);
  if (MOVES.has(node.op) && output === 0) return input(0);
  if (node.op === 'Split') return input(0);
  if (output > 0) return ANY;
  switch (node.op) {
    case 'TopK':
      return input(0);
    case 'Cast':
      return cast(b, node, input(0));
    case 'Concat':
      return union(inputs());
    case 'Where':
      return union([input(1), input(2)]);
    case 'Min': {
      const all = inputs();
      return { min: least(all), max: Math.min(...all.map(({ max }) => max)) };
    }
    case 'Max': {
      const all = inputs();
      return { min: Math.max(...all.map(({ min }) => min)), max: most(all) };
    }
    case 'Clip': {
      const [x, low, high] = [input(0), input(1), input(2)];
      return {
        min: Math.min(Math.max(x.min, low.min), high.max),
        max: Math.max(Math.min(x.max, high.max), low.min),
      };
    }
    case 'Relu':
      return { min: Math.max(0, input(0).min), max: Math.max(0, input(0).max) };
    case 'Abs': {
      const { min, max } = input(0);
      const low = min > 0 ? min : max < 0 ? -max : 0;
      return { min: low, max: Math.max(Math.abs(min), Math.abs(max)) };
    }
    case 'Neg':
      return { min: -input(0).max, max: -input(0).min };
    case 'Floor':
    case 'Ceil':
    case 'Round': {
      const { min, max } = input(0);
      return { min: Math.floor(min), max: Math.ceil(max) };
    }
    case 'Sigmoid':
    case 'Softmax':
    case 'HardSigmoid':
      return UNIT;
    case 'ArgMax':
    case 'ArgMin':
      return ofPositions(b, node, node.attrs);
    case 'Add': {
      const [x, y] = [input(0), input(1)];
      return { min: x.min + y.min, max: x.max + y.max };
    }
    case 'Sub': {
      const [x, y] = [input(0), input(1)];
      return { min: x.min - y.max, max: x.max - y.min };
    }
    case 'Mul':
      return corners(input(0), input(1), (x, y) => (x === 0 || y === 0 ? 0 : x * y));
    case 'Div': {
      const [x, y] = [input(0), input(1)];
      // Rounding to zero stays between the quotient and zero.
      return y.min >= 1
        ? union([corners(x, y, (p, q) => p / q), corners(x, y, (p, q) => Math.trunc(p / q))])
        : ANY;
    }
    case 'Mod': {
      const y = input(1);
      return y.min >= 1 && input(0).min >= 0 ? { min: 0, max: y.max } : ANY;
    }
    case 'ReduceSum': {
      const x = input(0);
      const [read, made] = [node.inputs[0], node.outputs[0]];
      if (read == null || made === undefined) return ANY;
      const ratio = countOf(b, read) / Math.max(1, countOf(b, made));
      return { min: Math.min(0, x.min * ratio), max: Math.max(0, x.max * ratio) };
    }
    default:
      return ANY;
  }
}

/** Operators of the importer. */
function ofOwn(b: OpBuilder, node: Node, output: number): Interval {
  const [read] = node.inputs;
  if (node.op !== 'Positions' || read == null) return ANY;
  const count = countOf(b, read);
  return { min: 0, max: output === 0 ? Math.max(0, count - 1) : count };
}

/** Numbers behind a check of their bounds. */
function ofCheck({ attrs }: Node, { min, max }: Interval): Interval {
  const [low, high] = [attrs['min'], attrs['max']] as readonly (readonly number[])[];
  if (low === undefined || high === undefined || low.length === 0) return { min, max };
  const [least, most] = [Math.min(...low), Math.max(...high)];
  return { min: Math.min(Math.max(min, least), most), max: Math.max(Math.min(max, most), least) };
}

function countOf(b: OpBuilder, id: ValueId): number {
  return elementCount(b.typeOf(id).shape);
}

function cast(b: OpBuilder, node: Node, { min, max }: Interval): Interval {
  const [made] = node.outputs;
  const isWhole = made !== undefined && INTEGERS_UP_TO.has(b.typeOf(made).dtype);
  // Integers that do not fit the type wrap: the type's own range has the last word then.
  const fits = made === undefined ? ANY : (INTEGERS_UP_TO.get(b.typeOf(made).dtype) ?? ANY);
  if (min < fits.min || max > fits.max) return fits;
  return isWhole ? { min: Math.trunc(min), max: Math.trunc(max) } : { min, max };
}

function ofPositions(b: OpBuilder, node: Node, attrs: Attrs): Interval {
  const [read] = node.inputs;
  const { axis } = attrs;
  if (read == null || typeof axis !== 'number') return ANY;
  const { shape } = b.typeOf(read);
  const extent = shape[axis < 0 ? axis + shape.length : axis] ?? 1;
  return { min: 0, max: Math.max(0, extent - 1) };
}

function corners(a: Interval, b: Interval, op: (x: number, y: number) => number): Interval {
  const ends = [a.min, a.max].flatMap((x) => [b.min, b.max].map((y) => op(x, y)));
  if (ends.some(Number.isNaN)) return ANY;
  return { min: Math.min(...ends), max: Math.max(...ends) };
}

function union(all: readonly Interval[]): Interval {
  return all.length === 0 ? ANY : { min: least(all), max: most(all) };
}

const least = (all: readonly Interval[]): number => Math.min(...all.map(({ min }) => min));
const most = (all: readonly Interval[]): number => Math.max(...all.map(({ max }) => max));
