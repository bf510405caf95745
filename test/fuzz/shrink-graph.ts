/**
 * Makes a failing graph small: fewer outputs, then values cut off (they become inputs that hold what
 * was computed), then nodes left out, as long as it keeps failing.
 */
import { GraphBuilder } from 'hone/graph/build';
import type { Graph, Node, ValueId } from 'hone/graph/types';
import { valueById } from 'hone/graph/walk';
import { interpretAll } from 'hone/ops/interpret';
import type { Tensor } from 'hone-runtime/base/tensor';
import type { RandomGraph } from './growth.ts';

export type StillFails = (item: RandomGraph) => Promise<boolean>;

/** Tries smaller graphs until none fails or the time is over. */
export async function shrinkGraph(
  start: RandomGraph,
  stillFails: StillFails,
  deadline: number,
): Promise<RandomGraph> {
  let best = rebuild(start, start.graph.outputs, new Set(), new Map());
  if (!(await stillFails(best))) return start;
  for (let progress = true; progress; ) {
    progress = false;
    for (const candidate of candidates(best)) {
      if (performance.now() > deadline) return best;
      if (sizeOf(candidate()) >= sizeOf(best)) continue;
      const smaller = candidate();
      if (await stillFails(smaller)) {
        best = smaller;
        progress = true;
        break;
      }
    }
  }
  return best;
}

/** Nodes count, then inputs and outputs. */
function sizeOf({ graph }: RandomGraph): number {
  return graph.nodes.length * 10 + graph.inputs.length + graph.outputs.length;
}

/** Smaller graphs, the most promising first. */
function* candidates(item: RandomGraph): Generator<() => RandomGraph> {
  const { graph } = item;
  const none = new Map<ValueId, ValueId>();
  for (const id of graph.outputs) {
    if (graph.outputs.length > 1) yield () => rebuild(item, [id], new Set(), none);
  }
  if (graph.outputs.length > 1) {
    for (const id of graph.outputs) {
      const rest = graph.outputs.filter((other) => other !== id);
      yield () => rebuild(item, rest, new Set(), none);
    }
  }
  for (const node of graph.nodes) yield () => rebuild(item, node.outputs, new Set(), none);
  for (const node of graph.nodes.toReversed()) {
    yield () => rebuild(item, graph.outputs, new Set(node.outputs), none);
  }
  for (const node of graph.nodes) {
    const stand = standIn(graph, node);
    if (stand !== undefined) {
      yield () => rebuild(item, graph.outputs, new Set(), new Map([[node.outputs[0] ?? 0, stand]]));
    }
  }
}

/** An input of a node of the same type as its output. */
function standIn(graph: Graph, node: Node): ValueId | undefined {
  const text = (id: ValueId): string => {
    const { dtype, shape } = valueById(graph, id).type;
    return `${dtype}[${shape.join()}]`;
  };
  const [output] = node.outputs;
  if (output === undefined || node.outputs.length !== 1 || graph.outputs.includes(output))
    return undefined;
  return (
    node.inputs.find((id): id is ValueId => id !== null && text(id) === text(output)) ?? undefined
  );
}

/** The part of the graph that `outputs` need; `cut` values become inputs, others are replaced. */
function rebuild(
  { graph, inputs }: RandomGraph,
  outputs: readonly ValueId[],
  cut: ReadonlySet<ValueId>,
  replaced: ReadonlyMap<ValueId, ValueId>,
): RandomGraph {
  const resolve = (id: ValueId): ValueId => replaced.get(id) ?? id;
  const needed = new Set<ValueId>(outputs.map(resolve));
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((id) => needed.has(id)) || node.outputs.every((id) => cut.has(id)))
      continue;
    for (const id of node.inputs) if (id !== null) needed.add(resolve(id));
  }
  const tensorOf = interpretAll(graph, inputs);
  const b = new GraphBuilder(graph.name);
  const known = new Map<ValueId, ValueId>();
  const kept: Tensor[] = [];
  const addInput = (id: ValueId): void => {
    const { name, type } = valueById(graph, id);
    known.set(id, b.input(name, type));
    kept.push(tensorOf(id));
  };
  for (const id of graph.inputs) if (needed.has(id)) addInput(id);
  for (const id of cut) if (needed.has(id)) addInput(id);
  const use = (old: ValueId): ValueId => {
    const id = resolve(old);
    const have = known.get(id);
    if (have !== undefined) return have;
    const value = valueById(graph, id);
    if (value.constant === undefined)
      throw new TypeError(`${value.name} is read before it is made`);
    const made = b.storedConstant(value.constant, value.type, value.name);
    known.set(id, made);
    return made;
  };
  for (const node of graph.nodes) {
    if (!node.outputs.some((id) => needed.has(id)) || node.outputs.every((id) => cut.has(id)))
      continue;
    const made = b.node({
      op: node.op,
      domain: node.domain,
      name: node.name,
      inputs: node.inputs.map((id) => (id === null ? null : use(id))),
      attrs: node.attrs,
      types: node.outputs.map((id) => valueById(graph, id).type),
      outputNames: node.outputs.map((id) => valueById(graph, id).name),
    });
    node.outputs.forEach((id, i) => {
      if (!known.has(id)) known.set(id, made[i] ?? -1);
    });
  }
  return { graph: b.finish(outputs.map(use)), inputs: kept };
}
