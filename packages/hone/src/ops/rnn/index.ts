/** The rnn operators; one line per operator or family. */
import type { OpDef } from '../define-op.ts';

export const RNN_OPS: readonly OpDef[] = [];
