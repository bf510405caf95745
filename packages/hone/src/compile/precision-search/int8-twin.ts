/**
 * The int8 twin of a contraction, written beside it in a graph that is taken apart to measure what int8
 * does: the same operator on operands that went through their quantised forms, in f32.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, Graph, Node, Value, ValueId, ValueType } from '../../graph/types.ts';
import { constantTensor, valueById } from '../../graph/walk.ts';
import { completeAttrs } from '../../ops/builder.ts';
import type { Registry } from '../../ops/registry.ts';
import { channelAxis } from '../../passes/apply-precision.ts';
import type { PrecisionPlan } from '../../passes/precision-plan.ts';
import { quantizeWeights } from '../../passes/quantize-weights.ts';

/** A graph's values and nodes, with more behind them. Node inputs are the caller's affair. */
export interface Appended {
  readonly values: Value[];
  readonly nodes: Node[];
  add(value: Omit<Value, 'id'>): ValueId;
  op(
    what: string,
    inputs: readonly (ValueId | null)[],
    attrs: Attrs,
    type: ValueType,
    name: string,
  ): ValueId;
}

/** `nodes`: those to begin with. */
export function appendTo(graph: Graph, nodes: readonly Node[], registry: Registry): Appended {
  const all: Appended = {
    values: [...graph.values],
    nodes: [...nodes],
    add(value) {
      all.values.push({ ...value, id: all.values.length });
      return all.values.length - 1;
    },
    op(what, inputs, attrs, type, name) {
      const output = all.add({ name, type });
      const def = registry.find(what, '');
      const complete = def === undefined ? attrs : completeAttrs(def, attrs, name);
      all.nodes.push({ op: what, domain: '', name, inputs, outputs: [output], attrs: complete });
      return output;
    },
  };
  return all;
}

/**
 * The result of the twin of `node`, or undefined where the plan has no int8 for its data or its weights are
 * not constant. `inputs`: what it reads instead of the node's own.
 */
export function int8Twin(
  to: Appended,
  graph: Graph,
  plan: PrecisionPlan,
  node: Node,
  inputs: readonly (ValueId | null)[],
  label: string,
): ValueId | undefined {
  const [source, weights] = node.inputs;
  const [data, , ...others] = inputs;
  const [result] = node.outputs;
  if (source == null || data == null || weights == null || result === undefined) return undefined;
  const { name, type } = valueById(graph, source);
  const kept = plan.values.get(name);
  const stored = valueById(graph, weights);
  if (kept?.kind !== 'u8' || stored.constant === undefined) return undefined;
  const constant = (tensor: Tensor, what: string): ValueId =>
    to.add({
      name: `${label}: ${what}`,
      type: { dtype: tensor.dtype, shape: tensor.shape },
      constant: { kind: 'inline', tensor },
    });
  const step = [
    constant(fromNumbers('f32', [], [kept.scale]), 'scale'),
    constant(fromNumbers('u8', [], [kept.zeroPoint]), 'zero'),
  ];
  const levels = { ...type, dtype: 'u8' as const };
  const narrow = to.op('QuantizeLinear', [data, ...step], {}, levels, `${label}: levels`);
  const rounded = to.op('DequantizeLinear', [narrow, ...step], {}, type, `${label}: data`);
  const coarse = constant(roundWeights(constantTensor(stored), node, plan.weightBits), 'weights');
  const operands = [rounded, coarse, ...others];
  return to.op(node.op, operands, node.attrs, valueById(graph, result).type, `${label}: y`);
}

/** Weights after their way through int8. */
function roundWeights(tensor: Tensor, node: Node, bits: 8 | 7): Tensor {
  const axis = channelAxis(node, tensor.shape.length);
  const { weights, scales } = quantizeWeights(tensor, axis, bits === 8 ? 127 : 63);
  const inner = tensor.shape.slice(axis + 1).reduce((product, extent) => product * extent, 1);
  const steps = toNumbers(scales);
  const channels = at(tensor.shape, axis);
  const values = toNumbers(weights).map(
    (level, i) => level * (steps[Math.floor(i / inner) % channels] as number),
  );
  return fromNumbers('f32', tensor.shape, values);
}
