/**
 * What outputs of a model are outside of it, where there are only tensors. A sequence `x` is its tensors
 * `x.0`, `x.1`, …. One whose length depends on data is a tensor `x` with a row for each element, its first
 * extent the length; where elements differ in shape, rows are filled up with zeros, and `x.sizes` has the
 * shape of each. An optional that data decides is its value `x`, and `x.present`.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { sizedOf } from '../bounded/index.ts';
import { type Int, isKnown } from '../bounded/ints.ts';
import type { Sized, Sizing } from '../bounded/sized.ts';
import { type Entity, isList, isTensor, type StackedEntity } from '../entities.ts';
import { extentList, roomOf, rowsOf } from './stacked.ts';

export interface Outside {
  readonly name: string;
  readonly tensor: Sized;
}

/** The tensors of an output, in order, with their names. */
export function outsideOf(s: Sizing, entity: Entity, name: string): readonly Outside[] {
  if (isTensor(entity)) return [{ name, tensor: sizedOf(s.b, entity) }];
  switch (entity.kind) {
    case 'bounded':
      return [{ name, tensor: entity }];
    case 'map':
      return [{ name, tensor: sizedOf(s.b, entity.values) }];
    case 'sequence':
      return entity.items.flatMap((item, i) => outsideOf(s, item, `${name}.${i}`));
    case 'stacked':
      return rowsAndSizes(s, entity, name);
    case 'optional': {
      if (entity.item === null) return [];
      const parts = outsideOf(s, entity.item, name);
      if (entity.flag === undefined || isKnown(entity.flag)) return parts;
      const flag = s.cast(entity.flag.id, 'bool');
      return [...parts, { name: `${name}.present`, tensor: { id: flag, sizes: [] } }];
    }
  }
}

function rowsAndSizes(s: Sizing, seq: StackedEntity, name: string): readonly Outside[] {
  const rank = seq.extents.length;
  if (!seq.extents.some(isList)) {
    const sizes = [seq.length, ...(seq.extents as readonly Int[])];
    return [{ name, tensor: { id: seq.id, sizes } }];
  }
  const rows = rowsOf(s, seq);
  // Room would be what came before: it is filled, so that every runtime gives the same.
  let { id } = seq;
  const zero = s.number(0, s.b.typeOf(id).dtype);
  for (const [axis, extent] of seq.extents.entries()) {
    if (!isList(extent) && isKnown(extent)) continue;
    const shape = [rows, ...new Array<number>(rank).fill(1)];
    const ends = s.reshape(extentList(s, seq, axis), shape);
    const isMeant = s.b.op('Less', [s.iota(at(roomOf(s, seq), axis), rank + 1, axis + 1), ends]);
    id = s.b.op('Where', [isMeant, id, zero]);
  }
  const lists = seq.extents.map((_, axis) => s.reshape(extentList(s, seq, axis), [rows, 1]));
  const shapes = lists.length === 1 ? at(lists, 0) : s.b.op('Concat', lists, { axis: 1 });
  return [
    { name, tensor: { id, sizes: [seq.length, ...roomOf(s, seq)] } },
    { name: `${name}.sizes`, tensor: { id: shapes, sizes: [seq.length, rank] } },
  ];
}
