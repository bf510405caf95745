/**
 * Inputs whose extents vary from run to run: they are planned with room for the most, and hidden inputs
 * say how much of them is meant (`Graph.ranges`). Here tensors of actual shapes are brought into the room.
 */
import { at, fail } from 'hone-runtime/base/diagnostics';
import { placedIn } from 'hone-runtime/base/prefix';
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import type { Graph, ValueId } from './types.ts';
import { valueById } from './walk.ts';

/** How many of the inputs a user of the model gives: extents come behind them. */
export function givenCount({ inputs, ranges = [] }: Graph): number {
  return Math.min(inputs.length, ...ranges.map(({ from }) => from));
}

/** The inputs that a user of the model gives. */
export function givenInputs(graph: Graph): readonly ValueId[] {
  return graph.inputs.slice(0, givenCount(graph));
}

/** Which axes of the input at a position vary, and their least extents. */
export function rangesOf(
  { ranges = [] }: Graph,
  position: number,
): { readonly bounded?: readonly number[]; readonly least?: readonly number[] } {
  const own = ranges.filter(({ input }) => input === position).sort((a, b) => a.axis - b.axis);
  if (own.length === 0) return {};
  return { bounded: own.map(({ axis }) => axis), least: own.map(({ least }) => least) };
}

/** All inputs: those given, in their room, and the extents that follow from their shapes. */
export function allInputs(graph: Graph, given: readonly Tensor[]): readonly Tensor[] {
  const count = givenCount(graph);
  if (count === graph.inputs.length || given.length !== count) return given;
  const extents = new Map<number, number>();
  for (const { input, axis, from, least } of graph.ranges ?? []) {
    const { name, type } = valueById(graph, at(graph.inputs, input));
    const extent = at(given, input).shape[axis] ?? -1;
    const most = type.shape[axis] ?? 0;
    if (extent < least || extent > most) {
      fail(
        'HONE-INPUT-005',
        `input ${name} has ${extent} elements along axis ${axis}, it takes ${least} to ${most}`,
        name,
        'give a shape in that range',
      );
    }
    const other = extents.get(from) ?? extent;
    if (other !== extent) {
      fail(
        'HONE-INPUT-020',
        `input ${name} has ${extent} elements along axis ${axis}, another input has ${other} along the same dimension`,
        name,
        'give shapes that agree',
      );
    }
    extents.set(from, extent);
  }
  return graph.inputs.map((id, i) => {
    const extent = extents.get(i);
    if (extent !== undefined) return fromNumbers('i64', [], [extent]);
    return placedIn(at(given, i), valueById(graph, id).type.shape);
  });
}
