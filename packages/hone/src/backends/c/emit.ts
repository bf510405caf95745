/**
 * Loop functions as C: one function per kernel, one self-contained file per unit.
 *
 * A kernel is `void NAME(void *const *buf, const int64_t *dim, const hone_worker *worker)`. Its
 * buffers must not overlap where one of them is written (they are `restrict`). The text depends on
 * nothing but its arguments, so equal programs give equal bytes.
 */
import type { Instr, LoopFn, Stmt } from '../../loop/types.ts';
import { commentText, identifier, storageType } from './c-text.ts';
import { bufferName, type Context, createContext } from './emit-context.ts';
import { emitBlock } from './emit-stmt.ts';
import { C_INSTRS, headerOfFeature } from './instrs.ts';

/** One C function. */
export function emitKernel(fn: LoopFn, instrs: ReadonlyMap<string, Instr> = C_INSTRS): string {
  return kernelText(createContext(fn, instrs));
}

/** A complete C file defining all the kernels. */
export function emitUnit(
  fns: readonly LoopFn[],
  name: string,
  instrs: ReadonlyMap<string, Instr> = C_INSTRS,
): string {
  const contexts = fns.map((fn) => createContext(fn, instrs));
  const kernels = contexts.map(kernelText);
  const widths = [...new Set(contexts.flatMap((context) => [...context.widths]))];
  const features = [...new Set(contexts.flatMap((context) => [...context.headers]))];
  const headers = [...new Set(features.flatMap((feature) => headerOfFeature(feature) ?? []))];
  return [
    `// ${commentText(name)}`,
    '#include "hone_kernel.h"',
    '#include "hone_math.h"',
    ...widths
      .sort((a, b) => a - b)
      .flatMap((width) => [`#define HONE_LANES ${width}`, '#include "hone_vector.h"']),
    ...headers.sort().map((header) => `#include "${header}"`),
    '',
    kernels.join('\n'),
  ].join('\n');
}

function kernelText(context: Context): string {
  const { fn } = context;
  const body = emitBlock(context, fn.body, undefined);
  const buffers = fn.buffers.map(
    (param, i) =>
      `${param.access === 'read' ? 'const ' : ''}${storageType(param.dtype)} *restrict ${bufferName(param.name)} = buf[${i}];`,
  );
  const dims = fn.dims.map((dim, i) => `const int64_t ${identifier(dim)} = dim[${i}];`);
  const unused = [
    ...(buffers.length === 0 ? ['(void)buf;'] : []),
    ...(dims.length === 0 ? ['(void)dim;'] : []),
    ...(usesWorker(fn.body) ? [] : ['(void)worker;']),
  ];
  return [
    `void ${identifier(fn.name)}(void *const *buf, const int64_t *dim, const hone_worker *worker) {`,
    ...[...buffers, ...dims, ...unused, ...body].map((line) =>
      line === '' || line.startsWith('#') ? line : `  ${line}`,
    ),
    '}',
    '',
  ].join('\n');
}

/** Is the worker needed for a split, a barrier or a fault? (A spare `(void)` would do no harm.) */
function usesWorker(body: readonly Stmt[]): boolean {
  return body.some((stmt) => {
    switch (stmt.kind) {
      case 'barrier':
        return true;
      case 'for':
        return stmt.mode === 'parallel' || usesWorker(stmt.body);
      case 'block':
        return usesWorker(stmt.body);
      case 'if':
        return usesWorker(stmt.then) || usesWorker(stmt.else);
      default:
        return false;
    }
  });
}
