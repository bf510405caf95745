/**
 * What a precision search decides about: groups of contractions that read the same value, so that one
 * quantised form of it serves them all; what one node of the model became, as the steps of an LSTM,
 * has one name and is one group. And the plan that decisions come to.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { fuseGraph } from '../../fusion/index.ts';
import type { Graph } from '../../graph/types.ts';
import { valueById } from '../../graph/walk.ts';
import type { Registry } from '../../ops/registry.ts';
import { autocastPlan } from '../../passes/autocast.ts';
import type {
  ContractionPrecision,
  PrecisionPlan,
  ValuePrecision,
} from '../../passes/precision-plan.ts';
import { type Int8Scope, int8Scope } from '../calibrate/int8-plan.ts';

export type GroupPrecision = 'f32' | 'bf16' | 'int8';

export interface LayerGroup {
  /** Names of its contractions, each once. */
  readonly nodes: readonly string[];
  /** Names of the values they read. */
  readonly values: readonly string[];
}

/** Groups in order of the graph. */
export function layerGroups(graph: Graph, scope: Int8Scope): readonly LayerGroup[] {
  const names = new Set(scope.contractions);
  const groups = new Set<{ readonly nodes: Set<string>; readonly values: Set<string> }>();
  for (const { name, inputs } of graph.nodes) {
    const [data] = inputs;
    if (!names.has(name) || data === null || data === undefined) continue;
    const value = valueById(graph, data).name;
    const [first, second] = [...groups].filter(
      ({ nodes, values }) => nodes.has(name) || values.has(value),
    );
    if (first === undefined) {
      groups.add({ nodes: new Set([name]), values: new Set([value]) });
      continue;
    }
    first.nodes.add(name);
    first.values.add(value);
    if (second === undefined) continue;
    for (const other of second.nodes) first.nodes.add(other);
    for (const other of second.values) first.values.add(other);
    groups.delete(second);
  }
  return [...groups].map(({ nodes, values }) => ({ nodes: [...nodes], values: [...values] }));
}

/** The plan of one precision per group; `full` is the int8 plan of all of them. */
export function planOf(
  graph: Graph,
  registry: Registry,
  full: PrecisionPlan,
  groups: readonly LayerGroup[],
  decisions: readonly GroupPrecision[],
): PrecisionPlan {
  const values = new Map<string, ValuePrecision>();
  const contractions = new Map<string, ContractionPrecision>();
  groups.forEach((group, i) => {
    for (const name of group.nodes) contractions.set(name, at(decisions, i));
  });
  const narrow = [...contractions].filter(([, kind]) => kind === 'int8').map(([name]) => name);
  const scope = int8Scope(graph, registry, new Set(narrow));
  for (const id of scope.values) {
    const { name } = valueById(graph, id);
    const kept = full.values.get(name);
    if (kept !== undefined) values.set(name, kept);
  }
  if (decisions.includes('bf16')) {
    const half = autocastPlan(graph, fuseGraph(graph, { registry }), 'bf16', 'all');
    groups.forEach((group, i) => {
      if (at(decisions, i) !== 'bf16') return;
      for (const name of group.values) {
        const kept = half.values.get(name);
        if (kept !== undefined && !values.has(name)) values.set(name, kept);
      }
    });
  }
  return { values, contractions, weightBits: full.weightBits };
}
