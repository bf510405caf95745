/**
 * Random uses of operators: one of the cases in an operator's record, changed a few times in its
 * shapes, attributes, dtypes and elements. Inference and the reference judge which changes make
 * sense, so that every operator is covered by what its record already knows.
 *
 * Case n of a run has the seed `seed + n`; the same seed gives the same case.
 */
import type { Attrs, AttrValue } from 'hone/graph/types';
import type { AttrSpec, OpDef, TestCase } from 'hone/ops/define-op';
import { NUMBERS_AND_BOOL } from 'hone/ops/math/dtypes';
import { interpret } from 'hone/ops/interpret';
import { standardRegistry } from 'hone/ops/registry';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { type DType, dtypeKind, isFloat } from 'hone-runtime/base/dtype';
import { type Random, seededRandom } from 'hone-runtime/base/random';
import {
  elementCount,
  fromNumbers,
  type Tensor,
  toBigInts,
  toNumbers,
} from 'hone-runtime/base/tensor';
import { withNonFinite } from './non-finite.ts';
import { graphOf, type OpCase } from './op-case.ts';

const MAX_ELEMENTS = 4000;
/** Multiplications and more, as the product of the largest operand and its output says roughly. */
const MAX_WORK = 2e6;
const MAX_EXTENT = 19;
const TRIES = 12;
/** Cases with integers outside what they were, which the reference may refuse. */
const FAULTY_ONE_IN = 10;
/** Cases with a few floats that are not finite. */
const NON_FINITE_ONE_IN = 4;

interface Source {
  readonly op: OpDef;
  readonly cases: readonly TestCase[];
}

let known: readonly Source[] | undefined;

/** The operators that the fuzzer draws from. */
function fuzzedOperators(): readonly Source[] {
  known ??= standardRegistry.all().flatMap((op): Source[] => {
    if (reasonLeftOut(op) !== undefined) return [];
    return [{ op, cases: usableCases(op) }];
  });
  return known;
}

/** The operators it does not draw from. */
export function operatorsLeftOut(): readonly { readonly name: string; readonly reason: string }[] {
  return standardRegistry.all().flatMap((op) => {
    const reason = reasonLeftOut(op);
    const name = op.domain ? `${op.domain}:${op.name}` : op.name;
    return reason === undefined ? [] : [{ name, reason }];
  });
}

function reasonLeftOut(op: OpDef): string | undefined {
  if (op.kind === 'host') {
    return op.isPlanned === true
      ? 'never compiled as it is: the importer makes padded operators of it, which are drawn'
      : `never compiled: ${op.reason}`;
  }
  const cases = op.cases?.() ?? [];
  if (cases.length === 0) return 'its record has no cases to begin with';
  if (Object.values(op.attrs).some(({ type }) => type === 'graph' || type === 'graphs')) {
    return 'its attributes are graphs, which random graphs have';
  }
  if (usableCases(op).length === 0) return 'its elements are texts, packed or many';
  return undefined;
}

function usableCases(op: OpDef): readonly TestCase[] {
  return (op.cases?.() ?? []).filter((item) => isAccepted(fromRecord(op, item)));
}

/** What other inputs are given. */
const PLAIN: readonly DType[] = NUMBERS_AND_BOOL;

/** The case of a seed, one that its operator accepts and the reference computes; `isDrawn`: of which. */
export function randomCase(seed: number, isDrawn?: (op: OpDef) => boolean): OpCase {
  const random = seededRandom(seed);
  const all = fuzzedOperators();
  const { op, cases } = among(random, isDrawn ? all.filter((source) => isDrawn(source.op)) : all);
  let best = fromRecord(op, among(random, cases));
  const changes = 1 + random.integer(5);
  for (let n = 0; n < changes; n++) {
    for (let t = 0; t < TRIES; t++) {
      const next = changed(best, random, cases);
      if (!isAccepted(next)) continue;
      best = next;
      break;
    }
  }
  const drawn = { ...best, inputs: best.inputs.map((t) => t && freshElements(t, random)) };
  if (isComputed(drawn)) best = drawn;
  else if (!isComputed(best)) best = fromRecord(op, among(random, cases));
  if (random.integer(FAULTY_ONE_IN) === 0) best = withOutsiders(best, random);
  best = withConstants(best, random);
  if (random.integer(NON_FINITE_ONE_IN) > 0) return best;
  const next = withNonFinite(best, random);
  return isAccepted(next) ? next : best;
}

function fromRecord(op: OpDef, item: TestCase): OpCase {
  const constant = item.inputs.map(() => true);
  return { op, inputs: item.inputs, constant, attrs: item.attrs ?? {}, outputs: item.outputs ?? 1 };
}

/** As few constants as the operator can do with, and some more at random. */
function withConstants(item: OpCase, random: Random): OpCase {
  const style = random.integer(4);
  const draw = (tensor: Tensor | null): boolean =>
    tensor !== null &&
    (style === 0 ? random.integer(3) === 0 : style === 1 && !isFloat(tensor.dtype));
  const drawn = item.inputs.map(draw);
  if (drawn.every(Boolean) && drawn.length > 0) drawn[0] = false;
  const integers = item.inputs.map((t) => t !== null && !isFloat(t.dtype));
  const options = [drawn, integers, item.inputs.map((_, i) => i > 0), item.inputs.map(() => true)];
  for (const constant of options) {
    const next = { ...item, constant };
    if (isAccepted(next)) return next;
  }
  return item;
}

function isAccepted(item: OpCase): boolean {
  return attempt(() => {
    const { graph } = graphOf(item);
    const counts = graph.values.map(({ type }) => elementCount(type.shape));
    const most = Math.max(0, ...counts);
    const work = Math.max(0, ...graph.outputs.map((id) => counts[id] ?? 0)) * most;
    if (most > MAX_ELEMENTS || work > MAX_WORK) return false;
    return graph.values.every(({ type }) => type.dtype !== 'string' && type.shape.length <= 6);
  });
}

function isComputed(item: OpCase): boolean {
  return attempt(() => {
    const { graph, inputs } = graphOf(item);
    interpret(graph, inputs);
    return true;
  });
}

/** False where the operator says, with a code, that it does not take the case. */
function attempt(run: () => boolean): boolean {
  try {
    return run();
  } catch (error) {
    if (error instanceof HoneError && !error.code.startsWith('HONE-INTERNAL')) return false;
    throw error;
  }
}

function changed(item: OpCase, random: Random, cases: readonly TestCase[]): OpCase {
  switch (random.integer(9)) {
    case 0:
    case 1:
      return withExtent(item, random, true);
    case 2:
      return withExtent(item, random, false);
    case 3:
      return withDType(item, random);
    case 4:
      return withRank(item, random);
    case 5:
      return { ...item, attrs: changedAttrs(item, random, cases) };
    case 6:
      return withNegative(item, random);
    case 7:
      return withOnes(item, random);
    default:
      return withOptional(item, random);
  }
}

/** Another extent for one dimension, or for all of the same extent. */
function withExtent(item: OpCase, random: Random, together: boolean): OpCase {
  const places = item.inputs.flatMap(
    (t, i) => t?.shape.map((extent, k) => ({ i, k, extent })) ?? [],
  );
  if (places.length === 0) return item;
  const { i, k, extent } = among(random, places);
  const next =
    random.integer(12) === 0 ? 0 : 1 + random.integer(random.integer(4) ? 6 : MAX_EXTENT);
  const shapes = item.inputs.map((tensor, j) =>
    tensor?.shape.map((old, d) => ((together ? old === extent : j === i && d === k) ? next : old)),
  );
  return { ...item, inputs: item.inputs.map((t, j) => t && resized(t, shapes[j] ?? [], random)) };
}

/** A dimension more or less, of one input or of all that have the same rank. */
function withRank(item: OpCase, random: Random): OpCase {
  const ranks = item.inputs.flatMap((t) => (t === null ? [] : [t.shape.length]));
  if (ranks.length === 0) return item;
  const rank = among(random, ranks);
  const at = random.integer(rank + 1);
  const isMore = random.integer(2) === 0;
  const extent = 1 + random.integer(4);
  const all = random.integer(2) === 0;
  let left = 1;
  return {
    ...item,
    inputs: item.inputs.map((tensor) => {
      if (tensor === null || tensor.shape.length !== rank) return tensor;
      if (!all && left-- <= 0) return tensor;
      const { shape } = tensor;
      const next = isMore ? shape.toSpliced(at, 0, extent) : shape.toSpliced(at, 1);
      return resized(tensor, next, random);
    }),
  };
}

/** All inputs of one dtype take another one. */
function withDType(item: OpCase, random: Random): OpCase {
  const present = item.inputs.flatMap((t) => (t === null ? [] : [t.dtype]));
  if (present.length === 0) return item;
  const [from, to] = [among(random, present), among(random, PLAIN)];
  // Whole numbers beside floats are sizes, axes and places; they stay whole.
  if (isFloat(from) !== isFloat(to) && present.some((dtype) => dtype !== from)) return item;
  return {
    ...item,
    inputs: item.inputs.map((tensor) => {
      if (tensor?.dtype !== from) return tensor;
      const values = toNumbers(tensor).map((x) => inRange(x, to));
      return fromNumbers(to, tensor.shape, values);
    }),
  };
}

/** An axis or index of few elements, counted from the end instead. */
function withNegative(item: OpCase, random: Random): OpCase {
  const lists = item.inputs.flatMap((tensor, i) =>
    tensor !== null && /^i(32|64)$/.test(tensor.dtype) && tensor.data.length > 0 ? [i] : [],
  );
  const place = lists.length === 0 ? -1 : among(random, lists);
  const extents = [item.inputs[0]?.shape.length ?? 1, ...(item.inputs[0]?.shape ?? [])];
  const by = among(random, extents);
  const inputs = item.inputs.map((tensor, i) => {
    if (tensor === null || i !== place || toBigIntsAreWide(tensor)) return tensor;
    const values = toNumbers(tensor);
    const at = random.integer(values.length);
    values[at] =
      (values[at] as number) < 0 ? (values[at] as number) + by : (values[at] as number) - by;
    return fromNumbers(tensor.dtype, tensor.shape, values);
  });
  return { ...item, inputs };
}

/** An input that broadcasts: an extent of 1, leading axes gone, or a scalar. */
function withOnes(item: OpCase, random: Random): OpCase {
  const place = random.integer(Math.max(1, item.inputs.length));
  const how = random.integer(3);
  const inputs = item.inputs.map((tensor, i) => {
    if (tensor === null || i !== place) return tensor;
    const { shape } = tensor;
    const k = random.integer(Math.max(1, shape.length));
    if (how === 0)
      return resized(
        tensor,
        shape.map((extent, d) => (d === k ? 1 : extent)),
        random,
      );
    return resized(tensor, how === 1 ? shape.slice(k) : [], random);
  });
  return { ...item, inputs };
}

function inRange(x: number, dtype: DType): number {
  if (isFloat(dtype)) return x;
  if (dtype === 'bool') return x !== 0 ? 1 : 0;
  const whole = Number.isFinite(x) ? Math.round(x) : 0;
  const isUnsigned = dtypeKind(dtype) === 'uint';
  return Math.min(127, Math.max(isUnsigned ? 0 : -128, whole));
}

/** An optional input left out at the end, or one output more or less. */
function withOptional(item: OpCase, random: Random): OpCase {
  if (random.integer(2) === 0) {
    const outputs = Math.max(1, item.outputs + (random.integer(2) ? 1 : -1));
    return outputs > 4 ? item : { ...item, outputs };
  }
  const at = random.integer(Math.max(1, item.inputs.length));
  const inputs =
    at === item.inputs.length - 1 && random.integer(2) === 0
      ? item.inputs.slice(0, -1)
      : item.inputs.map((t, i) => (i === at && i > 0 ? null : t));
  return { ...item, inputs, constant: inputs.map(() => true) };
}

function changedAttrs(item: OpCase, random: Random, cases: readonly TestCase[]): Attrs {
  const specs = Object.entries(item.op.attrs).filter(
    ([, { type }]) => type !== 'graph' && type !== 'graphs' && type !== 'tensor',
  );
  if (specs.length === 0) return item.attrs;
  const [name, spec] = among(random, specs);
  const seen = cases.flatMap(({ attrs }) => {
    const value = attrs?.[name];
    return value === undefined ? [] : [value];
  });
  const value = changedAttr(name, item.attrs[name] ?? spec.default, spec, seen, random);
  const { [name]: _, ...others } = item.attrs;
  return value === undefined ? others : { ...others, [name]: value };
}

function changedAttr(
  name: string,
  old: AttrValue | undefined,
  spec: AttrSpec,
  seen: readonly AttrValue[],
  random: Random,
): AttrValue | undefined {
  if (random.integer(6) === 0) return undefined;
  const other = (): AttrValue | undefined => (seen.length > 0 ? among(random, seen) : old);
  switch (spec.type) {
    case 'int': {
      // A flag is 0 or 1; nobody says what else means.
      const isFlag = name !== 'axis' && [old ?? 0, ...seen].every((x) => x === 0 || x === 1);
      if (isFlag) return random.integer(2);
      const step = random.integer(7) - 3;
      return random.integer(3) === 0 ? random.integer(3) : Number(old ?? 0) + step;
    }
    case 'float':
      return Math.fround(Number(old ?? 1) * (random.next() * 2) + (random.integer(3) - 1) * 0.25);
    case 'string':
      return other();
    case 'ints': {
      const items = Array.isArray(old) ? (old as readonly number[]) : [];
      if (items.length === 0 || random.integer(3) === 0) return listOf(items, random);
      const at = random.integer(items.length);
      return items.map((x, i) => (i === at ? Math.max(0, x + random.integer(5) - 2) : x));
    }
    default:
      return other() ?? old;
  }
}

function listOf(old: readonly number[], random: Random): readonly number[] {
  const length = Math.max(0, old.length + random.integer(3) - 1) || 1 + random.integer(4);
  return Array.from({ length }, (_, i) => old[i] ?? random.integer(3));
}

/** The tensor in another shape; new elements are drawn from the old ones' range. */
function resized(tensor: Tensor, shape: readonly number[], random: Random): Tensor {
  if (shape.join() === tensor.shape.join()) return tensor;
  const count = elementCount(shape);
  if (count > MAX_ELEMENTS) return tensor;
  const values = toNumbers(tensor);
  const range = rangeOf(tensor);
  return fromNumbers(
    tensor.dtype,
    shape,
    Float64Array.from({ length: count }, (_, i) => values[i] ?? drawn(tensor.dtype, range, random)),
  );
}

function rangeOf(tensor: Tensor): readonly [number, number] {
  const finite = toNumbers(tensor).filter(Number.isFinite);
  if (finite.length === 0) return [0, 1];
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  if (low < high || !isFloat(tensor.dtype)) return [low, high];
  return low < 0 ? [low * 1.5, low * 0.5] : [low * 0.5, low * 1.5];
}

function drawn(dtype: DType, [low, high]: readonly [number, number], random: Random): number {
  if (isFloat(dtype)) return low + random.next() * (high - low);
  if (dtype === 'bool') return random.integer(2);
  return low + random.integer(Math.min(2 ** 31, high - low + 1));
}

/** Elements of floats anew within their range; of integers mostly the ones there are. */
function freshElements(tensor: Tensor, random: Random): Tensor {
  const { dtype, shape } = tensor;
  const values = toNumbers(tensor);
  if (values.length === 0 || random.integer(4) === 0) return tensor;
  if (toBigIntsAreWide(tensor)) return tensor;
  const range = rangeOf(tensor);
  const odds = isFloat(dtype) ? 1 : dtype === 'bool' ? 0.5 : 0.3;
  const isSpecial = values.some((x) => !Number.isFinite(x));
  const specials = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0];
  return fromNumbers(
    dtype,
    shape,
    values.map((x) => {
      if (random.next() >= odds) return x;
      if (isSpecial && random.integer(6) === 0) return among(random, specials);
      return drawn(dtype, range, random);
    }),
  );
}

/** An integer or two further out: an index, a length or a divisor that may not be allowed. */
function withOutsiders(item: OpCase, random: Random): OpCase {
  const places = item.inputs.flatMap((tensor, i) =>
    tensor !== null && tensor.data.length > 0 && /^i(8|32|64)$/.test(tensor.dtype) ? [i] : [],
  );
  if (places.length === 0) return item;
  const place = among(random, places);
  const outside = (tensor: Tensor): Tensor => {
    const values = toNumbers(tensor);
    const [low, high] = rangeOf(tensor);
    const limit = { i8: 127, i32: 2 ** 31 - 1 }[tensor.dtype as string] ?? 2 ** 53;
    const outsiders = [low - 1, high + 1, high + 3, -1, 0, -limit, limit];
    values[random.integer(values.length)] = Math.min(limit, among(random, outsiders));
    return fromNumbers(tensor.dtype, tensor.shape, values);
  };
  const inputs = item.inputs.map((tensor, i) => (i === place && tensor ? outside(tensor) : tensor));
  const next = { ...item, inputs };
  return isAccepted(next) ? next : item;
}

/** Integers that doubles do not hold. */
function toBigIntsAreWide(tensor: Tensor): boolean {
  if (tensor.dtype !== 'i64' && tensor.dtype !== 'u64') return false;
  return toBigInts(tensor).some((x) => x > 2n ** 53n || x < -(2n ** 53n));
}

function among<T>(random: Random, items: readonly T[]): T {
  return items[random.integer(items.length)] as T;
}
