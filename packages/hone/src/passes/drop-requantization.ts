/**
 * Removes steps that do nothing: quantising what was dequantised by the same step, and Relu or Clip
 * in front of a QuantizeLinear that saturates there anyway.
 *
 * Exact: (stored - zero) · scale divided by scale rounds back to the stored element for elements of
 * up to 16 bits. Relu and Clip keep NaN as QuantizeLinear does.
 */
import type { Node, ValueId } from '../graph/types.ts';
import { valueById } from '../graph/walk.ts';
import { madeBy, uniform } from './match.ts';
import { type Pass, type Rebuild, rewriteGraph } from './pass.ts';
import { isDequantize, isQuantize, limitsOf, sameStep, stepOf, stepOfNode } from './quantized.ts';

export const dropRequantization: Pass = {
  name: 'drop-requantization',
  run: (graph, ctx) =>
    rewriteGraph(graph, ctx, (node, r) => {
      if (!isQuantize(node)) return undefined;
      const made = stored(node, r) ?? withoutLimit(node, r);
      return made === undefined ? undefined : [made];
    }),
};

/** The stored elements behind a dequantised value that is quantised as it was. */
function stored(node: Node, r: Rebuild): ValueId | undefined {
  const [data] = node.inputs;
  const [output] = node.outputs;
  if (data === null || data === undefined || output === undefined) return undefined;
  const maker = r.producer(r.map(data));
  if (!isDequantize(maker)) return undefined;
  const [source] = maker.inputs;
  if (source === null || source === undefined) return undefined;
  const { dtype } = valueById(r.old, output).type;
  if (r.b.typeOf(source).dtype !== dtype || limitsOf(dtype) === undefined) return undefined;
  const isF32 = valueById(r.old, data).type.dtype === 'f32';
  const same = sameStep(stepOfNode(r, maker), stepOfOld(node, r));
  return isF32 && same && r.canStandFor(node, source) ? source : undefined;
}

function stepOfOld(node: Node, r: Rebuild) {
  const [scale, zero] = node.inputs.slice(1).map((id) => (id === null ? null : r.map(id)));
  return stepOf(r, scale, zero);
}

/** The quantised value without a limit that saturation sets as well. */
function withoutLimit(node: Node, r: Rebuild): ValueId | undefined {
  const [data, ...rest] = node.inputs;
  const [output] = node.outputs;
  if (data === null || data === undefined || output === undefined) return undefined;
  const step = stepOfOld(node, r);
  const limits = limitsOf(valueById(r.old, output).type.dtype);
  if (r.uses(data) !== 1 || step === undefined || limits === undefined) return undefined;
  const [low, high] = limits;
  const stepsAt = (value: number): number => Math.fround(value / step.scale) + step.zero;
  const relu = madeBy(r, r.map(data), 'Relu');
  const clip = madeBy(r, r.map(data), 'Clip');
  const [source, least, most] = (relu ?? clip)?.inputs ?? [];
  if (source === null || source === undefined) return undefined;
  const lower = relu === undefined ? limitOf(r, least) : 0;
  const upper = relu === undefined ? limitOf(r, most) : null;
  // The limits themselves must become the ends of the range (below half a step off, they round there).
  if (lower === undefined || (lower !== null && stepsAt(lower) >= low + HALF)) return undefined;
  if (upper === undefined || (upper !== null && stepsAt(upper) <= high - HALF)) return undefined;
  const inputs = [source, ...rest.map((id) => (id === null ? null : r.map(id)))];
  return r.b.op('QuantizeLinear', inputs, node.attrs);
}

const HALF = 0.5;

/** null: there is none; undefined: it is not known. */
function limitOf(r: Rebuild, id: ValueId | null | undefined): number | null | undefined {
  return id === null || id === undefined ? null : uniform(r, id);
}
