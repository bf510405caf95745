/** Which files beside the model hold its tensors. */
import type { OnnxAttribute, OnnxGraph, OnnxModel, OnnxTensor } from './types.ts';

/** Locations relative to the model, sorted, each once. */
export function externalLocations(model: OnnxModel): readonly string[] {
  const found = new Set<string>();
  const tensor = ({ payload }: OnnxTensor): void => {
    if (payload.kind === 'external') found.add(payload.location);
  };
  const attribute = (value: OnnxAttribute): void => {
    if (value.kind === 'tensor') tensor(value.value);
    else if (value.kind === 'tensors') value.value.forEach(tensor);
    else if (value.kind === 'graph') graph(value.value);
    else if (value.kind === 'graphs') value.value.forEach(graph);
    else if (value.kind === 'sparse') [value.value.values, value.value.indices].forEach(tensor);
  };
  const graph = (part: OnnxGraph): void => {
    part.initializers.forEach(tensor);
    part.sparseInitializers.forEach(
      (sparse) => void [sparse.values, sparse.indices].forEach(tensor),
    );
    for (const node of part.nodes) node.attributes.forEach(attribute);
  };
  graph(model.graph);
  for (const fn of model.functions) {
    for (const node of fn.nodes) node.attributes.forEach(attribute);
  }
  return [...found].sort();
}
