/**
 * Cross-layer equalisation: where convolutions alone read what another makes, through ReLU and
 * pooling at most, its channels are brought to like ranges and the readers' weights take that back,
 * so that one 8-bit scale serves all channels. Factors are powers of two, so results are the same
 * bits as before, but for numbers near the ends of f32. Not among the standard passes: only int8
 * gains.
 *
 * Ranges are guessed from weights (Nagel et al., "Data-free quantization through weight equalization
 * and bias correction", 2019). Readers that are depthwise have a scale for each channel anyway and
 * take the whole factor; others share it with the weights, its square root.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Graph, Node, Value, ValueId } from '../graph/types.ts';
import { constantTensor, consumers, valueById } from '../graph/walk.ts';
import { compactGraph } from './compact.ts';
import type { Pass } from './pass.ts';

export const equalizeChannels: Pass = {
  name: 'equalize-channels',
  run(graph) {
    const readers = consumers(graph);
    const current = new Map<Node, Scaled>();
    let changed = false;
    for (const node of graph.nodes) {
      const maker = convolution(graph, node);
      const found = maker === undefined ? undefined : convolutionsBehind(graph, node, readers);
      if (maker === undefined || found === undefined || found.length === 0) continue;
      const targets = found.map((target) => current.get(target) ?? convolution(graph, target));
      if (!targets.every((target) => target !== undefined)) continue;
      const first = current.get(node) ?? maker;
      const exponents = factors(first, targets);
      if (exponents.every((exponent) => exponent === 0)) continue;
      changed = true;
      current.set(node, divideOutputs(first, exponents));
      targets.forEach((target, i) => {
        current.set(at(found, i), multiplyInputs(target, exponents));
      });
    }
    return changed ? withWeights(graph, current) : graph;
  },
};

/** Operators f with f(s · x) = s · f(x) for s > 0, channel by channel. */
const HOMOGENEOUS: ReadonlySet<string> = new Set([
  'AveragePool',
  'GlobalAveragePool',
  'GlobalMaxPool',
  'LeakyRelu',
  'MaxPool',
  'Relu',
]);

/** Weights and bias of a convolution, as numbers. */
interface Scaled {
  readonly weights: Float64Array;
  readonly shape: readonly number[];
  readonly bias: Float64Array | null;
  readonly group: number;
}

function convolution(graph: Graph, { op, domain, inputs, attrs }: Node): Scaled | undefined {
  const [data, weights, bias = null] = inputs;
  if (op !== 'Conv' || domain !== '' || data === null || data === undefined) return undefined;
  const tensor = constantOf(graph, weights);
  const added = constantOf(graph, bias);
  if (tensor?.dtype !== 'f32' || (bias !== null && added === undefined)) return undefined;
  return {
    weights: toNumbers(tensor),
    shape: tensor.shape,
    bias: added === undefined ? null : toNumbers(added),
    group: Number(attrs['group'] ?? 1),
  };
}

function constantOf(graph: Graph, id: ValueId | null | undefined): Tensor | undefined {
  if (id === null || id === undefined) return undefined;
  const value = valueById(graph, id);
  return value.constant === undefined ? undefined : constantTensor(value);
}

/** All that reads the result in the end; undefined where something else than convolutions does. */
function convolutionsBehind(
  graph: Graph,
  node: Node,
  readers: ReadonlyMap<ValueId, readonly Node[]>,
): readonly Node[] | undefined {
  const found = new Set<Node>();
  const pending = [...node.outputs];
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    if (graph.outputs.includes(id)) return undefined;
    for (const reader of readers.get(id) ?? []) {
      if (reader.domain !== '') return undefined;
      if (reader.op === 'Conv' && reader.inputs.indexOf(id) === 0) found.add(reader);
      else if (HOMOGENEOUS.has(reader.op) && reader.outputs.length === 1) {
        pending.push(at(reader.outputs, 0));
      } else return undefined;
    }
  }
  return [...found];
}

/** Factors stay within 2^±10. */
const MOST = 10;

/** Per channel of the first: the power of two that its result is divided by. */
function factors(first: Scaled, targets: readonly Scaled[]): readonly number[] {
  const channels = at(first.shape, 0);
  const own = rowRanges(first);
  const isDepthwise = targets.every(({ shape, group }) => group === channels && shape[1] === 1);
  const theirs = columnRanges(targets, channels);
  const wanted = own.map((range, c) => {
    const other = theirs[c] as number;
    if (range === 0 || other === 0) return Number.NaN;
    return isDepthwise ? Math.log2(range) : 0.5 * Math.log2(range / other);
  });
  const known = wanted.filter((value) => !Number.isNaN(value));
  const middle = known.reduce((sum, value) => sum + value, 0) / Math.max(1, known.length);
  return [...wanted].map((value) =>
    Number.isNaN(value) ? 0 : Math.min(MOST, Math.max(-MOST, Math.round(value - middle))),
  );
}

function rowRanges({ weights, shape }: Scaled): Float64Array {
  const ranges = new Float64Array(at(shape, 0));
  const size = elementCount(shape.slice(1));
  weights.forEach((value, i) => {
    const row = Math.floor(i / size);
    ranges[row] = Math.max(ranges[row] as number, Math.abs(value));
  });
  return ranges;
}

function columnRanges(targets: readonly Scaled[], channels: number): Float64Array {
  const ranges = new Float64Array(channels);
  for (const target of targets) {
    const channelOf = inputChannel(target);
    target.weights.forEach((value, i) => {
      const c = channelOf(i);
      ranges[c] = Math.max(ranges[c] as number, Math.abs(value));
    });
  }
  return ranges;
}

/** The input channel that a weight is multiplied with, by its position. */
function inputChannel({ shape, group }: Scaled): (position: number) => number {
  const [rows = 1, perGroup = 1] = shape;
  const window = elementCount(shape.slice(2));
  const groupRows = rows / group;
  return (position) => {
    const row = Math.floor(position / (perGroup * window));
    return Math.floor(row / groupRows) * perGroup + (Math.floor(position / window) % perGroup);
  };
}

function divideOutputs(conv: Scaled, exponents: readonly number[]): Scaled {
  const size = elementCount(conv.shape.slice(1));
  const factor = (c: number): number => 2 ** -at(exponents, c);
  return {
    ...conv,
    weights: conv.weights.map((value, i) => value * factor(Math.floor(i / size))),
    bias: conv.bias === null ? null : conv.bias.map((value, c) => value * factor(c)),
  };
}

function multiplyInputs(conv: Scaled, exponents: readonly number[]): Scaled {
  const channelOf = inputChannel(conv);
  const weights = conv.weights.map((value, i) => value * 2 ** at(exponents, channelOf(i)));
  return { ...conv, weights };
}

function withWeights(graph: Graph, scaled: ReadonlyMap<Node, Scaled>): Graph {
  const values: Value[] = [...graph.values];
  const constant = (numbers: Float64Array, shape: readonly number[], name: string): ValueId => {
    const tensor = fromNumbers('f32', shape, numbers);
    const id: ValueId = values.length;
    values.push({ id, name, type: { dtype: 'f32', shape }, constant: { kind: 'inline', tensor } });
    return id;
  };
  const nodes = graph.nodes.map((node): Node => {
    const conv = scaled.get(node);
    if (conv === undefined) return node;
    const weights = constant(conv.weights, conv.shape, `${node.name}/equal weights`);
    const bias =
      conv.bias === null
        ? null
        : constant(conv.bias, [conv.bias.length], `${node.name}/equal bias`);
    const [data = null] = node.inputs;
    return { ...node, inputs: bias === null ? [data, weights] : [data, weights, bias] };
  });
  return compactGraph({ ...graph, values, nodes }, new Map());
}
