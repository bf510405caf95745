/**
 * What a name stands for while a model is imported: a tensor of the Graph, a tensor with room for more
 * elements than are meant, or a list or an optional of such. All but tensors exist only here: the Graph
 * has the tensors of a list alone, or one tensor of all where data decides how many they are. The
 * tensors of a list `x` are called `x.0`, `x.1`, ….
 * Maps whose keys are known are the tensor of their values.
 */
import type { MapKeys } from 'hone-runtime/artifact/program';
import { fail } from 'hone-runtime/base/diagnostics';
import type { ValueId } from '../../graph/types.ts';
import type { Int } from './bounded/ints.ts';

export type Entity =
  | ValueId
  | BoundedEntity
  | SequenceEntity
  | StackedEntity
  | OptionalEntity
  | MapsEntity;

/**
 * A tensor whose size depends on data: its shape has the bounds, the part that is meant lies at the
 * begin of every axis. What is behind that part is unspecified.
 */
export interface BoundedEntity {
  readonly kind: 'bounded';
  readonly id: ValueId;
  /** The extents that are meant, one per axis. */
  readonly sizes: readonly Int[];
}

/** One map, or one for each row: the values as a tensor, a column for each key. */
export interface MapsEntity {
  readonly kind: 'map';
  readonly values: ValueId;
  readonly keys: MapKeys;
}

export interface SequenceEntity {
  readonly kind: 'sequence';
  readonly items: readonly Entity[];
}

/** An extent of the elements of a list: the same of all, or a list with that of each. */
export type Extent = Int | ExtentList;

/** An i64 list as long as the rows of the list are; every number is from 0 to `max`. */
export interface ExtentList {
  readonly list: ValueId;
  readonly max: number;
}

/**
 * A list whose length, or which element of it is which, depends on data: a row for each element there can
 * be. As of tensors with room, what is meant lies at the begin of every axis.
 */
export interface StackedEntity {
  readonly kind: 'stacked';
  /** [rows, the room of an element]. */
  readonly id: ValueId;
  /** How many rows are meant. */
  readonly length: Int;
  /** One per axis of an element. */
  readonly extents: readonly Extent[];
}

export interface OptionalEntity {
  readonly kind: 'optional';
  readonly item: Entity | null;
  /** 1 where there is a value, where that is decided by data; `item` is what it is then. */
  readonly flag?: Int;
}

export const isList = (extent: Extent): extent is ExtentList =>
  typeof extent !== 'number' && 'list' in extent;

export function isTensor(entity: Entity): entity is ValueId {
  return typeof entity === 'number';
}

export function sequenceOf(items: readonly Entity[]): SequenceEntity {
  return { kind: 'sequence', items };
}

/** The tensor an operator reads; a list or an optional is an error about the reader. */
export function tensorOf(entity: Entity, reader: string): ValueId {
  if (isTensor(entity)) return entity;
  if (entity.kind === 'optional' && entity.item !== null) return tensorOf(entity.item, reader);
  if (entity.kind === 'bounded') return failBounded(reader);
  const given = {
    sequence: 'a sequence',
    stacked: 'a sequence',
    map: 'maps',
    optional: 'an optional without a value',
  };
  return fail(
    'HONE-ONNX-019',
    `${reader} reads a tensor, but is given ${given[entity.kind]}`,
    reader,
    'the model is not valid ONNX, or a length or presence was given that it does not take',
  );
}

/** A reader that only takes tensors of fixed sizes. */
export function failBounded(reader: string): never {
  return fail(
    'HONE-SHAPE-002',
    `${reader} reads a tensor whose size depends on the model's input data, which it cannot yet`,
    reader,
    'export the model with fixed sizes up to here, or cut it in front of this node; docs/data-dependent-sizes.md lists what is supported',
  );
}
