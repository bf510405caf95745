/**
 * The cases in onnxruntime-node, its graph optimisations off: one model of independent nodes. What
 * it does not take is left out, by the name of the node that its error gives, and remembered.
 */
import { exportOnnx } from 'hone/frontends/onnx/index';
import type { Graph, ValueId } from 'hone/graph/types';
import { valueById } from 'hone/graph/walk';
import { opBuilder } from 'hone/ops/registry';
import type { DType } from 'hone-runtime/base/dtype';
import type { Tensor } from 'hone-runtime/base/tensor';
import * as ort from 'onnxruntime-node';
import { fromOrt, hasOrtType, toOrt } from '../../support/ort-tensors.ts';
import { addCase, type OpCase } from './op-case.ts';
import { isComparable } from './peer-exceptions.ts';

const FATAL_ONLY = 4;
const SESSION: ort.InferenceSession.SessionOptions = {
  graphOptimizationLevel: 'disabled',
  intraOpNumThreads: 1,
  logSeverityLevel: FATAL_ONLY,
};
/** Newer operators make a model of their own: the peer may not know their opset. */
const COMMON_OPSET = 22;

/** Uses that the peer has refused, by operator and dtypes. */
const refused = new Set<string>();

/** The outputs by position; undefined where the peer is not asked (null) or has no answer. */
export async function peerOutputs(
  items: readonly (OpCase | null)[],
): Promise<readonly (readonly Tensor[] | undefined)[]> {
  const out: (readonly Tensor[] | undefined)[] = items.map(() => undefined);
  const usable = items.flatMap((item, place) =>
    item !== null && isUsable(item) ? [{ item, place }] : [],
  );
  const isNew = ({ item }: Placed): boolean =>
    (item.op.domain ?? '') === '' && item.op.since > COMMON_OPSET;
  await run(
    usable.filter((each) => !isNew(each)),
    out,
  );
  await run(usable.filter(isNew), out);
  return out;
}

interface Placed {
  readonly item: OpCase;
  readonly place: number;
}

function isUsable(item: OpCase): boolean {
  return (
    isComparable(item) &&
    !refused.has(keyOf(item)) &&
    item.inputs.every((tensor) => tensor === null || hasOrtType(tensor.dtype))
  );
}

function keyOf({ op, inputs }: OpCase): string {
  return [op.domain, op.name, ...inputs.map((tensor) => tensor?.dtype ?? '')].join(' ');
}

async function run(
  items: readonly Placed[],
  out: (readonly Tensor[] | undefined)[],
): Promise<void> {
  let left = items;
  while (left.length > 0) {
    let session: ort.InferenceSession | undefined;
    let text: string;
    let isRunning = false;
    try {
      const { bytes, feeds, names } = modelOf(left);
      session = await ort.InferenceSession.create(bytes, SESSION);
      isRunning = true;
      const results = await session.run(feeds);
      left.forEach(({ place }, i) => {
        out[place] = (names[i] ?? []).map(({ name, dtype }) => fromOrt(results[name], dtype));
      });
      return;
    } catch (error) {
      text = (error as Error).message;
    } finally {
      await session?.release();
    }
    const named = new Set([...text.matchAll(/c(\d+)_(?:node|[xyk]\d)/g)].map((m) => Number(m[1])));
    const culprits = left.filter(({ place }) => named.has(place));
    if (culprits.length === 0) {
      if (left.length === 1) return;
      const half = Math.ceil(left.length / 2);
      await run(left.slice(0, half), out);
      await run(left.slice(half), out);
      return;
    }
    for (const { item } of culprits) {
      if (
        !isRunning &&
        /NOT_IMPLEMENTED|not implemented|not a registered|not supported/i.test(text)
      )
        refused.add(keyOf(item));
    }
    left = left.filter(({ place, item }) => !named.has(place) && !refused.has(keyOf(item)));
  }
}

/** A model's outputs in order; undefined where the peer does not take the model or its data. */
export async function peerRun(
  bytes: Uint8Array,
  graph: Graph,
  inputs: readonly Tensor[],
): Promise<readonly Tensor[] | undefined> {
  if (inputs.some(({ dtype }) => !hasOrtType(dtype))) return undefined;
  const named = (id: ValueId): string => valueById(graph, id).name;
  let session: ort.InferenceSession | undefined;
  try {
    session = await ort.InferenceSession.create(bytes, SESSION);
    const feeds = graph.inputs.map((id, i) => [named(id), toOrt(inputs[i] as Tensor)]);
    const results = await session.run(Object.fromEntries(feeds) as Record<string, ort.Tensor>);
    return graph.outputs.map((id) => fromOrt(results[named(id)], valueById(graph, id).type.dtype));
  } catch {
    return undefined;
  } finally {
    await session?.release();
  }
}

interface PeerModel {
  readonly bytes: Uint8Array;
  readonly feeds: Record<string, ort.Tensor>;
  readonly names: readonly (readonly { readonly name: string; readonly dtype: DType }[])[];
}

function modelOf(items: readonly Placed[]): PeerModel {
  const b = opBuilder('fuzz');
  const feeds: Record<string, ort.Tensor> = {};
  const all = items.map(({ item, place }) => {
    const prefix = `c${place}_`;
    const { outputs } = addCase(b, item, prefix);
    item.inputs.forEach((tensor, i) => {
      if (tensor !== null && !item.constant[i]) feeds[`${prefix}x${i}`] = toOrt(tensor);
    });
    return outputs;
  });
  const names = all.map((ids) =>
    ids.map((id) => ({ name: b.graph.value(id).name, dtype: b.typeOf(id).dtype })),
  );
  return { bytes: exportOnnx(b.graph.finish(all.flat())), feeds, names };
}
