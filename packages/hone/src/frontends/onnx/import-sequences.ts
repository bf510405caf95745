/**
 * Operators on sequences and optionals. They move tensors between names and compute nothing, so the
 * importer carries them out: none reaches the Graph. Positions and lengths that decide which tensor is
 * meant have to be constants (HONE-SHAPE-002 otherwise).
 */
import { at, fail } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { ValueId } from '../../graph/types.ts';
import { constantTensor } from '../../graph/walk.ts';
import { type Entity, isTensor, type SequenceEntity, sequenceOf, tensorOf } from './entities.ts';
import { addConstant, type Scope } from './import-scope.ts';
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
    case 'SequenceInsert': {
      const { items } = list(ctx, 0);
      const where = position(ctx, 2, items.length + 1) ?? items.length;
      return [sequenceOf(items.toSpliced(where, 0, given(ctx, 1)))];
    }
    case 'SequenceErase': {
      const { items } = list(ctx, 0);
      const where = position(ctx, 1, items.length) ?? items.length - 1;
      return [sequenceOf(items.toSpliced(where, 1))];
    }
    case 'SequenceAt': {
      const { items } = list(ctx, 0);
      return [at(items, position(ctx, 1, items.length) ?? 0)];
    }
    case 'SequenceLength': {
      const { length } = list(ctx, 0).items;
      return [addConstant(scope, node.outputs[0] ?? name, fromNumbers('i64', [], [length]))];
    }
    case 'SplitToSequence':
      return [split(ctx)];
    case 'ConcatFromSequence':
      return [concat(ctx)];
    case 'Optional':
      return [{ kind: 'optional', item: inputs[0] ?? null }];
    case 'OptionalHasElement': {
      const [input] = inputs;
      const isAbsent =
        input == null || (!isTensor(input) && input.kind === 'optional' && input.item === null);
      const value = fromNumbers('bool', [], [isAbsent ? 0 : 1]);
      return [addConstant(scope, node.outputs[0] ?? name, value)];
    }
    case 'OptionalGetElement': {
      const input = given(ctx, 0);
      if (isTensor(input) || input.kind !== 'optional') return [input];
      if (input.item !== null) return [input.item];
      return bad(ctx, 'its optional has no value');
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
function list(ctx: Context, k: number): SequenceEntity {
  const entity = given(ctx, k);
  if (isTensor(entity)) return bad(ctx, `input ${k} is a tensor, not a sequence`);
  if (entity.kind === 'sequence') return entity;
  if (entity.kind === 'map') return bad(ctx, `input ${k} is a sequence of maps, which stay whole`);
  if (entity.kind === 'bounded') return bad(ctx, `input ${k} is a tensor, not a sequence`);
  const { item } = entity;
  if (item === null || isTensor(item) || item.kind !== 'sequence') {
    return bad(ctx, `input ${k} is not a sequence`);
  }
  return item;
}

function tensor(ctx: Context, k: number): ValueId {
  return tensorOf(given(ctx, k), `node ${ctx.name} (${ctx.node.op})`);
}

/** Input k, which must be known; undefined where it is absent. */
function known(ctx: Context, k: number, what: string): Tensor | undefined {
  if (ctx.inputs[k] == null) return undefined;
  const value = ctx.scope.builder.graph.value(tensor(ctx, k));
  if (value.constant !== undefined) return constantTensor(value);
  return fail(
    'HONE-SHAPE-002',
    `node ${ctx.name} (${ctx.node.op}): ${what} depends on the model's input data`,
    ctx.name,
    'which tensor of a sequence is meant has to be known when the model is compiled: export it with fixed positions',
  );
}

/** A position in a list of `length` places; negative ones count from the end. */
function position(ctx: Context, k: number, length: number): number | undefined {
  const value = known(ctx, k, 'the position');
  if (value === undefined) return undefined;
  const [index] = toNumbers(value);
  // Inserting before place -1 counts from the end of the list as it is.
  const places = ctx.node.op === 'SequenceInsert' ? length - 1 : length;
  if (index === undefined || index < -places || index >= length) {
    return bad(ctx, `position ${index} is outside of a sequence of ${places}`);
  }
  return index < 0 ? index + places : index;
}

function intOf(ctx: Context, name: string, otherwise: number | undefined): number {
  const found = ctx.attributes.find((attribute) => attribute.name === name);
  if (found?.kind === 'int') return found.value;
  return otherwise ?? bad(ctx, `attribute ${name} is missing`);
}

function split(ctx: Context): SequenceEntity {
  const { builder } = ctx.scope;
  const x = tensor(ctx, 0);
  const { shape } = builder.typeOf(x);
  const asked = intOf(ctx, 'axis', 0);
  const axis = asked < 0 ? asked + shape.length : asked;
  const extent = shape[axis];
  if (extent === undefined) return bad(ctx, `axis ${asked} is outside rank ${shape.length}`);
  const parts = known(ctx, 1, 'the lengths');
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
  if (parts !== undefined || intOf(ctx, 'keepdims', 1) !== 0) return sequenceOf(pieces);
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

function concat(ctx: Context): ValueId {
  const { builder } = ctx.scope;
  const reader = `node ${ctx.name} (${ctx.node.op})`;
  const items = list(ctx, 0).items.map((item) => tensorOf(item, reader));
  if (items.length === 0) return bad(ctx, 'its sequence is empty');
  const axis = intOf(ctx, 'axis', undefined);
  const isStack = intOf(ctx, 'new_axis', 0) !== 0;
  const parts = isStack
    ? items.map((id) => builder.op('Unsqueeze', [id, builder.ints([axis])]))
    : items;
  return builder.op('Concat', parts, { axis }, { name: ctx.name });
}
