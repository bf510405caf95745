/**
 * Lets windows do the padding in front of them: a constant Pad of the spatial axes goes into the
 * `pads` of Conv (value 0), AveragePool (value 0, then padding counts) and MaxPool (value -inf,
 * or 0 where the data is never negative and every window touches data).
 *
 * Requires explicit pads (auto_pad NOTSET or VALID) and floor mode. A Pad that others read too
 * stays for them.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, Node, ValueId } from '../graph/types.ts';
import { type Pass, type Rebuild, rewriteGraph } from './pass.ts';

export const absorbPad: Pass = {
  name: 'absorb-pad',
  run: (graph, ctx) => rewriteGraph(graph, ctx, absorb),
};

/** Non-negative constant padding of the axes behind batch and channels. */
interface SpatialPad {
  readonly data: ValueId;
  readonly begin: readonly number[];
  readonly end: readonly number[];
  readonly value: number;
}

function absorb(node: Node, r: Rebuild): readonly ValueId[] | undefined {
  const [data] = node.inputs;
  if (node.domain !== '' || data === null || data === undefined) return undefined;
  if (ABSORBERS[node.op] === undefined || node.outputs.length !== 1) return undefined;
  const inputs = node.inputs.map((id) => (id === null ? null : r.map(id)));
  let window: Node = { ...node, inputs };
  // Pads may stand one after the other.
  for (let next = absorbOne(window, r); next !== undefined; next = absorbOne(window, r)) {
    window = next;
  }
  return window.inputs === inputs ? undefined : [r.b.op(node.op, window.inputs, window.attrs)];
}

/** The window (with new values as inputs) without the Pad in front of it. */
function absorbOne(window: Node, r: Rebuild): Node | undefined {
  const explicit = window.attrs['auto_pad'] === 'NOTSET' || window.attrs['auto_pad'] === 'VALID';
  if (!explicit || window.attrs['ceil_mode'] === 1) return undefined;
  const [data, ...rest] = window.inputs;
  const pad = data === null || data === undefined ? undefined : spatialPad(r, data);
  const extra = pad && ABSORBERS[window.op]?.(window, pad, r);
  if (pad === undefined || extra === undefined) return undefined;
  const own = ownPads(window, pad.begin.length);
  const pads = [...pad.begin, ...pad.end].map((n, i) => n + (own[i] ?? 0));
  const attrs = { ...window.attrs, ...extra, auto_pad: 'NOTSET', pads };
  return { ...window, inputs: [pad.data, ...rest], attrs };
}

type Absorber = (node: Node, pad: SpatialPad, r: Rebuild) => Attrs | undefined;

const ABSORBERS: Readonly<Record<string, Absorber>> = {
  Conv: (_node, pad) => (pad.value === 0 ? {} : undefined),
  AveragePool: (node, pad) => {
    const counts = node.attrs['count_include_pad'] === 1;
    const unpadded = ownPads(node, pad.begin.length).every((n) => n === 0);
    return pad.value === 0 && (counts || unpadded) ? { count_include_pad: 1 } : undefined;
  },
  MaxPool: (node, pad, r) => {
    if (pad.value === Number.NEGATIVE_INFINITY) return {};
    const kernel = node.attrs['kernel_shape'];
    if (pad.value !== 0 || !Array.isArray(kernel) || !isNeverNegative(r, pad.data)) {
      return undefined;
    }
    const own = ownPads(node, kernel.length);
    const touches = kernel.every((extent, i) => {
      const begin = (pad.begin[i] ?? 0) + (own[i] ?? 0);
      const end = (pad.end[i] ?? 0) + (own[i + kernel.length] ?? 0);
      return begin < Number(extent) && end < Number(extent);
    });
    const dilations = node.attrs['dilations'];
    const dense = !Array.isArray(dilations) || dilations.every((d) => d === 1);
    return touches && dense ? {} : undefined;
  },
};

function ownPads(node: Node, rank: number): readonly number[] {
  const { pads, auto_pad: mode } = node.attrs;
  if (mode === 'VALID' || !Array.isArray(pads)) return new Array<number>(2 * rank).fill(0);
  return pads.map(Number);
}

function spatialPad(r: Rebuild, id: ValueId): SpatialPad | undefined {
  const node = r.producer(id);
  if (node?.op !== 'Pad' || node.domain !== '' || node.attrs['mode'] !== 'constant') {
    return undefined;
  }
  const data = at(node.inputs, 0);
  const amounts = r.constant(node.inputs[1]);
  if (data === null || amounts === undefined) return undefined;
  const value = paddingValue(r, node);
  const rank = r.b.typeOf(data).shape.length;
  const full = fullPads(r, node, [...toNumbers(amounts)], rank);
  if (value === undefined || full === undefined || rank < 3) return undefined;
  const [begin, end] = [full.slice(0, rank), full.slice(rank)];
  const outer = [...begin.slice(0, 2), ...end.slice(0, 2)];
  if (outer.some((n) => n !== 0) || full.some((n) => n < 0)) return undefined;
  return { data, begin: begin.slice(2), end: end.slice(2), value };
}

/** The constant a Pad writes; undefined when it is not known. */
export function paddingValue(r: Rebuild, node: Node): number | undefined {
  const id = node.inputs[2] ?? null;
  if (id === null) return 0;
  const tensor = r.constant(id);
  return tensor === undefined ? undefined : toNumbers(tensor)[0];
}

/** Begins, then ends, for every axis; undefined when the axes are not known. */
export function fullPads(
  r: Rebuild,
  node: Node,
  pads: readonly number[],
  rank: number,
): number[] | undefined {
  const id = node.inputs[3] ?? null;
  if (id === null) return pads.length === 2 * rank ? [...pads] : undefined;
  const axes = r.constant(id);
  if (axes === undefined) return undefined;
  const full = new Array<number>(2 * rank).fill(0);
  toNumbers(axes).forEach((axis, i) => {
    const position = axis < 0 ? axis + rank : axis;
    full[position] = pads[i] ?? 0;
    full[position + rank] = pads[i + axes.data.length] ?? 0;
  });
  return full;
}

/** Results that are at least 0 by their operator; data movement in between is looked through. */
function isNeverNegative(r: Rebuild, id: ValueId): boolean {
  const node = r.producer(id);
  if (node === undefined || node.domain !== '') return false;
  if (['Relu', 'Sigmoid', 'HardSigmoid', 'Softmax', 'Exp', 'Abs', 'Softplus'].includes(node.op)) {
    return true;
  }
  if (node.op === 'Clip') {
    const low = r.constant(node.inputs[1]);
    return low !== undefined && (toNumbers(low)[0] ?? -1) >= 0;
  }
  const [data] = node.inputs;
  const moves = ['MaxPool', 'Transpose', 'Reshape'].includes(node.op);
  return moves && data !== null && data !== undefined && isNeverNegative(r, data);
}
