/**
 * Bias correction: rounding weights shifts the mean of a convolution's result by what the rounding
 * errors weigh on the mean of its input; the bias takes that back, channel by channel.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import type { Graph, Node, Value, ValueId } from '../../graph/types.ts';
import { constantTensor, valueById } from '../../graph/walk.ts';
import type { PrecisionPlan } from '../../passes/precision-plan.ts';
import { quantizeWeights } from '../../passes/quantize-weights.ts';

/** What is added to the bias of a node, by its name: one number per output channel. */
export type BiasCorrections = ReadonlyMap<string, readonly number[]>;

/** int8 convolutions: their weights and input are known channel by channel. */
export function correctable(graph: Graph, contractions: readonly string[]): readonly Node[] {
  const names = new Set(contractions);
  return graph.nodes.filter(({ op, name, inputs }) => {
    const [data, weights] = inputs;
    if (op !== 'Conv' || !names.has(name)) return false;
    if (data === null || data === undefined || weights === null || weights === undefined)
      return false;
    return valueById(graph, weights).constant !== undefined;
  });
}

/** `means`: of each channel of the inputs of those nodes. */
export function biasCorrections(
  graph: Graph,
  nodes: readonly Node[],
  plan: PrecisionPlan,
  means: ReadonlyMap<ValueId, Float64Array>,
): BiasCorrections {
  const found = new Map<string, readonly number[]>();
  for (const node of nodes) {
    const [data, weights] = node.inputs as readonly [ValueId, ValueId];
    const channels = means.get(data);
    if (channels === undefined || plan.contractions.get(node.name) !== 'int8') continue;
    const tensor = constantTensor(valueById(graph, weights));
    const { weights: levels, scales } = quantizeWeights(
      tensor,
      0,
      plan.weightBits === 8 ? 127 : 63,
    );
    const [wide, narrow, steps] = [tensor, levels, scales].map((item) => toNumbers(item)) as [
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    const [outputs = 1, perGroup = 1] = tensor.shape;
    const window = elementCount(tensor.shape.slice(2));
    const groupOutputs = outputs / (channels.length / perGroup);
    const shift = Array.from({ length: outputs }, (_, output) => {
      const first = Math.floor(output / groupOutputs) * perGroup;
      let sum = 0;
      for (let c = 0; c < perGroup; c++) {
        const mean = channels[first + c] as number;
        for (let k = 0; k < window; k++) {
          const i = (output * perGroup + c) * window + k;
          const rounded = (narrow[i] as number) * (steps[output] as number);
          sum += ((wide[i] as number) - rounded) * mean;
        }
      }
      return Math.fround(sum);
    });
    found.set(node.name, shift);
  }
  return found;
}

/** The graph with corrected biases. */
export function correctBiases(graph: Graph, corrections: BiasCorrections): Graph {
  const values: Value[] = [...graph.values];
  const nodes = graph.nodes.map((node): Node => {
    const shift = node.op === 'Conv' ? corrections.get(node.name) : undefined;
    if (shift === undefined) return node;
    const [data = null, weights = null, bias = null] = node.inputs;
    const old = bias === null ? undefined : valueById(graph, bias);
    if (old !== undefined && old.constant === undefined) return node;
    const before = old === undefined ? shift.map(() => 0) : toNumbers(constantTensor(old));
    const sums = shift.map((value, i) => value + at([before[i] as number], 0));
    const tensor = fromNumbers('f32', [shift.length], sums);
    const id: ValueId = values.length;
    values.push({
      id,
      name: `${node.name}/bias`,
      type: { dtype: 'f32', shape: tensor.shape },
      constant: { kind: 'inline', tensor },
    });
    return { ...node, inputs: [data, weights, id] };
  });
  return { ...graph, values, nodes };
}
