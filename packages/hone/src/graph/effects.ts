/** Nodes that matter although nothing reads what they give: checks that end a run. */
import type { Node } from './types.ts';
import { subgraphs } from './verify.ts';

/** The check of a bound (`ops/tensor/within.ts`). */
export const WITHIN = 'Within';

/** Does the node check a bound, or a node of its sub-graphs? */
export function hasEffect({ op, domain, attrs }: Node): boolean {
  if (domain === 'hone' && op === WITHIN) return true;
  return Object.values(attrs)
    .flatMap(subgraphs)
    .some(({ nodes }) => nodes.some(hasEffect));
}
