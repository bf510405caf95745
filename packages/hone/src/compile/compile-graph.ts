/** From a graph in memory to a compiled model that is not yet written anywhere. */
import { createHash } from 'node:crypto';
import type { Graph } from '../graph/types.ts';
import { buildModel, type CompiledModel, type SourceModel } from './build-artifact.ts';
import type { CompileOptions } from './options.ts';
import { compileForTargets } from './pipeline.ts';

/** Compiles a graph built in memory, with its precisions decided already. */
export async function compileBuiltGraph(
  graph: Graph,
  options: CompileOptions = {},
): Promise<CompiledModel> {
  const sha256 = createHash('sha256').update(graph.name).digest('hex');
  const source: SourceModel = { name: graph.name, bytes: 0, sha256 };
  return buildModel(compileForTargets(graph, options), source, [], options);
}
