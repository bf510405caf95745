/** The ONNX front end: model files in, model files out. */
export { analyzeOnnx, type OnnxAnalysis, type OperatorUse, type Support } from './analyze.ts';
export { type ShapeOptions, shapeText, takesBatch } from './bind-shapes.ts';
export { type ExportOptions, exportOnnx } from './export.ts';
export { externalLocations } from './external-locations.ts';
export { type ImportOptions, type ImportResult, importOnnx } from './import.ts';
export { learnValues } from './learn-values.ts';
export { NEWEST_OPSET, openOnnx, readOnnx } from './read-model.ts';
export { type OnnxSignature, type SignatureValue, signatureOf } from './signature.ts';
export {
  constantsOf,
  type KnownModel,
  outputsOf,
  type Slice,
  sliceModel,
  writeSlice,
} from './slice.ts';
export { type OnnxValue, readTensorProto, readValueProto } from './tensor-proto.ts';
export type { OnnxDim, OnnxGraph, OnnxModel, OnnxNode, OnnxTensor } from './types.ts';
export { writeTensorProto } from './write-tensor.ts';
