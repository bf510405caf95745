/** Public face of `hone-runtime`. */
export type { DType } from './base/dtype.ts';
export type { Tensor } from './base/tensor.ts';
export { HoneError } from './base/diagnostics.ts';
