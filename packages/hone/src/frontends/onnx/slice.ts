/**
 * Part of a model's main graph as a model of its own: what removed nodes gave becomes an input of static
 * shape, or a constant where its elements are known. Nodes, functions and constants are taken as they are
 * in the file, byte for byte; nodes without a name get the one that messages call them by.
 */
import { dtypeCode, dtypeFromCode } from 'hone-runtime/base/dtype';
import { memorySource } from 'hone-runtime/base/io';
import type { Value, ValueType } from '../../graph/types.ts';
import { constantTensor } from '../../graph/walk.ts';
import { nodeName } from './analyze.ts';
import { realInputs } from './bind-shapes.ts';
import { putValueInfo } from './export.ts';
import { readsOf } from './order-nodes.ts';
import { GRAPH, MODEL, NODE } from './proto.ts';
import { readTensor } from './read-tensor.ts';
import { loadTensor } from './tensor-elements.ts';
import type {
  OnnxGraph,
  OnnxModel,
  OnnxNode,
  OnnxTensor,
  OnnxType,
  OnnxValueInfo,
} from './types.ts';
import { WireReader } from './wire-reader.ts';
import { WireWriter } from './wire-writer.ts';
import { putTensor, writeTensorProto } from './write-tensor.ts';

/** Which part of a model. */
export interface Slice {
  /** Positions in the graph's list of nodes, ascending. */
  readonly nodes: readonly number[];
  /** Names of values that these nodes make. */
  readonly outputs: readonly string[];
  /** Constants that become inputs, so that their elements are not kept. */
  readonly freed: ReadonlySet<string>;
}

/** A model and what `learnValues` knows of it. */
export interface KnownModel {
  readonly model: OnnxModel;
  readonly values: ReadonlyMap<string, Value>;
}

interface Plan {
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
  /** Initializers of the file, dense or sparse, by name. */
  readonly stored: ReadonlySet<string>;
  /** Values that nodes left out would compute. */
  readonly folded: ReadonlyMap<string, Value>;
}

/** The part as a model in memory; undefined where it would read a value of which nothing is known. */
export function sliceModel(known: KnownModel, slice: Slice): OnnxModel | undefined {
  const plan = planSlice(known, slice);
  if (plan === undefined) return undefined;
  const { model } = known;
  const { initializers, sparseInitializers, name } = model.graph;
  const folded = [...plan.folded].map(([of, value]) => tensorOf(value, of));
  const graph: OnnxGraph = {
    name,
    nodes: plan.nodes,
    inputs: plan.inputs,
    outputs: plan.outputs,
    valueInfo: [],
    initializers: [...initializers.filter((tensor) => plan.stored.has(tensor.name)), ...folded],
    sparseInitializers: sparseInitializers.filter(({ values: v }) => plan.stored.has(v.name)),
  };
  return { ...model, graph };
}

/** Names of the constants that the part reads, with their sizes in elements. */
export function constantsOf(known: KnownModel, slice: Slice): ReadonlyMap<string, number> {
  const plan = planSlice(known, slice);
  const sizes = new Map<string, number>();
  const count = (dims: readonly number[]): number => dims.reduce((all, dim) => all * dim, 1);
  for (const tensor of known.model.graph.initializers) {
    if (plan?.stored.has(tensor.name)) sizes.set(tensor.name, count(tensor.dims));
  }
  for (const [name, value] of plan?.folded ?? []) sizes.set(name, count(value.type.shape));
  return sizes;
}

/** Values that a model of these nodes alone has to give: those that others read, and outputs. */
export function outputsOf(model: OnnxModel, nodes: readonly number[]): readonly string[] {
  const kept = new Set(nodes);
  const inside = new Set<string>();
  const outside = new Set(model.graph.outputs.map(({ name }) => name));
  model.graph.nodes.forEach((node, i) => {
    for (const name of readsOf(node)) (kept.has(i) ? inside : outside).add(name);
  });
  const graphOutputs = new Set(model.graph.outputs.map(({ name }) => name));
  return nodes.flatMap((index) => {
    const made = (model.graph.nodes[index]?.outputs ?? []).filter((name) => name !== '');
    const wanted = made.filter(
      (name) => graphOutputs.has(name) || (outside.has(name) && !inside.has(name)),
    );
    if (wanted.length > 0 || made.some((name) => inside.has(name))) return wanted;
    return made.slice(0, 1);
  });
}

function planSlice({ model, values }: KnownModel, slice: Slice): Plan | undefined {
  const { graph } = model;
  const dense = new Map(graph.initializers.map((tensor) => [tensor.name, tensor]));
  const sparse = new Set(graph.sparseInitializers.map(({ values: v }) => v.name));
  const given = new Map(realInputs(graph).map((info) => [info.name, info]));
  const nodes = slice.nodes.flatMap((index) => {
    const node = graph.nodes[index];
    return node === undefined ? [] : [{ ...node, name: nodeName(node, index) }];
  });
  const made = new Set(nodes.flatMap(({ outputs }) => outputs));
  const inputs: OnnxValueInfo[] = [];
  const stored = new Set<string>();
  const folded = new Map<string, Value>();
  for (const name of new Set(nodes.flatMap(readsOf))) {
    if (made.has(name)) continue;
    const tensor = dense.get(name);
    const value = values.get(name);
    const isFreed = slice.freed.has(name);
    if (!isFreed && (tensor !== undefined || sparse.has(name))) stored.add(name);
    else if (!isFreed && value?.constant !== undefined && !given.has(name)) folded.set(name, value);
    else {
      const type = typeOf(value?.type, tensor) ?? given.get(name)?.type;
      if (type === undefined) return undefined;
      inputs.push({ name, type });
    }
  }
  const outputs = slice.outputs.map((name): OnnxValueInfo => {
    const type = typeOf(values.get(name)?.type, undefined);
    return { name, type: type ?? { kind: 'unknown' } };
  });
  return { nodes, inputs, outputs, stored, folded };
}

function typeOf(
  known: ValueType | undefined,
  tensor: OnnxTensor | undefined,
): OnnxType | undefined {
  if (known !== undefined) {
    return { kind: 'tensor', dataType: dtypeCode(known.dtype), shape: known.shape };
  }
  if (tensor === undefined) return undefined;
  return { kind: 'tensor', dataType: tensor.dataType, shape: tensor.dims };
}

function tensorOf(value: Value, name: string): OnnxTensor {
  const source = memorySource(writeTensorProto(constantTensor(value), name), name);
  return readTensor(new WireReader(source), source.size);
}

const COPIED: ReadonlySet<number> = new Set([
  MODEL.domain,
  MODEL.modelVersion,
  MODEL.opsetImport,
  MODEL.functions,
]);

/** The part as a file; undefined where `sliceModel` is. */
export function writeSlice(known: KnownModel, slice: Slice): Uint8Array | undefined {
  const plan = planSlice(known, slice);
  if (plan === undefined) return undefined;
  const { model } = known;
  const w = new WireWriter();
  // From version 4 on, constants need not be inputs as well.
  w.int(MODEL.irVersion, model.irVersion === 3 ? 4 : model.irVersion);
  w.string(MODEL.producerName, 'hone reduce');
  const r = new WireReader(model.source);
  while (r.next(model.source.size)) {
    if (r.field === MODEL.graph) {
      r.nested((end) => w.message(MODEL.graph, (g) => writeGraph(r, end, g, known, slice, plan)));
    } else copyField(r, w, COPIED.has(r.field));
  }
  return w.finish();
}

function writeGraph(
  r: WireReader,
  end: number,
  w: WireWriter,
  { model }: KnownModel,
  slice: Slice,
  plan: Plan,
): void {
  const { graph } = model;
  // Written in the order of the list, whatever that of the file is.
  const places = new Map(slice.nodes.map((index, i) => [graph.positions?.[index] ?? index, i]));
  const written: Uint8Array[] = [];
  const containers = new Set(
    plan.inputs.filter(({ type }) => type.kind !== 'tensor').map((i) => i.name),
  );
  const next = { node: 0, dense: 0, sparse: 0, input: 0 };
  while (r.next(end)) {
    if (r.field === GRAPH.node) {
      const place = places.get(next.node++);
      if (place === undefined) r.skip();
      else {
        const name = plan.nodes[place]?.name ?? '';
        const isNamed = graph.nodes[slice.nodes[place] ?? -1]?.name === name;
        const bytes = payload(r);
        written[place] = isNamed ? bytes : withName(bytes, name);
      }
    } else if (r.field === GRAPH.initializer) {
      const tensor = graph.initializers[next.dense++];
      if (tensor === undefined || !plan.stored.has(tensor.name)) r.skip();
      else if (tensor.payload.kind !== 'external') copyField(r, w, true);
      else {
        r.skip();
        w.message(GRAPH.initializer, (t) =>
          putTensor(t, loadTensor(tensor, model.external), tensor.name),
        );
      }
    } else if (r.field === GRAPH.sparseInitializer) {
      copyField(r, w, plan.stored.has(graph.sparseInitializers[next.sparse++]?.values.name ?? ''));
    } else if (r.field === GRAPH.input) {
      copyField(r, w, containers.has(graph.inputs[next.input++]?.name ?? ''));
    } else copyField(r, w, r.field === GRAPH.name);
  }
  for (const bytes of written) w.bytes(GRAPH.node, bytes);
  for (const [name, value] of plan.folded) {
    w.message(GRAPH.initializer, (t) => putTensor(t, constantTensor(value), name));
  }
  for (const info of plan.inputs) {
    if (!containers.has(info.name)) putValueInfo(w, GRAPH.input, info.name, plainType(info.type));
  }
  for (const info of plan.outputs) putValueInfo(w, GRAPH.output, info.name, plainType(info.type));
}

function plainType(type: OnnxType): ValueType | undefined {
  if (type.kind !== 'tensor' || type.shape === null) return undefined;
  const dtype = dtypeFromCode(type.dataType);
  const isStatic = type.shape.every((dim): dim is number => typeof dim === 'number');
  return dtype === undefined || !isStatic ? undefined : { dtype, shape: type.shape as number[] };
}

/** Of a field that comes twice the last one counts. */
function withName(node: Uint8Array, name: string): Uint8Array {
  const w = new WireWriter();
  w.string(NODE.name, name);
  const tail = w.finish();
  const out = new Uint8Array(node.byteLength + tail.byteLength);
  out.set(node);
  out.set(tail, node.byteLength);
  return out;
}

function payload(r: WireReader): Uint8Array {
  const { offset, length } = r.range();
  return r.source.read(offset, length);
}

/** Fields of the kinds that models use: numbers and what has a length. */
function copyField(r: WireReader, w: WireWriter, isWanted: boolean): void {
  if (!isWanted) r.skip();
  else if (r.wire === 0) w.int(r.field, r.int());
  else w.bytes(r.field, payload(r));
}
