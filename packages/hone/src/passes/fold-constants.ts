/**
 * Computes at compile time what depends on constants only: nodes whose inputs are all constant,
 * and `Shape` and `Size`, whose results depend on types only (shapes are static).
 *
 * Why: shape arithmetic of exporters, casts and transposes of weights must not run every time.
 * Left alone: dequantised constants that fusion multiplies as integers (`narrow-constants.ts`);
 * results much larger than what they come from (Expand, Tile, ConstantOfShape of a big
 * shape: cheaper to make than to store), very large results, random operators, and nodes that
 * fail (the failure belongs to the run).
 */
import { HoneError } from 'hone-runtime/base/diagnostics';
import { dtypeBytes } from 'hone-runtime/base/dtype';
import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import type { Node, ValueId, ValueType } from '../graph/types.ts';
import { valueById } from '../graph/walk.ts';
import { evaluateNode } from '../ops/interpret.ts';
import { narrowConstants } from './narrow-constants.ts';
import { type Pass, type PassContext, type Rebuild, rewriteGraph } from './pass.ts';

/** Results up to this size are folded whatever they come from. */
const SMALL_BYTES = 64 * 1024;
/** Larger results may be this many times as large as the inputs. */
const MAX_GROWTH = 2;
const MAX_BYTES = 256 * 1024 * 1024;

const RANDOM: ReadonlySet<string> = new Set([
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
  'Multinomial',
  'Bernoulli',
]);

export const foldConstants: Pass = {
  name: 'fold-constants',
  run(graph, ctx) {
    const narrow = narrowConstants(graph);
    return rewriteGraph(graph, ctx, (node, r) =>
      narrow.has(node) ? undefined : foldNode(node, r, ctx),
    );
  },
};

function foldNode(node: Node, r: Rebuild, ctx: PassContext): readonly ValueId[] | undefined {
  const types = node.outputs.map((id) => valueById(r.old, id).type);
  const fromType = foldType(node, r);
  if (fromType !== undefined) return [constantOf(r, node, 0, fromType)];
  if (node.outputs.length === 0 || RANDOM.has(node.op)) return undefined;
  const inputs = node.inputs.map((id) => (id === null ? null : r.map(id)));
  const isConstant = (id: ValueId | null): boolean =>
    id === null || r.b.graph.value(id).constant !== undefined;
  if (!inputs.every(isConstant)) return undefined;
  const inputTypes = inputs.flatMap((id) => (id === null ? [] : [r.b.typeOf(id)]));
  if (!worthStoring(bytesOf(types), bytesOf(inputTypes))) return undefined;
  if ([...types, ...inputTypes].some(isVastlyEmpty)) return undefined;
  const tensors = evaluate(
    node,
    inputs.map((id) => r.constant(id) ?? null),
    types,
    ctx,
  );
  if (tensors === undefined || tensors.length < node.outputs.length) return undefined;
  return node.outputs.map((_, i) => constantOf(r, node, i, tensors[i] as Tensor));
}

function worthStoring(after: number, before: number): boolean {
  if (after > MAX_BYTES) return false;
  return after <= SMALL_BYTES || after <= before * MAX_GROWTH;
}

/** Without elements, but with axes so long that a reference should not walk over them. */
function isVastlyEmpty({ shape }: ValueType): boolean {
  return shape.includes(0) && elementCount(shape.map((n) => Math.max(1, n))) > MAX_BYTES;
}

function bytesOf(types: readonly ValueType[]): number {
  return types.reduce((sum, { dtype, shape }) => sum + elementCount(shape) * dtypeBytes(dtype), 0);
}

function evaluate(
  node: Node,
  inputs: readonly (Tensor | null)[],
  types: readonly ValueType[],
  ctx: PassContext,
): readonly Tensor[] | undefined {
  try {
    return evaluateNode(node, inputs, types, ctx.registry);
  } catch (error) {
    if (error instanceof HoneError) return undefined;
    throw error;
  }
}

/** The result of an operator that looks at the type of its input only. */
function foldType(node: Node, r: Rebuild): Tensor | undefined {
  const [input] = node.inputs;
  if (node.domain !== '' || input === null || input === undefined) return undefined;
  const { shape } = valueById(r.old, input).type;
  if (node.op === 'Size') return fromNumbers('i64', [], [elementCount(shape)]);
  if (node.op !== 'Shape') return undefined;
  const { start, end } = node.attrs;
  const from = typeof start === 'number' ? start : 0;
  const part = typeof end === 'number' ? shape.slice(from, end) : shape.slice(from);
  return fromNumbers('i64', [part.length], part);
}

function constantOf(r: Rebuild, node: Node, output: number, tensor: Tensor): ValueId {
  return r.b.constant(tensor, valueById(r.old, node.outputs[output] ?? 0).name);
}
