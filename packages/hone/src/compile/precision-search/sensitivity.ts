/**
 * How much each contraction's own result suffers when it alone is int8: one compiled graph computes
 * each contraction twice from the same operands, wide and through their quantised forms, and gives
 * the squares of result and difference.
 */
import { load } from 'hone-runtime';
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import path from 'node:path';
import type { Graph, ValueId, ValueType } from '../../graph/types.ts';
import { withOutputs } from '../../graph/extents.ts';
import { valueById } from '../../graph/walk.ts';
import type { Registry } from '../../ops/registry.ts';
import type { PrecisionPlan } from '../../passes/precision-plan.ts';
import { writeArtifact } from '../build-artifact.ts';
import type { Sample } from '../calibrate/run.ts';
import { compileBuiltGraph } from '../compile-graph.ts';
import type { LayerGroup } from './groups.ts';
import { appendTo, int8Twin } from './int8-twin.ts';

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
  const to = appendTo(graph, graph.nodes, registry);
  const outputs: ValueId[] = [];
  const listed = graph.nodes.flatMap((node, i) => {
    const [result] = node.outputs;
    if (!names.has(node.name) || result === undefined) return [];
    const label = `int8 of ${i}`;
    const twin = int8Twin(to, graph, plan, node, node.inputs, label);
    if (twin === undefined) return [];
    const { type } = valueById(graph, result);
    const difference = to.op('Sub', [result, twin], {}, type, `${label}: difference`);
    const scalar: ValueType = { dtype: 'f32', shape: [] };
    const square = (id: ValueId, name: string): string => {
      const squared = to.op('Mul', [id, id], {}, type, `${name}, squared`);
      outputs.push(to.op('ReduceSum', [squared, null], { keepdims: 0 }, scalar, name));
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
  const { values, nodes } = to;
  return { graph: withOutputs({ ...graph, values, nodes }, outputs), outputs: listed };
}
