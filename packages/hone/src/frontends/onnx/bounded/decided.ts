/** Operators whose sizes are parameters, where those are data: made of parts at their bounds. */
import { at, fail } from 'hone-runtime/base/diagnostics';
import { type DType, dtypeFromCode } from 'hone-runtime/base/dtype';
import { atBound } from './at-bound.ts';
import { checkSame } from './checks.ts';
import { expanded } from './expand.ts';
import { type Int, isKnown, mostOf } from './ints.ts';
import { Parts, wideOf } from './parts.ts';
import { given, intOf, intsOf, type Rule, sizeAt, type Use } from './rule.ts';
import type { Sized } from './sized.ts';
import { slice } from './slicing.ts';

/** A list among the attributes. */
function numbers(use: Use, name: string, count: number, otherwise: number): readonly number[] {
  const list = use.attrs[name];
  return Array.isArray(list) && list.length > 0
    ? (list as readonly number[])
    : new Array<number>(count).fill(otherwise);
}

/** The parts that the operator is made of, where its parameters are no data. */
const asItIs = (use: Use): readonly Sized[] =>
  use.def.kind === 'composite' ? expanded(use, use.def) : use.s.cannot('it has no parts');

/** Positions along an axis of a grid, from -1 to 1, as [extent]. */
function coordinates(use: Use, extent: Int, dtype: DType): Sized {
  const { ints } = use;
  const parts = new Parts(use);
  const place: Sized = { id: use.s.iota(mostOf(extent)), sizes: [extent] };
  const twice = parts.cast(parts.op('Mul', [place, parts.number(2, 'i64')]), dtype);
  const one = parts.number(1, dtype);
  const share = (x: Sized, of: Int): Sized =>
    parts.op('Sub', [parts.op('Div', [x, parts.int(of, dtype)]), one]);
  if (intOf(use, 'align_corners') === 0)
    return share(parts.op('Add', [twice, one]), ints.max(extent, 1));
  const isOne = parts.op('LessOrEqual', [parts.int(extent, 'i64'), parts.number(1, 'i64')]);
  const room = ints.max(ints.sub(extent, 1), 1);
  return parts.op('Where', [isOne, parts.number(0, dtype), share(twice, room)]);
}

const affineGrid: Rule = (use) => {
  const { s } = use;
  const theta = given(use, 0);
  const asked = intsOf(use, 1, 'the size');
  if (asked.every(isKnown)) return atBound(use);
  const rank = asked.length - 2;
  const [n = 1, rows, columns] = theta.sizes;
  if (theta.sizes.length !== 3 || rows !== rank || columns !== rank + 1)
    fail(
      'HONE-SHAPE-001',
      `node ${s.node} (${use.op}): a transformation of ${theta.sizes.length} axes for a size of ${asked.length} numbers`,
      s.node,
      'check the shapes the model was exported with',
    );
  checkSame(use, at(asked, 0), n, 'the size is of another number of grids');
  const parts = new Parts(use);
  const dtype = s.dtype(theta);
  const wide = wideOf(dtype);
  const sizes = s.bounded([n, ...asked.slice(2), rank], { dtype });
  const extents = sizes.slice(1, -1);
  s.room(sizes);
  const matrix = parts.cast(theta, wide);
  const ones = extents.map((): Int => 1);
  const column = (k: number): Sized => {
    const own = parts.op('Gather', [matrix, parts.number(k, 'i64')], { axis: 2 });
    return parts.reshape(own, [n, ...ones, rank]);
  };
  // The first column is of the last axis.
  const grid = extents.reduceRight((sum: Sized, extent, axis) => {
    const shape = [1, ...ones.with(axis, extent), 1];
    const along = parts.reshape(coordinates(use, extent, wide), shape);
    return parts.op('Add', [sum, parts.op('Mul', [column(rank - 1 - axis), along])]);
  }, column(rank));
  return [parts.cast(grid, dtype)];
};

/** Every element is added where it lies in the image; what lies outside goes to a place behind all. */
export const blocksOfAnySize: Rule = (use) => {
  const { s, ints } = use;
  const image = intsOf(use, 1, 'the extents of the image');
  const block = intsOf(use, 2, 'the extents of a block');
  const x = given(use, 0);
  const rank = image.length;
  const [batch = 1, rows = 0, columns = 0] = x.sizes;
  const [strides, dilations] = [
    numbers(use, 'strides', rank, 1),
    numbers(use, 'dilations', rank, 1),
  ];
  const pads = numbers(use, 'pads', 2 * rank, 0);
  const dtype = s.dtype(x);
  const taps = block.map((extent) => ints.max(extent, 1));
  const points = ints.product(taps);
  const channels = ints.within(ints.div(rows, points), 0, mostOf(rows));
  const sizes = s.bounded([batch, channels, ...image], { dtype });
  s.room(sizes);
  const extents = sizes.slice(2);
  const counts = extents.map((extent, i) => {
    const reach = ints.add(ints.mul(ints.sub(at(taps, i), 1), at(dilations, i)), 1);
    const around = at(pads, i) + at(pads, i + rank);
    const length = ints.max(ints.sub(ints.add(extent, around), reach), -1);
    const stride = at(strides, i);
    return ints.div(ints.max(ints.add(length, stride), 0), stride);
  });
  checkSame(use, ints.product(counts), columns, 'there is another number of blocks');
  checkSame(use, ints.mul(channels, points), rows, 'rows are no whole blocks');
  const { b } = s;
  const op = (name: string, a: number, c: number): number => b.op(name, [a, c]);
  const digits = (
    list: number,
    of: readonly Int[],
  ): { readonly places: number[]; readonly rest: number } => {
    let rest = list;
    const places = of.toReversed().map((extent) => {
      const n = ints.id(ints.max(extent, 1));
      const place = op('Mod', rest, n);
      rest = op('Div', rest, n);
      return place;
    });
    return { places: places.reverse(), rest };
  };
  const row = digits(s.iota(mostOf(rows), 2, 0), taps);
  const column = digits(s.iota(mostOf(columns), 2, 1), counts);
  const room = sizes.slice(1).map(mostOf);
  const total = room.reduce((product, extent) => product * extent, 1);
  let isInside = op('Equal', column.rest, ints.id(0));
  let target = row.rest;
  isInside = op('And', isInside, op('Less', row.rest, ints.id(Math.max(1, at(room, 0)))));
  for (let i = 0; i < rank; i++) {
    const begin = op('Mul', at(column.places, i), ints.id(at(strides, i)));
    const shift = op('Mul', at(row.places, i), ints.id(at(dilations, i)));
    const pixel = op('Sub', op('Add', begin, shift), ints.id(at(pads, i)));
    const isAt = op(
      'And',
      op('GreaterOrEqual', pixel, ints.id(0)),
      op('Less', pixel, ints.id(at(extents, i))),
    );
    isInside = op('And', isInside, isAt);
    target = op('Add', op('Mul', target, ints.id(at(room, i + 1))), pixel);
  }
  const where = b.op('Where', [isInside, target, ints.id(total)]);
  const elements = mostOf(rows) * mostOf(columns);
  const wide = wideOf(dtype);
  const shape = [mostOf(batch), elements];
  const indices = b.op('Expand', [s.reshape(where, [1, elements]), b.ints(shape)]);
  const zeros = s.zeros(wide, [mostOf(batch), total + 1]);
  const updates = s.reshape(s.cast(x.id, wide), shape);
  const attrs = { axis: 1, reduction: 'add' };
  const sums = b.op('ScatterElements', [zeros, indices, updates], attrs);
  const cut = s.cast(s.part(sums, 1, 0, total), dtype);
  return [s.made(s.reshape(cut, sizes.map(mostOf)), sizes)];
};

const MEL_SCALE = 2595;
const MEL_BREAK = 700;

const melWeightMatrix: Rule = (use) => {
  const { s, ints } = use;
  const parts = new Parts(use);
  const [bands, length, rate] = ['bands', 'the length of the transform', 'the rate'].map(
    (what, k) => at(intsOf(use, k, what), 0),
  ) as [Int, Int, Int];
  const dtype = dtypeFromCode(intOf(use, 'output_datatype', 1)) ?? 'f32';
  const bins = ints.add(ints.div(ints.max(length, 0), 2), 1);
  const sizes = s.bounded([bins, bands], { dtype });
  s.room(sizes);
  const f = (x: number): Sized => parts.number(x, 'f64');
  const op = (name: string, ...inputs: Sized[]): Sized => parts.op(name, inputs);
  const real = (k: number): Sized => parts.cast(parts.reshape(given(use, k), []), 'f64');
  const mel = (hertz: Sized): Sized => {
    const ratio = op('Add', op('Div', hertz, f(MEL_BREAK)), f(1));
    return op('Mul', op('Div', op('Log', ratio), f(Math.LN10)), f(MEL_SCALE));
  };
  const low = mel(real(3));
  const step = op('Div', op('Sub', mel(real(4)), low), parts.int(ints.add(bands, 2), 'f64'));
  const columns = at(sizes, 1);
  /** The bin at which the triangle of a band begins, peaks or ends. */
  const corner = (k: number): Sized => {
    const index: Sized = { id: s.iota(mostOf(columns), 2, 1), sizes: [1, columns] };
    const place = parts.cast(op('Add', index, parts.number(k, 'i64')), 'f64');
    const height = op('Div', op('Add', low, op('Mul', place, step)), f(MEL_SCALE));
    const hertz = op('Mul', op('Sub', op('Pow', f(10), height), f(1)), f(MEL_BREAK));
    const scaled = op('Mul', parts.int(ints.add(length, 1), 'f64'), hertz);
    return op('Floor', op('Div', scaled, parts.int(rate, 'f64')));
  };
  const [from, peak, to] = [corner(0), corner(1), corner(2)] as [Sized, Sized, Sized];
  const bin: Sized = {
    id: s.cast(s.iota(mostOf(at(sizes, 0)), 2, 0), 'f64'),
    sizes: [at(sizes, 0), 1],
  };
  const isIn = (a: Sized, c: Sized): Sized => op('And', a, c);
  const up = op('Div', op('Sub', bin, from), op('Sub', peak, from));
  const down = op('Div', op('Sub', to, bin), op('Sub', to, peak));
  const isUp = isIn(op('GreaterOrEqual', bin, from), op('LessOrEqual', bin, peak));
  const isDown = isIn(op('GreaterOrEqual', bin, peak), op('Less', bin, to));
  const isPeak = isIn(op('Equal', from, peak), op('Equal', bin, peak));
  const rising = op('Where', isPeak, f(1), op('Where', isUp, up, f(0)));
  const value = op('Where', isDown, down, rising);
  return [parts.cast(value, dtype)];
};

/** Paddings cut off what the operator gives without them; where an extent is asked for, they count for nothing. */
const convTransposeWithPads: Rule = (use) => {
  const { ints } = use;
  const pads = use.inputs[2] == null ? [] : intsOf(use, 2, 'the padding');
  if (pads.every(isKnown)) return asItIs(use);
  const { pads: _, ...attrs } = use.attrs;
  const bias = use.inputs[3] ?? null;
  const inputs = [given(use, 0), given(use, 1), ...(bias === null ? [] : [bias])];
  const isAutomatic = String(attrs['auto_pad'] ?? 'NOTSET') !== 'NOTSET';
  const extents = attrs['output_shape'];
  if (isAutomatic || (Array.isArray(extents) && extents.length > 0))
    return use.apply({ op: 'ConvTranspose', attrs, inputs });
  const full = at(use.apply({ op: 'ConvTranspose', attrs, inputs }), 0);
  const rank = full.sizes.length - 2;
  let x = full;
  for (let i = 0; i < rank; i++) {
    const [before, after] = [at(pads, i), at(pads, i + rank)];
    const n = sizeAt(full, i + 2);
    const left = ints.max(ints.sub(ints.sub(n, before), after), 0);
    x = slice(use, x, i + 2, before, 1, ints.within(left, 0, mostOf(n)));
  }
  return [x];
};

/** Operators of com.microsoft that are called otherwise in ONNX. */
const alias =
  (op: string, inputsOf: (use: Use) => readonly (Sized | null)[]): Rule =>
  (use) =>
    use.apply({ op, attrs: use.attrs, inputs: inputsOf(use), outputs: use.outputs });

/** A list, whatever its axes are. */
const flat = ({ s, ints }: Use, x: Sized): Sized =>
  x.sizes.length === 1 ? x : s.reshaped(x, [ints.product(x.sizes)]);

const MS = 'com.microsoft:';

export const DECIDED: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ['AffineGrid', affineGrid],
  ['MelWeightMatrix', melWeightMatrix],
  [`${MS}ConvTransposeWithDynamicPads`, convTransposeWithPads],
  [
    `${MS}Pad`,
    alias('Pad', (use) => [given(use, 0), flat(use, given(use, 1)), use.inputs[2] ?? null]),
  ],
  [`${MS}ExpandDims`, alias('Unsqueeze', (use) => [given(use, 0), flat(use, given(use, 1))])],
  [
    `${MS}Range`,
    alias('Range', (use) => [
      given(use, 0),
      given(use, 1),
      use.inputs[2] ?? { id: use.s.number(1, use.s.dtype(given(use, 0))), sizes: [] },
    ]),
  ],
]);
