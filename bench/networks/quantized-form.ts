/**
 * The int8 QDQ form of a network, as static quantisers write it: every operand and result of the
 * operators that have integer kernels is quantised and dequantised, weights are i8 with a scale for
 * each output channel, biases i32. `u8`: unsigned with a zero point, ONNX Runtime's default; `i8`:
 * signed and symmetric, as tools for TensorRT write it. Ranges are the least and largest on seeded random inputs.
 *
 * This is what an engine is given to run; it is no way to make a network accurate.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { seededRandom } from 'hone-runtime/base/random';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { calibrate, type Sample } from 'hone/compile/calibrate/run';
import type { Graph, Node, ValueId } from 'hone/graph/types';
import type { InputValues } from 'hone/bench/engine-protocol';
import { consumers, constantTensor, producers, valueById } from 'hone/graph/walk';
import { standardRegistry } from 'hone/ops/registry';
import { type Rebuild, rebuildGraph } from 'hone/passes/pass';
import { quantizeWeights } from 'hone/passes/quantize-weights';

/** Their result has the step of their operand. */
const MOVING: ReadonlySet<string> = new Set(['Flatten', 'MaxPool', 'Reshape', 'Transpose']);
const CONTRACTIONS: ReadonlySet<string> = new Set(['Conv', 'Gemm', 'MatMul']);
const QUANTIZED: ReadonlySet<string> = new Set([
  ...CONTRACTIONS,
  ...MOVING,
  'Add',
  'AveragePool',
  'Concat',
  'GlobalAveragePool',
]);
/** Quantisers leave these to the saturation of the step behind. */
const LIMITS: ReadonlySet<string> = new Set(['Relu', 'Clip']);

const SAMPLES = 4;

export type StoredType = 'u8' | 'i8';

interface Step {
  readonly dtype: StoredType;
  readonly scale: number;
  readonly zero: number;
}

/** Values that are quantised, each with the value whose step it has. */
function quantizedValues(graph: Graph): ReadonlyMap<ValueId, ValueId> {
  const readers = consumers(graph);
  const makers = producers(graph);
  const found = new Map<ValueId, ValueId>();
  const isReal = (id: ValueId): boolean => {
    const { type, constant } = valueById(graph, id);
    return type.dtype === 'f32' && constant === undefined;
  };
  const add = (id: ValueId): void => {
    if (!isReal(id) || found.has(id)) return;
    const maker = makers.get(id);
    const source = maker?.inputs[0];
    const moved = maker !== undefined && MOVING.has(maker.op) && source !== null;
    const shared = moved && source !== undefined ? found.get(source) : undefined;
    found.set(id, shared ?? id);
  };
  for (const node of graph.nodes) {
    if (!QUANTIZED.has(node.op) || node.domain !== '') continue;
    for (const id of node.inputs) if (id !== null) add(id);
    for (const id of node.outputs) {
      const [reader, ...others] = readers.get(id) ?? [];
      const limited = reader !== undefined && others.length === 0 && LIMITS.has(reader.op);
      add(limited ? at(reader.outputs, 0) : id);
    }
  }
  return found;
}

type Values = Readonly<Record<string, InputValues>>;

/** Floats are normal, or even in the range given; integers lie in their range, else are 0 or 1. */
function* samplesOf(graph: Graph, ranges: Values): Generator<Sample> {
  const random = seededRandom(5);
  for (let i = 0; i < SAMPLES; i++) {
    const inputs = graph.inputs.map((id) => {
      const { name, type } = valueById(graph, id);
      const { low = 0, high = 2 } = ranges[name] ?? {};
      const element = (): number => {
        if (type.dtype === 'f32' && ranges[name] === undefined) return random.normal();
        const value = low + random.next() * (high - low);
        return type.dtype === 'f32' ? value : Math.floor(value);
      };
      const values = Float64Array.from({ length: elementCount(type.shape) }, element);
      return [name, fromNumbers(type.dtype, type.shape, values)] as const;
    });
    yield { name: `random ${i}`, inputs: Object.fromEntries(inputs) };
  }
}

function stepOf(least: number, largest: number, dtype: StoredType): Step {
  const [low, high] = [Math.min(least, 0), Math.max(largest, 0)];
  if (dtype === 'i8') {
    return { dtype, scale: Math.fround(Math.max(-low, high) / 127 || 1), zero: 0 };
  }
  const scale = Math.fround((high - low) / 255 || 1);
  return { dtype, scale, zero: Math.min(255, Math.max(0, Math.round(-low / scale))) };
}

/** `ranges`: of inputs whose values mean something. */
export async function quantizedForm(
  graph: Graph,
  ranges: Values = {},
  dtype: StoredType = 'u8',
): Promise<Graph> {
  const values = quantizedValues(graph);
  const watched = [...new Set(values.values())];
  const { histograms } = await calibrate(graph, watched, samplesOf(graph, ranges));
  const steps = new Map<ValueId, Step>();
  for (const [id, source] of values) {
    const histogram = histograms.get(source);
    if (histogram !== undefined) steps.set(id, stepOf(histogram.least, histogram.largest, dtype));
  }
  const writer = new Writer(steps, dtype);
  return rebuildGraph(graph, { registry: standardRegistry }, (node, r) => writer.visit(node, r));
}

class Writer {
  readonly #dtype: StoredType;
  readonly #steps: ReadonlyMap<ValueId, Step>;
  /** Inputs of the graph, quantised when they are first read. */
  readonly #inputs = new Map<ValueId, ValueId>();
  readonly #constants = new Map<string, ValueId>();

  constructor(steps: ReadonlyMap<ValueId, Step>, dtype: StoredType) {
    this.#dtype = dtype;
    this.#steps = steps;
  }

  visit(node: Node, r: Rebuild): void {
    const inputs = node.inputs.map((id) => (id === null ? null : this.#read(id, r)));
    if (QUANTIZED.has(node.op) && node.domain === '') this.#quantizeConstants(node, inputs, r);
    const { name, domain, attrs } = node;
    const outputs = node.outputs.length;
    const made = r.b.ops(node.op, inputs, attrs, { name, domain, outputs });
    r.replace(
      node,
      made.map((id, i) => {
        const old = at(node.outputs, i);
        const step = this.#steps.get(old);
        return step === undefined ? id : pair(r, id, step, valueById(r.old, old).name);
      }),
    );
  }

  #read(id: ValueId, r: Rebuild): ValueId {
    const step = r.old.inputs.includes(id) ? this.#steps.get(id) : undefined;
    if (step === undefined) return r.map(id);
    const have = this.#inputs.get(id);
    if (have !== undefined) return have;
    const made = pair(r, r.map(id), step, valueById(r.old, id).name);
    this.#inputs.set(id, made);
    return made;
  }

  #quantizeConstants(node: Node, inputs: (ValueId | null)[], r: Rebuild): void {
    const isContraction = CONTRACTIONS.has(node.op);
    const [data, weights] = node.inputs;
    const step = data === null || data === undefined ? undefined : this.#steps.get(data);
    const constant = (id: ValueId | null | undefined): Tensor | undefined => {
      const value = id === null || id === undefined ? undefined : valueById(r.old, id);
      if (value?.constant === undefined || value.type.dtype !== 'f32') return undefined;
      return constantTensor(value);
    };
    if (!isContraction) {
      node.inputs.forEach((id, i) => {
        const tensor = constant(id);
        if (tensor !== undefined)
          inputs[i] = this.#once(`c${id}`, () =>
            quantizedTensor(r, tensor, node.name, this.#dtype),
          );
      });
      return;
    }
    const tensor = constant(weights);
    if (tensor === undefined || step === undefined) return;
    const axis = channelAxis(node, tensor.shape.length);
    const { weights: stored, scales } = quantizeWeights(tensor, axis, 127);
    const channels = elementCount(scales.shape);
    inputs[1] = this.#once(`w${weights}`, () =>
      r.b.op(
        'DequantizeLinear',
        [stored, scales, zerosOf('i8', channels)].map((t) => r.b.constant(t)),
        { axis },
        { name: `${node.name}/weights` },
      ),
    );
    const bias = constant(node.inputs[2]);
    if (bias === undefined) return;
    const products = toNumbers(scales).map((scale) => Math.fround(scale * step.scale));
    const whole = toNumbers(bias).map((value, c) => Math.round(value / (products[c] ?? 1)));
    const parameters = [
      fromNumbers('i32', bias.shape, whole),
      fromNumbers('f32', [channels], products),
      zerosOf('i32', channels),
    ];
    inputs[2] = r.b.op(
      'DequantizeLinear',
      parameters.map((t) => r.b.constant(t)),
      { axis: 0 },
      { name: `${node.name}/bias` },
    );
  }

  #once(key: string, make: () => ValueId): ValueId {
    const have = this.#constants.get(key);
    if (have !== undefined) return have;
    const made = make();
    this.#constants.set(key, made);
    return made;
  }
}

/** The axis of the weights that runs over output channels. */
function channelAxis(node: Node, rank: number): number {
  if (node.op === 'Conv') return 0;
  return node.op === 'Gemm' && node.attrs['transB'] === 1 ? 0 : rank - 1;
}

function zerosOf(dtype: 'i8' | 'i32', count: number): Tensor {
  return fromNumbers(dtype, [count], new Float64Array(count));
}

/** A value quantised and dequantised. */
function pair(r: Rebuild, id: ValueId, { dtype, scale, zero }: Step, name: string): ValueId {
  const parameters = [r.b.scalar(scale), r.b.constant(fromNumbers(dtype, [], [zero]))];
  // onnxruntime wants a name of its own for every node.
  const called = (suffix: string) => ({
    name: `${name}/${suffix}`,
    outputNames: [`${name}/${suffix}`],
  });
  const stored = r.b.op('QuantizeLinear', [id, ...parameters], {}, called(dtype));
  return r.b.op('DequantizeLinear', [stored, ...parameters], {}, called('f32'));
}

function quantizedTensor(r: Rebuild, tensor: Tensor, name: string, dtype: StoredType): ValueId {
  const values = toNumbers(tensor);
  const step = stepOf(
    values.reduce((a, b) => Math.min(a, b), 0),
    values.reduce((a, b) => Math.max(a, b), 0),
    dtype,
  );
  const [low, high] = dtype === 'u8' ? [0, 255] : [-128, 127];
  const stored = values.map((value) =>
    Math.min(high, Math.max(low, Math.round(value / step.scale) + step.zero)),
  );
  const inputs = [
    r.b.constant(fromNumbers(dtype, tensor.shape, stored)),
    r.b.scalar(step.scale),
    r.b.constant(fromNumbers(dtype, [], [step.zero])),
  ];
  return r.b.op('DequantizeLinear', inputs, {}, { name: `${name}/constant` });
}
