/** The control operators; one line per operator or family. */
import type { OpDef } from '../define-op.ts';
import { ifOp } from './if.ts';
import { loop } from './loop.ts';
import { scan } from './scan.ts';

export const CONTROL_OPS: readonly OpDef[] = [ifOp, loop, scan];
