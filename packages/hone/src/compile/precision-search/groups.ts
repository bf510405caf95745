/**
 * What a precision search decides about: groups of contractions that read the same value, so that one
 * quantised form of it serves them all. And the plan that decisions come to.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { fuseGraph } from '../../fusion/index.ts';
import type { Graph, ValueId } from '../../graph/types.ts';
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
  /** Names of its contractions. */
  readonly nodes: readonly string[];
  /** The value they read. */
  readonly value: ValueId;
  readonly valueName: string;
}

/** Groups in order of the graph. */
export function layerGroups(graph: Graph, scope: Int8Scope): readonly LayerGroup[] {
  const names = new Set(scope.contractions);
  const byValue = new Map<ValueId, string[]>();
  for (const node of graph.nodes) {
    const [data] = node.inputs;
    if (!names.has(node.name) || data === null || data === undefined) continue;
    const have = byValue.get(data);
    if (have === undefined) byValue.set(data, [node.name]);
    else if (!have.includes(node.name)) have.push(node.name);
  }
  return [...byValue].map(([value, nodes]) => ({
    nodes,
    value,
    valueName: valueById(graph, value).name,
  }));
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
    groups.forEach(({ valueName }, i) => {
      const kept = half.values.get(valueName);
      if (at(decisions, i) === 'bf16' && kept !== undefined && !values.has(valueName)) {
        values.set(valueName, kept);
      }
    });
  }
  return { values, contractions, weightBits: full.weightBits };
}
