/**
 * Merges what is computed twice: nodes with the same operator, inputs and attributes, and equal
 * constants. Exporters repeat shape arithmetic and scalars at every use.
 *
 * Left alone: random operators, nodes with sub-graphs. Large constants are merged only when they
 * are the same bytes of one file, so that no weights are read here.
 */
import { elementCount } from 'hone-runtime/base/tensor';
import { printType, tensorDigest } from '../graph/tensor-text.ts';
import type { AttrValue, Graph, Node, Value, ValueId } from '../graph/types.ts';
import { constantTensor, valueById } from '../graph/walk.ts';
import { type Pass, type PassContext, type Rebuild, rebuildGraph } from './pass.ts';

const MAX_COMPARED = 16 * 1024;

export const eliminateCommon: Pass = { name: 'eliminate-common', run: mergeCommon };

function mergeCommon(graph: Graph, ctx: PassContext): Graph {
  const leaders = equalConstants(graph);
  const seen = new Map<string, readonly ValueId[]>();
  const lead = (node: Node): Node => {
    const inputs = node.inputs.map((id) => (id === null ? null : (leaders.get(id) ?? id)));
    return inputs.every((id, i) => id === node.inputs[i]) ? node : { ...node, inputs };
  };
  return rebuildGraph(graph, ctx, (node, r) => {
    const led = lead(node);
    const key = keyOf(led, r);
    const same = key === undefined ? undefined : seen.get(key);
    if (same?.every((id) => r.canStandFor(node, id))) {
      r.replace(node, same);
      return;
    }
    if (led === node) r.keep(node);
    else r.keepAs(node, led.inputs);
    if (key !== undefined && same === undefined) seen.set(key, node.outputs.map(r.map));
  });
}

/** For constants that equal an earlier one: that one. */
function equalConstants(graph: Graph): ReadonlyMap<ValueId, ValueId> {
  const first = new Map<string, ValueId>();
  const leaders = new Map<ValueId, ValueId>();
  const outputs = new Set(graph.outputs);
  for (const value of graph.values) {
    const key = constantKey(value);
    if (key === undefined || outputs.has(value.id)) continue;
    const leader = first.get(key);
    if (leader === undefined) first.set(key, value.id);
    else leaders.set(value.id, leader);
  }
  return leaders;
}

function constantKey(value: Value): string | undefined {
  const { constant, type } = value;
  if (constant === undefined) return undefined;
  const typeText = printType(type.dtype, type.shape);
  if (elementCount(type.shape) <= MAX_COMPARED) {
    return `${typeText} ${tensorDigest(constantTensor(value))}`;
  }
  return constant.kind === 'file'
    ? `${typeText} ${constant.offset} ${constant.source.name}`
    : undefined;
}

function keyOf(node: Node, r: Rebuild): string | undefined {
  if (node.outputs.length === 0 || RANDOM.test(node.op)) return undefined;
  const attrs: string[] = [];
  for (const [name, value] of Object.entries(node.attrs).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const text = attrKey(value);
    if (text === undefined) return undefined;
    attrs.push(`${name}=${text}`);
  }
  const inputs = node.inputs.map((id) => (id === null ? '_' : r.map(id)));
  const types = node.outputs.map((id) => {
    const { dtype, shape } = valueById(r.old, id).type;
    return printType(dtype, shape);
  });
  return JSON.stringify([node.domain, node.op, inputs, attrs, types]);
}

const RANDOM = /^(?:Random|Multinomial|Bernoulli|Dropout)/;

function attrKey(value: AttrValue): string | undefined {
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value);
  if (typeof value === 'string') return JSON.stringify(value);
  if (isPlainList(value)) return JSON.stringify(value.map(String));
  if (isTensor(value)) return tensorDigest(value);
  return undefined;
}

function isPlainList(value: AttrValue): value is readonly number[] | readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item !== 'object');
}

function isTensor(value: AttrValue): value is Extract<AttrValue, { dtype: unknown }> {
  return typeof value === 'object' && 'dtype' in value;
}
