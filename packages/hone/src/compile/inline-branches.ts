/**
 * Branches for calibration: int8 needs the ranges of all values, and a branch that is not taken has none. So where
 * neither branch of an `If` can fail on data, both are computed and one is chosen. Others stay as they are, in fp32.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { visitExpr } from '../expr/rewrite.ts';
import { bodyValues } from '../fusion/draft.ts';
import { fuseGraph } from '../fusion/index.ts';
import type { AttrValue, Graph, Node } from '../graph/types.ts';
import { subgraphs } from '../graph/verify.ts';
import { inlineGraph } from '../ops/control/subgraph.ts';
import type { Registry } from '../ops/registry.ts';
import { runPasses } from '../passes/index.ts';
import { rewriteGraph } from '../passes/pass.ts';
import { isOpaque } from '../stages/types.ts';

/** A graph that all passes ran on; where something is inlined, they run again. */
export function inlineBranches(graph: Graph, registry: Registry): Graph {
  if (!graph.nodes.some(isIf)) return graph;
  const nodes = graph.nodes.map((node): Node => {
    if (!isIf(node)) return node;
    const entries = Object.entries(node.attrs).map(([name, value]): [string, AttrValue] => {
      const [body] = subgraphs(value);
      return [name, body === undefined ? value : inlineBranches(body, registry)];
    });
    return { ...node, attrs: Object.fromEntries(entries) };
  });
  const inner = { ...graph, nodes };
  const inlined = rewriteGraph(inner, { registry }, (node, r) => {
    if (!isIf(node)) return undefined;
    const [yes, no] = ['then_branch', 'else_branch'].map((name) => {
      const [body] = subgraphs(node.attrs[name] ?? 0);
      return body;
    });
    if (yes === undefined || no === undefined) return undefined;
    if (!cannotFail(yes, registry) || !cannotFail(no, registry)) return undefined;
    const inputs = node.inputs.map((id) => (id === null ? r.b.scalar(0) : r.map(id)));
    const taken = inlineGraph(r.b, yes, inputs.slice(1), `${node.name}/then_branch`);
    const other = inlineGraph(r.b, no, inputs.slice(1), `${node.name}/else_branch`);
    const condition = r.b.reshape(at(inputs, 0), []);
    return taken.map((id, i) => r.b.op('Where', [condition, id, at(other, i)]));
  });
  return inlined === inner ? graph : runPasses(inlined, { registry });
}

function isIf({ op, domain }: Node): boolean {
  return op === 'If' && domain === '';
}

/** No index from data, no routine, no control flow. */
function cannotFail(body: Graph, registry: Registry): boolean {
  return fuseGraph(body, { registry }).stages.every((stage) => {
    if (isOpaque(stage.body)) return false;
    const { outIndex } = stage.body;
    let isChecked = false;
    for (const expr of [...bodyValues(stage.body), ...outIndex]) {
      visitExpr(expr, ({ kind }) => {
        if (kind === 'bound') isChecked = true;
      });
    }
    return !isChecked;
  });
}
