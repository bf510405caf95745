/** Values that kept sub-graphs read: what has to be passed to them, and what it stands for there. */
import type { ValueId } from '../../../graph/types.ts';
import { type Int, isKnown } from '../bounded/ints.ts';
import { type Entity, type Extent, isList, isTensor } from '../entities.ts';

/** The same value of other tensors. */
export function mapValues(entity: Entity, of: (id: ValueId, label: string) => ValueId): Entity {
  const int = (size: Int, label: string): Int =>
    isKnown(size) ? size : { ...size, id: of(size.id, label) };
  const at = (item: Entity, label: string): Entity => {
    if (isTensor(item)) return of(item, label);
    switch (item.kind) {
      case 'bounded':
        return {
          ...item,
          id: of(item.id, label),
          sizes: item.sizes.map((size, axis) => int(size, `${label}.size${axis}`)),
        };
      case 'map':
        return { ...item, values: of(item.values, label) };
      case 'sequence':
        return { ...item, items: item.items.map((part, i) => at(part, `${label}.${i}`)) };
      case 'stacked': {
        const extents = item.extents.map((extent, axis): Extent => {
          const name = `${label}.size${axis}`;
          return isList(extent) ? { ...extent, list: of(extent.list, name) } : int(extent, name);
        });
        return {
          ...item,
          id: of(item.id, label),
          length: int(item.length, `${label}.length`),
          extents,
        };
      }
      case 'optional': {
        if (item.item === null) return item;
        const inner = at(item.item, label);
        if (item.flag === undefined) return { ...item, item: inner };
        return { ...item, item: inner, flag: int(item.flag, `${label}.present`) };
      }
    }
  };
  return at(entity, '');
}

/** The tensors of a value, with labels that tell them apart. */
export function valuesOf(entity: Entity): ReadonlyMap<ValueId, string> {
  const found = new Map<ValueId, string>();
  mapValues(entity, (id, label) => {
    if (!found.has(id)) found.set(id, label);
    return id;
  });
  return found;
}
