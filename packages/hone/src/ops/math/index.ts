/** The math operators; one line per operator or family. */
import type { OpDef } from '../define-op.ts';
import { ACTIVATIONS } from './activations.ts';
import { ARG_REDUCTIONS } from './arg-reduce.ts';
import { ARITHMETIC } from './arithmetic.ts';
import { CONVERSIONS } from './cast.ts';
import { SCANS } from './cumulative.ts';
import { EINSUM } from './einsum.ts';
import { LOGIC } from './logic.ts';
import { MICROSOFT } from './microsoft.ts';
import { RANDOM } from './random.ts';
import { REDUCTIONS } from './reduce.ts';
import { SELECTION } from './select.ts';
import { UNARY_OPERATORS } from './unary.ts';
import { VARIADIC } from './variadic.ts';

export const MATH_OPS: readonly OpDef[] = [
  ...UNARY_OPERATORS,
  ...ACTIVATIONS,
  ...ARITHMETIC,
  ...LOGIC,
  ...VARIADIC,
  ...SELECTION,
  ...CONVERSIONS,
  ...REDUCTIONS,
  ...ARG_REDUCTIONS,
  ...SCANS,
  ...MICROSOFT,
  ...EINSUM,
  ...RANDOM,
];
