/** One node in onnxruntime-node, its graph optimisations off: the second opinion on an operator. */
import { exportOnnx } from 'hone/frontends/onnx/index';
import type { Attrs, Graph, ValueId } from 'hone/graph/types';
import { valueById } from 'hone/graph/walk';
import { opBuilder } from 'hone/ops/registry';
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import * as ort from 'onnxruntime-node';
import { fromOrt, toOrt } from './ort-tensors.ts';

const FATAL_ONLY = 4;

/** One use of an operator. */
export interface NodeUse {
  readonly op: string;
  readonly domain: string;
  readonly inputs: readonly (Tensor | null)[];
  readonly attrs: Attrs;
  /** Default 1. */
  readonly outputs?: number;
  /** Positions of inputs that are known when the model is compiled. */
  readonly constants?: readonly number[];
}

export interface NodeGraph {
  readonly graph: Graph;
  /** In the order of the graph's inputs. */
  readonly inputs: readonly Tensor[];
}

export function graphOfUse(use: NodeUse): NodeGraph {
  const b = opBuilder('use');
  const inputs: Tensor[] = [];
  const ids = use.inputs.map((tensor, i): ValueId | null => {
    if (tensor === null) return null;
    if (use.constants?.includes(i)) return b.constant(tensor, `k${i}`);
    inputs.push(tensor);
    return b.graph.input(`x${i}`, { dtype: tensor.dtype, shape: tensor.shape });
  });
  const { outputs = 1 } = use;
  const made = b.ops(use.op, ids, use.attrs, { domain: use.domain, name: 'node', outputs });
  return { graph: b.graph.finish(made), inputs };
}

/** What onnxruntime makes of it; throws its own error where it does not take the use. */
export async function peerAnswers({ graph, inputs }: NodeGraph): Promise<readonly Tensor[]> {
  const session = await ort.InferenceSession.create(exportOnnx(graph), {
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: 1,
    logSeverityLevel: FATAL_ONLY,
  });
  try {
    const feeds = graph.inputs.map((id, i) => {
      const tensor = inputs[i] as Tensor;
      return [valueById(graph, id).name, toOrt(tensor)] as const;
    });
    const results = await session.run(Object.fromEntries(feeds));
    return graph.outputs.map((id) => {
      const { name, type } = valueById(graph, id);
      return fromOrt(results[name], type.dtype);
    });
  } finally {
    await session.release();
  }
}

/** Values below it are compared as if it were the largest. */
const LEAST_SCALE = 0.1;

/** Where two answers differ by more than `relative` of the largest value; undefined: nowhere. */
export function disagreement(
  got: readonly Tensor[],
  wanted: readonly Tensor[],
  relative: number,
): string | undefined {
  for (const [i, theirs] of wanted.entries()) {
    const mine = got[i];
    if (mine === undefined) return `output ${i} is missing`;
    if (mine.dtype !== theirs.dtype || mine.shape.join() !== theirs.shape.join()) {
      return `output ${i} is ${mine.dtype}[${mine.shape}], the peer's ${theirs.dtype}[${theirs.shape}]`;
    }
    if (mine.dtype === 'string') {
      const [a, b] = [mine.data as readonly string[], theirs.data as readonly string[]];
      const at = a.findIndex((text, k) => text !== b[k]);
      if (at >= 0) return `output ${i} at ${at} is ${a[at]}, the peer's ${b[at]}`;
      continue;
    }
    const [a, b] = [toNumbers(mine), toNumbers(theirs)];
    const scale = b.reduce(
      (m, x) => (Number.isFinite(x) ? Math.max(m, Math.abs(x)) : m),
      LEAST_SCALE,
    );
    const at = a.findIndex((x, k) => {
      const y = b[k] as number;
      if (Object.is(x, y) || x === y) return false;
      return !(Math.abs(x - y) <= relative * scale);
    });
    if (at >= 0)
      return `output ${i} at ${at} is ${a[at]}, the peer's ${b[at]}: ${[...a]} / ${[...b]}`;
  }
  return undefined;
}
