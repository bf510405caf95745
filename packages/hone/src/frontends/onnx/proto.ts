/**
 * Field numbers and enumerations of the ONNX protobuf messages (onnx.proto, IR version 13), as far
 * as Hone reads or writes them. The one place that knows the numbers.
 */
import { type DType, dtypeBits, dtypeFromCode } from 'hone-runtime/base/dtype';

export const MODEL = {
  irVersion: 1,
  producerName: 2,
  producerVersion: 3,
  domain: 4,
  modelVersion: 5,
  graph: 7,
  opsetImport: 8,
  metadata: 14,
  functions: 25,
} as const;

export const OPSET = { domain: 1, version: 2 } as const;
export const ENTRY = { key: 1, value: 2 } as const;

export const GRAPH = {
  node: 1,
  name: 2,
  initializer: 5,
  input: 11,
  output: 12,
  valueInfo: 13,
  sparseInitializer: 15,
} as const;

export const NODE = {
  input: 1,
  output: 2,
  name: 3,
  op: 4,
  attribute: 5,
  domain: 7,
  overload: 8,
} as const;

export const FUNCTION = {
  name: 1,
  input: 4,
  output: 5,
  attribute: 6,
  node: 7,
  opsetImport: 9,
  domain: 10,
  attributeDefault: 11,
  valueInfo: 12,
  overload: 13,
} as const;

export const ATTRIBUTE = {
  name: 1,
  f: 2,
  i: 3,
  s: 4,
  t: 5,
  g: 6,
  floats: 7,
  ints: 8,
  strings: 9,
  tensors: 10,
  graphs: 11,
  type: 20,
  refName: 21,
  sparse: 22,
} as const;

/** AttributeProto.AttributeType. */
export const ATTRIBUTE_TYPE = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
  tensors: 9,
  graphs: 10,
  sparse: 11,
} as const;

export const VALUE_INFO = { name: 1, type: 2 } as const;
export const TYPE = { tensor: 1, sequence: 4, map: 5, sparse: 8, optional: 9, opaque: 7 } as const;
/** In the messages of sequence and optional types. */
export const ELEMENT_TYPE = 1;
export const MAP_TYPE = { keyType: 1, valueType: 2 } as const;
export const TENSOR_TYPE = { elemType: 1, shape: 2 } as const;
export const SHAPE = { dim: 1 } as const;
export const DIM = { value: 1, param: 2 } as const;

export const TENSOR = {
  dims: 1,
  dataType: 2,
  floatData: 4,
  int32Data: 5,
  stringData: 6,
  int64Data: 7,
  name: 8,
  rawData: 9,
  doubleData: 10,
  uint64Data: 11,
  externalData: 13,
  dataLocation: 14,
} as const;

export const SPARSE = { values: 1, indices: 2, dims: 3 } as const;

/** Names of TensorProto.DataType, for messages. */
const DATA_TYPE_NAMES: readonly (string | undefined)[] = [
  'UNDEFINED',
  'FLOAT',
  'UINT8',
  'INT8',
  'UINT16',
  'INT16',
  'INT32',
  'INT64',
  'STRING',
  'BOOL',
  'FLOAT16',
  'DOUBLE',
  'UINT32',
  'UINT64',
  'COMPLEX64',
  'COMPLEX128',
  'BFLOAT16',
  'FLOAT8E4M3FN',
  'FLOAT8E4M3FNUZ',
  'FLOAT8E5M2',
  'FLOAT8E5M2FNUZ',
  'UINT4',
  'INT4',
  'FLOAT4E2M1',
  'FLOAT8E8M0',
  'UINT2',
  'INT2',
];

/** How messages call a TensorProto.DataType. */
export function dataTypeName(code: number): string {
  return DATA_TYPE_NAMES[code] ?? `data type ${code}`;
}

/** The typed field that carries elements of a dtype where raw_data is not used. */
export function typedField(dtype: DType): number {
  switch (dtype) {
    case 'f32':
      return TENSOR.floatData;
    case 'f64':
      return TENSOR.doubleData;
    case 'i64':
      return TENSOR.int64Data;
    case 'u32':
    case 'u64':
      return TENSOR.uint64Data;
    case 'string':
      return TENSOR.stringData;
    default:
      return TENSOR.int32Data;
  }
}

/** How the elements of each typed field of a TensorProto are encoded when they are not packed. */
export const TENSOR_ELEMENT_WIRES: Readonly<Record<number, 0 | 1 | 2 | 5>> = {
  [TENSOR.floatData]: 5,
  [TENSOR.int32Data]: 0,
  [TENSOR.stringData]: 2,
  [TENSOR.int64Data]: 0,
  [TENSOR.doubleData]: 1,
  [TENSOR.uint64Data]: 0,
};

/** Bits of one element of a TensorProto.DataType; 0 for strings and unknown types. */
export function elementBits(code: number): number {
  const dtype = dtypeFromCode(code);
  if (dtype !== undefined) return dtypeBits(dtype);
  const name = DATA_TYPE_NAMES[code] ?? '';
  return name.startsWith('COMPLEX') ? Number(name.slice(7)) : 0;
}
