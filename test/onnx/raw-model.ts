/**
 * ONNX bytes written field by field, for models the exporter never makes: symbolic shapes,
 * functions, sub-graphs, old opsets, odd tensors.
 */
import {
  ATTRIBUTE,
  ATTRIBUTE_TYPE,
  DIM,
  ELEMENT_TYPE,
  ENTRY,
  FUNCTION,
  GRAPH,
  MAP_TYPE,
  MODEL,
  NODE,
  OPSET,
  SHAPE,
  TENSOR,
  TENSOR_TYPE,
  TYPE,
  VALUE_INFO,
} from 'hone/frontends/onnx/proto';
import { WireWriter } from 'hone/frontends/onnx/wire-writer';
import { putTensor } from 'hone/frontends/onnx/write-tensor';
import { dtypeCode, type DType } from 'hone-runtime/base/dtype';
import type { Tensor } from 'hone-runtime/base/tensor';

export type RawAttribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly ints: readonly number[] }
  | { readonly floats: readonly number[] }
  | { readonly texts: readonly string[] }
  | { readonly text: string }
  | { readonly tensor: Tensor }
  | { readonly graph: RawGraph }
  | { readonly valueType: RawType }
  | { readonly reference: string; readonly type: keyof typeof ATTRIBUTE_TYPE };

export interface RawNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly name?: string;
  readonly domain?: string;
  readonly attrs?: Readonly<Record<string, RawAttribute>>;
}

export interface RawValue extends RawType {
  readonly name: string;
}

export interface RawType {
  readonly dtype?: DType;
  /** Absent: no shape at all. */
  readonly shape?: readonly (number | string | null)[];
  /** A sequence or an optional of such tensors; or a map to such, or a sequence of those. */
  readonly container?: 'sequence' | 'optional' | 'map' | 'maps';
  /** Of maps; default i64. */
  readonly keys?: 'string' | 'i64';
}

export interface RawGraph {
  readonly nodes: readonly RawNode[];
  readonly inputs?: readonly RawValue[];
  readonly outputs: readonly RawValue[];
  readonly initializers?: Readonly<Record<string, Tensor | Uint8Array>>;
  /** What is stated of values that are neither inputs nor outputs. */
  readonly valueInfo?: readonly RawValue[];
}

export interface RawFunction {
  readonly name: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: readonly string[];
  readonly defaults?: Readonly<Record<string, RawAttribute>>;
  readonly nodes: readonly RawNode[];
  readonly opset?: number;
  readonly valueInfo?: readonly RawValue[];
}

export interface RawModel extends RawGraph {
  readonly opset?: number;
  readonly irVersion?: number;
  readonly functions?: readonly RawFunction[];
  readonly domains?: Readonly<Record<string, number>>;
}

export function rawModel(model: RawModel): Uint8Array {
  const w = new WireWriter();
  w.int(MODEL.irVersion, model.irVersion ?? 9);
  w.string(MODEL.producerName, 'test');
  w.message(MODEL.graph, (g) => putGraph(g, model));
  for (const fn of model.functions ?? []) w.message(MODEL.functions, (f) => putFunction(f, fn));
  const domains = { '': model.opset ?? 17, ...model.domains };
  for (const [domain, version] of Object.entries(domains)) {
    w.message(MODEL.opsetImport, (o) => putOpset(o, domain, version));
  }
  return w.finish();
}

function putOpset(w: WireWriter, domain: string, version: number): void {
  w.string(OPSET.domain, domain);
  w.int(OPSET.version, version);
}

function putGraph(w: WireWriter, graph: RawGraph): void {
  for (const node of graph.nodes) w.message(GRAPH.node, (n) => putNode(n, node));
  w.string(GRAPH.name, 'raw');
  for (const [name, tensor] of Object.entries(graph.initializers ?? {})) {
    if (tensor instanceof Uint8Array) w.bytes(GRAPH.initializer, tensor);
    else w.message(GRAPH.initializer, (t) => putTensor(t, tensor, name));
  }
  for (const value of graph.inputs ?? []) w.message(GRAPH.input, (v) => putValue(v, value));
  for (const value of graph.outputs) w.message(GRAPH.output, (v) => putValue(v, value));
  for (const value of graph.valueInfo ?? []) w.message(GRAPH.valueInfo, (v) => putValue(v, value));
}

function putValue(w: WireWriter, value: RawValue): void {
  w.string(VALUE_INFO.name, value.name);
  w.message(VALUE_INFO.type, (type) => putType(type, value));
}

function putType(type: WireWriter, { dtype, shape, container, keys }: RawType): void {
  const tensorType = (inner: WireWriter): void => {
    inner.message(TYPE.tensor, (tensor) => {
      tensor.int(TENSOR_TYPE.elemType, dtypeCode(dtype ?? 'f32'));
      if (shape === undefined) return;
      tensor.message(TENSOR_TYPE.shape, (s) => {
        for (const dim of shape) {
          s.message(SHAPE.dim, (d) => {
            if (typeof dim === 'number') d.int(DIM.value, dim);
            else if (dim !== null) d.string(DIM.param, dim);
          });
        }
      });
    });
  };
  const mapType = (outer: WireWriter): void =>
    outer.message(TYPE.map, (map) => {
      map.int(MAP_TYPE.keyType, dtypeCode(keys ?? 'i64'));
      map.message(MAP_TYPE.valueType, tensorType);
    });
  if (container === undefined) tensorType(type);
  else if (container === 'map') mapType(type);
  else if (container === 'maps') {
    type.message(TYPE.sequence, (outer) => outer.message(ELEMENT_TYPE, mapType));
  } else type.message(TYPE[container], (outer) => outer.message(ELEMENT_TYPE, tensorType));
}

function putNode(w: WireWriter, node: RawNode): void {
  for (const input of node.inputs) w.string(NODE.input, input);
  for (const output of node.outputs) w.string(NODE.output, output);
  if (node.name !== undefined) w.string(NODE.name, node.name);
  w.string(NODE.op, node.op);
  for (const [name, value] of Object.entries(node.attrs ?? {})) {
    w.message(NODE.attribute, (a) => putAttribute(a, name, value));
  }
  if (node.domain !== undefined) w.string(NODE.domain, node.domain);
}

/** AttributeProto.tp and its type, which the reader has no use for. */
const TYPE_ATTRIBUTE = 14;
const TYPE_PROTO = 13;

function putAttribute(w: WireWriter, name: string, value: RawAttribute): void {
  w.string(ATTRIBUTE.name, name);
  let type: keyof typeof ATTRIBUTE_TYPE;
  if ('int' in value) {
    w.int(ATTRIBUTE.i, value.int);
    type = 'int';
  } else if ('float' in value) {
    w.float(ATTRIBUTE.f, value.float);
    type = 'float';
  } else if ('ints' in value) {
    w.packedInts(ATTRIBUTE.ints, value.ints);
    type = 'ints';
  } else if ('floats' in value) {
    for (const item of value.floats) w.float(ATTRIBUTE.floats, item);
    type = 'floats';
  } else if ('texts' in value) {
    for (const item of value.texts) w.string(ATTRIBUTE.strings, item);
    type = 'strings';
  } else if ('text' in value) {
    w.string(ATTRIBUTE.s, value.text);
    type = 'string';
  } else if ('tensor' in value) {
    w.message(ATTRIBUTE.t, (t) => putTensor(t, value.tensor));
    type = 'tensor';
  } else if ('graph' in value) {
    w.message(ATTRIBUTE.g, (g) => putGraph(g, value.graph));
    type = 'graph';
  } else if ('valueType' in value) {
    w.message(TYPE_ATTRIBUTE, (t) => putType(t, value.valueType));
    w.int(ATTRIBUTE.type, TYPE_PROTO);
    return;
  } else {
    w.string(ATTRIBUTE.refName, value.reference);
    type = value.type;
  }
  w.int(ATTRIBUTE.type, ATTRIBUTE_TYPE[type]);
}

function putFunction(w: WireWriter, fn: RawFunction): void {
  w.string(FUNCTION.name, fn.name);
  for (const input of fn.inputs) w.string(FUNCTION.input, input);
  for (const output of fn.outputs) w.string(FUNCTION.output, output);
  for (const name of fn.attributes ?? []) w.string(FUNCTION.attribute, name);
  for (const node of fn.nodes) w.message(FUNCTION.node, (n) => putNode(n, node));
  w.message(FUNCTION.opsetImport, (o) => putOpset(o, '', fn.opset ?? 17));
  w.string(FUNCTION.domain, fn.domain);
  for (const value of fn.valueInfo ?? []) w.message(FUNCTION.valueInfo, (v) => putValue(v, value));
  for (const [name, value] of Object.entries(fn.defaults ?? {})) {
    w.message(FUNCTION.attributeDefault, (a) => putAttribute(a, name, value));
  }
}

/** A TensorProto by its parts: dims one by one or packed, any payload field, external data. */
export function rawTensor(
  name: string,
  dataType: number,
  dims: readonly number[],
  payload: (w: WireWriter) => void,
): Uint8Array {
  const w = new WireWriter();
  for (const dim of dims) w.int(TENSOR.dims, dim);
  w.int(TENSOR.dataType, dataType);
  w.string(TENSOR.name, name);
  payload(w);
  return w.finish();
}

/** The payload of a tensor stored in another file. */
export function external(entries: Readonly<Record<string, string>>): (w: WireWriter) => void {
  return (w) => {
    for (const [key, value] of Object.entries(entries)) {
      w.message(TENSOR.externalData, (e) => {
        e.string(ENTRY.key, key);
        e.string(ENTRY.value, value);
      });
    }
    w.int(TENSOR.dataLocation, 1);
  };
}
