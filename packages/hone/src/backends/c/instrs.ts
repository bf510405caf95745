/** All instructions that kernels can call when they are compiled as C. */
import { instrTable } from '../../loop/instr.ts';
import type { Instr } from '../../loop/types.ts';
import { X86_INSTRS } from './instrs-x86.ts';

export const C_INSTRS: ReadonlyMap<string, Instr> = instrTable([...X86_INSTRS]);

/** The header beside hone_math.h that defines what the C text of a feature's instructions calls. */
export function headerOfFeature(feature: string): string | undefined {
  return X86_INSTRS.some((instr) => instr.feature === feature) ? 'hone_x86.h' : undefined;
}
