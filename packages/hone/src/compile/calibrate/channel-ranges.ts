/**
 * How large each channel of some values gets on samples, and the exponents that bring them to like
 * ranges (`passes/even-channels.ts`).
 */
import { load } from 'hone-runtime';
import path from 'node:path';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { withScratch } from '../../backends/c/toolchain-run.ts';
import type { Graph, Node, Value, ValueId } from '../../graph/types.ts';
import { withOutputs } from '../../graph/extents.ts';
import { valueById } from '../../graph/walk.ts';
import type { Registry } from '../../ops/registry.ts';
import { type ChannelExponents, evenable, evenExponents } from '../../passes/even-channels.ts';
import { writeArtifact } from '../build-artifact.ts';
import { compileBuiltGraph } from '../compile-graph.ts';
import { checkSample, type Sample, type Samples } from './run.ts';

/** Exponents for all values whose channels can be evened and differ; none without samples. */
export async function channelExponents(
  graph: Graph,
  registry: Registry,
  contractions: readonly string[],
  samples: readonly Sample[],
): Promise<ChannelExponents> {
  const values = evenable(graph, contractions);
  if (values.length === 0 || samples.length === 0) return new Map();
  const ranges = await withScratch((folder) =>
    channelRanges(graph, registry, values, samples, folder),
  );
  return new Map(
    values.flatMap((id, i): [string, readonly number[]][] => {
      const exponents = evenExponents(ranges[i] ?? []);
      return exponents.some((power) => power !== 0) ? [[valueById(graph, id).name, exponents]] : [];
    }),
  );
}

async function channelRanges(
  graph: Graph,
  registry: Registry,
  values: readonly ValueId[],
  samples: readonly Sample[],
  folder: string,
): Promise<readonly Float64Array[]> {
  const model = await compileBuiltGraph(withRanges(graph, values), { registry });
  const artifact = path.join(folder, 'ranges.hone');
  await writeArtifact(model, artifact);
  const session = load(artifact);
  const signature = graph.inputs.map((id) => {
    const { name, type } = valueById(graph, id);
    return { name, ...type };
  });
  const largest = values.map((id) => new Float64Array(valueById(graph, id).type.shape[1] ?? 0));
  try {
    for (const sample of samples) {
      checkSample(signature, sample);
      const outputs = await session.run(sample.inputs);
      largest.forEach((found, i) => {
        toNumbers(outputs[`range ${i}`] as Tensor).forEach((value, c) => {
          found[c] = Math.max(found[c] as number, value);
        });
      });
    }
  } finally {
    session.close();
  }
  return largest;
}

/** The graph with the largest magnitude of each channel of those values as its only outputs. */
function withRanges(graph: Graph, ids: readonly ValueId[]): Graph {
  const values: Value[] = [...graph.values];
  const nodes: Node[] = [...graph.nodes];
  const add = (value: Omit<Value, 'id'>): ValueId => {
    values.push({ ...value, id: values.length });
    return values.length - 1;
  };
  const tensor = fromNumbers('i64', [3], [0, 2, 3]);
  const axes = add({
    name: 'axes of ranges',
    type: { dtype: 'i64', shape: tensor.shape },
    constant: { kind: 'inline', tensor },
  });
  const outputs = ids.map((id, i) => {
    const { type } = valueById(graph, id);
    const size = add({ name: `magnitude ${i}`, type });
    const largest = add({
      name: `range ${i}`,
      type: { dtype: 'f32', shape: [type.shape[1] ?? 0] },
    });
    const node = { domain: '', name: `range ${i}` } as const;
    nodes.push({ ...node, op: 'Abs', inputs: [id], outputs: [size], attrs: {} });
    const attrs = { keepdims: 0, noop_with_empty_axes: 0 };
    nodes.push({ ...node, op: 'ReduceMax', inputs: [size, axes], outputs: [largest], attrs });
    return largest;
  });
  return withOutputs({ ...graph, values, nodes }, outputs);
}

/** The first samples, and all of them: an iterator gives each once. */
export async function peek(
  samples: Samples,
  most: number,
): Promise<{ readonly first: readonly Sample[]; readonly all: Samples }> {
  const iterator =
    Symbol.asyncIterator in samples ? samples[Symbol.asyncIterator]() : samples[Symbol.iterator]();
  const first: Sample[] = [];
  let ended = false;
  while (!ended && first.length < most) {
    const next = await iterator.next();
    if (next.done === true) ended = true;
    else first.push(next.value);
  }
  async function* all(): AsyncGenerator<Sample> {
    yield* first;
    while (!ended) {
      const next = await iterator.next();
      if (next.done === true) return;
      yield next.value;
    }
  }
  return { first, all: all() };
}
