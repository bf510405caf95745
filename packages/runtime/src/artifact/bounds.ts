/** Bounds that a model is planned at and that runs check, as manifest.json lists them. */
import { count, type Field, hasMember, list, member, text, whole } from './json.ts';

export interface PlannedBound {
  /** As the model calls it. */
  readonly tensor: string;
  /** The axis whose extent is bounded; absent: the bound is one of the tensor's values. */
  readonly axis?: number;
  /** The bound, for values one for each element. */
  readonly most: readonly number[];
  /** true: nothing in the model bounds it, and none was asked for. */
  readonly assumed: boolean;
  /** The node of the model whose result it is; empty for an input. */
  readonly node: string;
  /** What to write behind --bound for another one. */
  readonly option: string;
}

/** Reads the list; absent: there are none. */
export function parseBounds(root: Field): { readonly bounds?: readonly PlannedBound[] } {
  if (!hasMember(root, 'bounds')) return {};
  return { bounds: list(member(root, 'bounds')).map(parseBound) };
}

function parseBound(field: Field): PlannedBound {
  return {
    tensor: text(member(field, 'tensor')),
    ...(hasMember(field, 'axis') ? { axis: count(member(field, 'axis')) } : {}),
    most: list(member(field, 'most')).map(whole),
    assumed: member(field, 'assumed').value === true,
    node: text(member(field, 'node')),
    option: text(member(field, 'option')),
  };
}
