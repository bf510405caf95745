/** The process of one job: benches an artifact, says how far it is and what came of it, and ends. */
import { HoneError } from 'hone-runtime/base/diagnostics';
import { runBench } from '../../bench/bench.ts';
import type { JobMessage, JobOrder } from './job-messages.ts';
import { observed } from './machine-facts.ts';
import { wireError } from './protocol.ts';

async function carryOut({ folder, settings }: JobOrder): Promise<JobMessage> {
  const { label, threads, concurrency, durationMs, sessions } = settings;
  const { value: report, conditions } = await observed(() =>
    runBench([{ model: label, prepare: async () => ({ model: label, artifact: folder }) }], {
      ...(threads === undefined ? {} : { threads }),
      concurrency,
      durationMs,
      sessions,
      progress: (text) => say({ kind: 'progress', text }),
    }),
  );
  const [failure] = report.failures;
  if (failure === undefined) return { kind: 'done', report, conditions };
  const { code, message, cure } = failure;
  return { kind: 'failed', error: { code, message, subject: label, cure } };
}

function say(message: JobMessage): void {
  process.send?.(message);
}

function failed(thrown: unknown): JobMessage {
  const error =
    thrown instanceof HoneError
      ? thrown
      : new HoneError({
          code: 'HONE-INTERNAL-000',
          message: thrown instanceof Error ? thrown.message : String(thrown),
          cure: 'please report this as a bug',
        });
  return { kind: 'failed', ...wireError(error) };
}

process.on('disconnect', () => process.exit(1));
process.once('message', (order: JobOrder) => {
  void carryOut(order)
    .catch(failed)
    .then((message) => process.send?.(message, () => process.exit(0)));
});
