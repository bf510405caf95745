/** The math operators; one line per operator or family. */
import type { OpDef } from '../define-op.ts';

export const MATH_OPS: readonly OpDef[] = [];
