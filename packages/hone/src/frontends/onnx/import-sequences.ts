/**
 * Operators on sequences and optionals. They move tensors between names and compute nothing, so the
 * importer carries them out: none reaches the Graph. Where positions or lengths are data, a sequence is
 * one tensor with a row for each element there can be (`sequences/stacked.ts`).
 */
import { at, fail } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { ValueId } from '../../graph/types.ts';
import { constantTensor } from '../../graph/walk.ts';
import { isTensorEntity, sizedOf } from './bounded/index.ts';
import { type Int, isKnown, numbersOf } from './bounded/ints.ts';
import { concat as joinSized } from './bounded/movement.ts';
import { isBounded, type Sized, Sizing } from './bounded/sized.ts';
import {
  type Entity,
  type SequenceEntity,
  sequenceOf,
  type StackedEntity,
  tensorOf,
} from './entities.ts';
import { addConstant, type Scope } from './import-scope.ts';
import { asStacked, flagOf } from './sequences/forms.ts';
import { splitEvenly, splitInto, splitSingly } from './sequences/split.ts';
import {
  elementAt,
  erased,
  inserted,
  joinedAlong,
  type Place,
  placeIn,
  stackedAlong,
} from './sequences/stacked.ts';
import type { OnnxAttribute, OnnxNode } from './types.ts';

const EXPORT_AGAIN = 'the model is not valid ONNX: export it again';

interface Context {
  readonly scope: Scope;
  readonly node: OnnxNode;
  readonly name: string;
  readonly inputs: readonly (Entity | null)[];
  readonly attributes: readonly OnnxAttribute[];
}

/** The outputs of a node of SEQUENCE_OPS (SequenceMap excepted); undefined for other operators. */
export function importSequenceOp(
  scope: Scope,
  node: OnnxNode,
  name: string,
  inputs: readonly (Entity | null)[],
  attributes: readonly OnnxAttribute[],
): readonly Entity[] | undefined {
  const ctx: Context = { scope, node, name, inputs, attributes };
  switch (node.op) {
    case 'SequenceEmpty':
      return [sequenceOf([])];
    case 'SequenceConstruct':
      return [sequenceOf(inputs.map((_, k) => given(ctx, k)))];
    case 'SequenceInsert':
      return [insert(ctx, list(ctx, 0))];
    case 'SequenceErase':
      return [erase(ctx, list(ctx, 0))];
    case 'SequenceAt':
      return [element(ctx, list(ctx, 0))];
    case 'SequenceLength':
      return [lengthOf(ctx, list(ctx, 0))];
    case 'SplitToSequence':
      return [split(ctx)];
    case 'ConcatFromSequence':
      return [concat(ctx)];
    case 'Optional':
      return [{ kind: 'optional', item: inputs[0] ?? null }];
    case 'OptionalHasElement': {
      const flag = flagOf(inputs[0] ?? null);
      if (isKnown(flag)) {
        const value = fromNumbers('bool', [], [flag]);
        return [addConstant(scope, node.outputs[0] ?? name, value)];
      }
      return [sizing(ctx).cast(flag.id, 'bool')];
    }
    case 'OptionalGetElement': {
      const input = given(ctx, 0);
      if (isTensorEntity(input) || input.kind !== 'optional') return [input];
      if (input.item === null) return bad(ctx, 'its optional has no value');
      return [present(ctx, input.item, flagOf(input))];
    }
    default:
      return undefined;
  }
}

function bad({ node, name }: Context, problem: string): never {
  return fail('HONE-ONNX-016', `node ${name} (${node.op}): ${problem}`, name, EXPORT_AGAIN);
}

function given(ctx: Context, k: number): Entity {
  return ctx.inputs[k] ?? bad(ctx, `input ${k} is missing`);
}

/** Input k as a list. */
function list(ctx: Context, k: number): SequenceEntity | StackedEntity {
  const entity = given(ctx, k);
  const item = !isTensorEntity(entity) && entity.kind === 'optional' ? entity.item : entity;
  if (item === null) return bad(ctx, `input ${k} is not a sequence`);
  if (isTensorEntity(item)) return bad(ctx, `input ${k} is a tensor, not a sequence`);
  if (item.kind === 'sequence' || item.kind === 'stacked') return item;
  if (item.kind === 'map') return bad(ctx, `input ${k} is a sequence of maps, which stay whole`);
  return bad(ctx, `input ${k} is not a sequence`);
}

function sizing({ scope: { builder }, node, name }: Context): Sizing {
  return new Sizing(builder, numbersOf(builder), name, node.op);
}

/** Input k as a tensor, with room or without. */
function sized(ctx: Context, k: number): Sized {
  const entity = given(ctx, k);
  const item = !isTensorEntity(entity) && entity.kind === 'optional' ? entity.item : entity;
  if (item !== null && isTensorEntity(item)) return sizedOf(ctx.scope.builder, item);
  return sizedOf(ctx.scope.builder, tensor(ctx, k));
}

const entityOf = (x: Sized): Entity => (isBounded(x) ? { kind: 'bounded', ...x } : x.id);

function lengthOf(ctx: Context, seq: SequenceEntity | StackedEntity): ValueId {
  const { scope, node, name } = ctx;
  const length = seq.kind === 'stacked' ? seq.length : seq.items.length;
  if (isKnown(length)) {
    return addConstant(scope, node.outputs[0] ?? name, fromNumbers('i64', [], [length]));
  }
  const ints = numbersOf(scope.builder);
  ints.note(length.id, [length]);
  return length.id;
}

/** The value of an optional; that it is there is checked where only data says so. */
function present(ctx: Context, item: Entity, flag: Int): Entity {
  if (isKnown(flag) || !isTensorEntity(item)) return item;
  const s = sizing(ctx);
  const { id, sizes } = sizedOf(s.b, item);
  const row = s.b.op('Unsqueeze', [id, s.b.ints([0])]);
  // Position 1 of one row is a fault of the run.
  const position = s.ints.sub(1, flag);
  return entityOf(s.made(s.op('Gather', [row, s.ints.id(position)], { axis: 0 }), sizes));
}

function element(ctx: Context, seq: SequenceEntity | StackedEntity): Entity {
  const where = numberAt(ctx, 1);
  if (seq.kind === 'sequence' && (where === undefined || isKnown(where))) {
    return at(seq.items, place(ctx, where ?? 0, seq.items.length));
  }
  const s = sizing(ctx);
  const rows = asStacked(s, seq);
  return entityOf(elementAt(s, rows, placeIn(s, where ?? 0, rows.length, rows.length)));
}

function insert(ctx: Context, seq: SequenceEntity | StackedEntity): Entity {
  const where = numberAt(ctx, 2);
  if (
    seq.kind === 'sequence' &&
    (where === undefined || isKnown(where) || seq.items.length === 0)
  ) {
    const known = where !== undefined && isKnown(where) ? where : seq.items.length;
    const index = place(ctx, known, seq.items.length + 1);
    return sequenceOf(seq.items.toSpliced(index, 0, given(ctx, 1)));
  }
  const s = sizing(ctx);
  const rows = asStacked(s, seq);
  const end: Place = { place: rows.length, isOk: undefined };
  const target =
    where === undefined ? end : placeIn(s, where, rows.length, s.ints.add(rows.length, 1));
  return inserted(s, rows, sized(ctx, 1), target);
}

function erase(ctx: Context, seq: SequenceEntity | StackedEntity): Entity {
  const where = numberAt(ctx, 1);
  if (seq.kind === 'sequence' && (where === undefined || isKnown(where))) {
    const index = place(ctx, where ?? -1, seq.items.length);
    return sequenceOf(seq.items.toSpliced(index, 1));
  }
  const s = sizing(ctx);
  const rows = asStacked(s, seq);
  return erased(s, rows, placeIn(s, where ?? -1, rows.length, rows.length));
}

function tensor(ctx: Context, k: number): ValueId {
  return tensorOf(given(ctx, k), `node ${ctx.name} (${ctx.node.op})`);
}

/** Input k where it is known; undefined where it is absent, or data. */
function constantOf(ctx: Context, k: number): Tensor | undefined {
  if (ctx.inputs[k] == null) return undefined;
  const value = ctx.scope.builder.graph.value(tensor(ctx, k));
  return value.constant === undefined ? undefined : constantTensor(value);
}

/** The number that input k is; undefined where it is absent. */
function numberAt(ctx: Context, k: number): Int | undefined {
  if (ctx.inputs[k] == null) return undefined;
  const items = numbersOf(ctx.scope.builder).elements(tensor(ctx, k));
  return items?.[0] ?? bad(ctx, `input ${k} is no whole number`);
}

/** A position in a list of `length` places; negative ones count from the end. */
function place(ctx: Context, index: number, length: number): number {
  // Inserting before place -1 counts from the end of the list as it is.
  const places = ctx.node.op === 'SequenceInsert' ? length - 1 : length;
  if (index < -places || index >= length) {
    return bad(ctx, `position ${index} is outside of a sequence of ${places}`);
  }
  return index < 0 ? index + places : index;
}

function intOf(ctx: Context, name: string, otherwise: number | undefined): number {
  const found = ctx.attributes.find((attribute) => attribute.name === name);
  if (found?.kind === 'int') return found.value;
  return otherwise ?? bad(ctx, `attribute ${name} is missing`);
}

function split(ctx: Context): SequenceEntity | StackedEntity {
  const { builder } = ctx.scope;
  const { id: x, sizes: own } = sized(ctx, 0);
  const asked = intOf(ctx, 'axis', 0);
  const axis = asked < 0 ? asked + own.length : asked;
  const extent = own[axis];
  if (extent === undefined) return bad(ctx, `axis ${asked} is outside rank ${own.length}`);
  const parts = constantOf(ctx, 1);
  const keepsAxis = intOf(ctx, 'keepdims', 1) !== 0;
  const isSingle = ctx.inputs[1] == null;
  if (!own.every(isKnown) || !isKnown(extent) || (parts === undefined && !isSingle)) {
    const s = sizing(ctx);
    if (isSingle) return splitSingly(s, { id: x, sizes: own }, axis, keepsAxis);
    const lengths = sized(ctx, 1);
    if (lengths.sizes.length === 0) {
      return splitEvenly(s, { id: x, sizes: own }, axis, numberAt(ctx, 1) ?? 1);
    }
    return splitInto(s, { id: x, sizes: own }, axis, lengths);
  }
  const sizes = parts === undefined ? new Array<number>(extent).fill(1) : sizesOf(parts, extent);
  if (sizes.some((size) => !(size >= 0)) || sizes.reduce((a, b) => a + b, 0) !== extent) {
    return bad(ctx, `lengths ${sizes.join(', ')} do not make up axis ${axis} of ${extent}`);
  }
  if (sizes.length === 0) return sequenceOf([]);
  const options = { name: ctx.name, outputs: sizes.length };
  const pieces =
    sizes.length === 1
      ? [x]
      : builder.ops(
          'Split',
          [x, builder.ints(sizes)],
          { axis, num_outputs: sizes.length },
          options,
        );
  if (parts !== undefined || keepsAxis) return sequenceOf(pieces);
  return sequenceOf(pieces.map((id) => builder.op('Squeeze', [id, builder.ints([axis])])));
}

/** A scalar is the size of every piece but the last; a list has each piece's. */
function sizesOf(parts: Tensor, extent: number): readonly number[] {
  const list = [...toNumbers(parts)];
  const [size] = list;
  if (parts.shape.length > 0 || size === undefined || size < 1) return list;
  const count = Math.ceil(extent / size);
  return Array.from({ length: count }, (_, i) => Math.min(size, extent - i * size));
}

function concat(ctx: Context): Entity {
  const s = sizing(ctx);
  const { b } = s;
  const seq = list(ctx, 0);
  const asked = intOf(ctx, 'axis', undefined);
  const isStack = intOf(ctx, 'new_axis', 0) !== 0;
  if (seq.kind === 'stacked') {
    const rank = seq.extents.length + (isStack ? 1 : 0);
    if (asked < -rank || asked >= rank) return bad(ctx, `axis ${asked} is outside rank ${rank}`);
    const axis = asked < 0 ? asked + rank : asked;
    return entityOf(isStack ? stackedAlong(s, seq, axis) : joinedAlong(s, seq, axis));
  }
  if (seq.items.length === 0) return bad(ctx, 'its sequence is empty');
  const reader = `node ${ctx.name} (${ctx.node.op})`;
  const items = seq.items.map((item) =>
    sizedOf(b, isTensorEntity(item) ? item : tensorOf(item, reader)),
  );
  const { length } = at(items, 0).sizes;
  const rank = length + (isStack ? 1 : 0);
  const axis = asked < 0 ? asked + rank : asked;
  const parts = isStack
    ? items.map(({ id, sizes }) => ({
        id: b.op('Unsqueeze', [id, b.ints([axis])]),
        sizes: sizes.toSpliced(axis, 0, 1),
      }))
    : items;
  if (parts.some(isBounded)) {
    const use = { op: ctx.node.op, s, ints: s.ints, attrs: {}, inputs: parts, outputs: 1 };
    return entityOf(joinSized(use, parts, axis));
  }
  const ids = parts.map(({ id }) => id);
  return b.op('Concat', ids, { axis }, { name: ctx.name });
}
