/** The control operators; one line per operator or family. */
import type { OpDef } from '../define-op.ts';

export const CONTROL_OPS: readonly OpDef[] = [];
