/** Operators on texts; one line per operator or family. */
import type { OpDef } from '../define-op.ts';
import { STRINGS } from './strings.ts';
import { SIZED_TEXTS } from './sized.ts';
import { tfIdfVectorizer } from './tf-idf.ts';

export const TEXT_OPS: readonly OpDef[] = [...STRINGS, tfIdfVectorizer, ...SIZED_TEXTS];
