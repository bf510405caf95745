/**
 * Runs all passes on the sub-graphs of control flow. Before that, constants around a sub-graph are moved into
 * it, so that they fold there and weights are packed for its kernels, and what no sub-graph reads is not
 * passed to it any more. Guarantees that sub-graphs consist of core operators, as the graph does.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { AttrValue, Graph, Node, ValueId } from '../graph/types.ts';
import { subgraphs } from '../graph/verify.ts';
import { valueById } from '../graph/walk.ts';
import { withCondition, withoutCondition } from '../ops/control/loop-body.ts';
import { compactGraph } from './compact.ts';
import type { Pass, PassContext } from './pass.ts';

/** `run`: all passes, this one among them. */
export function optimizeBodiesWith(run: (graph: Graph, ctx: PassContext) => Graph): Pass {
  return {
    name: 'optimize-bodies',
    run(graph, { afterPass: _, ...ctx }) {
      const isControl = ({ op, domain }: Node): boolean =>
        ctx.registry.find(op, domain)?.kind === 'control';
      if (!graph.nodes.some(isControl)) return graph;
      const nodes = graph.nodes.map((node) => {
        if (!isControl(node)) return node;
        const ready = moveConstants(graph, node);
        return dropUnread(changeBodies(ready, (body) => optimize(node, body, ctx, run)));
      });
      return nodes.every((node, i) => node === graph.nodes[i]) ? graph : { ...graph, nodes };
    },
  };
}

function optimize(
  node: Node,
  body: Graph,
  ctx: PassContext,
  run: (graph: Graph, ctx: PassContext) => Graph,
): Graph {
  if (node.op !== 'Loop') return run(body, ctx);
  const before = compact(withoutCondition(body));
  const after = run(before, ctx);
  // Nothing was dead in it but the condition.
  const isWhole =
    before.nodes.length === body.nodes.length && before.values.length + 1 === body.values.length;
  return after === before && isWhole ? body : compact(withCondition(after));
}

/** Changes the sub-graphs of a node; they are single graphs in its attributes. */
export function changeBodies(node: Node, change: (graph: Graph, attribute: string) => Graph): Node {
  let isSame = true;
  const entries = Object.entries(node.attrs).map(([name, value]): [string, AttrValue] => {
    const [body] = subgraphs(value);
    if (body === undefined) return [name, value];
    const changed = change(body, name);
    if (changed !== body) isSame = false;
    return [name, changed];
  });
  return isSame ? node : { ...node, attrs: Object.fromEntries(entries) };
}

/** How many of a node's inputs its sub-graphs read as values around them; they are the last ones. */
function capturesOf({ attrs }: Node): number {
  const { captures } = attrs;
  return typeof captures === 'number' ? captures : 0;
}

/** Leaves out captured inputs, in the node and in its sub-graphs; `inner` may change these before. */
function withoutCaptures(
  node: Node,
  isGone: (position: number) => boolean,
  inner: (body: Graph, id: ValueId, position: number) => Graph,
): Node {
  const captures = capturesOf(node);
  const formal = node.inputs.length - captures;
  const gone = Array.from({ length: captures }, (_, i) => i).filter((i) => isGone(formal + i));
  if (gone.length === 0) return node;
  const changed = changeBodies(node, (body) => {
    const first = body.inputs.length - captures;
    const ready = gone.reduce(
      (graph, i) => inner(graph, at(body.inputs, first + i), formal + i),
      body,
    );
    return { ...ready, inputs: body.inputs.filter((_, i) => !gone.includes(i - first)) };
  });
  return {
    ...node,
    inputs: node.inputs.filter((_, i) => !gone.includes(i - formal)),
    attrs: { ...changed.attrs, captures: captures - gone.length },
  };
}

function moveConstants(graph: Graph, node: Node): Node {
  const constantOf = (position: number) => {
    const id = node.inputs[position];
    return id === null || id === undefined ? undefined : valueById(graph, id).constant;
  };
  return withoutCaptures(
    node,
    (position) => constantOf(position) !== undefined,
    (body, id, position) => {
      const constant = constantOf(position);
      if (constant === undefined) return body;
      const values = body.values.map((value) => (value.id === id ? { ...value, constant } : value));
      return { ...body, values };
    },
  );
}

/** Inputs that no sub-graph reads; they vanish from the sub-graphs' values as well. */
export function dropUnread(node: Node): Node {
  const captures = capturesOf(node);
  const formal = node.inputs.length - captures;
  const bodies = Object.values(node.attrs).flatMap(subgraphs);
  const isRead = (body: Graph, id: ValueId): boolean =>
    body.outputs.includes(id) || body.nodes.some(({ inputs }) => inputs.includes(id));
  const isUnread = (position: number): boolean =>
    bodies.every((body) => {
      const id = at(body.inputs, body.inputs.length - captures + position - formal);
      return !isRead(body, id);
    });
  const less = withoutCaptures(node, isUnread, (body) => body);
  return less === node ? node : changeBodies(less, compact);
}

function compact(body: Graph): Graph {
  return compactGraph(body, new Map(body.values.map(({ id, name }) => [id, name])));
}
