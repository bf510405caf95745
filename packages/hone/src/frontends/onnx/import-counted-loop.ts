/**
 * Loops that count: their condition follows from counters that begin with constants, as TensorFlow's `while`
 * is exported (no number of iterations, or the largest there is, and `counter < limit`). How often such a
 * loop runs is found while it is imported: the part of the body that the condition depends on is computed
 * iteration by iteration. The loop then has that number of iterations and no condition, so that its sizes
 * are exact.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, toNumbers } from 'hone-runtime/base/tensor';
import type { Value, ValueId } from '../../graph/types.ts';
import { constantTensor } from '../../graph/walk.ts';
import { graphsOf } from './analyze.ts';
import { Bounds } from './bounded/bounds.ts';
import { isLike, iterationsOf } from './counting.ts';
import { type Entity, isTensor } from './entities.ts';
import { freeNames, type ImportGraph, importSubgraphs, type Part } from './import-control.ts';
import { initializersOf, lookUp, type Scope } from './import-scope.ts';
import type { OnnxGraph, OnnxNode } from './types.ts';

/** Inputs of a Loop and of its body before what is carried. */
const FIRST_CARRIED = 2;

/**
 * The same loop with a number of iterations and without a condition; undefined where data decides how often
 * it runs, where its body says it goes on anyway, or where it does not end in reasonable time.
 */
export function countedLoop(
  scope: Scope,
  node: OnnxNode,
  name: string,
  inputs: readonly (Entity | null)[],
  importGraph: ImportGraph,
): { readonly node: OnnxNode; readonly inputs: readonly (Entity | null)[] } | undefined {
  const [body] = graphsOf(node);
  if (body === undefined) return undefined;
  const [trips = null, start = null, ...carried] = inputs;
  const first = start === null ? 1 : numberOf(scope, start);
  const [number, given] = body.inputs;
  if (first === undefined || number === undefined || given === undefined) return undefined;
  if (body.inputs.length !== FIRST_CARRIED + carried.length) return undefined;
  if (trips !== null && !isTensor(trips)) return undefined;
  // What is known of the number of iterations; data may say that there are fewer.
  const known = trips === null ? undefined : numberOf(scope, trips);
  const most = known ?? Infinity;
  const count = first === 0 ? 0 : countOf(scope, node, name, body, inputs, most, importGraph);
  if (count === undefined) return undefined;
  const [again, ...results] = body.outputs;
  if (again === undefined) return undefined;
  // The condition that an iteration is given is true, or it would not run.
  const endless = { ...body, outputs: [{ ...again, name: given.name }, ...results] };
  return {
    node: {
      ...node,
      attributes: node.attributes.map((attribute) =>
        attribute.kind === 'graph' && attribute.value === body
          ? { ...attribute, value: endless }
          : attribute,
      ),
    },
    inputs: [limitOf(scope, trips, known, count), null, ...carried],
  };
}

const isTrue = (value: Value): boolean =>
  value.constant !== undefined && constantTensor(value).data[0] === 1;

/** The number of iterations as a value: at most what the loop is given. */
function limitOf(
  { builder }: Scope,
  trips: Entity | null,
  known: number | undefined,
  count: number,
): ValueId {
  if (trips === null || known !== undefined || !isTensor(trips))
    return builder.scalar(count, 'i64');
  const { dtype, shape } = builder.typeOf(trips);
  return builder.op('Min', [trips, builder.filled(dtype, shape, count)]);
}

/** A constant of one element. */
function numberOf({ builder }: Scope, entity: Entity): number | undefined {
  if (!isTensor(entity)) return undefined;
  const value = builder.graph.value(entity);
  if (value.constant === undefined || elementCount(value.type.shape) !== 1) return undefined;
  return toNumbers(constantTensor(value))[0];
}

/** How many iterations the condition allows, `most` at most; undefined: data decides, or too many. */
function countOf(
  scope: Scope,
  node: OnnxNode,
  name: string,
  body: OnnxGraph,
  inputs: readonly (Entity | null)[],
  most: number,
  importGraph: ImportGraph,
): number | undefined {
  if (!mayCount(scope, body, inputs)) return undefined;
  const { nodes, carried } = decisive(body);
  const begins = carried.map((k) => inputs[FIRST_CARRIED + k]);
  const tensors = begins.flatMap((entity) => (entity != null && isTensor(entity) ? [entity] : []));
  if (tensors.length !== begins.length) return undefined;
  const places = carried.map((k) => FIRST_CARRIED + k);
  const part: OnnxGraph = {
    ...body,
    nodes,
    inputs: [0, 1, ...places].map((place) => at(body.inputs, place)),
    outputs: [0, ...carried.map((k) => k + 1)].map((place) => at(body.outputs, place)),
  };
  try {
    return countPart(scope, node, name, part, [null, null, ...tensors], most, importGraph);
  } catch {
    // Whatever is wrong with the body, importing all of it says so.
    return undefined;
  }
}

/** Is the condition made of constants, shapes and counters, as far as names say? */
function mayCount(scope: Scope, body: OnnxGraph, inputs: readonly (Entity | null)[]): boolean {
  const isConstant = (entity: Entity | null | undefined): boolean =>
    entity != null && isTensor(entity) && scope.builder.graph.value(entity).constant !== undefined;
  const stored = initializersOf(body);
  const counters = new Set(inputs.flatMap((entity, i) => (isConstant(entity) ? [i] : [])));
  counters.add(0).add(1);
  for (;;) {
    const own = new Map(body.inputs.map(({ name }, i) => [name, counters.has(i)]));
    const isKnown = (name: string): boolean =>
      name === '' || (own.get(name) ?? (stored.has(name) || isConstant(lookUp(scope, name))));
    for (const node of body.nodes) {
      const free = graphsOf(node).flatMap((graph) => [...freeNames(graph)]);
      const isShape = node.domain === '' && (node.op === 'Shape' || node.op === 'Size');
      const is = isShape || [...node.inputs, ...free].every(isKnown);
      for (const output of node.outputs) own.set(output, is);
    }
    const lost = [...counters].filter((i) => {
      const after = body.outputs[i - FIRST_CARRIED + 1];
      return i >= FIRST_CARRIED && after !== undefined && !isKnown(after.name);
    });
    if (lost.length === 0) return isKnown(at(body.outputs, 0).name);
    for (const i of lost) counters.delete(i);
  }
}

/** The nodes of a body that its condition depends on, and the carried values among what they read. */
function decisive(body: OnnxGraph): {
  readonly nodes: readonly OnnxNode[];
  readonly carried: readonly number[];
} {
  const wanted = new Set([at(body.outputs, 0).name]);
  const chosen = new Set<OnnxNode>();
  const carried = new Set<number>();
  for (let before = -1; before < chosen.size + carried.size; ) {
    before = chosen.size + carried.size;
    body.inputs.forEach((info, i) => {
      const after = body.outputs[i - FIRST_CARRIED + 1];
      if (i < FIRST_CARRIED || !wanted.has(info.name) || after === undefined) return;
      carried.add(i - FIRST_CARRIED);
      wanted.add(after.name);
    });
    for (const node of [...body.nodes].reverse()) {
      if (!node.outputs.some((output) => output !== '' && wanted.has(output))) continue;
      chosen.add(node);
      for (const input of node.inputs) wanted.add(input);
      for (const graph of graphsOf(node)) for (const free of freeNames(graph)) wanted.add(free);
    }
  }
  return {
    nodes: body.nodes.filter((node) => chosen.has(node)),
    carried: [...carried].sort((a, b) => a - b),
  };
}

/** Imports the part of a body that decides, and computes it; undefined where data is in it. */
function countPart(
  scope: Scope,
  node: OnnxNode,
  name: string,
  part: OnnxGraph,
  inputs: readonly (ValueId | null)[],
  most: number,
  importGraph: ImportGraph,
): number | undefined {
  const { state, builder } = scope;
  // Nothing that is only computed here is noted, named or bounded.
  const apart = { ...state, notes: [], nodeNames: new Set<string>(), bounds: new Bounds() };
  const parts: Part[] = [];
  const own = { ...node, attributes: [{ name: 'body', kind: 'graph', value: part } as const] };
  importSubgraphs({ ...scope, state: apart }, own, name, inputs, importGraph, {
    onPart: (found) => parts.push(found),
  });
  const [found] = parts;
  const ids = found?.outputs.flatMap((entity) => (isTensor(entity) ? [entity] : [])) ?? [];
  const [again, ...next] = ids;
  if (found === undefined || again === undefined || ids.length !== found.outputs.length)
    return undefined;
  const { graph } = found.builder;
  const { inputs: formal } = graph.finish(ids);
  const [number, given] = formal;
  if (number === undefined || given === undefined) return undefined;
  // It goes on anyway: so are loops with a fixed number of iterations written.
  if (again === given || isTrue(graph.value(again))) return undefined;
  const carried = next.map((after, k) => {
    const before = builder.graph.value(inputs[FIRST_CARRIED + k] as ValueId);
    return { before, after, id: at(formal, FIRST_CARRIED + k) };
  });
  // What was found of shapes holds in every iteration only if none changes.
  if (!carried.every(({ before, after }) => isLike(before.type, graph.value(after).type)))
    return undefined;
  const counter = { graph, number, given, again, carried };
  return iterationsOf(counter, most, state.registry, state.folding);
}
