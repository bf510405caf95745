/**
 * How much each contraction's own result suffers when it alone is int8: one compiled graph computes
 * each contraction twice from the same operands, wide and through their quantised forms, and gives
 * the squares of result and difference.
 */
import { load } from 'hone-runtime';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import path from 'node:path';
import type { Graph, ValueId, ValueType } from '../../graph/types.ts';
import { withOutputs } from '../../graph/extents.ts';
import { valueById } from '../../graph/walk.ts';
import type { Registry } from '../../ops/registry.ts';
import type { PlannedBody, PrecisionPlan } from '../../passes/precision-plan.ts';
import { writeArtifact } from '../build-artifact.ts';
import { type BodySum, withBodySums } from '../calibrate/body-sums.ts';
import type { Sample } from '../calibrate/run.ts';
import { compileBuiltGraph } from '../compile-graph.ts';
import type { LayerGroup } from './groups.ts';
import { type Appended, appendTo, int8Twin } from './int8-twin.ts';

/** A body of control flow with its groups, and the plan under its names. */
export interface GroupedBody extends PlannedBody {
  readonly plan: PrecisionPlan;
  readonly groups: readonly LayerGroup[];
}

/** Noise over signal (power) of every group; of several contractions the worst. */
export async function groupNoise(
  graph: Graph,
  registry: Registry,
  plan: PrecisionPlan,
  groups: readonly LayerGroup[],
  samples: readonly Sample[],
  folder: string,
): Promise<readonly number[]> {
  const all = await noiseWithin(graph, registry, plan, groups, [], samples, folder);
  return all.outside;
}

export interface Noise {
  readonly outside: readonly number[];
  /** Of the groups of each body, over all that ran in it. */
  readonly bodies: readonly (readonly number[])[];
}

/** The same with the groups of bodies. */
export async function noiseWithin(
  graph: Graph,
  registry: Registry,
  plan: PrecisionPlan,
  groups: readonly LayerGroup[],
  bodies: readonly GroupedBody[],
  samples: readonly Sample[],
  folder: string,
): Promise<Noise> {
  const names = new Set(groups.flatMap(({ nodes }) => nodes));
  const inside = bodies.map((body) => ({ body, sums: contractionSums(body, registry) }));
  const summed = withBodySums(
    graph,
    registry,
    (prefix) => inside.find(({ body }) => body.prefix === prefix)?.sums.map(({ sum }) => sum) ?? [],
  );
  const more = [...summed.sums.values()].flat(2);
  const doubled = doubleContractions(summed.graph, registry, plan, names, more);
  const named = inside.flatMap(({ body, sums }) =>
    sums.map(({ node }, i) => {
      const [signal = '', noise = ''] = (summed.sums.get(body.prefix)?.[i] ?? []).map(
        (id) => valueById(doubled.graph, id).name,
      );
      return { node: `${body.prefix}${node}`, signal, noise };
    }),
  );
  if (doubled.outputs.length + named.length === 0) {
    return { outside: groups.map(() => 0), bodies: bodies.map((body) => body.groups.map(() => 0)) };
  }
  const model = await compileBuiltGraph(doubled.graph, { registry, fuse: false });
  const artifact = path.join(folder, 'sensitivity.hone');
  await writeArtifact(model, artifact);
  const session = load(artifact);
  const sums = new Map<string, { signal: number; noise: number }>();
  try {
    for (const { inputs } of samples) {
      const outputs = await session.run(inputs);
      const value = (name: string): number => toNumbers(outputs[name] as Tensor)[0] ?? 0;
      for (const { node, signal, noise } of [...doubled.outputs, ...named]) {
        const sum = sums.get(node) ?? { signal: 0, noise: 0 };
        sum.signal += value(signal);
        sum.noise += value(noise);
        sums.set(node, sum);
      }
    }
  } finally {
    session.close();
  }
  const worst = (prefix: string, { nodes }: LayerGroup): number =>
    Math.max(
      ...nodes.map((name) => {
        const { signal, noise } = sums.get(`${prefix}${name}`) ?? { signal: 1, noise: 0 };
        return noise / Math.max(signal, Number.MIN_VALUE);
      }),
    );
  return {
    outside: groups.map((group) => worst('', group)),
    bodies: bodies.map((body) => body.groups.map((group) => worst(body.prefix, group))),
  };
}

/** What a contraction of a body gives and what int8 does to that, summed over all that runs there. */
function contractionSums(
  { graph, plan, groups }: GroupedBody,
  registry: Registry,
): readonly { readonly node: string; readonly sum: BodySum }[] {
  const names = new Set(groups.flatMap(({ nodes }) => nodes));
  return graph.nodes.flatMap((node, i) => {
    const [result] = node.outputs;
    if (!names.has(node.name) || result === undefined) return [];
    // Does it have a twin?
    const tried = appendTo(graph, [], registry);
    if (int8Twin(tried, graph, plan, node, node.inputs, 'tried') === undefined) return [];
    const { type } = valueById(graph, result);
    const next = (to: Appended, [signal = result, noise = result]: readonly ValueId[]) => {
      const label = `int8 of ${i}`;
      const twin = int8Twin(to, graph, plan, node, node.inputs, label);
      const other = twin ?? result;
      const difference = to.op('Sub', [result, other], {}, type, `${label}: difference`);
      const sum = (before: ValueId, id: ValueId, name: string): ValueId => {
        const squared = to.op('Mul', [id, id], {}, type, `${name}, squared`);
        const all = to.op('ReduceSum', [squared, null], { keepdims: 0 }, SCALAR, `${name}, now`);
        return to.op('Add', [before, all], {}, SCALAR, name);
      };
      return [sum(signal, result, `${label}: signal`), sum(noise, difference, `${label}: noise`)];
    };
    return [{ node: node.name, sum: { initial: [ZERO, ZERO], next } }];
  });
}

const SCALAR: ValueType = { dtype: 'f32', shape: [] };
const ZERO = fromNumbers('f32', [], [0]);

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
  more: readonly ValueId[],
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
    const square = (id: ValueId, name: string): string => {
      const squared = to.op('Mul', [id, id], {}, type, `${name}, squared`);
      outputs.push(to.op('ReduceSum', [squared, null], { keepdims: 0 }, SCALAR, name));
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
  return {
    graph: withOutputs({ ...graph, values, nodes }, [...outputs, ...more]),
    outputs: listed,
  };
}
