/** `hone bench`: not there yet. */
import { fail } from 'hone-runtime/base/diagnostics';
import type { Outcome } from '../command.ts';

export async function run(): Promise<Outcome> {
  fail('HONE-CLI-009', 'hone bench is not part of this version yet', 'bench', 'see docs/status.md');
}
