/** The signal operators; one line per operator or family. */
import type { OpDef } from '../define-op.ts';
import { dft } from './dft.ts';
import { melWeightMatrix } from './mel.ts';
import { stft } from './stft.ts';
import { WINDOWS } from './windows.ts';

export const SIGNAL_OPS: readonly OpDef[] = [...WINDOWS, melWeightMatrix, dft, stft];
