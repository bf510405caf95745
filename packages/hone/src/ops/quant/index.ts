/** The quant operators; one line per operator or family. */
import type { OpDef } from '../define-op.ts';

export const QUANT_OPS: readonly OpDef[] = [];
