/**
 * Replaces composite operators by what they decompose into, until only core operators are left.
 * New nodes carry the origin's name, so that reports speak of the user's model.
 */
import { fail } from 'hone-runtime/base/diagnostics';
import type { Graph, Node } from '../graph/types.ts';
import { valueById } from '../graph/walk.ts';
import { inputOf } from '../ops/builder.ts';
import { type Pass, type PassContext, type Rebuild, rebuildGraph } from './pass.ts';

/** Decompositions may use composites; deeper nesting than this is a cycle among records. */
const MAX_ROUNDS = 12;

export const decompose: Pass = { name: 'decompose', run: decomposeAll };

function decomposeAll(graph: Graph, ctx: PassContext): Graph {
  let current = graph;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const isComposite = (node: Node): boolean =>
      ctx.registry.find(node.op, node.domain)?.kind === 'composite';
    if (!current.nodes.some(isComposite)) return current;
    current = rebuildGraph(current, ctx, (node, r) => {
      if (isComposite(node)) expand(node, r, ctx);
      else r.keep(node);
    });
  }
  return fail('HONE-INTERNAL-003', 'operators decompose into each other without end');
}

function expand(node: Node, r: Rebuild, ctx: PassContext): void {
  const def = ctx.registry.find(node.op, node.domain);
  if (def?.kind !== 'composite') return;
  const inputs = node.inputs.map((id) => (id === null ? null : r.map(id)));
  const result = def.decompose(r.b, inputs, {
    node: node.name,
    op: node.op,
    attrs: node.attrs,
    inputs: node.inputs.map((id) => (id === null ? null : inputOf(valueById(r.old, id)))),
    outputs: node.outputs.map((id) => valueById(r.old, id).type),
    outputCount: node.outputs.length,
  });
  if (typeof result === 'string') {
    fail(
      'HONE-COMPILE-001',
      `node ${node.name} (${node.op}) has no compiled form: ${result}`,
      node.name,
      'see docs/operators.md; `hone analyze` lists every node',
    );
  }
  r.replace(node, result);
}
