/**
 * A case as a model of an older opset: what are inputs today were attributes then. The same bytes
 * go to Hone's importer, which brings the node to its present form, and to onnxruntime-node.
 */
import { exportOnnx, importOnnx, readOnnx } from 'hone/frontends/onnx/index';
import type { Attrs, AttrValue, Graph } from 'hone/graph/types';
import { interpret } from 'hone/ops/interpret';
import { opBuilder, type Registry, standardRegistry } from 'hone/ops/registry';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { memorySource } from 'hone-runtime/base/io';
import { seededRandom } from 'hone-runtime/base/random';
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { difference } from '../compare-values.ts';
import { addCase, type OpCase } from './op-case.ts';
import { peerRun } from './peer.ts';
import { isComparable } from './peer-exceptions.ts';

/** The oldest opset that onnxruntime promises to read. */
const OLDEST = 7;

interface Moved {
  /** The first opset in which they are inputs. */
  readonly below: number;
  /** By position of the input. */
  readonly names: Readonly<Record<number, string>>;
  readonly type: 'int' | 'ints' | 'float' | 'floats';
}

const REDUCTIONS = 'Max Min Mean Prod L1 L2 SumSquare LogSum LogSumExp'.split(' ');

const MOVED: Readonly<Record<string, Moved>> = {
  Squeeze: { below: 13, names: { 1: 'axes' }, type: 'ints' },
  Unsqueeze: { below: 13, names: { 1: 'axes' }, type: 'ints' },
  ReduceSum: { below: 13, names: { 1: 'axes' }, type: 'ints' },
  ...Object.fromEntries(
    REDUCTIONS.map((name) => [
      `Reduce${name}`,
      { below: 18, names: { 1: 'axes' }, type: 'ints' } satisfies Moved,
    ]),
  ),
  Clip: { below: 11, names: { 1: 'min', 2: 'max' }, type: 'float' },
  Slice: { below: 10, names: { 1: 'starts', 2: 'ends', 3: 'axes' }, type: 'ints' },
  Split: { below: 13, names: { 1: 'split' }, type: 'ints' },
  TopK: { below: 10, names: { 1: 'k' }, type: 'int' },
  Upsample: { below: 9, names: { 1: 'scales' }, type: 'floats' },
  Dropout: { below: 12, names: { 1: 'ratio' }, type: 'float' },
};

/** Writes a use in any opset, whether or not the operator meant the same then. */
const ANY_OPSET: Registry = Object.assign(Object.create(standardRegistry) as Registry, {
  find: (name: string, domain: string) => {
    const def = standardRegistry.find(name, domain);
    if (def === undefined) return undefined;
    const moved = MOVED[name];
    const old = Object.values(moved?.names ?? {}).map((attr) => [attr, { type: moved?.type }]);
    return { ...def, since: 1, attrs: { ...def.attrs, ...Object.fromEntries(old) } };
  },
});

/** What is wrong, 'same', or undefined where one of the two does not take the model. */
export async function checkOldOpset(item: OpCase, seed: number): Promise<string | undefined> {
  if ((item.op.domain ?? '') !== '' || !isComparable(item)) return undefined;
  const random = seededRandom(seed);
  const opset = OLDEST + random.integer(Math.min(item.op.since + 1, 22) - OLDEST + 1);
  const model = modelOf(item, opset);
  if (model === undefined) return undefined;
  const theirs = await peerRun(model.bytes, model.graph, model.inputs);
  if (theirs === undefined) return undefined;
  let graph: Graph;
  let ours: readonly Tensor[];
  try {
    graph = importOnnx(readOnnx(memorySource(model.bytes, 'old.onnx'))).graph;
    ours = interpret(graph, model.inputs);
  } catch (error) {
    if (error instanceof HoneError && !error.code.startsWith('HONE-INTERNAL')) return undefined;
    return `opset ${opset}: ${(error as Error).stack}`;
  }
  const text = difference({ graph, inputs: model.inputs }, theirs, ours);
  return text === undefined ? 'same' : `opset ${opset}: ${text}`;
}

interface OldModel {
  readonly bytes: Uint8Array;
  readonly graph: Graph;
  readonly inputs: readonly Tensor[];
}

function modelOf(item: OpCase, opset: number): OldModel | undefined {
  const moved = MOVED[item.op.name];
  const b = opBuilder('old');
  const today = addCase(b, item, 'c0_');
  if (moved === undefined || opset >= moved.below) {
    const graph = b.graph.finish(today.outputs);
    return { bytes: write(graph, opset), graph, inputs: today.inputs };
  }
  const attrs: Record<string, AttrValue> = { ...withoutNew(item.attrs) };
  for (const [position, name] of Object.entries(moved.names)) {
    const tensor = item.inputs[Number(position)];
    if (tensor === undefined || tensor === null) continue;
    if (!item.constant[Number(position)]) return undefined;
    const values = [...toNumbers(tensor)];
    attrs[name] = moved.type.endsWith('s') ? values : (values[0] ?? 0);
  }
  const old = opBuilder('old');
  const inputs: Tensor[] = [];
  const kept = item.inputs.filter((_, i) => moved.names[i] === undefined);
  const ids = kept.map((tensor, i) => {
    if (tensor === null) return null;
    inputs.push(tensor);
    return old.graph.input(`c0_x${i}`, { dtype: tensor.dtype, shape: tensor.shape });
  });
  const outputs = old.graph.node({
    op: item.op.name,
    domain: '',
    inputs: ids,
    attrs,
    types: today.outputs.map((id) => b.typeOf(id)),
    name: 'c0_node',
    outputNames: today.outputs.map((_, i) => `c0_y${i}`),
  });
  const graph = old.graph.finish(outputs);
  return { bytes: write(graph, opset), graph, inputs };
}

/** Attributes that came with the input. */
function withoutNew(attrs: Attrs): Attrs {
  const { noop_with_empty_axes: _1, largest: _2, sorted: _3, ...rest } = attrs;
  return rest;
}

function write(graph: Graph, opset: number): Uint8Array {
  return exportOnnx(graph, { opset, registry: ANY_OPSET });
}
