/** The ONNX front end: model files in, model files out. */
export { type ExportOptions, exportOnnx } from './export.ts';
export { writeTensorProto } from './write-tensor.ts';
