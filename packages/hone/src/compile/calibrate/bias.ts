/**
 * Bias correction: rounding weights shifts the mean of a contraction's result by what the rounding
 * errors weigh on the mean of its input; the bias takes that back, channel by channel. Matrix products
 * without a bias get an addition behind them, which fusion takes into their epilogue.
 */
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Graph, Node, Value, ValueId } from '../../graph/types.ts';
import { constantTensor, valueById } from '../../graph/walk.ts';
import { channelAxis } from '../../passes/apply-precision.ts';
import type { PrecisionPlan } from '../../passes/precision-plan.ts';
import { quantizeWeights } from '../../passes/quantize-weights.ts';

/** What is added to the bias of a node, by its name: one number per output channel. */
export type BiasCorrections = ReadonlyMap<string, readonly number[]>;

/** A value and the axis of its channels, over which means are wanted. */
export interface Channels {
  readonly value: ValueId;
  readonly axis: number;
}

export interface Correctable {
  readonly node: Node;
  readonly channels: Channels;
}

/** int8 contractions whose weights and input are known channel by channel, of names of their own. */
export function correctable(graph: Graph, contractions: readonly string[]): readonly Correctable[] {
  const wanted = new Set(contractions);
  const uses = new Map<string, number>();
  for (const { name } of graph.nodes) uses.set(name, (uses.get(name) ?? 0) + 1);
  const axes = new Map<ValueId, number>();
  return graph.nodes.flatMap((node) => {
    const [value, weights] = node.inputs;
    if (!wanted.has(node.name) || uses.get(node.name) !== 1) return [];
    if (value === null || value === undefined || weights === null || weights === undefined)
      return [];
    if (valueById(graph, weights).constant === undefined || !takesShift(graph, node)) return [];
    const axis = node.op === 'Conv' ? 1 : valueById(graph, value).type.shape.length - 1;
    if ((axes.get(value) ?? axis) !== axis) return [];
    axes.set(value, axis);
    return [{ node, channels: { value, axis } }];
  });
}

/** Whether one number per output channel can be added to what the node computes. */
function takesShift(graph: Graph, { op, inputs, attrs }: Node): boolean {
  const [, weights, bias] = inputs.map((id) => (id === null ? undefined : valueById(graph, id)));
  const { shape = [] } = weights?.type ?? {};
  if (op === 'MatMul') return shape.length === 2;
  if (bias !== undefined && bias.constant === undefined) return false;
  if (op === 'Conv') return true;
  const channels = shape[attrs['transB'] === 1 ? 0 : 1];
  const whole = attrs['transA'] !== 1 && attrs['alpha'] === 1 && attrs['beta'] === 1;
  return whole && (bias === undefined || elementCount(bias.type.shape) === channels);
}

/** `means`: of each channel of the inputs of those nodes. */
export function biasCorrections(
  graph: Graph,
  nodes: readonly Correctable[],
  plan: PrecisionPlan,
  means: ReadonlyMap<ValueId, Float64Array>,
): BiasCorrections {
  const found = new Map<string, readonly number[]>();
  for (const { node, channels } of nodes) {
    const mean = means.get(channels.value);
    if (mean === undefined || plan.contractions.get(node.name) !== 'int8') continue;
    const tensor = constantTensor(valueById(graph, node.inputs[1] as ValueId));
    const axis = channelAxis(node, tensor.shape.length);
    const errors = roundingErrors(tensor, axis, plan.weightBits === 8 ? 127 : 63);
    const shift =
      node.op === 'Conv' ? ofWindows(tensor, errors, mean) : ofRows(tensor, axis, errors, mean);
    found.set(node.name, shift.map(Math.fround));
  }
  return found;
}

/** Weights less what they are after rounding. */
function roundingErrors(tensor: Tensor, axis: number, limit: number): Float64Array {
  const { weights, scales } = quantizeWeights(tensor, axis, limit);
  const [levels, steps] = [toNumbers(weights), toNumbers(scales)];
  const inner = elementCount(tensor.shape.slice(axis + 1));
  return toNumbers(tensor).map((value, i) => {
    const channel = Math.floor(i / inner) % steps.length;
    return value - (levels[i] as number) * (steps[channel] as number);
  });
}

function ofWindows({ shape }: Tensor, errors: Float64Array, mean: Float64Array): number[] {
  const [outputs = 1, perGroup = 1] = shape;
  const window = elementCount(shape.slice(2));
  const groupOutputs = outputs / (mean.length / perGroup);
  return Array.from({ length: outputs }, (_, output) => {
    const first = Math.floor(output / groupOutputs) * perGroup;
    let sum = 0;
    for (let c = 0; c < perGroup; c++) {
      for (let k = 0; k < window; k++) {
        const i = (output * perGroup + c) * window + k;
        sum += (errors[i] as number) * (mean[first + c] as number);
      }
    }
    return sum;
  });
}

/** Of a matrix whose output channels run along `axis`. */
function ofRows(
  { shape }: Tensor,
  axis: number,
  errors: Float64Array,
  mean: Float64Array,
): number[] {
  const [rows = 1, columns = 1] = shape;
  const sums = Array.from({ length: axis === 0 ? rows : columns }, () => 0);
  errors.forEach((error, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    const [output, channel] = axis === 0 ? [row, column] : [column, row];
    sums[output] = (sums[output] as number) + error * (mean[channel] as number);
  });
  return sums;
}

/** The graph with corrected biases. */
export function correctBiases(graph: Graph, corrections: BiasCorrections): Graph {
  const values: Value[] = [...graph.values];
  const add = (value: Omit<Value, 'id'>): ValueId => {
    values.push({ ...value, id: values.length });
    return values.length - 1;
  };
  const bias = (name: string, numbers: readonly number[]): ValueId => {
    const tensor = fromNumbers('f32', [numbers.length], numbers);
    const type = { dtype: 'f32', shape: tensor.shape } as const;
    return add({ name: `${name}/bias`, type, constant: { kind: 'inline', tensor } });
  };
  const nodes = graph.nodes.flatMap((node): Node[] => {
    const shift = corrections.get(node.name);
    if (shift === undefined) return [node];
    const { name, inputs, outputs } = node;
    const [result] = outputs;
    if (node.op === 'MatMul' && result !== undefined) {
      // The sum has the name that plans know the result by.
      const { type, name: known } = valueById(graph, result);
      const before = add({ name: `${known}/uncorrected`, type });
      const sum = { op: 'Add', domain: '', name: `${name}/correction`, attrs: {} } as const;
      return [
        { ...node, outputs: [before] },
        { ...sum, inputs: [before, bias(name, shift)], outputs: [result] },
      ];
    }
    const [data = null, weights = null, old = null] = inputs;
    const numbers =
      old === null ? shift.map(() => 0) : toNumbers(constantTensor(valueById(graph, old)));
    const sums = shift.map((value, i) => value + (numbers[i] as number));
    return [{ ...node, inputs: [data, weights, bias(name, sums)] }];
  });
  return { ...graph, values, nodes };
}
