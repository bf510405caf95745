/**
 * What the values of a model are, as far as can be known: a model that cannot be imported as a whole is
 * followed node by node, and what a failing node makes has the type that the file states, if it does.
 */
import { HoneError } from 'hone-runtime/base/diagnostics';
import type { Value } from '../../graph/types.ts';
import { isTensor } from './entities.ts';
import { importNodes } from './import-nodes.ts';
import { type ImportOptions, openScope } from './import.ts';
import type { Scope } from './import-scope.ts';
import { dtypeOf } from './tensor-elements.ts';
import type { OnnxModel, OnnxValueInfo } from './types.ts';

/**
 * Tensors by their names in the main graph; lists and optionals are left out. Only inputs that cannot be
 * bound to sizes throw (HONE-SHAPE-…).
 */
export function learnValues(
  model: OnnxModel,
  options: ImportOptions = {},
): ReadonlyMap<string, Value> {
  const { graph } = model;
  const scope = openScope(model, options);
  const declared = new Map(
    [...graph.valueInfo, ...graph.outputs].map((info) => [info.name, info] as const),
  );
  for (const node of graph.nodes) {
    try {
      importNodes(scope, [node]);
    } catch (error) {
      if (!(error instanceof HoneError)) throw error;
      for (const name of node.outputs) declare(scope, name, declared.get(name));
    }
  }
  const values = new Map<string, Value>();
  for (const [name, entity] of scope.values) {
    if (isTensor(entity)) values.set(name, scope.builder.graph.value(entity));
  }
  return values;
}

function declare(scope: Scope, name: string, info: OnnxValueInfo | undefined): void {
  if (name === '' || scope.values.has(name) || info?.type.kind !== 'tensor') return;
  const { shape, dataType } = info.type;
  if (shape === null || !shape.every((dim): dim is number => typeof dim === 'number')) return;
  const type = { dtype: dtypeOf(dataType, `value ${name}`), shape };
  scope.values.set(name, scope.builder.graph.input(name, type));
}
