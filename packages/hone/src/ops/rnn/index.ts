/** The rnn operators; one line per operator or family. */
import type { OpDef } from '../define-op.ts';
import { dynamicQuantizeLstm } from './dynamic-quantize-lstm.ts';
import { gru } from './gru.ts';
import { lstm } from './lstm.ts';
import { simpleRnn } from './simple-rnn.ts';

export const RNN_OPS: readonly OpDef[] = [simpleRnn, gru, lstm, dynamicQuantizeLstm];
