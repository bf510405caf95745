/** Dot products of 64-bit ARM: four bytes of the broadcast operand against four of each lane. */
import type { Instr } from '../../loop/types.ts';
import { dotInstr } from './instrs-x86.ts';

const SHAPE = { lanes: 4, acc: 'i32', a: 'u8', b: 'i8', group: 4 } as const;

export const ARM_INSTRS: readonly Instr[] = [
  dotInstr('usdot', 'i8mm', SHAPE),
  // Signed by signed only: the data less 128, and the weights' sum 128 times.
  dotInstr('sdot', 'dotprod', SHAPE),
];
