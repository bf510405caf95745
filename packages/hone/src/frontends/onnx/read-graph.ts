/** Reads GraphProto, NodeProto, AttributeProto, ValueInfoProto and FunctionProto messages. */
import { orderNodes } from './order-nodes.ts';
import {
  ATTRIBUTE,
  ATTRIBUTE_TYPE,
  DIM,
  ELEMENT_TYPE,
  FUNCTION,
  GRAPH,
  MAP_TYPE,
  NODE,
  OPSET,
  SHAPE,
  TENSOR_TYPE,
  TYPE,
  VALUE_INFO,
} from './proto.ts';
import { readSparse, readTensor } from './read-tensor.ts';
import type {
  OnnxAttribute,
  OnnxAttributeValue,
  OnnxDim,
  OnnxFunction,
  OnnxGraph,
  OnnxNode,
  OnnxSparseTensor,
  OnnxTensor,
  OnnxType,
  OnnxValueInfo,
} from './types.ts';
import type { WireReader } from './wire-reader.ts';

export function readGraph(r: WireReader, end: number): OnnxGraph {
  let name = '';
  const nodes: OnnxNode[] = [];
  const inputs: OnnxValueInfo[] = [];
  const outputs: OnnxValueInfo[] = [];
  const valueInfo: OnnxValueInfo[] = [];
  const initializers: OnnxTensor[] = [];
  const sparseInitializers: OnnxSparseTensor[] = [];
  while (r.next(end)) {
    switch (r.field) {
      case GRAPH.node:
        nodes.push(r.nested((inner) => readNode(r, inner)));
        break;
      case GRAPH.name:
        name = r.string();
        break;
      case GRAPH.initializer:
        initializers.push(r.nested((inner) => readTensor(r, inner)));
        break;
      case GRAPH.input:
        inputs.push(r.nested((inner) => readValueInfo(r, inner)));
        break;
      case GRAPH.output:
        outputs.push(r.nested((inner) => readValueInfo(r, inner)));
        break;
      case GRAPH.valueInfo:
        valueInfo.push(r.nested((inner) => readValueInfo(r, inner)));
        break;
      case GRAPH.sparseInitializer:
        sparseInitializers.push(r.nested((inner) => readSparse(r, inner)));
        break;
      default:
        r.skip();
    }
  }
  const ordered = orderNodes(nodes);
  return { name, ...ordered, inputs, outputs, valueInfo, initializers, sparseInitializers };
}

function readNode(r: WireReader, end: number): OnnxNode {
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes: OnnxAttribute[] = [];
  let name = '';
  let op = '';
  let domain = '';
  let overload = '';
  while (r.next(end)) {
    switch (r.field) {
      case NODE.input:
        inputs.push(r.string());
        break;
      case NODE.output:
        outputs.push(r.string());
        break;
      case NODE.name:
        name = r.string();
        break;
      case NODE.op:
        op = r.string();
        break;
      case NODE.attribute:
        attributes.push(r.nested((inner) => readAttribute(r, inner)));
        break;
      case NODE.domain:
        domain = plainDomain(r.string());
        break;
      case NODE.overload:
        overload = r.string();
        break;
      default:
        r.skip();
    }
  }
  return { op, domain, name, inputs, outputs, attributes, overload };
}

/** ONNX writes its own domain as '' or 'ai.onnx'. */
function plainDomain(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain;
}

function readAttribute(r: WireReader, end: number): OnnxAttribute {
  let name = '';
  let type = 0;
  let reference = '';
  let single: OnnxAttributeValue | undefined;
  let f = 0;
  let i = 0;
  let s = '';
  const floats: number[] = [];
  const ints: number[] = [];
  const strings: string[] = [];
  const tensors: OnnxTensor[] = [];
  const graphs: OnnxGraph[] = [];
  /** The type the fields present speak of; files of IR version 1 state none. */
  let seen = 0;
  while (r.next(end)) {
    switch (r.field) {
      case ATTRIBUTE.name:
        name = r.string();
        break;
      case ATTRIBUTE.type:
        type = r.int();
        break;
      case ATTRIBUTE.refName:
        reference = r.string();
        break;
      case ATTRIBUTE.f:
        f = r.float();
        seen = ATTRIBUTE_TYPE.float;
        break;
      case ATTRIBUTE.i:
        i = r.int();
        seen = ATTRIBUTE_TYPE.int;
        break;
      case ATTRIBUTE.s:
        s = r.string();
        seen = ATTRIBUTE_TYPE.string;
        break;
      case ATTRIBUTE.t:
        single = { kind: 'tensor', value: r.nested((inner) => readTensor(r, inner)) };
        seen = ATTRIBUTE_TYPE.tensor;
        break;
      case ATTRIBUTE.g:
        single = { kind: 'graph', value: r.nested((inner) => readGraph(r, inner)) };
        seen = ATTRIBUTE_TYPE.graph;
        break;
      case ATTRIBUTE.sparse:
        single = { kind: 'sparse', value: r.nested((inner) => readSparse(r, inner)) };
        seen = ATTRIBUTE_TYPE.sparse;
        break;
      case ATTRIBUTE.floats:
        r.floats(floats);
        seen = ATTRIBUTE_TYPE.floats;
        break;
      case ATTRIBUTE.ints:
        r.ints(ints);
        seen = ATTRIBUTE_TYPE.ints;
        break;
      case ATTRIBUTE.strings:
        strings.push(r.string());
        seen = ATTRIBUTE_TYPE.strings;
        break;
      case ATTRIBUTE.tensors:
        tensors.push(r.nested((inner) => readTensor(r, inner)));
        seen = ATTRIBUTE_TYPE.tensors;
        break;
      case ATTRIBUTE.graphs:
        graphs.push(r.nested((inner) => readGraph(r, inner)));
        seen = ATTRIBUTE_TYPE.graphs;
        break;
      default:
        r.skip();
    }
  }
  if (reference !== '') return { name, kind: 'reference', value: reference };
  switch (type === 0 ? seen : type) {
    case ATTRIBUTE_TYPE.float:
      return { name, kind: 'float', value: f };
    case ATTRIBUTE_TYPE.int:
      return { name, kind: 'int', value: i };
    case ATTRIBUTE_TYPE.string:
      return { name, kind: 'string', value: s };
    case ATTRIBUTE_TYPE.floats:
      return { name, kind: 'floats', value: floats };
    case ATTRIBUTE_TYPE.ints:
      return { name, kind: 'ints', value: ints };
    case ATTRIBUTE_TYPE.strings:
      return { name, kind: 'strings', value: strings };
    case ATTRIBUTE_TYPE.tensors:
      return { name, kind: 'tensors', value: tensors };
    case ATTRIBUTE_TYPE.graphs:
      return { name, kind: 'graphs', value: graphs };
    default:
      return single === undefined || (type !== 0 && type !== seen)
        ? { name, kind: 'other', value: type }
        : { name, ...single };
  }
}

function readValueInfo(r: WireReader, end: number): OnnxValueInfo {
  let name = '';
  let type: OnnxType = { kind: 'unknown' };
  while (r.next(end)) {
    if (r.field === VALUE_INFO.name) name = r.string();
    else if (r.field === VALUE_INFO.type) type = r.nested((inner) => readType(r, inner));
    else r.skip();
  }
  return { name, type };
}

/** Sequences of optionals of sequences …: deeper ones are damage. */
const MAX_TYPE_DEPTH = 8;

function readElementType(r: WireReader, end: number, depth: number): OnnxType {
  let type: OnnxType = { kind: 'unknown' };
  while (r.next(end)) {
    if (r.field === ELEMENT_TYPE) type = r.nested((inner) => readType(r, inner, depth));
    else r.skip();
  }
  return type;
}

function readType(r: WireReader, end: number, depth = 0): OnnxType {
  let type: OnnxType = { kind: 'unknown' };
  while (r.next(end)) {
    if (r.field === TYPE.tensor) {
      type = r.nested((inner) => readTensorType(r, inner));
      continue;
    }
    if (r.field === TYPE.sequence || r.field === TYPE.optional) {
      const kind = r.field === TYPE.sequence ? 'sequence' : 'optional';
      if (depth > MAX_TYPE_DEPTH) return { kind: 'unknown' };
      type = { kind, element: r.nested((inner) => readElementType(r, inner, depth + 1)) };
      continue;
    }
    if (r.field === TYPE.map) {
      if (depth > MAX_TYPE_DEPTH) return { kind: 'unknown' };
      type = r.nested((inner) => readMapType(r, inner, depth + 1));
      continue;
    }
    if (r.field === TYPE.sparse) type = { kind: 'sparse' };
    else if (r.field === TYPE.opaque) type = { kind: 'opaque' };
    r.skip();
  }
  return type;
}

function readMapType(r: WireReader, end: number, depth: number): OnnxType {
  let keyType = 0;
  let value: OnnxType = { kind: 'unknown' };
  while (r.next(end)) {
    if (r.field === MAP_TYPE.keyType) keyType = r.int();
    else if (r.field === MAP_TYPE.valueType) {
      value = r.nested((inner) => readType(r, inner, depth));
    } else r.skip();
  }
  return { kind: 'map', keyType, value };
}

function readTensorType(r: WireReader, end: number): OnnxType {
  let dataType = 0;
  let shape: OnnxDim[] | null = null;
  while (r.next(end)) {
    if (r.field === TENSOR_TYPE.elemType) dataType = r.int();
    else if (r.field === TENSOR_TYPE.shape) shape = r.nested((inner) => readShape(r, inner));
    else r.skip();
  }
  return { kind: 'tensor', dataType, shape };
}

function readShape(r: WireReader, end: number): OnnxDim[] {
  const dims: OnnxDim[] = [];
  while (r.next(end)) {
    if (r.field === SHAPE.dim) dims.push(r.nested((inner) => readDim(r, inner)));
    else r.skip();
  }
  return dims;
}

function readDim(r: WireReader, end: number): OnnxDim {
  let dim: OnnxDim = null;
  while (r.next(end)) {
    if (r.field === DIM.value) {
      // Some exporters write -1 for "unknown".
      const value = r.int();
      dim = value < 0 ? null : value;
    } else if (r.field === DIM.param) {
      const symbol = r.string();
      dim = symbol === '' ? null : symbol;
    } else {
      r.skip();
    }
  }
  return dim;
}

/** An OperatorSetIdProto. */
export function readOpset(r: WireReader, end: number): [string, number] {
  let domain = '';
  let version = 0;
  while (r.next(end)) {
    if (r.field === OPSET.domain) domain = plainDomain(r.string());
    else if (r.field === OPSET.version) version = r.int();
    else r.skip();
  }
  return [domain, version];
}

export function readFunction(r: WireReader, end: number): OnnxFunction {
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes: string[] = [];
  const attributeDefaults: OnnxAttribute[] = [];
  const valueInfo: OnnxValueInfo[] = [];
  const nodes: OnnxNode[] = [];
  const opsets = new Map<string, number>();
  let name = '';
  let domain = '';
  let overload = '';
  while (r.next(end)) {
    switch (r.field) {
      case FUNCTION.name:
        name = r.string();
        break;
      case FUNCTION.input:
        inputs.push(r.string());
        break;
      case FUNCTION.output:
        outputs.push(r.string());
        break;
      case FUNCTION.attribute:
        attributes.push(r.string());
        break;
      case FUNCTION.attributeDefault:
        attributeDefaults.push(r.nested((inner) => readAttribute(r, inner)));
        break;
      case FUNCTION.valueInfo:
        valueInfo.push(r.nested((inner) => readValueInfo(r, inner)));
        break;
      case FUNCTION.node:
        nodes.push(r.nested((inner) => readNode(r, inner)));
        break;
      case FUNCTION.opsetImport:
        opsets.set(...r.nested((inner) => readOpset(r, inner)));
        break;
      case FUNCTION.domain:
        domain = plainDomain(r.string());
        break;
      case FUNCTION.overload:
        overload = r.string();
        break;
      default:
        r.skip();
    }
  }
  return {
    name,
    domain,
    overload,
    inputs,
    outputs,
    attributes,
    attributeDefaults,
    valueInfo,
    nodes: orderNodes(nodes).nodes,
    opsets,
  };
}
