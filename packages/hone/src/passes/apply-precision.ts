/**
 * Makes a PrecisionPlan explicit in the graph: a value kept as u8 is quantised once and
 * dequantised for each reader; one kept in 16 bits is rounded once and widened for each reader;
 * weights of a narrow contraction are constants of its type behind the same. What the graph computes
 * is from then on what the precision computes, so it also serves as its emulation.
 *
 * Requires the core operators that the standard passes leave; no pass that merges equal nodes may
 * run behind it. Values of the signature keep their types.
 */
import { at, fail } from 'hone-runtime/base/diagnostics';
import { type DType, dtypeCode } from 'hone-runtime/base/dtype';
import { fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import type { Graph, Node, ValueId } from '../graph/types.ts';
import { producers, valueById } from '../graph/walk.ts';
import { dropRequantization } from './drop-requantization.ts';
import { eliminateDead } from './eliminate-dead.ts';
import { moveQuantization } from './move-quantization.ts';
import { changeBodies } from './optimize-bodies.ts';
import { type Pass, type PassContext, type Rebuild, rewriteGraph } from './pass.ts';
import {
  bodyPrefix,
  type ContractionPrecision,
  CONTRACTIONS,
  planWithin,
  type PrecisionPlan,
  type ValuePrecision,
} from './precision-plan.ts';
import { quantizeWeights } from './quantize-weights.ts';
import { separateDequantization } from './separate-dequantization.ts';

const F32: ValuePrecision = { kind: 'f32' };

/**
 * The graph with the plan's precisions, and its bodies with theirs; HONE-COMPILE-020 where a plan contradicts
 * itself.
 */
export function applyPrecision(graph: Graph, plan: PrecisionPlan, ctx: PassContext): Graph {
  const outer = applyOutside(graph, plan, ctx);
  const nodes = outer.nodes.map((node) =>
    changeBodies(node, (body, name) =>
      applyPrecision(body, planWithin(plan, bodyPrefix(node, name)), ctx),
    ),
  );
  return nodes.every((node, i) => node === outer.nodes[i]) ? outer : { ...outer, nodes };
}

function applyOutside(graph: Graph, plan: PrecisionPlan, ctx: PassContext): Graph {
  const makers = producers(graph);
  const applied: Applied = { plan, narrow: new Map(), weights: new Map(), makers };
  const explicit = rewriteGraph(graph, ctx, (node, r) => rewrite(node, r, applied));
  return SETTLE.reduce((current, pass) => pass.run(current, ctx), explicit);
}

/** Values stay quantised through what only moves or compares them. */
const SETTLE: readonly Pass[] = [
  moveQuantization,
  dropRequantization,
  eliminateDead,
  separateDequantization,
];

interface Applied {
  readonly plan: PrecisionPlan;
  /** New value and precision → its narrow form, made once. */
  readonly narrow: Map<string, ValueId>;
  readonly weights: Map<string, ValueId>;
  readonly makers: ReadonlyMap<ValueId, Node>;
}

function rewrite(node: Node, r: Rebuild, applied: Applied): readonly ValueId[] | undefined {
  const { plan } = applied;
  // A reshape has no memory of its own: its readers look through it.
  if (RESHAPES.has(node.op)) return undefined;
  const wanted = contractionOf(node, r, plan);
  let changed = false;
  const inputs = node.inputs.map((id, position) => {
    if (id === null) return null;
    const read = readInput(node, id, position, wanted, r, applied);
    changed ||= read !== undefined;
    return read ?? r.map(id);
  });
  if (!changed) return undefined;
  const { name, domain, attrs } = node;
  const outputNames = node.outputs.map((id) => valueById(r.old, id).name);
  return r.b.ops(node.op, inputs, attrs, {
    name,
    domain,
    outputs: node.outputs.length,
    outputNames,
  });
}

/** What a node multiplies; f32 for nodes that are no contraction with constant weights. */
function contractionOf(node: Node, r: Rebuild, plan: PrecisionPlan): ContractionPrecision {
  if (node.domain !== '' || !CONTRACTIONS.has(node.op)) return 'f32';
  const [data, weights] = node.inputs;
  if (data === null || data === undefined || weights === null || weights === undefined)
    return 'f32';
  const isFloat = valueById(r.old, data).type.dtype === 'f32';
  if (!isFloat || valueById(r.old, weights).constant === undefined) return 'f32';
  return plan.contractions.get(node.name) ?? 'f32';
}

/** The input as the node reads it; undefined where it is read as it is. */
function readInput(
  node: Node,
  id: ValueId,
  position: number,
  wanted: ContractionPrecision,
  r: Rebuild,
  applied: Applied,
): ValueId | undefined {
  const value = valueById(r.old, id);
  if (value.type.dtype !== 'f32') return undefined;
  if (value.constant !== undefined) {
    return position === 1 && wanted !== 'f32'
      ? readWeights(node, id, wanted, r, applied)
      : undefined;
  }
  const kept = applied.plan.values.get(rootOf(r.old, id, applied.makers)) ?? F32;
  if (position !== 0 || wanted === 'f32') return readKept(id, kept, r, applied);
  if (wanted === 'int8') {
    if (kept.kind === 'u8') return readKept(id, kept, r, applied);
    return fail(
      'HONE-COMPILE-020',
      `node ${node.name} is to multiply int8, but ${value.name} is kept in ${kept.kind}`,
      node.name,
      'give the value a scale and a zero point, or leave the node in f32',
    );
  }
  if (kept.kind === 'half') return readKept(id, kept, r, applied);
  return readKept(id, { kind: 'half', dtype: wanted }, r, applied);
}

/** Operators that show the same elements under another shape. */
const RESHAPES: ReadonlySet<string> = new Set([
  'Reshape',
  'Squeeze',
  'Unsqueeze',
  'Flatten',
  'Identity',
]);

/** Name of the value whose memory this one shows. */
function rootOf(graph: Graph, id: ValueId, makers: Applied['makers']): string {
  let current = id;
  for (;;) {
    const maker = makers.get(current);
    const source = maker?.inputs[0];
    if (maker === undefined || !RESHAPES.has(maker.op)) break;
    if (source === null || source === undefined) break;
    current = source;
  }
  return valueById(graph, current).name;
}

/** A fresh wide form of the value's narrow one. */
function readKept(
  id: ValueId,
  kept: ValuePrecision,
  r: Rebuild,
  applied: Applied,
): ValueId | undefined {
  if (kept.kind === 'f32') return undefined;
  const narrow = narrowForm(r.map(id), kept, r, applied);
  const { name } = valueById(r.old, id);
  if (kept.kind === 'half') {
    return r.b.op('Cast', [narrow], { to: dtypeCode('f32') }, named(`${name}/f32`));
  }
  const parameters = quantization(kept, r);
  return r.b.op('DequantizeLinear', [narrow, ...parameters], {}, named(`${name}/f32`));
}

/** The narrow form of a new value; under a reshape, that of what is reshaped. */
function narrowForm(
  wide: ValueId,
  kept: Exclude<ValuePrecision, { kind: 'f32' }>,
  r: Rebuild,
  applied: Applied,
): ValueId {
  const label = kept.kind === 'half' ? kept.dtype : 'u8';
  const key = `${wide}:${label}`;
  const have = applied.narrow.get(key);
  if (have !== undefined) return have;
  const { name } = r.b.graph.value(wide);
  const maker = r.producer(wide);
  const [source, ...others] = maker?.inputs ?? [];
  let made: ValueId;
  if (maker !== undefined && RESHAPES.has(maker.op) && source !== null && source !== undefined) {
    const inputs = [narrowForm(source, kept, r, applied), ...others];
    made = r.b.op(maker.op, inputs, maker.attrs, named(`${name}/${label}`));
  } else if (kept.kind === 'half') {
    made = r.b.op('Cast', [wide], { to: dtypeCode(kept.dtype) }, named(`${name}/${label}`));
  } else {
    const inputs = [wide, ...quantization(kept, r)];
    made = r.b.op('QuantizeLinear', inputs, {}, named(`${name}/${label}`));
  }
  applied.narrow.set(key, made);
  return made;
}

function quantization(kept: Extract<ValuePrecision, { kind: 'u8' }>, r: Rebuild): ValueId[] {
  return [r.b.scalar(kept.scale), r.b.constant(fromNumbers('u8', [], [kept.zeroPoint]))];
}

function named(name: string): { outputNames: readonly string[] } {
  return { outputNames: [name] };
}

function readWeights(
  node: Node,
  id: ValueId,
  wanted: Exclude<ContractionPrecision, 'f32'>,
  r: Rebuild,
  applied: Applied,
): ValueId | undefined {
  const { name } = valueById(r.old, id);
  const dtype: DType = wanted === 'int8' ? 'i8' : wanted;
  const axis = channelAxis(node, valueById(r.old, id).type.shape.length);
  const key = `${id}:${dtype}:${axis}`;
  const have = applied.weights.get(key);
  if (have !== undefined) return have;
  const tensor = r.constant(r.map(id));
  if (tensor === undefined) return undefined;
  let made: ValueId;
  if (wanted === 'int8') {
    const limit = applied.plan.weightBits === 8 ? 127 : 63;
    const { weights, scales } = quantizeWeights(tensor, axis, limit);
    const inputs = [r.b.constant(weights, `${name}/i8`), r.b.constant(scales, `${name}/scales`)];
    made = r.b.op('DequantizeLinear', inputs, { axis }, named(`${name}/f32`));
  } else {
    const narrow = fromNumbers(wanted, tensor.shape, toNumbers(tensor));
    const constant = r.b.constant(narrow, `${name}/${wanted}`);
    made = r.b.op('Cast', [constant], { to: dtypeCode('f32') }, named(`${name}/f32`));
  }
  applied.weights.set(key, made);
  return made;
}

/** The axis of the weights that runs over output channels. */
export function channelAxis(node: Node, rank: number): number {
  if (node.op === 'Conv') return 0;
  if (node.op === 'Gemm') return node.attrs['transB'] === 1 ? 0 : 1;
  return at([rank - 1], 0);
}
