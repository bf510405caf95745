/**
 * Lets graphs with contractions on 16-bit floats (f16, bf16) compute in f32: constants and results
 * become f32, and casts stand only where such a value enters or leaves the graph. Rounding of
 * intermediate values to 16 bits goes away, casts of the model included, so results are at least
 * as accurate; a value beyond the 16-bit range stays finite inside the graph.
 *
 * Why: the fast kernels are f32, and a 16-bit value costs a conversion at every load and store.
 * Graphs without contractions stay as they are: they only move memory, and would move twice as
 * much. Operators that have no f32 form of the same meaning (bits, random numbers, quantisation,
 * control flow) keep their types, between casts. Not run for dtypes that the context names native.
 */
import { HoneError } from 'hone-runtime/base/diagnostics';
import { type DType, dtypeCode } from 'hone-runtime/base/dtype';
import { fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, Graph, Node, ValueId } from '../graph/types.ts';
import { valueById } from '../graph/walk.ts';
import { type Pass, type Rebuild, rewriteGraph } from './pass.ts';

const CONTRACTIONS: ReadonlySet<string> = new Set([
  'Conv',
  'ConvTranspose',
  'MatMul',
  'Gemm',
  'com.microsoft:MatMulNBits',
]);

/** Their results depend on the dtype they work in. */
const KEPT: ReadonlySet<string> = new Set([
  'Bernoulli',
  'BitCast',
  'CastLike',
  'DequantizeLinear',
  'DynamicQuantizeLinear',
  'EyeLike',
  'If',
  'Loop',
  'Multinomial',
  'QuantizeLinear',
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
  'Scan',
]);

export const widenHalf: Pass = {
  name: 'widen-half',
  run(graph, ctx) {
    const isHalf = (dtype: DType): boolean =>
      (dtype === 'f16' || dtype === 'bf16') && !(ctx.nativeFloats ?? []).includes(dtype);
    if (!graph.nodes.some((node) => contracts(graph, node, isHalf))) return graph;
    const widening: Widening = { isHalf, known: new Map() };
    return rewriteGraph(graph, ctx, (node, r) => widen(node, r, widening));
  },
};

interface Widening {
  readonly isHalf: (dtype: DType) => boolean;
  /** New 16-bit value → its f32 form. */
  readonly known: Map<ValueId, ValueId>;
}

function contracts(graph: Graph, node: Node, isHalf: Widening['isHalf']): boolean {
  const [data] = node.inputs;
  if (data === null || data === undefined) return false;
  const name = node.domain === '' ? node.op : `${node.domain}:${node.op}`;
  return CONTRACTIONS.has(name) && isHalf(valueById(graph, data).type.dtype);
}

/** The node in f32, its outputs cast back; whoever reads them looks up the f32 form. */
function widen(node: Node, r: Rebuild, w: Widening): readonly ValueId[] | undefined {
  if (KEPT.has(node.op)) return undefined;
  const types = node.outputs.map((id) => valueById(r.old, id).type);
  const narrow = [...types, ...inputTypes(node, r)].some((type) => w.isHalf(type.dtype));
  if (!narrow) return undefined;
  const made = inWide(node, r, w);
  const fits = made?.every((id, i) => {
    const { dtype, shape } = r.b.typeOf(id);
    const old = types[i];
    if (old === undefined || shape.join() !== old.shape.join()) return false;
    return dtype === (w.isHalf(old.dtype) ? 'f32' : old.dtype);
  });
  if (made === undefined || fits !== true) return undefined;
  return made.map((id, i) => {
    const dtype = types[i]?.dtype ?? 'f32';
    if (!w.isHalf(dtype)) return id;
    const back = r.b.op('Cast', [id], { to: dtypeCode(dtype) });
    w.known.set(back, id);
    return back;
  });
}

function inputTypes(node: Node, r: Rebuild) {
  return node.inputs.flatMap((id) => (id === null ? [] : [valueById(r.old, id).type]));
}

/** undefined where the operator takes no f32 in place of what it has. */
function inWide(node: Node, r: Rebuild, w: Widening): readonly ValueId[] | undefined {
  const inputs = node.inputs.map((id) => (id === null ? null : wideForm(r.map(id), r, w)));
  const [first] = inputs;
  const to = node.attrs['to'];
  if (node.op === 'Cast' && first !== null && first !== undefined) {
    const half = w.isHalf(valueById(r.old, node.outputs[0] ?? 0).type.dtype);
    if (half && r.b.typeOf(first).dtype === 'f32') return [first];
    return [r.b.op('Cast', [first], half ? { ...node.attrs, to: dtypeCode('f32') } : node.attrs)];
  }
  if (typeof to === 'number') return undefined;
  const { name, domain } = node;
  const outputNames = node.outputs.map((id) => `${valueById(r.old, id).name}.f32`);
  const options = { name, domain, outputs: node.outputs.length, outputNames };
  try {
    return r.b.ops(node.op, inputs, wideAttrs(node.attrs, w), options);
  } catch (error) {
    if (error instanceof HoneError) return undefined;
    throw error;
  }
}

/** Tensors among the attributes (the value of a ConstantOfShape) in f32 too. */
function wideAttrs(attrs: Attrs, w: Widening): Attrs {
  const entries = Object.entries(attrs).map(([name, value]) => {
    const isTensor = typeof value === 'object' && 'dtype' in value;
    if (!isTensor || !w.isHalf(value.dtype)) return [name, value] as const;
    return [name, fromNumbers('f32', value.shape, toNumbers(value))] as const;
  });
  return Object.fromEntries(entries);
}

function wideForm(id: ValueId, r: Rebuild, w: Widening): ValueId {
  if (!w.isHalf(r.b.typeOf(id).dtype)) return id;
  const have = w.known.get(id);
  if (have !== undefined) return have;
  const tensor = r.constant(id);
  const name = `${r.b.graph.value(id).name}.f32`;
  const made =
    tensor === undefined
      ? r.b.op('Cast', [id], { to: dtypeCode('f32') }, { name })
      : r.b.constant(fromNumbers('f32', tensor.shape, toNumbers(tensor)), name);
  w.known.set(id, made);
  return made;
}
