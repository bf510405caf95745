/** What a run checks of numbers, and what is known to be wrong already. */
import { fail } from 'hone-runtime/base/diagnostics';
import { type Int, isKnown, isSame } from './ints.ts';
import type { Use } from './rule.ts';

/** Two numbers that have to be one. */
export function checkSame(use: Use, a: Int, b: Int, says: string): void {
  if (isSame(a, b)) return;
  if (isKnown(a) && isKnown(b))
    fail(
      'HONE-SHAPE-001',
      `node ${use.s.node} (${use.op}): ${says} (${a}, not ${b})`,
      use.s.node,
      'check the shapes the model was exported with, or the --shape you gave',
    );
  checkNone(use, use.ints.whereEqual(a, b, 0, 1), says);
}

/** A number that must not be another. */
export function checkNot(use: Use, x: Int, no: number, says: string): void {
  checkNone(use, use.ints.whereEqual(x, no, 1, 0), says);
}

/** A number that has to be 0; anything else is a fault of the run. */
export function checkNone({ s }: Use, wrong: Int, says: string): void {
  const [tensor = ''] = s.plan.names;
  const source = { tensor, axis: -1, origin: '', option: '' } as const;
  s.checked(wrong, { min: 0, max: 0 }, source, `${s.node}: ${says}`);
}
