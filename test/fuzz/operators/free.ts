/**
 * A case as a model whose inputs are all inputs, those too that decide sizes: imported at bounds that follow
 * from what they are, it gives what the operator gives with constants, at the actual size.
 */
import { readOnnx } from 'hone/frontends/onnx/index';
import type { AttrValue, Graph } from 'hone/graph/types';
import { interpret } from 'hone/ops/interpret';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { memorySource } from 'hone-runtime/base/io';
import { elementCount, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { write } from '../../bounded/survey.ts';
import { importFreely } from '../../conformance/bounds.ts';
import type { OpCase } from './op-case.ts';

/** Longer lists are data. */
const MAX_LIST = 64;

/** Random: elements are numbered in the room. */
const APART = /^(Bernoulli|Dropout|Multinomial|Random.*)$/;

export type Free =
  | { readonly kind: 'graph'; readonly graph: Graph; readonly inputs: readonly Tensor[] }
  /** Nothing of it decides, or the importer says why it cannot be. */
  | { readonly kind: 'same' }
  | { readonly kind: 'refused'; readonly text: string }
  | { readonly kind: 'fault'; readonly text: string };

/** Floats among attributes as a model holds them. */
export function asWritten(item: OpCase): OpCase {
  const round = (value: number): number => (Number.isInteger(value) ? value : Math.fround(value));
  const written = (value: AttrValue): AttrValue => {
    if (typeof value === 'number') return round(value);
    if (!Array.isArray(value) || typeof value[0] !== 'number') return value;
    return (value as readonly number[]).map(round);
  };
  const attrs = Object.entries(item.attrs).map(([name, value]) => [name, written(value)] as const);
  return { ...item, attrs: Object.fromEntries(attrs) };
}

const decides = (tensor: Tensor | null): boolean =>
  tensor !== null &&
  /^i(32|64)$/.test(tensor.dtype) &&
  tensor.shape.length <= 1 &&
  elementCount(tensor.shape) <= MAX_LIST;

/** An axis that is named twice is no ONNX, whatever the references say of it. */
function namesTwice({ op, inputs: [x, axes] }: OpCase): boolean {
  if (!/^(Reduce|Squeeze|Unsqueeze)/.test(op.name) || axes == null || x == null) return false;
  const count = axes.data.length;
  const rank = x.shape.length + (op.name === 'Unsqueeze' ? count : 0);
  return new Set([...toNumbers(axes)].map((axis) => (axis + rank) % rank)).size < count;
}

/** No operator takes sizes of 16 bits; as inputs their type alone would bound each at 32,767 or more. */
const hasShortSizes = ({ inputs, constant }: OpCase): boolean =>
  inputs.some(
    (x, k) =>
      constant[k] === true && /^[iu]16$/.test(x?.dtype ?? '') && (x?.shape.length ?? 2) <= 1,
  );

export function freeGraph(item: OpCase, wanted: readonly Tensor[]): Free {
  const isParameter = item.inputs.some((tensor, k) => decides(tensor) || item.constant[k] === true);
  const isOwn = item.op.domain === 'hone' || APART.test(item.op.name);
  if (isOwn || !isParameter || namesTwice(item) || hasShortSizes(item)) return { kind: 'same' };
  const asked = { ...item, outputs: wanted.length };
  const { bytes, inputs: places } = write(item.op, asked, 'none', []);
  const inputs = places.map((k) => item.inputs[k] as Tensor);
  const given = new Map(places.map((k, i) => [`x${k}`, inputs[i] as Tensor]));
  const shapes = Object.fromEntries([...given].map(([name, { shape }]) => [name, shape]));
  const outputs = new Map(wanted.map(({ shape }, i) => [`y${i}`, shape]));
  try {
    const model = readOnnx(memorySource(bytes, 'free.onnx'));
    const { graph } = importFreely(model, { given, shapes, outputs }).result;
    return { kind: 'graph', graph, inputs };
  } catch (error) {
    if (error instanceof HoneError && error.code === 'HONE-SHAPE-002')
      return { kind: 'refused', text: error.message };
    return { kind: 'fault', text: (error as Error).stack ?? String(error) };
  }
}

/** What the graph gives, or how it fails. */
export function freeOutputs(graph: Graph, inputs: readonly Tensor[]): readonly Tensor[] | string {
  try {
    return interpret(graph, inputs);
  } catch (error) {
    return (error as Error).stack ?? String(error);
  }
}
