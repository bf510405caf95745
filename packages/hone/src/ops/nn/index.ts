/** The nn operators; one line per operator or family. */
import type { OpDef } from '../define-op.ts';

export const NN_OPS: readonly OpDef[] = [];
