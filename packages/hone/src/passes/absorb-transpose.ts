/**
 * Moves transposes towards the outputs until they meet their inverse and vanish. Models exported
 * from NHWC frameworks transpose around every convolution; between them are element-wise
 * operators, Concat, Pad, Resize, reductions and reshapes, all of which let a transpose pass.
 *
 * A Pad in front of a transpose is moved behind it, where the convolution or pool that follows can
 * absorb it. The result
 * is taken only when fewer elements are transposed than before, or as many by no more transposes
 * (then activations stand next to the convolution that can fuse them). Requires constant axes, pads and scales.
 */
import { elementCount, toNumbers } from 'hone-runtime/base/tensor';
import type { Graph, Node, ValueId } from '../graph/types.ts';
import { consumers, valueById } from '../graph/walk.ts';
import { fullPads } from './absorb-pad.ts';
import { type Pass, type PassContext, type Rebuild, rebuildGraph } from './pass.ts';
import { composed, isIdentity, isReshape, permuted } from './permute.ts';
import { pushTranspose } from './push-transpose.ts';
import { permOf } from './simplify-nodes.ts';
import type { View } from './transposed-operands.ts';

export const absorbTranspose: Pass = { name: 'absorb-transpose', run };

/** One walk may bring a Pad to a transpose that passes another one only on the next. */
const MAX_ROUNDS = 8;

function run(graph: Graph, ctx: PassContext): Graph {
  let current = graph;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const next = once(current, ctx);
    if (next === current) break;
    current = next;
  }
  return current;
}

function once(graph: Graph, ctx: PassContext): Graph {
  let best = graph;
  // Once also stopping where a result is larger than its input: a transpose is cheaper before it.
  for (const maxGrowth of [Number.POSITIVE_INFINITY, 1]) {
    const pushed = pushAll(graph, ctx, maxGrowth);
    const [after, before] = [transposeCost(pushed), transposeCost(best)];
    const fewer = after.elements < before.elements;
    const even = after.elements === before.elements && after.count <= before.count;
    if (fewer || (even && best === graph)) best = pushed;
  }
  return best;
}

function pushAll(graph: Graph, ctx: PassContext, maxGrowth: number): Graph {
  const views = new Map<ValueId, View>();
  const readers = consumers(graph);
  const feedsWindow = (node: Node): boolean =>
    node.outputs.some((id) => readers.get(id)?.some(({ op }) => WINDOWS.has(op)) ?? false);
  return rebuildGraph(graph, ctx, (node, r) => {
    if (node.op === 'Transpose' && node.domain === '') {
      visitTranspose(node, r, views, feedsWindow(node));
    } else if (growth(graph, node) > maxGrowth || (node.op === 'Pad' && feedsWindow(node))) {
      r.keep(node);
    } else visitOther(node, r, views);
  });
}

/** What can absorb a Pad: between it and the Pad no transpose must come to stand. */
const WINDOWS: ReadonlySet<string> = new Set(['Conv', 'MaxPool', 'AveragePool']);

/** How much larger the results of a node are than the largest of its inputs. */
function growth(graph: Graph, node: Node): number {
  const sizeOf = (id: ValueId | null): number =>
    id === null ? 0 : elementCount(valueById(graph, id).type.shape);
  const largest = Math.max(1, ...node.inputs.map(sizeOf));
  // A concatenation is as large as its inputs together.
  const from =
    node.op === 'Concat' ? node.inputs.reduce<number>((n, id) => n + sizeOf(id), 0) : largest;
  return Math.max(0, ...node.outputs.map(sizeOf)) / Math.max(1, from);
}

/** What transposes cost: the elements they move, and their number. */
function transposeCost(graph: Graph): { readonly elements: number; readonly count: number } {
  let elements = 0;
  let count = 0;
  for (const node of graph.nodes) {
    const [input] = node.inputs;
    if (node.op !== 'Transpose' || input === null || input === undefined) continue;
    const { type, constant } = valueById(graph, input);
    if (constant !== undefined || isReshape(type.shape, permOf(node, type.shape.length))) continue;
    elements += elementCount(type.shape);
    count++;
  }
  return { elements, count };
}

function visitTranspose(
  node: Node,
  r: Rebuild,
  views: Map<ValueId, View>,
  feedsWindow: boolean,
): void {
  const [data] = node.inputs;
  if (data === null || data === undefined) {
    r.keep(node);
    return;
  }
  const value = r.map(data);
  const perm = permOf(node, valueById(r.old, data).type.shape.length);
  const before = views.get(value);
  const moved = before === undefined && feedsWindow ? padBehind(node, r, perm) : undefined;
  if (moved !== undefined) {
    r.replace(node, [moved]);
  } else if (before === undefined) {
    r.keep(node);
    views.set(r.map(node.outputs[0] ?? -1), { base: value, perm });
  } else {
    const view = { base: before.base, perm: composed(before.perm, perm) };
    r.replace(node, [stand(node, r, view, views)]);
  }
}

function visitOther(node: Node, r: Rebuild, views: Map<ValueId, View>): void {
  const pushed = pushTranspose(node, r, views);
  if (pushed === undefined) r.keep(node);
  else
    r.replace(
      node,
      pushed.map((view) => stand(node, r, view, views)),
    );
}

/** The value of a view: its base where nothing is permuted, else a transpose that may die later. */
function stand(node: Node, r: Rebuild, view: View, views: Map<ValueId, View>): ValueId {
  if (isIdentity(view.perm) && r.canStandFor(node, view.base)) return view.base;
  const made = r.b.op('Transpose', [view.base], { perm: view.perm });
  if (!isIdentity(view.perm)) views.set(made, view);
  return made;
}

/** Transpose(Pad(x)) as Pad(Transpose(x)), when nobody else reads the Pad. */
function padBehind(node: Node, r: Rebuild, perm: readonly number[]): ValueId | undefined {
  const [data] = node.inputs;
  if (data === null || data === undefined || r.uses(data) !== 1) return undefined;
  const pad = r.producer(r.map(data));
  const [source, amounts, value] = pad?.inputs ?? [];
  if (pad?.op !== 'Pad' || pad.domain !== '' || source === null || source === undefined) {
    return undefined;
  }
  const tensor = r.constant(amounts);
  const rank = perm.length;
  const full = tensor && fullPads(r, pad, [...toNumbers(tensor)], rank);
  if (full === undefined) return undefined;
  const pads = [...permuted(full.slice(0, rank), perm), ...permuted(full.slice(rank), perm)];
  const inner = r.b.op('Transpose', [source], { perm });
  const inputs = [inner, r.b.ints(pads), ...(value === null || value === undefined ? [] : [value])];
  return r.b.op('Pad', inputs, pad.attrs);
}
