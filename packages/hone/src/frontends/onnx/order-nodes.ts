/**
 * Puts nodes behind those whose values they read.
 *
 * ONNX asks for that order, but tools that append what they insert (casts around a model in float16)
 * do not keep it, and other engines sort for themselves.
 */
import { graphsOf } from './analyze.ts';
import type { OnnxGraph, OnnxNode } from './types.ts';

/** Everything a node reads, its sub-graphs included. */
export function readsOf(node: OnnxNode): readonly string[] {
  return [...node.inputs, ...graphsOf(node).flatMap(freeNames)].filter((name) => name !== '');
}

/** Names a graph reads but does not define, in whatever order its nodes are. */
function freeNames(graph: OnnxGraph): readonly string[] {
  const own = new Set([
    ...graph.inputs.map(({ name }) => name),
    ...graph.initializers.map(({ name }) => name),
    ...graph.sparseInitializers.map(({ values }) => values.name),
    ...graph.nodes.flatMap(({ outputs }) => outputs),
  ]);
  const read = [...graph.nodes.flatMap(readsOf), ...graph.outputs.map(({ name }) => name)];
  return read.filter((name) => !own.has(name));
}

/** Nodes of a graph or function; `positions` as in `OnnxGraph`. */
interface Ordered {
  readonly nodes: readonly OnnxNode[];
  readonly positions?: readonly number[];
}

/**
 * The nodes in an order in which each reads what earlier ones made: as they are where that is so;
 * else each node that is read too early moves before its first reader. Nodes that read each other
 * in a circle have no such order, and the importer names one of them.
 */
export function orderNodes(nodes: readonly OnnxNode[]): Ordered {
  const sources = sourcesOf(nodes);
  if (sources.every((makers, reader) => makers.every((maker) => maker < reader))) return { nodes };
  const positions: number[] = [];
  const begun = new Set<number>();
  // A list in place of recursion: a model may be one long chain, written from its end.
  const open: { readonly node: number; readonly left: number[] }[] = [];
  const begin = (node: number): void => {
    if (begun.has(node)) return;
    begun.add(node);
    open.push({ node, left: [...(sources[node] ?? [])].reverse() });
  };
  for (const first of nodes.keys()) {
    begin(first);
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      const next = top.left.pop();
      if (next !== undefined) begin(next);
      else {
        positions.push(top.node);
        open.pop();
      }
    }
  }
  return { nodes: positions.flatMap((position) => nodes[position] ?? []), positions };
}

/** For each node those that make what it reads. */
function sourcesOf(nodes: readonly OnnxNode[]): readonly (readonly number[])[] {
  const makers = new Map<string, number>();
  for (const [i, { outputs }] of nodes.entries()) {
    for (const name of outputs) if (!makers.has(name)) makers.set(name, i);
  }
  return nodes.map((node, reader) =>
    readsOf(node).flatMap((name) => {
      const maker = makers.get(name);
      return maker === undefined || maker === reader ? [] : [maker];
    }),
  );
}
