/** Operators whose own results have as many elements as their data says. */
import { at } from 'hone-runtime/base/diagnostics';
import { isFloat } from 'hone-runtime/base/dtype';
import { elementCount, stridesOf } from 'hone-runtime/base/tensor';
import type { ValueId } from '../../../graph/types.ts';
import { mostApart } from './distance.ts';
import { type Int, type Ints, isKnown, leastOf, mostOf, unknown } from './ints.ts';
import { exactList, rankBy } from './lists.ts';
import { axisIn, given, intsOf, type Rule, sizeAt, type Use } from './rule.ts';
import type { Sized } from './sized.ts';

/** Rows of positions, one per axis: the columns are the elements that are not 0. */
const nonZero: Rule = (use) => {
  const { s, ints } = use;
  const x = given(use, 0);
  const room = s.b.typeOf(x.id).shape;
  const isSet = s.cast(x.id, 'bool');
  const valid = s.valid(x);
  const mask = valid === undefined ? isSet : s.b.op('And', [isSet, valid]);
  const { list, count } = s.positions(s.reshape(mask, [elementCount(room)]));
  const bound = elementCount(room);
  const strides = stridesOf(room);
  const rows = room.map((extent, axis) => {
    const steps = s.b.op('Div', [list, ints.id(Math.max(1, at(strides, axis)))]);
    const place = axis === 0 ? steps : s.b.op('Mod', [steps, ints.id(Math.max(1, extent))]);
    return s.reshape(place, [1, bound]);
  });
  // A scalar has no axes, but a column where it is not 0.
  if (rows.length === 0) return [s.made(s.zeros('i64', [0, 1]), [0, count])];
  const id = rows.length === 1 ? at(rows, 0) : s.op('Concat', rows, { axis: 0 });
  return [s.made(id, [room.length, count])];
};

const compress: Rule = (use) => {
  const { s } = use;
  const data = given(use, 0);
  const condition = given(use, 1);
  const asked = use.attrs['axis'];
  const x = typeof asked === 'number' ? data : s.reshaped(data, [use.ints.product(data.sizes)]);
  const axis = typeof asked === 'number' ? axisIn(use, asked, data.sizes.length) : 0;
  const { list, count } = chosen(use, condition);
  const n = mostOf(sizeAt(x, axis));
  if (n === 0) return [s.first(x, axis, 0)];
  // A condition may be longer than the axis only where it does not hold.
  return [s.take(x, axis, list, count)];
};

/** Where a list of conditions holds. */
function chosen(use: Use, condition: Sized): { readonly list: ValueId; readonly count: Int } {
  const valid = use.s.valid(condition);
  const holds = use.s.cast(condition.id, 'bool');
  const mask = valid === undefined ? holds : use.s.b.op('And', [holds, valid]);
  return use.s.positions(mask);
}

/** More than any extent can be. */
const ENDLESS = 2 ** 40;

const range: Rule = (use) => {
  const { s, ints } = use;
  const [start, limit, delta] = [0, 1, 2].map((k) => given(use, k)) as [Sized, Sized, Sized];
  const dtype = s.dtype(start);
  if (isFloat(dtype)) return [realRange(use, start.id, limit.id, delta.id)];
  const [from, to, by] = [0, 1, 2].map((k) => at(intsOf(use, k, 'a range'), 0)) as [Int, Int, Int];
  if (!isKnown(by) || by === 0) return [realRange(use, start.id, limit.id, delta.id)];
  const most = by > 0 ? mostApart(s.b, start.id, limit.id) : mostApart(s.b, limit.id, start.id);
  const distance = by > 0 ? span(ints, from, to) : span(ints, to, from);
  const length = Number.isFinite(most) ? atMost(use, distance, Math.max(0, most)) : distance;
  const [count = 0] = s.bounded([ints.ceilDiv(length, Math.abs(by))], { dtype });
  s.room([count]);
  const steps = s.b.op('Mul', [s.iota(mostOf(count)), ints.id(by)]);
  const values = s.b.op('Add', [steps, ints.id(from)]);
  return [s.made(s.cast(values, dtype), [count])];
};

/** A distance that follows from how its ends are computed; a run checks it, as floats may have rounded them. */
function atMost({ s }: Use, distance: Int, max: number): Int {
  if (mostOf(distance) <= max) return distance;
  const source = { tensor: s.plan.names[0] ?? '', axis: -1, origin: '', option: '' } as const;
  return s.checked(distance, { min: 0, max }, source, `${s.node}: its ends are rounded`);
}

/** b - a where that is positive, else 0; what an i64 does not hold is more than any extent. */
function span(ints: Ints, a: Int, b: Int): Int {
  const length = ints.sub(b, a);
  if (Number.isFinite(leastOf(length)) || isKnown(a) || isKnown(b)) return ints.max(length, 0);
  const near = ints.whereLess(length, 0, ENDLESS, length);
  return ints.whereLess(a, b, near, 0);
}

/** The count is ceil((limit - start) / delta), as far as intervals bound it. */
function realRange(use: Use, start: ValueId, limit: ValueId, delta: ValueId): Sized {
  const { s, ints } = use;
  const { dtype } = s.b.typeOf(start);
  const [from, to, by] = [start, limit, delta].map((id) => ints.interval(id));
  const [least, most] = [(to?.max ?? Infinity) - (from?.min ?? 0), by?.min ?? 0];
  const bound = most > 0 ? Math.max(0, Math.ceil(least / most)) : Infinity;
  const scalar = (id: ValueId): ValueId => s.b.op('Reshape', [id, s.b.ints([])]);
  const real = (id: ValueId): ValueId => s.cast(scalar(id), 'f64');
  const [first, end] = [scalar(start), scalar(limit)];
  const distance = isFloat(dtype)
    ? s.cast(s.b.op('Sub', [end, first]), 'f64')
    : s.b.op('Sub', [real(limit), real(start)]);
  const quotient = s.b.op('Ceil', [s.b.op('Div', [distance, real(delta)])]);
  // What no i64 holds is more than any extent, or none: a step of 0 makes infinity, or no number.
  const near = s.b.op('Min', [
    s.b.op('Max', [quotient, s.number(0, 'f64')]),
    s.number(ENDLESS, 'f64'),
  ]);
  const isNumber = s.b.op('Not', [s.b.op('IsNaN', [quotient])]);
  const raw = s.cast(s.b.op('Where', [isNumber, near, s.number(0, 'f64')]), 'i64');
  const [count = 0] = s.bounded([unknown(raw, 0, Math.min(bound, ENDLESS))], { dtype });
  s.room([count]);
  const steps = s.b.op('Mul', [s.cast(s.iota(mostOf(count)), dtype), scalar(delta)]);
  return s.made(s.b.op('Add', [steps, scalar(start)]), [count]);
}

const constantOfShape: Rule = (use) => {
  const { s } = use;
  const value = use.attrs['value'];
  const dtype = typeof value === 'object' && 'dtype' in value ? value.dtype : 'f32';
  const rank = rankBy(use, 0, 'the shape', (length) => length);
  const sizes = s.bounded(exactList(use, 0, 'the shape', rank), { dtype });
  const bounds = s.b.ints(s.room(sizes));
  return [s.made(s.op('ConstantOfShape', [bounds], use.attrs), sizes)];
};

export const PRODUCERS: ReadonlyMap<string, Rule> = new Map([
  ['NonZero', nonZero],
  ['Compress', compress],
  ['Range', range],
  ['ConstantOfShape', constantOfShape],
]);
