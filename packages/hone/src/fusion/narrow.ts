/**
 * Contractions over narrow operands. A contraction whose operands are dequantised (u8 data, i8
 * constant weights) becomes one of the integers themselves, summed in i32; the zero point's share
 * and the scales move behind the sum. One whose operands are widened 16-bit floats multiplies those.
 *
 * The data's scale and zero point may be numbers that earlier stages compute (dynamic quantisation);
 * the epilogue then loads them. A border of padding is the zero point, as real zeros are. What does
 * not match multiplies real numbers: weights that are constant are widened here, data in memory first.
 */
import { at } from 'hone-runtime/base/diagnostics';
import {
  elementCount,
  fromNumbers,
  stridesOf,
  type Tensor,
  toNumbers,
} from 'hone-runtime/base/tensor';
import { acc, binary, cast, constant, index, load } from '../expr/build.ts';
import { rewriteExpr } from '../expr/rewrite.ts';
import type { Expr } from '../expr/types.ts';
import { constantTensor } from '../graph/walk.ts';
import { type ContractBody, PLAIN, type View } from '../stages/types.ts';
import { isIdentityIndex } from './absorb.ts';
import { addBuffer, bufferOf, type Draft, sameList, type Work } from './draft.ts';
import { isIdentityWrite } from './inline.ts';

/** Rewrites every contraction that reads narrow operands; others keep a note of why not. */
export function narrowContractions(work: Work): void {
  for (let position = 0; position < work.drafts.length; position++) {
    const draft = work.drafts[position];
    if (draft === null || draft === undefined || draft.body.kind !== 'contract') continue;
    const [data, weights] = [0, 1].map((k) => sourceOf(work, at(draft.operands, k), position));
    if (weights === null || weights === undefined) continue;
    if (data !== null && data !== undefined) {
      const made =
        data.kind === 'widened' && weights.kind === 'widened'
          ? multiplyWidened(work, draft, draft.body, [data, weights])
          : data.kind === 'dequantized' && weights.kind === 'dequantized'
            ? multiplyIntegers(work, draft, draft.body, data, weights)
            : 'its operands are kept in different precisions';
      if (typeof made !== 'string') {
        work.drafts[position] = made;
        continue;
      }
      work.notes.push({ node: at(draft.nodes, 0), reason: `no narrow product: ${made}` });
    }
    const view = realWeights(work, weights);
    if (view === null) continue;
    const operands = draft.operands.map((own, k) => (k === 1 ? view : own));
    work.drafts[position] = { ...draft, operands };
  }
}

/**
 * Constant weights in f32, which are then packed at compile time; null where they or their parameters are
 * computed.
 */
function realWeights(work: Work, source: Source): View | null {
  const narrow = constantOf(work, source.view);
  const [zero, scale] = source.kind === 'widened' ? [0, 1] : [source.zero, source.scale];
  if (narrow === null || typeof zero !== 'number') return null;
  const axis = typeof scale === 'number' ? null : scale.axis;
  const list = typeof scale === 'number' ? null : constantOf(work, scale.view);
  if (typeof scale !== 'number' && (axis === null || list === null)) return null;
  const scales = list === null ? [Number(scale)] : toNumbers(list);
  const stride = axis === null ? 1 : at(stridesOf(narrow.shape), axis);
  const values = toNumbers(narrow).map((value, i) => {
    return (value - zero) * (scales[Math.floor(i / stride) % scales.length] as number);
  });
  const tensor = fromNumbers('f32', narrow.shape, values);
  const buffer = addBuffer(work, {
    name: `${source.node}/real`,
    dtype: 'f32',
    shape: narrow.shape,
    layout: PLAIN,
    role: 'constant',
    constant: { kind: 'inline', tensor },
  });
  return { buffer: buffer.id, shape: source.view.shape };
}

/** The tensor behind a view of all of a constant. */
function constantOf(work: Work, view: View): Tensor | null {
  const { name, dtype, shape, constant: elements } = bufferOf(work, view);
  if (elements === undefined || !sameList(shape, view.shape)) return null;
  return constantTensor({ id: 0, name, type: { dtype, shape }, constant: elements });
}

/** A number in memory, known at run time. */
interface Computed {
  readonly view: View;
  readonly axis: null;
}

/** A value that is another one, narrower in memory, widened. */
type Source =
  | { readonly kind: 'widened'; readonly view: View; readonly node: string }
  | {
      readonly kind: 'dequantized';
      readonly view: View;
      readonly node: string;
      readonly zero: number | Computed;
      /** One number, or a constant with one for each index of `axis`. */
      readonly scale: number | Computed | { readonly view: View; readonly axis: number };
    };
type Dequantized = Extract<Source, { kind: 'dequantized' }>;

function sourceOf(work: Work, view: View, before: number): Source | null {
  if (view.offset !== undefined) return null;
  for (let position = before - 1; position >= 0; position--) {
    const draft = work.drafts[position];
    const output = draft?.outputs[0];
    if (draft === null || draft === undefined || output?.buffer !== view.buffer) continue;
    if (draft.body.kind !== 'map' || !isIdentityWrite(draft.body.outIndex)) return null;
    if (!sameList(output.shape, view.shape)) return null;
    return widening(work, draft, draft.body.value);
  }
  return null;
}

function widening(work: Work, draft: Draft, value: Expr): Source | null {
  const node = at(draft.nodes, draft.nodes.length - 1);
  const plain = widenedLoad(draft, value);
  if (plain !== null) {
    const { dtype } = bufferOf(work, plain);
    if (dtype === 'bf16' || dtype === 'f16') return { kind: 'widened', view: plain, node };
    return null;
  }
  if (value.kind !== 'binary' || value.op !== 'mul') return null;
  const scale = scaleOf(work, draft, value.b);
  if (scale === null) return null;
  const shifted = value.a;
  const isShifted = shifted.kind === 'binary' && shifted.op === 'sub';
  const view = widenedLoad(draft, isShifted ? shifted.a : shifted);
  const zero = isShifted ? (literalOf(shifted.b) ?? computedOf(work, draft, shifted.b)) : 0;
  if (view === null || zero === null) return null;
  return { kind: 'dequantized', view, node, zero, scale };
}

/** The view behind a cast of one whole operand at the map's own index. */
function widenedLoad(draft: Draft, value: Expr): View | null {
  if (value.kind !== 'cast' || value.dtype !== 'f32' || value.x.kind !== 'load') return null;
  const view = at(draft.operands, Number(value.x.source));
  if (!isIdentityIndex(value.x.index, view.shape)) return null;
  return view.offset === undefined ? view : null;
}

function literalOf(value: Expr): number | null {
  if (value.kind === 'const') return Number(value.value);
  return value.kind === 'cast' ? literalOf(value.x) : null;
}

/** The one element that a value loads, perhaps widened. */
function computedOf(work: Work, draft: Draft, value: Expr): Computed | null {
  const read = value.kind === 'cast' ? value.x : value;
  if (read.kind !== 'load') return null;
  const view = at(draft.operands, Number(read.source));
  const { shape, constant: elements } = bufferOf(work, view);
  if (elementCount(shape) !== 1 || elements !== undefined || view.offset !== undefined) return null;
  return { view, axis: null };
}

function scaleOf(work: Work, draft: Draft, value: Expr): Dequantized['scale'] | null {
  const literal = literalOf(value);
  if (literal !== null) return literal;
  const computed = value.dtype === 'f32' ? computedOf(work, draft, value) : null;
  if (computed !== null) return computed;
  if (value.kind !== 'load' || value.dtype !== 'f32') return null;
  const view = at(draft.operands, Number(value.source));
  const [along] = value.index;
  if (bufferOf(work, view).constant === undefined || value.index.length !== 1) return null;
  if (along?.kind !== 'axis') return null;
  return { view, axis: Number(along.name.slice(1)) };
}

/** The operand's load replaced; what a guard gives outside the image becomes `outside`. */
function overNarrow(value: Expr, k: number, narrow: (node: LoadNode) => Expr, outside: Expr): Expr {
  const swap = (node: Expr): Expr =>
    node.kind === 'load' && Number(node.source) === k ? narrow(node) : node;
  if (value.kind === 'select') {
    return { ...value, dtype: outside.dtype, a: swap(value.a), b: outside };
  }
  return swap(value);
}

type LoadNode = Extract<Expr, { kind: 'load' }>;

/** Is it a load of operand k, perhaps guarded by zeros? */
function isPlainRead(value: Expr, k: number): boolean {
  if (value.kind === 'select') return literalOf(value.b) === 0 && isPlainRead(value.a, k);
  return value.kind === 'load' && Number(value.source) === k && value.dtype === 'f32';
}

function withOperands(draft: Draft, body: ContractBody, sources: readonly Source[]): Draft {
  const nodes = sources.map(({ node }) => node);
  const ops = sources.map(({ kind }) => (kind === 'widened' ? 'Cast' : 'DequantizeLinear'));
  const operands = draft.operands.map((view, k) => sources[k]?.view ?? view);
  return {
    ...draft,
    nodes: [...nodes, ...draft.nodes],
    ops: [...ops, ...draft.ops],
    operands,
    body,
  };
}

function multiplyWidened(
  work: Work,
  draft: Draft,
  body: ContractBody,
  sources: readonly [Source, Source],
): Draft | string {
  if (!isPlainRead(body.a, 0) || !isPlainRead(body.b, 1)) return 'an operand is computed';
  const read = (value: Expr, k: 0 | 1): Expr => {
    const { dtype } = bufferOf(work, sources[k].view);
    const narrow = (node: LoadNode): Expr => cast('f32', load(`${k}`, dtype, node.index));
    return overNarrow(value, k, narrow, constant('f32', 0));
  };
  return withOperands(draft, { ...body, a: read(body.a, 0), b: read(body.b, 1) }, sources);
}

function multiplyIntegers(
  work: Work,
  draft: Draft,
  body: ContractBody,
  data: Dequantized,
  weights: Dequantized,
): Draft | string {
  if (!isPlainRead(body.a, 0) || !isPlainRead(body.b, 1)) return 'an operand is computed';
  const weightBuffer = bufferOf(work, weights.view);
  if (bufferOf(work, data.view).dtype !== 'u8') return 'the data is not u8';
  if (weightBuffer.dtype !== 'i8' || weights.zero !== 0) return 'the weights are not symmetric i8';
  if (weightBuffer.constant === undefined) return 'the weights are not constant';
  const dataScale = oneScale(data.scale);
  if (dataScale === null) return 'the data has several scales';
  if (typeof data.zero !== 'number' && body.a.kind === 'select') {
    return 'the zero point, which is the padding, is known at run time only';
  }
  const channel = channelOf(body.b);
  if (channel === null) return 'the weights have no channel axis';
  const tensor = constantTensor({
    id: 0,
    name: weightBuffer.name,
    type: { dtype: weightBuffer.dtype, shape: weightBuffer.shape },
    constant: weightBuffer.constant,
  });
  const channels = at(tensor.shape, channel.dimension);
  const scales = scalesOf(work, weights, channel.dimension, channels);
  if (scales === null) return 'the scales of the weights run along another axis';
  const node = at(draft.nodes, draft.nodes.length - 1);
  const operands = [...draft.operands];
  const perChannel = (what: string, made: Tensor): Expr => {
    const buffer = addBuffer(work, {
      name: `${node}/${what}`,
      dtype: made.dtype,
      shape: made.shape,
      layout: PLAIN,
      role: 'constant',
      constant: { kind: 'inline', tensor: made },
    });
    operands.push({ buffer: buffer.id, shape: made.shape });
    return load(`${operands.length - 1}`, made.dtype, [channel.axis]);
  };
  const computed = ({ view }: Computed): Expr => {
    operands.push(view);
    const zeros = view.shape.map(() => index(0));
    return load(`${operands.length - 1}`, bufferOf(work, view).dtype, zeros);
  };
  /** A number for each channel times one for all. */
  const times = (
    what: string,
    dtype: 'i32' | 'f32',
    values: readonly number[],
    by: number | Computed,
  ): Expr => {
    if (typeof by === 'number') {
      const products = values.map((value) => value * by);
      return perChannel(what, fromNumbers(dtype, [channels], products));
    }
    const list = perChannel(what, fromNumbers(dtype, [channels], values));
    return binary('mul', list, cast(dtype, computed(by)));
  };
  const { zero } = data;
  const sum = acc(0, 'i32');
  const sums = channelSums(tensor, channel.dimension);
  const shifted = zero === 0 ? sum : binary('sub', sum, times('zero', 'i32', sums, zero));
  const scale = times('scale', 'f32', scales, dataScale);
  const real = binary('mul', cast('f32', shifted), scale);
  const epilogue = rewriteExpr(body.epilogue, (item) => (item.kind === 'acc' ? real : item));
  const read = (value: Expr, k: 0 | 1, dtype: 'u8' | 'i8', outside: number): Expr =>
    overNarrow(
      value,
      k,
      (item) => cast('i32', load(`${k}`, dtype, item.index)),
      constant('i32', outside),
    );
  const narrowed: ContractBody = {
    ...body,
    a: read(body.a, 0, 'u8', typeof zero === 'number' ? zero : 0),
    b: read(body.b, 1, 'i8', 0),
    accDtype: 'i32',
    epilogue,
  };
  return withOperands({ ...draft, operands }, narrowed, [data, weights]);
}

function oneScale(scale: Dequantized['scale']): number | Computed | null {
  if (typeof scale === 'number') return scale;
  return scale.axis === null ? { view: scale.view, axis: null } : null;
}

/** The one dimension of the weights that an output axis runs over. */
function channelOf(b: Expr): { dimension: number; axis: Expr } | null {
  if (b.kind !== 'load') return null;
  const found = b.index.flatMap((axis, dimension) =>
    axis.kind === 'axis' && axis.name.startsWith('i') ? [{ dimension, axis }] : [],
  );
  const others = b.index.every(
    (expr) => expr.kind === 'const' || (expr.kind === 'axis' && /^[ir]\d+$/.test(expr.name)),
  );
  return found.length === 1 && others ? at(found, 0) : null;
}

function scalesOf(
  work: Work,
  { scale }: Dequantized,
  dimension: number,
  channels: number,
): readonly number[] | null {
  if (typeof scale === 'number') return Array.from({ length: channels }, () => scale);
  const { name, dtype, shape, constant: elements } = bufferOf(work, scale.view);
  if (scale.axis !== dimension || elements === undefined) return null;
  const type = { dtype, shape };
  return [...toNumbers(constantTensor({ id: 0, name, type, constant: elements }))];
}

/** Sum of the elements at each index of one dimension. */
function channelSums(tensor: Tensor, dimension: number): number[] {
  const channels = at(tensor.shape, dimension);
  const stride = at(stridesOf(tensor.shape), dimension);
  const sums = Array.from({ length: channels }, () => 0);
  toNumbers(tensor).forEach((value, i) => {
    const c = Math.floor(i / stride) % channels;
    sums[c] = (sums[c] ?? 0) + value;
  });
  return sums;
}
