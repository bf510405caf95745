/**
 * Tables of instructions: C text together with a meaning in the Loop form, so that a kernel for
 * hardware that is not here still runs in the interpreter.
 */
import { invariant } from 'hone-runtime/base/diagnostics';
import type { Instr } from './types.ts';

/** Instructions by name; two of one name are a mistake. */
export function instrTable(instrs: readonly Instr[]): ReadonlyMap<string, Instr> {
  const table = new Map<string, Instr>();
  for (const instr of instrs) {
    invariant(!table.has(instr.name), `two instructions are called "${instr.name}"`);
    table.set(instr.name, instr);
  }
  return table;
}

/** An instruction of a table, which must be there. */
export function instrOf(table: ReadonlyMap<string, Instr>, name: string): Instr {
  const instr = table.get(name);
  invariant(instr !== undefined, `no instruction is called "${name}"`);
  return instr;
}
