/**
 * Channels of a value that only depthwise convolutions read, brought to like ranges: the value is
 * multiplied by a power of two for each channel where it is made, which its maker's kernel does on the
 * way, and the weights of its readers take that back. A depthwise convolution has a scale of weights for
 * each channel, so nothing is lost there, and one 8-bit scale of the value serves all its channels.
 * Factors are powers of two: in f32 the results are the same bits, but near the ends of f32.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Graph, Node, Value, ValueId } from '../graph/types.ts';
import { constantTensor, consumers, producers, valueById } from '../graph/walk.ts';

/** By name of a value: for each channel the power of two that it is divided by. */
export type ChannelExponents = ReadonlyMap<string, readonly number[]>;

/** Values of four axes that nothing but depthwise convolutions among `contractions` reads. */
export function evenable(graph: Graph, contractions: readonly string[]): readonly ValueId[] {
  const named = new Set(contractions);
  const makers = producers(graph);
  const readers = consumers(graph);
  return graph.values.flatMap(({ id, type, constant }) => {
    if (constant !== undefined || type.dtype !== 'f32' || type.shape.length !== 4) return [];
    if (!makers.has(id) || graph.outputs.includes(id)) return [];
    const all = readers.get(id) ?? [];
    const fits = all.every((node) => named.has(node.name) && isDepthwise(graph, node, id));
    return all.length > 0 && fits ? [id] : [];
  });
}

function isDepthwise(graph: Graph, { op, domain, inputs, attrs }: Node, id: ValueId): boolean {
  const [data, weights] = inputs;
  if (op !== 'Conv' || domain !== '' || data !== id || weights == null) return false;
  if (inputs.indexOf(id, 1) >= 0) return false;
  const { constant, type } = valueById(graph, weights);
  return (
    constant !== undefined &&
    type.shape[1] === 1 &&
    Number(attrs['group'] ?? 1) === valueById(graph, id).type.shape[1]
  );
}

/** Factors stay within 2^±10. */
const MOST = 10;

/** The exponents for the largest magnitude of each channel; those of dead channels are 0. */
export function evenExponents(largest: ArrayLike<number>): readonly number[] {
  const wanted = Array.from(largest, Math.log2);
  const known = wanted.filter(Number.isFinite);
  const middle = known.reduce((sum, value) => sum + value, 0) / Math.max(1, known.length);
  return wanted.map((value) =>
    Number.isFinite(value) ? Math.min(MOST, Math.max(-MOST, Math.round(value - middle))) : 0,
  );
}

/** The graph with those channels divided, and multiplied again by the weights that read them. */
export function evenChannels(graph: Graph, exponents: ChannelExponents): Graph {
  const values: Value[] = [...graph.values];
  const add = (value: Omit<Value, 'id'>): ValueId => {
    values.push({ ...value, id: values.length });
    return values.length - 1;
  };
  const constant = (tensor: Tensor, name: string): ValueId =>
    add({
      name,
      type: { dtype: tensor.dtype, shape: tensor.shape },
      constant: { kind: 'inline', tensor },
    });
  const divided = new Map<ValueId, ValueId>();
  const nodes = graph.nodes.flatMap((node): Node[] => {
    const [data, weights, ...others] = node.inputs;
    const even = data == null ? undefined : divided.get(data);
    const powers = data == null ? undefined : exponents.get(valueById(graph, data).name);
    let current = node;
    if (even !== undefined && powers !== undefined && weights != null) {
      const scaled = multiplied(constantTensor(valueById(graph, weights)), powers);
      const inputs = [even, constant(scaled, `${node.name}/even weights`), ...others];
      current = { ...node, inputs };
    }
    const behind = node.outputs.flatMap((output): Node[] => {
      const { name, type } = valueById(graph, output);
      const own = exponents.get(name);
      if (own === undefined) return [];
      const factors = fromNumbers(
        'f32',
        [1, own.length, 1, 1],
        own.map((power) => 2 ** -power),
      );
      const made = add({ name: `${name}/even`, type });
      divided.set(output, made);
      const inputs = [output, constant(factors, `${name}/factors`)];
      const title = { op: 'Mul', domain: '', name: `${name}/even`, attrs: {} } as const;
      return [{ ...title, inputs, outputs: [made] }];
    });
    return [current, ...behind];
  });
  return { ...graph, values, nodes };
}

/** Weights [channels · multiplier, 1, …], each row times the factor of the channel it reads. */
function multiplied(tensor: Tensor, exponents: readonly number[]): Tensor {
  const row = elementCount(tensor.shape.slice(1));
  const perChannel = at(tensor.shape, 0) / exponents.length;
  const values = toNumbers(tensor).map(
    (value, i) => value * 2 ** at(exponents, Math.floor(Math.floor(i / row) / perChannel)),
  );
  return fromNumbers('f32', tensor.shape, values);
}
