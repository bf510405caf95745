/** Inputs and outputs of an ONNX file as it states them, named dimensions by name. */
import { dtypeFromCode } from 'hone-runtime/base/dtype';
import type { OnnxModel, OnnxValueInfo } from '../frontends/onnx/types.ts';
import type { ShownSpec } from './specs.ts';

export interface ModelSignature {
  readonly inputs: readonly ShownSpec[];
  readonly outputs: readonly ShownSpec[];
}

export function modelSignature(model: OnnxModel): ModelSignature {
  const { graph } = model;
  // Old files list their weights among the inputs.
  const weights = new Set(graph.initializers.map((tensor) => tensor.name));
  return {
    inputs: graph.inputs.filter((input) => !weights.has(input.name)).map(shownSpec),
    outputs: graph.outputs.map(shownSpec),
  };
}

function shownSpec({ name, type }: OnnxValueInfo): ShownSpec {
  if (type.kind !== 'tensor') return { name, dtype: type.kind, shape: [] };
  return {
    name,
    dtype: dtypeFromCode(type.dataType) ?? `type ${type.dataType}`,
    shape: (type.shape ?? ['?']).map((dim) => dim ?? '?'),
  };
}
