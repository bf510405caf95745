/**
 * Precision inside of control flow: the policies of 16-bit floats go for bodies as for the graph around
 * them; calibration looks at nothing inside, so bodies of int8 models stay in fp32.
 */
import { fuseGraph } from '../fusion/index.ts';
import type { AttrValue, Graph, Node } from '../graph/types.ts';
import { subgraphs } from '../graph/verify.ts';
import type { Registry } from '../ops/registry.ts';
import { applyPrecision } from '../passes/apply-precision.ts';
import { type AutocastPolicy, autocastPlan } from '../passes/autocast.ts';
import type { Precision } from './options.ts';

/** The graph with its bodies in 16 bits, as the policy has it. */
export function preciseBodies(
  graph: Graph,
  dtype: 'bf16' | 'f16',
  policy: AutocastPolicy,
  registry: Registry,
): Graph {
  if (!graph.nodes.some(hasBodies)) return graph;
  const change = (body: Graph): Graph => {
    const plan = autocastPlan(body, fuseGraph(body, { registry }), dtype, policy);
    return preciseBodies(applyPrecision(body, plan, { registry }), dtype, policy, registry);
  };
  const nodes = graph.nodes.map((node): Node => {
    if (!hasBodies(node)) return node;
    const entries = Object.entries(node.attrs).map(([name, value]): [string, AttrValue] => {
      const [body] = subgraphs(value);
      return [name, body === undefined ? value : change(body)];
    });
    return { ...node, attrs: Object.fromEntries(entries) };
  });
  return { ...graph, nodes };
}

/** What a user should know of bodies whose precision was not asked for. */
export function bodyNotes(graph: Graph, precision: Precision | undefined): readonly string[] {
  if (precision !== 'int8' && precision !== 'auto') return [];
  const names = graph.nodes.filter(hasBodies).map(({ name, op }) => `${name} (${op})`);
  if (names.length === 0) return [];
  return [`what runs inside of ${names.join(', ')} is computed in fp32`];
}

function hasBodies({ attrs }: Node): boolean {
  return Object.values(attrs).some((value) => subgraphs(value).length > 0);
}
