/**
 * Outputs whose size depends on data: they are computed at their bound, and other outputs say how much
 * of them is meant (`Graph.extents`). Here that part is cut out.
 */
import { at, fail } from 'hone-runtime/base/diagnostics';
import { prefixOf } from 'hone-runtime/base/prefix';
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Graph, ValueId } from './types.ts';
import { valueById } from './walk.ts';

/** How many of the outputs a user of the model sees: extents come behind them. */
export function visibleCount({ outputs, extents = [] }: Graph): number {
  return Math.min(outputs.length, ...extents.map(({ from }) => from));
}

/** The outputs that a user of the model sees. */
export function visibleOutputs(graph: Graph): readonly ValueId[] {
  return graph.outputs.slice(0, visibleCount(graph));
}

/** Axes of the output at a position whose extent depends on data. */
export function boundedAxes({ extents = [] }: Graph, position: number): readonly number[] {
  return extents
    .filter(({ output }) => output === position)
    .map(({ axis }) => axis)
    .sort((a, b) => a - b);
}

/** The graph with other outputs; those that it had keep their extents. */
export function withOutputs(graph: Graph, outputs: readonly ValueId[]): Graph {
  const { extents: old = [], ...rest } = graph;
  const kept = old.flatMap(({ output, axis, from }) => {
    const place = outputs.indexOf(at(graph.outputs, output));
    return place < 0 ? [] : [{ output: place, axis, from: at(graph.outputs, from) }];
  });
  const hidden = [...new Set(kept.map(({ from }) => from))];
  const extents = kept.map((extent) => ({
    ...extent,
    from: outputs.length + hidden.indexOf(extent.from),
  }));
  return {
    ...rest,
    outputs: [...outputs, ...hidden],
    ...(extents.length === 0 ? {} : { extents }),
  };
}

/** From all outputs those that are seen, at their actual sizes. */
export function actualOutputs(graph: Graph, all: readonly Tensor[]): readonly Tensor[] {
  const shapes = all.map(({ shape }) => [...shape]);
  for (const { output, axis, from } of graph.extents ?? []) {
    const [extent = -1] = toNumbers(at(all, from));
    const bound = at(all, output).shape[axis] ?? 0;
    if (!(extent >= 0 && extent <= bound)) {
      const { name } = valueById(graph, at(graph.outputs, output));
      fail(
        'HONE-RUN-010',
        `output ${name}: a size of ${extent} came out along axis ${axis}, at most ${bound} is possible`,
        name,
        'check the values of the inputs',
      );
    }
    at(shapes, output)[axis] = extent;
  }
  return all.slice(0, visibleCount(graph)).map((tensor, i) => prefixOf(tensor, at(shapes, i)));
}
