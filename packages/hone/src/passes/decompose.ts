/**
 * Replaces composite operators by what they decompose into, until only core operators are left.
 * New nodes carry the origin's name, so that reports speak of the user's model.
 *
 * Control flow stays where its bodies are better run than written out.
 *
 * Refuses (HONE-COMPILE-001, naming every such node) composites whose record says that this use
 * has no compiled form. Guarantees that no composite is left.
 */
import { fail } from 'hone-runtime/base/diagnostics';
import type { Graph, Node, ValueId } from '../graph/types.ts';
import { valueById } from '../graph/walk.ts';
import { inputOf } from '../ops/builder.ts';
import { type Pass, type PassContext, type Rebuild, rewriteGraph } from './pass.ts';

/** Decompositions may use composites; deeper nesting than this is a cycle among records. */
const MAX_ROUNDS = 12;

export const decompose: Pass = { name: 'decompose', run: decomposeAll };

function decomposeAll(graph: Graph, ctx: PassContext): Graph {
  let current = graph;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const refused: string[] = [];
    const next = rewriteGraph(current, ctx, (node, r) => {
      const outputs = expand(node, r, ctx);
      if (typeof outputs !== 'string') return outputs;
      refused.push(`${node.name} (${node.op}: ${outputs})`);
      return undefined;
    });
    if (refused.length > 0) {
      fail(
        'HONE-COMPILE-001',
        `${refused.length} node(s) have no compiled form: ${refused.slice(0, 8).join('; ')}`,
        refused[0]?.split(' (')[0],
        'see docs/operators.md; `hone analyze` lists every node',
      );
    }
    if (next === current) return current;
    current = next;
  }
  return fail('HONE-INTERNAL-003', 'operators decompose into each other without end');
}

function expand(node: Node, r: Rebuild, ctx: PassContext): readonly ValueId[] | string | undefined {
  const def = ctx.registry.find(node.op, node.domain);
  if (def?.kind !== 'composite' && def?.kind !== 'control') return undefined;
  const inputs = node.inputs.map((id) => (id === null ? null : r.map(id)));
  const made = def.decompose(r.b, inputs, {
    node: node.name,
    op: node.op,
    attrs: node.attrs,
    inputs: inputs.map((id) => (id === null ? null : inputOf(r.b.graph.value(id)))),
    outputs: node.outputs.map((id) => valueById(r.old, id).type),
    outputCount: node.outputs.length,
  });
  // What has no form because of texts becomes a step of the Node runtime (compile/host-split.ts).
  const hasTexts = [...node.inputs, ...node.outputs].some(
    (id) => id !== null && valueById(r.old, id).type.dtype === 'string',
  );
  return typeof made === 'string' && hasTexts ? undefined : made;
}
