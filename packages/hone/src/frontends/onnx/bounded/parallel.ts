/**
 * Operators that treat what lies along an unknown axis one by one, so that the bound's own node computes
 * them, with room filled where it would count or be a fault.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { fromNumbers } from 'hone-runtime/base/tensor';
import { atBound, inferredSizes } from './at-bound.ts';
import { align } from './elementwise.ts';
import { MAX_ELEMENTS } from './bounds.ts';
import { type Int, isKnown, leastOf, mostOf, unknown } from './ints.ts';
import { Parts } from './parts.ts';
import { rotaryEmbedding } from './rotary.ts';
import { axisIn, given, intOf, intsOf, type Rule, sizeAt, type Use } from './rule.ts';
import { isBounded, type Sized } from './sized.ts';

/** As it is. */
const free: Rule = (use) => atBound(use);

/** With the room of some inputs filled with 0: positions and lengths, which are checked. */
const masking =
  (...masked: readonly number[]): Rule =>
  (use) =>
    atBound(
      use,
      use.inputs.map((input, k) =>
        input !== null && masked.includes(k) ? use.s.masked(input, 0) : input,
      ),
    );

/** Element by element, the others broadcast to the first. */
const broadcastOwn: Rule = (use) => {
  const present = use.inputs.flatMap((input, k) => (input === null ? [] : [{ input, k }]));
  const { operands, sizes } = align(
    use,
    present.map(({ input }) => input),
  );
  const inputs: (Sized | null)[] = use.inputs.map(() => null);
  present.forEach(({ k }, i) => {
    inputs[k] = at(operands, i);
  });
  return atBound(use, inputs, [sizes]);
};

/** Classes that no row has are never drawn. */
const multinomial: Rule = (use) => atBound(use, [use.s.masked(given(use, 0), -Infinity, [1])]);

/** A matrix whose room is that of the identity: it changes neither determinant nor inverse. */
const squareMatrix: Rule = (use) => {
  const { s } = use;
  const x = given(use, 0);
  const rank = x.sizes.length;
  const axes = [rank - 2, rank - 1];
  const n = mostOf(sizeAt(x, rank - 1));
  if (mostOf(sizeAt(x, rank - 2)) !== n) s.cannot('a matrix that need not be square');
  const values = Array.from({ length: n * n }, (_, p) => (p % (n + 1) === 0 ? 1 : 0));
  const identity = s.b.constant(fromNumbers(s.dtype(x), [n, n], values));
  const inputs = [s.maskedWith(x, identity, axes)];
  return atBound(use, inputs, [use.op === 'Det' ? x.sizes.slice(0, -2) : x.sizes]);
};

/** Losses one by one; then those that are meant, by their weights. */
const likelihoodLoss: Rule = (use) => {
  const { s } = use;
  const parts = new Parts(use);
  const [x, target] = [given(use, 0), given(use, 1)];
  const weight = use.inputs[2] ?? null;
  const labels = s.masked(target, 0);
  const { reduction } = use.attrs;
  const inputs = [x, labels, weight];
  if (!isBounded(target)) return atBound(use, inputs, inferredSizes(use));
  const apart = { ...use, attrs: { ...use.attrs, reduction: 'none' } };
  const [losses] = atBound(apart, inputs, [target.sizes]);
  if (losses === undefined || reduction === 'none') return losses === undefined ? [] : [losses];
  const axes = target.sizes.map((_, axis) => axis);
  const sum = parts.reduce('ReduceSum', losses, axes, 0);
  if (reduction === 'sum') return [sum];
  const dtype = s.dtype(x);
  const ignored = use.attrs['ignore_index'];
  const shares =
    weight === null
      ? parts.op('Expand', [parts.number(1, dtype), parts.list(target.sizes)])
      : parts.op('Gather', [weight, safeLabels(use, labels)], { axis: 0 });
  const counted =
    typeof ignored === 'number'
      ? parts.op('Where', [
          parts.op('Equal', [labels, parts.number(ignored, s.dtype(target))]),
          parts.number(0, dtype),
          shares,
        ])
      : shares;
  return [parts.op('Div', [sum, parts.reduce('ReduceSum', counted, axes, 0)])];
};

/** Labels to ignore may be anything: they read class 0. */
function safeLabels(use: Use, labels: Sized): Sized {
  const ignored = use.attrs['ignore_index'];
  if (typeof ignored !== 'number') return labels;
  const parts = new Parts(use);
  const dtype = use.s.dtype(labels);
  const isIgnored = parts.op('Equal', [labels, parts.number(ignored, dtype)]);
  return parts.op('Where', [isIgnored, parts.number(0, dtype), labels]);
}

/** Rows that do not fit behind where they are written are an error of the run. */
function checkPlaces(use: Use, { id }: Sized, rows: Int, extent: Int): void {
  const { s, ints } = use;
  if (s.b.typeOf(id).shape[0] === 0) return;
  const source = { tensor: s.plan.names[0] ?? '', axis: -1, origin: '', option: '' } as const;
  const end = (op: string): Int => {
    const made = s.op(op, [id, s.b.ints([0])], { keepdims: 0 });
    const { min, max } = ints.interval(made);
    return unknown(made, min, max);
  };
  const slack = ints.sub(ints.sub(extent, rows), end('ReduceMax'));
  const says = `${s.node}: rows are written outside of the cache`;
  for (const x of [end('ReduceMin'), slack])
    if (leastOf(x) < 0) s.checked(x, { min: 0, max: MAX_ELEMENTS }, source, says);
}

/** A cache of which each place holds the row that is written to it, if there is one. */
const tensorScatter: Rule = (use) => {
  const { s, ints } = use;
  const parts = new Parts(use);
  const [cache, update] = [given(use, 0), given(use, 1)];
  const where = use.inputs[2] == null ? null : s.masked(given(use, 2), 0);
  const rank = cache.sizes.length;
  const axis = axisIn(use, intOf(use, 'axis', -2), rank);
  const [rows, extent] = [sizeAt(update, axis), sizeAt(cache, axis)];
  if (isKnown(rows) && isKnown(extent)) return atBound(use, [cache, update, where], [cache.sizes]);
  const ones = (size: Int, k: number): Int[] =>
    cache.sizes.map((_, i): Int => (i === k ? size : 1));
  const place: Sized = { id: s.iota(mostOf(extent), rank, axis), sizes: ones(extent, axis) };
  const begin =
    where === null ? parts.number(0, 'i64') : parts.reshape(where, ones(sizeAt(cache, 0), 0));
  const apart = parts.op('Sub', [place, begin]);
  const row =
    use.attrs['mode'] === 'circular'
      ? parts.op('Mod', [apart, parts.int(ints.max(extent, 1), 'i64')])
      : apart;
  if (where !== null && use.attrs['mode'] !== 'circular') checkPlaces(use, where, rows, extent);
  const isWritten = parts.op('And', [
    parts.op('GreaterOrEqual', [row, parts.number(0, 'i64')]),
    parts.op('Less', [row, parts.int(rows, 'i64')]),
  ]);
  const read = parts.op('Where', [isWritten, row, parts.number(0, 'i64')]);
  const sizes = update.sizes.map((size, i) => (i === axis ? extent : size));
  const places = parts.op('Expand', [read, parts.list(sizes)]);
  if (mostOf(rows) === 0) return [cache];
  // All of the room is there to read; what of it is shown is decided.
  const open = { ...update, sizes: update.sizes.map((n, i) => (i === axis ? mostOf(n) : n)) };
  const rowed = parts.op('GatherElements', [open, places], { axis });
  return [parts.op('Where', [isWritten, rowed, cache])];
};

/** Sums of cosines, by operator. */
const WINDOWS: Readonly<Record<string, readonly number[]>> = {
  HannWindow: [0.5, -0.5],
  HammingWindow: [25 / 46, -21 / 46],
  BlackmanWindow: [0.42, -0.5, 0.08],
};

/** A window as long as data says. */
const cosineWindow: Rule = (use) => {
  const { s, ints } = use;
  const parts = new Parts(use);
  const [size = 0] = s.bounded([at(intsOf(use, 0, 'the size'), 0)], { dtype: 'f64' });
  s.room([size]);
  const period = intOf(use, 'periodic', 1) !== 0 ? size : ints.sub(size, 1);
  const place: Sized = { id: s.cast(s.iota(mostOf(size)), 'f64'), sizes: [size] };
  const turn = parts.op('Div', [
    parts.op('Mul', [place, parts.number(2 * Math.PI, 'f64')]),
    parts.int(ints.max(period, 1), 'f64'),
  ]);
  let sum = parts.number(0, 'f64');
  (WINDOWS[use.op] ?? []).forEach((weight, k) => {
    const wave = parts.op('Cos', [parts.op('Mul', [turn, parts.number(k, 'f64')])]);
    sum = parts.op('Add', [sum, parts.op('Mul', [wave, parts.number(weight, 'f64')])]);
  });
  const code = intOf(use, 'output_datatype', 1);
  return [parts.op('Cast', [sum], { to: code })];
};

/** Blocks of columns become channels, or the other way: written out, as room lies between them. */
const spaceAndDepth: Rule = (use) => {
  const { ints } = use;
  const parts = new Parts(use);
  const x = given(use, 0);
  const block = intOf(use, 'blocksize');
  const [n = 1, c = 1, h = 1, w = 1] = x.sizes;
  if (isKnown(c)) return atBound(use);
  const half = (size: Int): Int => ints.div(size, block);
  if (use.op === 'SpaceToDepth') {
    const apart = parts.reshape(x, [n, c, half(h), block, half(w), block]);
    const moved = parts.op('Transpose', [apart], { perm: [0, 3, 5, 1, 2, 4] });
    return [parts.reshape(moved, [n, ints.mul(c, block * block), half(h), half(w)])];
  }
  const depth = ints.div(c, block * block);
  const isColumns = use.attrs['mode'] === 'CRD';
  const apart = parts.reshape(
    x,
    isColumns ? [n, depth, block, block, h, w] : [n, block, block, depth, h, w],
  );
  const perm = isColumns ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2];
  const moved = parts.op('Transpose', [apart], { perm });
  return [parts.reshape(moved, [n, depth, ints.mul(h, block), ints.mul(w, block)])];
};

const MS = 'com.microsoft:';
const FREE = [
  ...['BitCast', 'Bernoulli', 'RandomNormalLike', 'RandomUniformLike', 'Dropout', 'EyeLike'],
  ...['QuantizeLinear', 'DequantizeLinear', 'hone:PairwiseCoupling', 'hone:TreeLeaves'],
  ...['QuickGelu', 'Gelu', 'MatMulNBits'].map((op) => `${MS}${op}`),
];

export const PARALLEL: ReadonlyMap<string, Rule> = new Map([
  ...FREE.map((op) => [op, free] as const),
  ...['BiasGelu', 'FastGelu'].map((op) => [`${MS}${op}`, broadcastOwn] as const),
  ['ReverseSequence', masking(1)],
  ['RotaryEmbedding', rotaryEmbedding],
  ['Multinomial', multinomial],
  ['Det', squareMatrix],
  [`${MS}Inverse`, squareMatrix],
  ['NegativeLogLikelihoodLoss', likelihoodLoss],
  ['TensorScatter', tensorScatter],
  ...Object.keys(WINDOWS).map((op) => [op, cosineWindow] as const),
  ['DepthToSpace', spaceAndDepth],
  ['SpaceToDepth', spaceAndDepth],
]);
