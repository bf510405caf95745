/** All instructions that kernels can call when they are compiled as C. */
import { instrTable } from '../../loop/instr.ts';
import type { Instr } from '../../loop/types.ts';
import { ARM_INSTRS } from './instrs-arm.ts';
import { X86_INSTRS } from './instrs-x86.ts';

export const C_INSTRS: ReadonlyMap<string, Instr> = instrTable([...X86_INSTRS, ...ARM_INSTRS]);

const HEADERS: Readonly<Record<string, string>> = {
  avx512bf16: 'hone_x86.h',
  avx512vnni: 'hone_x86.h',
  avx512vbmi: 'hone_x86.h',
  avx2: 'hone_x86_256.h',
  avxvnni: 'hone_x86_256.h',
  dotprod: 'hone_arm.h',
  i8mm: 'hone_arm.h',
};

/** The header beside hone_math.h that defines what the C text of a feature's instructions calls. */
export function headerOfFeature(feature: string): string | undefined {
  return HEADERS[feature];
}
