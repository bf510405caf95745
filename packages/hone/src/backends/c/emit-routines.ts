/**
 * Calls of hand-written routines (native/routines.h) as kernels: one function per distinct call,
 * with the call's parameters as constant arrays. The text depends on the calls alone.
 */
import { commentText, identifier, literal } from './c-text.ts';

/** A kernel that is a routine with fixed parameters. */
export interface RoutineCall {
  /** C symbol of the kernel. */
  readonly name: string;
  /** The routine, without its prefix: `topk_f32`. */
  readonly routine: string;
  readonly dims: readonly number[];
  readonly scalars: readonly number[];
  /** Its C, where routines.h does not have it. */
  readonly source?: string;
}

/** A complete C file defining a kernel for each call. */
export function emitRoutineUnit(calls: readonly RoutineCall[], title: string): string {
  return [
    `// ${commentText(title)}`,
    '#include "hone_kernel.h"',
    '#include "routines.h"',
    '',
    ...new Set(calls.flatMap(({ source }) => (source === undefined ? [] : [`${source.trim()}\n`]))),
    ...calls.map(callText),
  ].join('\n');
}

function callText({ name, routine, dims, scalars }: RoutineCall): string {
  const integers = dims.map((value) => literal('i64', value).text);
  const reals = scalars.map((value) => literal('f64', value).text);
  return [
    `void ${identifier(name)}(void *const *buf, const int64_t *dim, const hone_worker *worker) {`,
    // C has no empty arrays; nobody reads the zero.
    `  static const int64_t dims[] = {${integers.join(', ') || '0'}};`,
    `  static const double scalars[] = {${reals.join(', ') || '0'}};`,
    '  (void)dim;',
    `  hone_rt_${routine}(buf, dims, scalars, worker);`,
    '}',
    '',
  ].join('\n');
}
