/** Compilation, from a model file to an artifact folder. */
export {
  type CompiledModel,
  type CompiledVariant,
  type SourceModel,
  writeArtifact,
} from './build-artifact.ts';
export { peakBytes } from './budget.ts';
export { compileBuiltGraph } from './compile-graph.ts';
export { compileModel } from './compile-model.ts';
export {
  type CustomOperators,
  loadOperators,
  type OperatorsRecord,
} from './load-operators.ts';
export type { CompileOptions } from './options.ts';
export { type CompiledGraph, compileGraph, targetsOf } from './pipeline.ts';
export { type Rebuilt, rebuildArtifact } from './rebuild.ts';
export type { ArtifactReport, Report, StageReport } from './report.ts';
export { HONE_VERSION } from './version.ts';
export { type CustomOperator, registerOperator } from '../ops/custom-operator.ts';
export type { Registry } from '../ops/registry.ts';
