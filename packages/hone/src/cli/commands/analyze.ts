/** `hone analyze`: not there yet. */
import { fail } from 'hone-runtime/base/diagnostics';
import type { Outcome } from '../command.ts';

export async function run(): Promise<Outcome> {
  fail(
    'HONE-CLI-009',
    'hone analyze is not part of this version yet',
    'analyze',
    'see docs/status.md',
  );
}
