/**
 * Graph → ONNX bytes.
 *
 * Attribute types come from the operator records; attributes equal to their default are left out,
 * so that a file does not name attributes its opset lacks. The opset is raised to the newest one
 * the graph's operators need. Sub-graphs of control operators take their trailing inputs from the
 * surrounding graph by name, as ONNX wants it (see `captures` in import-control.ts).
 */
import { fail } from 'hone-runtime/base/diagnostics';
import { dtypeCode } from 'hone-runtime/base/dtype';
import type { Tensor } from 'hone-runtime/base/tensor';
import type { AttrSpec, AttrType } from '../../ops/define-op.ts';
import { firstDraw } from '../../ops/math/draws.ts';
import { type Registry, standardRegistry } from '../../ops/registry.ts';
import type {
  Attrs,
  AttrValue,
  Graph,
  Node,
  Value,
  ValueId,
  ValueType,
} from '../../graph/types.ts';
import { constantTensor, valueById } from '../../graph/walk.ts';
import { BOUND_ATTRS } from '../../ops/tensor/within.ts';
import { isBoundedLoop, openAxes, unchecked, withoutExtents } from './export-bounded.ts';
import {
  ATTRIBUTE,
  ATTRIBUTE_TYPE,
  DIM,
  GRAPH,
  MODEL,
  NODE,
  OPSET,
  SHAPE,
  TENSOR_TYPE,
  TYPE,
  VALUE_INFO,
} from './proto.ts';
import { WireWriter } from './wire-writer.ts';
import { putTensor } from './write-tensor.ts';

export interface ExportOptions {
  /** Least opset of the default domain; raised where an operator of the graph is newer. Default 17. */
  readonly opset?: number;
  readonly producer?: string;
  readonly registry?: Registry;
}

/** IR version that introduced each opset; index = opset - 17. */
const IR_VERSIONS = [8, 8, 9, 9, 10, 10, 11, 11, 12, 13, 13];

interface Export {
  readonly registry: Registry;
  /** Opset by domain. */
  readonly opsets: ReadonlyMap<string, number>;
}

/** How values of one graph are called in the file. */
type Naming = (id: ValueId) => string;

/** A valid ONNX model of a graph. Constants are written as initializers, read where they are stored. */
export function exportOnnx(whole: Graph, options: ExportOptions = {}): Uint8Array {
  const graph = withoutExtents(whole);
  const registry = options.registry ?? standardRegistry;
  const opsets = new Map<string, number>([['', options.opset ?? 17]]);
  raiseOpsets(graph, registry, opsets);
  const opset = opsets.get('') ?? 17;
  const context: Export = { registry, opsets };
  const writer = new WireWriter();
  writer.int(MODEL.irVersion, opset < 17 ? 8 : (IR_VERSIONS[opset - 17] ?? 13));
  writer.string(MODEL.producerName, options.producer ?? 'hone');
  writer.message(MODEL.graph, (w) => {
    putGraph(w, graph, context, (id) => valueById(graph, id).name, graph.inputs);
  });
  for (const [domain, version] of opsets) {
    writer.message(MODEL.opsetImport, (w) => {
      if (domain !== '') w.string(OPSET.domain, domain);
      w.int(OPSET.version, version);
    });
  }
  return writer.finish();
}

function raiseOpsets(graph: Graph, registry: Registry, opsets: Map<string, number>): void {
  for (const node of graph.nodes.map(unchecked)) {
    const since = registry.find(node.op, node.domain)?.since ?? 1;
    opsets.set(node.domain, Math.max(opsets.get(node.domain) ?? 1, since));
    for (const value of Object.values(node.attrs)) {
      for (const inner of graphsOf(value)) raiseOpsets(inner, registry, opsets);
    }
  }
}

function putGraph(
  writer: WireWriter,
  graph: Graph,
  context: Export,
  name: Naming,
  inputs: readonly ValueId[],
): void {
  for (const node of graph.nodes) {
    writer.message(GRAPH.node, (w) => putNode(w, unchecked(node), context, name));
  }
  writer.string(GRAPH.name, graph.name);
  for (const value of usedConstants(graph)) {
    const tensor = constantTensor(value);
    writer.message(GRAPH.initializer, (w) => putTensor(w, tensor, name(value.id)));
  }
  const typeOf = (id: ValueId): ValueType => valueById(graph, id).type;
  for (const id of inputs) putValueInfo(writer, GRAPH.input, name(id), typeOf(id));
  const open = openAxes(graph);
  for (const id of graph.outputs) {
    putValueInfo(writer, GRAPH.output, name(id), typeOf(id), open.get(id));
  }
}

function usedConstants(graph: Graph): readonly Value[] {
  const used = new Set<ValueId>(graph.outputs);
  for (const node of graph.nodes) for (const id of node.inputs) if (id !== null) used.add(id);
  return graph.values.filter((value) => value.constant !== undefined && used.has(value.id));
}

/** Appends a ValueInfoProto; without a type where none is known, without extents along open axes. */
export function putValueInfo(
  writer: WireWriter,
  field: number,
  name: string,
  known: ValueType | undefined,
  open: ReadonlySet<number> = new Set(),
): void {
  writer.message(field, (info) => {
    info.string(VALUE_INFO.name, name);
    if (known === undefined) return;
    info.message(VALUE_INFO.type, (type) => {
      type.message(TYPE.tensor, (tensor) => {
        tensor.int(TENSOR_TYPE.elemType, dtypeCode(known.dtype));
        tensor.message(TENSOR_TYPE.shape, (shape) => {
          known.shape.forEach((extent, axis) => {
            shape.message(SHAPE.dim, (dim) => {
              if (!open.has(axis)) dim.int(DIM.value, extent);
            });
          });
        });
      });
    });
  });
}

function putNode(writer: WireWriter, node: Node, context: Export, name: Naming): void {
  const specs = context.registry.find(node.op, node.domain)?.attrs ?? {};
  const captures = typeof node.attrs['captures'] === 'number' ? node.attrs['captures'] : 0;
  // What draws is told its iterations and its name beyond ONNX; an import tells it again.
  const draws = firstDraw(node.op, node.domain);
  const formal = node.inputs.slice(0, draws ?? node.inputs.length - captures);
  const captured = draws === undefined ? node.inputs.slice(formal.length) : [];
  // A Loop states both of what may end it, be they absent or not.
  const least = node.op === 'Loop' && node.domain === '' ? 2 : 0;
  while (formal.length > least && formal.at(-1) === null) formal.pop();
  for (const id of formal) writer.string(NODE.input, id === null ? '' : name(id));
  const isBounded = isBoundedLoop(node);
  const outputs = isBounded ? node.outputs.slice(0, -1) : node.outputs;
  for (const id of outputs) writer.string(NODE.output, name(id));
  writer.string(NODE.name, node.name);
  writer.string(NODE.op, node.op);
  for (const [key, value] of Object.entries(fullAttrs(node))) {
    if (key === 'captures' && graphsIn(node).length > 0) continue;
    if (isBounded && (key === 'bound' || key in BOUND_ATTRS)) continue;
    if (draws !== undefined && (key === 'stream' || key === 'loops')) continue;
    if (isDefault(value, specs[key])) continue;
    const type = specs[key]?.type ?? guessType(key, value, node);
    writer.message(NODE.attribute, (w) =>
      putAttribute(w, key, type, value, (w2, inner) => {
        const outer = captured.map((id) => (id === null ? '' : name(id)));
        putSubgraph(w2, inner, context, `${node.name}/`, outer);
      }),
    );
  }
  if (node.domain !== '') writer.string(NODE.domain, node.domain);
}

/** From opset 18 an equal Split has to say into how many; the Graph form leaves it to the outputs. */
function fullAttrs(node: Node): Attrs {
  const isImplied =
    node.op === 'Split' &&
    node.domain === '' &&
    node.inputs[1] == null &&
    !node.attrs['num_outputs'];
  return isImplied ? { ...node.attrs, num_outputs: node.outputs.length } : node.attrs;
}

/** A sub-graph's values get a prefix, because ONNX forbids that they shadow outer ones. */
function putSubgraph(
  writer: WireWriter,
  source: Graph,
  context: Export,
  prefix: string,
  outer: readonly string[],
): void {
  const graph = withOwnOutputs(source);
  const formal = graph.inputs.slice(0, graph.inputs.length - outer.length);
  const captured = new Map(graph.inputs.slice(formal.length).map((id, i) => [id, outer[i] ?? '']));
  const name: Naming = (id) => captured.get(id) ?? `${prefix}${valueById(graph, id).name}`;
  putGraph(writer, graph, context, name, formal);
}

/** A sub-graph may not give out what is around it, and gives each value once: copies stand for those. */
function withOwnOutputs(graph: Graph): Graph {
  const made = new Set(graph.nodes.flatMap((node) => node.outputs));
  const given = new Set<ValueId>();
  const values = [...graph.values];
  const nodes = [...graph.nodes];
  const outputs = graph.outputs.map((id) => {
    if (made.has(id) && !given.has(id)) {
      given.add(id);
      return id;
    }
    const { name, type } = valueById(graph, id);
    const copy: Value = { id: values.length, name: `${name}/given.${values.length}`, type };
    values.push(copy);
    const node = { op: 'Identity', domain: '', inputs: [id], outputs: [copy.id], attrs: {} };
    nodes.push({ ...node, name: copy.name });
    return copy.id;
  });
  return { ...graph, values, nodes, outputs };
}

function putAttribute(
  writer: WireWriter,
  name: string,
  type: AttrType,
  value: AttrValue,
  putGraphValue: (writer: WireWriter, graph: Graph) => void,
): void {
  writer.string(ATTRIBUTE.name, name);
  switch (type) {
    case 'int':
      writer.int(ATTRIBUTE.i, value as number);
      break;
    case 'float':
      writer.float(ATTRIBUTE.f, value as number);
      break;
    case 'string':
      writer.string(ATTRIBUTE.s, value as string);
      break;
    case 'ints':
      for (const item of value as readonly number[]) writer.int(ATTRIBUTE.ints, item);
      break;
    case 'floats':
      for (const item of value as readonly number[]) writer.float(ATTRIBUTE.floats, item);
      break;
    case 'strings':
      for (const item of value as readonly string[]) writer.string(ATTRIBUTE.strings, item);
      break;
    case 'tensor':
      writer.message(ATTRIBUTE.t, (w) => putTensor(w, value as Tensor));
      break;
    case 'graph':
      writer.message(ATTRIBUTE.g, (w) => putGraphValue(w, value as Graph));
      break;
    case 'graphs':
      for (const graph of value as readonly Graph[]) {
        writer.message(ATTRIBUTE.graphs, (w) => putGraphValue(w, graph));
      }
      break;
    default:
      throw type satisfies never;
  }
  writer.int(ATTRIBUTE.type, ATTRIBUTE_TYPE[type]);
}

function isDefault(value: AttrValue, spec: AttrSpec | undefined): boolean {
  const normal = spec?.default;
  if (normal === undefined || spec?.required) return false;
  if (!Array.isArray(normal) || !Array.isArray(value)) return Object.is(normal, value);
  const other = value as readonly (number | string)[];
  return normal.length === other.length && normal.every((item, i) => item === other[i]);
}

/** The type of an attribute no record describes; a whole number counts as an integer. */
function guessType(name: string, value: AttrValue, node: Node): AttrType {
  if (typeof value === 'string') return 'string';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float';
  if (isGraph(value)) return 'graph';
  if (!Array.isArray(value)) return 'tensor';
  const items = value as readonly (number | string | Graph)[];
  const first = items[0];
  if (typeof first === 'string') return 'strings';
  if (typeof first === 'number') return items.every(Number.isInteger) ? 'ints' : 'floats';
  if (first !== undefined) return 'graphs';
  return fail(
    'HONE-ONNX-030',
    `node ${node.name} (${node.op}): the type of the empty attribute ${name} is not known`,
    node.name,
    'leave the attribute out, or register the operator',
  );
}

function graphsIn(node: Node): readonly Graph[] {
  return Object.values(node.attrs).flatMap(graphsOf);
}

function graphsOf(value: AttrValue): readonly Graph[] {
  if (isGraph(value)) return [value];
  if (!Array.isArray(value)) return [];
  return (value as readonly unknown[]).filter((item): item is Graph => isGraph(item));
}

function isGraph(value: unknown): value is Graph {
  return typeof value === 'object' && value !== null && 'nodes' in value && 'values' in value;
}
