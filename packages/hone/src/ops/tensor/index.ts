/** The tensor operators; one line per operator or family. */
import type { OpDef } from '../define-op.ts';

export const TENSOR_OPS: readonly OpDef[] = [];
