/** Writes a report's page to the file that --html names. */
import { writeFileSync } from 'node:fs';
import { fail } from 'hone-runtime/base/diagnostics';
import type { Advice, AdviceMeasurement } from '../advisor/advice-types.ts';
import { latencyAtLoad, usableLoad } from '../advisor/queue.ts';
import { adviceHtml } from '../bench/report-html/advice.ts';
import { HONE_VERSION } from '../compile/version.ts';

/** Throws HONE-IO-003. */
export function writePage(file: string, page: string): void {
  try {
    writeFileSync(file, page);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
    const cure = 'check the folder and its permissions';
    fail('HONE-IO-003', `cannot write ${file}: ${code}`, file, cure);
  }
}

/** The page of an advice, dated today. */
export function writeAdvicePage(
  file: string,
  advice: Advice,
  measurements: readonly AdviceMeasurement[],
): void {
  const date = new Date().toISOString().slice(0, 10);
  const options = { date, version: HONE_VERSION };
  writePage(file, adviceHtml({ ...advice, measurements }, { latencyAtLoad, usableLoad }, options));
}
