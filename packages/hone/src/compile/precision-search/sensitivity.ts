/**
 * How much each contraction's own result suffers when it alone is int8: one compiled graph computes
 * each contraction twice from the same operands, wide and through their quantised forms, and gives
 * the squares of result and difference.
 */
import { load } from 'hone-runtime';
import { at } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import path from 'node:path';
import type { Attrs, Graph, Node, Value, ValueId, ValueType } from '../../graph/types.ts';
import { withOutputs } from '../../graph/extents.ts';
import { constantTensor, valueById } from '../../graph/walk.ts';
import { completeAttrs } from '../../ops/builder.ts';
import type { Registry } from '../../ops/registry.ts';
import { channelAxis } from '../../passes/apply-precision.ts';
import type { PrecisionPlan } from '../../passes/precision-plan.ts';
import { quantizeWeights } from '../../passes/quantize-weights.ts';
import { writeArtifact } from '../build-artifact.ts';
import type { Sample } from '../calibrate/run.ts';
import { compileBuiltGraph } from '../compile-graph.ts';
import type { LayerGroup } from './groups.ts';

/** Noise over signal (power) of every group; of several contractions the worst. */
export async function groupNoise(
  graph: Graph,
  registry: Registry,
  plan: PrecisionPlan,
  groups: readonly LayerGroup[],
  samples: readonly Sample[],
  folder: string,
): Promise<readonly number[]> {
  const names = new Set(groups.flatMap(({ nodes }) => nodes));
  const doubled = doubleContractions(graph, registry, plan, names);
  const model = await compileBuiltGraph(doubled.graph, { registry, fuse: false });
  const artifact = path.join(folder, 'sensitivity.hone');
  await writeArtifact(model, artifact);
  const session = load(artifact);
  const sums = new Map<string, { signal: number; noise: number }>();
  try {
    for (const { inputs } of samples) {
      const outputs = await session.run(inputs);
      const value = (name: string): number => toNumbers(outputs[name] as Tensor)[0] ?? 0;
      for (const { node, signal, noise } of doubled.outputs) {
        const sum = sums.get(node) ?? { signal: 0, noise: 0 };
        sum.signal += value(signal);
        sum.noise += value(noise);
        sums.set(node, sum);
      }
    }
  } finally {
    session.close();
  }
  return groups.map(({ nodes }) =>
    Math.max(
      ...nodes.map((name) => {
        const { signal, noise } = sums.get(name) ?? { signal: 1, noise: 0 };
        return noise / Math.max(signal, Number.MIN_VALUE);
      }),
    ),
  );
}

interface Doubled {
  readonly graph: Graph;
  readonly outputs: readonly {
    readonly node: string;
    readonly signal: string;
    readonly noise: string;
  }[];
}

function doubleContractions(
  graph: Graph,
  registry: Registry,
  plan: PrecisionPlan,
  names: ReadonlySet<string>,
): Doubled {
  const values: Value[] = [...graph.values];
  const nodes: Node[] = [...graph.nodes];
  const outputs: ValueId[] = [];
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
  const op = (
    what: string,
    inputs: readonly (ValueId | null)[],
    attrs: Attrs,
    type: ValueType,
    name: string,
  ): ValueId => {
    const output = add({ name, type });
    const def = registry.find(what, '');
    const all = def === undefined ? attrs : completeAttrs(def, attrs, name);
    nodes.push({ op: what, domain: '', name, inputs, outputs: [output], attrs: all });
    return output;
  };
  const listed = graph.nodes.flatMap((node, i) => {
    const [data, weights, ...others] = node.inputs;
    const [result] = node.outputs;
    if (!names.has(node.name) || data === null || data === undefined) return [];
    if (weights === null || weights === undefined || result === undefined) return [];
    const kept = plan.values.get(valueById(graph, data).name);
    if (kept?.kind !== 'u8' || valueById(graph, weights).constant === undefined) return [];
    const label = `int8 of ${i}`;
    const { type } = valueById(graph, data);
    const step = [
      constant(fromNumbers('f32', [], [kept.scale]), `${label}: scale`),
      constant(fromNumbers('u8', [], [kept.zeroPoint]), `${label}: zero`),
    ];
    const levels = { ...type, dtype: 'u8' as const };
    const narrow = op('QuantizeLinear', [data, ...step], {}, levels, `${label}: levels`);
    const rounded = op('DequantizeLinear', [narrow, ...step], {}, type, `${label}: data`);
    const tensor = constantTensor(valueById(graph, weights));
    const coarse = constant(roundWeights(tensor, node, plan.weightBits), `${label}: weights`);
    const resultType = valueById(graph, result).type;
    const again = op(node.op, [rounded, coarse, ...others], node.attrs, resultType, `${label}: y`);
    const difference = op('Sub', [result, again], {}, resultType, `${label}: difference`);
    const scalar: ValueType = { dtype: 'f32', shape: [] };
    const square = (id: ValueId, name: string): string => {
      const squared = op('Mul', [id, id], {}, resultType, `${name}, squared`);
      outputs.push(op('ReduceSum', [squared, null], { keepdims: 0 }, scalar, name));
      return name;
    };
    return [
      {
        node: node.name,
        signal: square(result, `${label}: signal`),
        noise: square(difference, `${label}: noise`),
      },
    ];
  });
  return { graph: withOutputs({ ...graph, values, nodes }, outputs), outputs: listed };
}

/** Weights after their way through int8. */
export function roundWeights(tensor: Tensor, node: Node, bits: 8 | 7): Tensor {
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
