/**
 * What values that meet have in common: those of two branches, or of one iteration and the next. A form
 * says which tensors a value is kept in where it crosses the border of a sub-graph.
 */
import { at, fail } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import type { MapKeys } from 'hone-runtime/artifact/program';
import type { OpBuilder } from '../../../ops/builder.ts';
import { isTensorEntity, sizedOf } from '../bounded/index.ts';
import { type Int, isKnown, mostOf, unknown } from '../bounded/ints.ts';
import { isBounded, type Sized, type Sizing } from '../bounded/sized.ts';
import {
  type Entity,
  type Extent,
  isList,
  type OptionalEntity,
  type StackedEntity,
} from '../entities.ts';
import { finalName, type Scope } from '../import-scope.ts';
import { extentList, rowsOf, stackedOf, widened } from './stacked.ts';

interface TensorForm {
  readonly kind: 'tensor';
  readonly dtype: DType;
  readonly room: readonly number[];
  /** Axes whose extent is not one known number. */
  readonly open: readonly boolean[];
}

interface StackedForm {
  readonly kind: 'stacked';
  /** The least number of rows. */
  readonly rows: number;
  readonly element: TensorForm;
}

export type Form =
  | TensorForm
  | StackedForm
  | { readonly kind: 'list'; readonly items: readonly Form[] }
  | { readonly kind: 'absent' }
  | { readonly kind: 'optional'; readonly item: Form; readonly isOpen: boolean }
  | { readonly kind: 'map'; readonly values: TensorForm; readonly keys: MapKeys };

export function formOf(b: OpBuilder, entity: Entity): Form {
  if (isTensorEntity(entity)) {
    const { id, sizes } = sizedOf(b, entity);
    const { dtype, shape } = b.typeOf(id);
    return { kind: 'tensor', dtype, room: shape, open: sizes.map((size) => !isKnown(size)) };
  }
  switch (entity.kind) {
    case 'sequence':
      return { kind: 'list', items: entity.items.map((item) => formOf(b, item)) };
    case 'stacked': {
      const { dtype, shape } = b.typeOf(entity.id);
      const [rows = 0, ...room] = shape;
      const open = entity.extents.map((extent) => isList(extent) || !isKnown(extent));
      return { kind: 'stacked', rows, element: { kind: 'tensor', dtype, room, open } };
    }
    case 'optional':
      if (entity.item === null) return { kind: 'absent' };
      return {
        kind: 'optional',
        item: formOf(b, entity.item),
        isOpen: entity.flag !== undefined,
      };
    case 'map': {
      const { dtype, shape } = b.typeOf(entity.values);
      const values: TensorForm = {
        kind: 'tensor',
        dtype,
        room: shape,
        open: shape.map(() => false),
      };
      return { kind: 'map', values, keys: entity.keys };
    }
  }
}

/** The form that holds values of both; undefined: there is none. */
export function joined(a: Form, b: Form): Form | undefined {
  if (a.kind === 'tensor' && b.kind === 'tensor') return joinedTensors(a, b);
  if (a.kind === 'absent' || b.kind === 'absent') return withAbsent(a.kind === 'absent' ? b : a);
  if (a.kind === 'optional' || b.kind === 'optional') {
    const [x, y] = [a, b].map((form) => (form.kind === 'optional' ? form.item : form));
    const item = x && y && joined(x, y);
    const isOpen = [a, b].some((form) => form.kind === 'optional' && form.isOpen);
    return item && { kind: 'optional', item, isOpen };
  }
  if (a.kind === 'list' && b.kind === 'list' && a.items.length === b.items.length) {
    const items = a.items.map((item, i) => joined(item, at(b.items, i)));
    if (items.every((item) => item !== undefined)) return { kind: 'list', items };
  }
  if (a.kind === 'map' || b.kind === 'map')
    return JSON.stringify(a) === JSON.stringify(b) ? a : undefined;
  if (a.kind === 'tensor' || b.kind === 'tensor') return undefined;
  const element = joinedElements([...elementsOf(a), ...elementsOf(b)]);
  return element && { kind: 'stacked', rows: Math.max(rowsIn(a), rowsIn(b)), element };
}

/** Lists as rows, where their elements allow it. */
export function withRows(form: Form): Form {
  if (form.kind === 'optional') return { ...form, item: withRows(form.item) };
  if (form.kind !== 'list') return form;
  const element = joinedElements(form.items);
  return element === undefined ? form : { kind: 'stacked', rows: form.items.length, element };
}

function withAbsent(form: Form): Form {
  if (form.kind === 'absent') return form;
  const item = form.kind === 'optional' ? form.item : form;
  return { kind: 'optional', item, isOpen: true };
}

function joinedTensors(a: TensorForm, b: TensorForm): TensorForm | undefined {
  if (a.dtype !== b.dtype || a.room.length !== b.room.length) return undefined;
  const room = a.room.map((extent, axis) => Math.max(extent, at(b.room, axis)));
  const open = a.open.map(
    (own, axis) => own || at(b.open, axis) || at(a.room, axis) !== at(b.room, axis),
  );
  return { ...a, room, open };
}

function joinedElements(all: readonly Form[]): TensorForm | undefined {
  let made: TensorForm | undefined;
  for (const form of all) {
    if (form.kind !== 'tensor') return undefined;
    made = made === undefined ? form : joinedTensors(made, form);
    if (made === undefined) return undefined;
  }
  return made;
}

const elementsOf = (form: Form): readonly Form[] =>
  form.kind === 'list' ? form.items : form.kind === 'stacked' ? [form.element] : [form];
const rowsIn = (form: Form): number =>
  form.kind === 'list' ? form.items.length : form.kind === 'stacked' ? form.rows : 0;

/** Would values of both be kept in as many tensors? Room does not count: it may grow. */
export function isSameForm(a: Form, b: Form): boolean {
  return outline(a) === outline(b);
}

function outline(form: Form): string {
  switch (form.kind) {
    case 'tensor':
      return `${form.dtype}${form.room.length}`;
    case 'map':
      return `map ${outline(form.values)}`;
    case 'absent':
      return 'absent';
    case 'list':
      return `[${form.items.map(outline).join()}]`;
    case 'optional':
      return `optional ${form.isOpen} ${outline(form.item)}`;
    case 'stacked':
      return `stacked ${outline(form.element)} ${form.element.open.join()}`;
  }
}

/** How many tensors a value of the form is kept in. */
export function tensorsIn(form: Form): number {
  switch (form.kind) {
    case 'tensor':
    case 'map':
      return 1;
    case 'absent':
      return 0;
    case 'list':
      return form.items.reduce((sum, item) => sum + tensorsIn(item), 0);
    case 'optional':
      return tensorsIn(form.item) + (form.isOpen ? 1 : 0);
    case 'stacked':
      return 1 + form.element.open.filter((isOpen) => isOpen).length;
  }
}

/** Names of the tensors of a node's output: a tensor has that of the output. */
export function namesOf(form: Form, output: string, scope: Scope): readonly (string | undefined)[] {
  if (form.kind === 'tensor') return [output === '' ? undefined : finalName(scope, output)];
  return new Array<undefined>(tensorsIn(form)).fill(undefined);
}

/**
 * The tensors of a value. Rows of elements that differ in shape have all of their room as extents, or, if
 * `measures`, as much of it as elements need.
 */
export function encode(s: Sizing, form: Form, entity: Entity, measures = false): readonly Sized[] {
  switch (form.kind) {
    case 'tensor':
      return [sizedOf(s.b, tensorIn(s, entity))];
    case 'map':
      if (isTensorEntity(entity) || entity.kind !== 'map') return other(s);
      return [sizedOf(s.b, entity.values)];
    case 'absent':
      return [];
    case 'list': {
      const list = valueIn(entity);
      if (isTensorEntity(list) || list.kind !== 'sequence') return other(s);
      return form.items.flatMap((item, i) => encode(s, item, at(list.items, i), measures));
    }
    case 'stacked':
      return encodeRows(s, form, asStacked(s, valueIn(entity), form), measures);
    case 'optional': {
      const flag = flagOf(entity);
      const value = valueIn(entity);
      const isAbsent = !isTensorEntity(value) && value.kind === 'optional';
      const tensors = isAbsent ? blank(s, form.item) : encode(s, form.item, value, measures);
      return form.isOpen ? [{ id: s.ints.id(flag), sizes: [] }, ...tensors] : tensors;
    }
  }
}

/** The value of an optional; an absent one stays what it is. */
function valueIn(entity: Entity): Entity {
  if (isTensorEntity(entity) || entity.kind !== 'optional' || entity.item === null) return entity;
  return entity.item;
}

/** 1 where there is a value. */
export function flagOf(entity: Entity | null): Int {
  if (entity === null) return 0;
  if (isTensorEntity(entity) || entity.kind !== 'optional') return 1;
  return entity.item === null ? 0 : (entity.flag ?? 1);
}

function tensorIn(s: Sizing, entity: Entity) {
  const value = valueIn(entity);
  return isTensorEntity(value) ? value : other(s);
}

function other(s: Sizing): never {
  return fail(
    'HONE-ONNX-016',
    `node ${s.node}: a value is a tensor in one place and a sequence or optional in another`,
    s.node,
    'the model is not valid ONNX: export it again',
  );
}

/** A list of any kind as one with rows. */
export function asStacked(s: Sizing, entity: Entity, form?: StackedForm): StackedEntity {
  if (isTensorEntity(entity)) return other(s);
  if (entity.kind === 'stacked') return entity;
  if (entity.kind !== 'sequence') return other(s);
  if (entity.items.length > 0 || form === undefined)
    return stackedOf(
      s,
      entity.items.map((item) => sizedOf(s.b, tensorIn(s, item))),
    );
  const { dtype, room, open } = form.element;
  const none = s.b.constant({ dtype: 'i64', shape: [0], data: new BigInt64Array(0) });
  const extents = room.map((max, axis): Extent => (at(open, axis) ? { list: none, max } : max));
  return { kind: 'stacked', id: s.zeros(dtype, [0, ...room]), length: 0, extents };
}

function encodeRows(
  s: Sizing,
  { rows, element }: StackedForm,
  seq: StackedEntity,
  measures: boolean,
): Sized[] {
  const count = Math.max(rows, rowsOf(s, seq));
  const id = widened(s, seq.id, [count, ...element.room], 0);
  const [, ...room] = s.b.typeOf(id).shape;
  const { length } = seq;
  const size: Int = length === count ? count : { id: s.ints.id(length), min: 0, max: count };
  const lists = element.open.map((isOpen, axis) =>
    isOpen ? widened(s, extentList(s, seq, axis), [count], 0) : undefined,
  );
  const needed = room.map((max, axis): Int => {
    const list = lists[axis];
    if (!measures || list === undefined || max === 0) return max;
    const masked = s.masked({ id: list, sizes: [size] }, 0);
    const most = s.b.op('ReduceMax', [masked.id, s.b.ints([0])], { keepdims: 0 });
    return { id: most, min: 0, max };
  });
  return [
    { id, sizes: [size, ...needed] },
    ...lists.flatMap((list) => (list === undefined ? [] : [{ id: list, sizes: [size] }])),
  ];
}

/** Of each tensor of a form, whether its axes behind the first are the room of elements. */
export function holdsRows(form: Form): readonly boolean[] {
  switch (form.kind) {
    case 'list':
      return form.items.flatMap(holdsRows);
    case 'optional':
      return [...(form.isOpen ? [false] : []), ...holdsRows(form.item)];
    default:
      return Array.from({ length: tensorsIn(form) }, (_, i) => form.kind === 'stacked' && i === 0);
  }
}

/** Of each tensor of some forms, the tensor that has as many rows: that of the elements, of a list of extents. */
export function rowsOfEach(forms: readonly Form[]): readonly number[] {
  const found: number[] = [];
  const visit = (form: Form): void => {
    const first = found.length;
    if (form.kind === 'list') form.items.forEach(visit);
    else if (form.kind === 'optional') {
      if (form.isOpen) found.push(first);
      visit(form.item);
    } else {
      const isStacked = form.kind === 'stacked';
      for (let i = 0; i < tensorsIn(form); i++) found.push(isStacked ? first : first + i);
    }
  };
  forms.forEach(visit);
  return found;
}

/** Tensors for a value that is not there. */
function blank(s: Sizing, form: Form): readonly Sized[] {
  switch (form.kind) {
    case 'tensor': {
      const sizes = form.room.map(
        (max, axis): Int =>
          at(form.open, axis) && max > 0 ? { id: s.ints.id(0), min: 0, max } : max,
      );
      return [{ id: s.zeros(form.dtype, form.room), sizes }];
    }
    case 'map':
      return blank(s, form.values);
    case 'absent':
      return [];
    case 'list':
      return form.items.flatMap((item) => blank(s, item));
    case 'stacked':
      return encodeRows(s, form, asStacked(s, { kind: 'sequence', items: [] }, form), false);
    case 'optional': {
      const none: Sized = { id: s.ints.id(0), sizes: [] };
      return form.isOpen ? [none, ...blank(s, form.item)] : blank(s, form.item);
    }
  }
}

/** The value that tensors keep; the first of them are taken away. */
export function decode(form: Form, tensors: Sized[]): Entity {
  const next = (): Sized => tensors.shift() ?? { id: -1, sizes: [] };
  switch (form.kind) {
    case 'tensor': {
      const sized = next();
      return isBounded(sized) ? { kind: 'bounded', ...sized } : sized.id;
    }
    case 'map':
      return { kind: 'map', values: next().id, keys: form.keys };
    case 'absent':
      return { kind: 'optional', item: null };
    case 'list':
      return { kind: 'sequence', items: form.items.map((item) => decode(item, tensors)) };
    case 'optional': {
      if (!form.isOpen) return { kind: 'optional', item: decode(form.item, tensors) };
      const flag = unknown(next().id, 0, 1);
      const made: OptionalEntity = { kind: 'optional', item: decode(form.item, tensors), flag };
      return made;
    }
    case 'stacked': {
      const { id, sizes } = next();
      const [length = 0, ...room] = sizes;
      const extents = room.map((size, axis): Extent => {
        if (!at(form.element.open, axis)) return size;
        return { list: next().id, max: mostOf(size) };
      });
      return { kind: 'stacked', id, length, extents };
    }
  }
}
