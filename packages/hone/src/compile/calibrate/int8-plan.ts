/**
 * Which contractions of a graph become int8 and which values are kept in 8 bits for them, and from
 * histograms the scales: the PrecisionPlan of a calibration.
 *
 * A contraction becomes int8 when its weights are constants. In 8 bits are kept: what such a
 * contraction multiplies, and, going back from there, what pooling, additions, concatenations and
 * other element-wise operators make it of. The results behind the last contraction (what a softmax
 * reads, say) stay f32: nothing is won there, and answers would be rounded.
 */
import { fail } from 'hone-runtime/base/diagnostics';
import { fuseGraph } from '../../fusion/index.ts';
import type { Graph, Node, ValueId } from '../../graph/types.ts';
import { consumers, producers } from '../../graph/walk.ts';
import type { Registry } from '../../ops/registry.ts';
import {
  CONTRACTIONS,
  type PrecisionPlan,
  type ValuePrecision,
} from '../../passes/precision-plan.ts';
import { type Calibrator, quantizationOf, rangeOf } from './calibrators.ts';
import type { Histogram } from './histogram.ts';

/** What int8 will touch, before anything is known of values. */
export interface Int8Scope {
  /** Names of nodes. */
  readonly contractions: readonly string[];
  /** Values to be kept in 8 bits, in order of the graph. */
  readonly values: readonly ValueId[];
  /** Value → another one whose scale it shares, because an operator only picks elements of it. */
  readonly shared: ReadonlyMap<ValueId, ValueId>;
}

/** Operators whose operands may be in 8 bits where their results are. */
const FOLLOWED: ReadonlySet<string> = new Set([
  'Add',
  'AveragePool',
  'Clip',
  'Concat',
  'Conv',
  'Flatten',
  'Gemm',
  'GlobalAveragePool',
  'MatMul',
  'MaxPool',
  'Relu',
  'Reshape',
  'Slice',
  'Squeeze',
  'Transpose',
  'Unsqueeze',
]);

/** Operators whose result has elements of their first operand only. */
const PICKING: ReadonlySet<string> = new Set([
  'Flatten',
  'MaxPool',
  'Reshape',
  'Slice',
  'Squeeze',
  'Transpose',
  'Unsqueeze',
]);

/** `only`: names of the contractions to be considered; default all. */
export function int8Scope(graph: Graph, registry: Registry, only?: ReadonlySet<string>): Int8Scope {
  const memory = valuesInMemory(graph, registry);
  const contractions = graph.nodes.filter(
    (node) => isNarrowable(node, graph) && (only?.has(node.name) ?? true),
  );
  const kept = new Set<ValueId>();
  for (const node of contractions) kept.add(node.inputs[0] as ValueId);
  const makers = producers(graph);
  // What a kept value is made of, through everything that is fused on the way.
  const pending = [...kept];
  const seen = new Set<ValueId>(pending);
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    const node = makers.get(id);
    if (node === undefined || !FOLLOWED.has(node.op) || node.domain !== '') continue;
    const operands = CONTRACTIONS.has(node.op) ? [] : node.inputs;
    for (const input of operands) {
      const value = input === null ? undefined : graph.values[input];
      if (value === undefined || value.constant !== undefined || seen.has(value.id)) continue;
      seen.add(value.id);
      pending.push(value.id);
      if (value.type.dtype === 'f32' && memory.has(value.name)) kept.add(value.id);
    }
  }
  for (const id of [...kept]) {
    if (graph.values[id]?.type.dtype !== 'f32') kept.delete(id);
  }
  const values = graph.values.filter(({ id }) => kept.has(id)).map(({ id }) => id);
  return {
    contractions: contractions.map((node) => node.name),
    values,
    shared: sharedScales(graph, kept),
  };
}

function isNarrowable(node: Node, graph: Graph): boolean {
  if (node.domain !== '' || !CONTRACTIONS.has(node.op)) return false;
  const [data, weights] = node.inputs.map((id) => (id === null ? undefined : graph.values[id]));
  if (data === undefined || weights === undefined) return false;
  if (data.type.dtype !== 'f32' || weights.type.dtype !== 'f32') return false;
  return data.constant === undefined && weights.constant !== undefined;
}

/** Values that a compiled model really keeps: the others are computed where they are read. */
function valuesInMemory(graph: Graph, registry: Registry): ReadonlySet<string> {
  const { buffers } = fuseGraph(graph, { registry });
  return new Set(buffers.filter(({ role }) => role !== 'constant').map(({ name }) => name));
}

function sharedScales(graph: Graph, kept: ReadonlySet<ValueId>): ReadonlyMap<ValueId, ValueId> {
  const shared = new Map<ValueId, ValueId>();
  const readers = consumers(graph);
  for (const node of graph.nodes) {
    const [from] = node.inputs;
    const [to] = node.outputs;
    if (!PICKING.has(node.op) || from === null || from === undefined || to === undefined) continue;
    if (kept.has(from) && kept.has(to) && (readers.get(from) ?? []).length > 0) {
      shared.set(to, shared.get(from) ?? from);
    }
  }
  return shared;
}

/** The plan of ranges chosen by a calibrator; throws where a value has none. */
export function int8Plan(
  graph: Graph,
  scope: Int8Scope,
  histograms: ReadonlyMap<ValueId, Histogram>,
  calibrator: Calibrator,
  weightBits: 8 | 7,
): PrecisionPlan {
  const values = new Map<string, ValuePrecision>();
  for (const id of scope.values) {
    const { name } = graph.values[id] ?? { name: `${id}` };
    const histogram = histograms.get(scope.shared.get(id) ?? id);
    if (histogram === undefined) fail('HONE-INTERNAL-001', `${name} was not observed`, name);
    checkSpread(histogram, name);
    const { scale, zeroPoint } = quantizationOf(rangeOf(histogram, calibrator));
    values.set(name, { kind: 'u8', scale, zeroPoint });
  }
  return {
    values,
    contractions: new Map(scope.contractions.map((name) => [name, 'int8'])),
    weightBits,
  };
}

const LEAST_SPREAD = 1e-30;

/** Does anything tell the range of the value? */
export function hasSpread({ least, largest }: Histogram): boolean {
  return largest - least > 0 && Math.max(largest, -least) > LEAST_SPREAD;
}

function checkSpread(histogram: Histogram, name: string): void {
  const { least, notFinite } = histogram;
  if (notFinite > 0) {
    fail(
      'HONE-CALIBRATE-005',
      `value ${name} has ${notFinite} elements that are NaN or infinite on the samples`,
      name,
      'look at the samples and at how they are prepared (--image); compile with --precision fp32 if the model is meant to do that',
    );
  }
  if (hasSpread(histogram)) return;
  fail(
    'HONE-CALIBRATE-006',
    `value ${name} is ${least} everywhere on all samples: nothing tells its range`,
    name,
    'calibrate with real inputs, prepared as for a run (--image); check that they differ',
  );
}
