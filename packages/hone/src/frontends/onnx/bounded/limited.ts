/** Bounds that a user gives, at the tensor they name: its values, or its extents that depend on data. */
import { elementCount } from 'hone-runtime/base/tensor';
import type { ValueId } from '../../../graph/types.ts';
import type { OpBuilder } from '../../../ops/builder.ts';
import { HONE_DOMAIN } from '../../../ops/tensor/positions.ts';
import { boundText, CHECKED_DTYPES } from '../../../ops/tensor/within.ts';
import type { Entity } from '../entities.ts';
import type { Bounds } from './bounds.ts';
import { type Int, isKnown, numbersOf } from './ints.ts';
import { type Sized, Sizing } from './sized.ts';

/** Longer lists are data, not shapes. */
const MAX_LIST = 64;

/** What a name stands for, at the bounds that are given for it. `node` makes it. */
export function limited(
  builder: OpBuilder,
  bounds: Bounds,
  node: string,
  name: string,
  entity: Entity,
): Entity {
  if (typeof entity === 'number')
    return bounds.isEmpty ? entity : limitedValues(builder, bounds, node, name, entity);
  if (entity.kind !== 'bounded') return entity;
  const s = new Sizing(builder, numbersOf(builder), node, '', '', { names: [name], bounds });
  const rank = entity.sizes.length;
  const made = entity.sizes.reduce((x: Sized, old, axis): Sized => {
    const size: Int = s.asked(old, name, axis, rank);
    return size === old ? x : s.first(x, axis, size);
  }, entity);
  if (made.sizes.every(isKnown)) return made.id;
  return { kind: 'bounded', id: made.id, sizes: made.sizes };
}

/** Is it a tensor whose values could decide a size? */
export function takesValueBound(builder: OpBuilder, id: ValueId): boolean {
  const { type, constant } = builder.graph.value(id);
  const isList = type.shape.length <= 1 && elementCount(type.shape) <= MAX_LIST;
  return constant === undefined && isList && CHECKED_DTYPES.includes(type.dtype);
}

function limitedValues(
  builder: OpBuilder,
  bounds: Bounds,
  node: string,
  name: string,
  id: ValueId,
): ValueId {
  if (!takesValueBound(builder, id)) return id;
  const { shape } = builder.typeOf(id);
  const limits = bounds.values(name, elementCount(shape));
  if (limits === undefined || limits.length === 0) return id;
  const [min, max] = [limits.map((limit) => limit.min), limits.map((limit) => limit.max)];
  const option = `${name}=${max.join('x')}`;
  const attrs = { tensor: name, axis: -1, origin: 'asked', option, node, min, max };
  const made = builder.op('Within', [id], attrs, {
    domain: HONE_DOMAIN,
    name: boundText(attrs, max.join('x')),
  });
  // Each element keeps an interval of its own.
  numbersOf(builder).elements(made, limits);
  return made;
}
