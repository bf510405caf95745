/** The ONNX front end: model files in, model files out. */
export { type ExportOptions, exportOnnx } from './export.ts';
export { NEWEST_OPSET, openOnnx, readOnnx } from './read-model.ts';
export { readTensorProto } from './tensor-proto.ts';
export type { OnnxGraph, OnnxModel, OnnxNode, OnnxTensor } from './types.ts';
export { writeTensorProto } from './write-tensor.ts';
