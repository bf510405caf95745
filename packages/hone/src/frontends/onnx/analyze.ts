/** Which operators a model uses, and which of them Hone has. */
import { reasonOf } from '../../ops/absent.ts';
import { type Registry, standardRegistry } from '../../ops/registry.ts';
import { isMapOp } from './map-ops.ts';
import { SEQUENCE_OPS } from './sequence-ops.ts';
import type { OnnxFunction, OnnxGraph, OnnxModel, OnnxNode } from './types.ts';

/**
 * How an operator is taken: by its record (core, composite, host), as one of the model's own
 * functions, by the importer itself, or not at all.
 */
export type Support = 'core' | 'composite' | 'planned' | 'host' | 'function' | 'importer' | 'none';

export interface OperatorUse {
  readonly op: string;
  readonly domain: string;
  readonly support: Support;
  /** Names of the nodes, as errors and reports call them. */
  readonly nodes: readonly string[];
  /** Why it is unsupported, or why only the interpreter runs it. */
  readonly reason?: string;
}

export interface OnnxAnalysis {
  /** In order of first use; sub-graphs and used functions included. */
  readonly operators: readonly OperatorUse[];
  readonly unsupported: readonly OperatorUse[];
  readonly nodeCount: number;
}

/** Operators the importer resolves itself, whatever the registry has. */
const IMPORTER_OPS: ReadonlySet<string> = new Set([
  'Constant',
  'Identity',
  'Dropout',
  'Shape',
  'Size',
  ...SEQUENCE_OPS,
]);

/** Lists a model's operators without throwing. */
export function analyzeOnnx(model: OnnxModel, registry: Registry = standardRegistry): OnnxAnalysis {
  return collectOperators(model, model.graph, registry, true);
}

/** `branches`: also the branches of `If`, which may turn out never to be taken. */
export function collectOperators(
  model: OnnxModel,
  graph: Pick<OnnxGraph, 'nodes'>,
  registry: Registry,
  branches: boolean,
): OnnxAnalysis {
  const functions = functionTable(model);
  const uses = new Map<string, OperatorUse & { readonly nodes: string[] }>();
  const entered = new Set<OnnxFunction>();
  let nodeCount = 0;
  const walk = (nodes: readonly OnnxNode[]): void => {
    nodes.forEach((node, index) => {
      nodeCount++;
      const key = `${node.domain}:${node.op}`;
      const called = functions.get(functionKey(node));
      const use = uses.get(key) ?? { ...describe(node, called, registry), nodes: [] };
      uses.set(key, use);
      use.nodes.push(nodeName(node, index));
      if (called !== undefined && !entered.has(called)) {
        entered.add(called);
        walk(called.nodes);
      }
      if (node.op === 'If' && !branches) return;
      for (const inner of graphsOf(node)) walk(inner.nodes);
    });
  };
  walk(graph.nodes);
  const operators = [...uses.values()];
  return {
    operators,
    unsupported: operators.filter(
      (use) => use.support === 'none' && (branches || use.op !== 'If' || use.domain !== ''),
    ),
    nodeCount,
  };
}

function describe(
  node: OnnxNode,
  called: OnnxFunction | undefined,
  registry: Registry,
): { op: string; domain: string; support: Support; reason?: string } {
  const { op, domain } = node;
  if (called !== undefined) return { op, domain, support: 'function' };
  const def = registry.find(op, domain);
  if (def !== undefined) {
    if (def.kind === 'host' && def.isPlanned) return { op, domain, support: 'planned' };
    const reason = def.kind === 'host' ? { reason: def.reason } : {};
    const support = def.kind === 'control' ? 'core' : def.kind;
    return { op, domain, support, ...reason };
  }
  if (isMapOp(node) || (domain === '' && IMPORTER_OPS.has(op)))
    return { op, domain, support: 'importer' };
  const isKnownDomain = domain === '' || registry.all().some((known) => known.domain === domain);
  const reason =
    reasonOf(op, domain) ??
    (isKnownDomain ? 'not an operator Hone has' : `no operators of domain ${domain}`);
  return { op, domain, support: 'none', reason };
}

/** The name of a node; nodes without one are called by operator and position. */
export function nodeName(node: OnnxNode, index: number): string {
  return node.name === '' ? `${node.op}_${index}` : node.name;
}

export function graphsOf(node: OnnxNode): readonly OnnxGraph[] {
  return node.attributes.flatMap((attribute) => {
    if (attribute.kind === 'graph') return [attribute.value];
    return attribute.kind === 'graphs' ? attribute.value : [];
  });
}

export function functionKey(node: Pick<OnnxNode, 'domain' | 'op' | 'overload'>): string {
  return `${node.domain}:${node.op}:${node.overload}`;
}

/** The model's functions by `functionKey`. */
export function functionTable(model: OnnxModel): ReadonlyMap<string, OnnxFunction> {
  return new Map(
    model.functions.map((fn) => [
      functionKey({ domain: fn.domain, op: fn.name, overload: fn.overload }),
      fn,
    ]),
  );
}
