/** What a model is, from its structure alone: no payload is read. */
import { type DType, dtypeFromCode } from 'hone-runtime/base/dtype';
import { elementCount } from 'hone-runtime/base/tensor';
import { graphsOf } from './analyze.ts';
import { realInputs } from './bind-shapes.ts';
import { dataTypeName, elementBits } from './proto.ts';
import type {
  OnnxDim,
  OnnxGraph,
  OnnxModel,
  OnnxNode,
  OnnxTensor,
  OnnxValueInfo,
} from './types.ts';

export interface SignatureValue {
  readonly name: string;
  /** Null where Hone has no such element type, or where it is not a tensor. */
  readonly dtype: DType | null;
  /** As the file calls it: FLOAT, INT64, …, or `sequence`, `optional`, `map`. */
  readonly type: string;
  /** Null: unknown rank, or not a tensor. */
  readonly shape: readonly OnnxDim[] | null;
}

export interface OnnxSignature {
  readonly name: string;
  readonly inputs: readonly SignatureValue[];
  readonly outputs: readonly SignatureValue[];
  readonly irVersion: number;
  /** Opset of the default domain; 0 where the model does not use it. */
  readonly opset: number;
  readonly opsets: Readonly<Record<string, number>>;
  readonly producer: string;
  readonly producerVersion: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Nodes of the graph and its sub-graphs. */
  readonly nodeCount: number;
  readonly functionCount: number;
  /** Initializers, and `Constant` nodes that hold tensors. */
  readonly parameterCount: number;
  readonly parameterBytes: number;
}

export function signatureOf(model: OnnxModel): OnnxSignature {
  const totals = { nodes: 0, elements: 0, bytes: 0 };
  const add = (tensor: OnnxTensor): void => {
    const count = elementCount(tensor.dims);
    totals.elements += count;
    totals.bytes += Math.ceil((count * elementBits(tensor.dataType)) / 8);
  };
  const walkNode = (node: OnnxNode): void => {
    totals.nodes++;
    for (const attribute of node.attributes) if (attribute.kind === 'tensor') add(attribute.value);
    for (const inner of graphsOf(node)) walk(inner);
  };
  const walk = (graph: OnnxGraph): void => {
    graph.initializers.forEach(add);
    for (const sparse of graph.sparseInitializers) add(sparse.values);
    graph.nodes.forEach(walkNode);
  };
  walk(model.graph);
  return {
    name: model.graph.name,
    inputs: realInputs(model.graph).map(signatureValue),
    outputs: model.graph.outputs.map(signatureValue),
    irVersion: model.irVersion,
    opset: model.opsets.get('') ?? 0,
    opsets: Object.fromEntries([...model.opsets].map(([key, v]) => [key || 'ai.onnx', v])),
    producer: model.producer,
    producerVersion: model.producerVersion,
    metadata: Object.fromEntries(model.metadata),
    nodeCount: totals.nodes,
    functionCount: model.functions.length,
    parameterCount: totals.elements,
    parameterBytes: totals.bytes,
  };
}

function signatureValue({ name, type }: OnnxValueInfo): SignatureValue {
  if (type.kind !== 'tensor') return { name, dtype: null, type: type.kind, shape: null };
  return {
    name,
    dtype: dtypeFromCode(type.dataType) ?? null,
    type: dataTypeName(type.dataType),
    shape: type.shape,
  };
}
