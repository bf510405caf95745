/** Groups kernels into C files that compile in parallel. */
import { emitUnit } from '../backends/c/emit.ts';
import { emitRoutineUnit, type RoutineCall } from '../backends/c/emit-routines.ts';
import type { SourceText } from '../backends/c/build.ts';
import type { LoopFn } from '../loop/types.ts';

/** Kernels in one file: few enough to share the work of two compilers evenly. */
const KERNELS_PER_UNIT = 6;

/**
 * C files named kernels_00.c, … and, where there are routines, routines_00.c; the split depends on
 * the kernels alone.
 */
export function kernelUnits(
  kernels: readonly LoopFn[],
  routines: readonly RoutineCall[],
  model: string,
): readonly SourceText[] {
  const units: SourceText[] = [];
  for (let start = 0; start < kernels.length; start += KERNELS_PER_UNIT) {
    const part = kernels.slice(start, start + KERNELS_PER_UNIT);
    const number = `${units.length}`.padStart(2, '0');
    const title = `Kernels ${start} to ${start + part.length - 1} of ${model}.`;
    units.push({ name: `kernels_${number}.c`, text: emitUnit(part, title) });
  }
  if (routines.length > 0) {
    const text = emitRoutineUnit(routines, `Routines of ${model}.`);
    units.push({ name: 'routines_00.c', text });
  }
  return units;
}
