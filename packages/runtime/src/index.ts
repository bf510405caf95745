/** Public face of `hone-runtime`: load a compiled artifact and run it. */
export type { LibraryEntry, Manifest } from './artifact/manifest.ts';
export type { TensorSpec } from './artifact/program.ts';
export { HoneError } from './base/diagnostics.ts';
export type { DType } from './base/dtype.ts';
export type { Tensor } from './base/tensor.ts';
export type { ContextOptions } from './runtime/drivers/c.ts';
export type {
  Context,
  LoadOptions,
  Profile,
  ProfileOptions,
  RunOptions,
  Session,
  Signature,
  StepTime,
  Watch,
} from './runtime/session.ts';
export { sequenceOf } from './runtime/sequence.ts';
export { load } from './runtime/session.ts';
export type { Tensors } from './runtime/tensors.ts';
