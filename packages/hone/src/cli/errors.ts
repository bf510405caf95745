/** How failures look to a user: code, message and cure, as text or JSON, and the exit code. */
import { HoneError } from 'hone-runtime/base/diagnostics';

/** Any thrown value as a coded error; what is not one of ours is a fault of Hone. */
export function asHoneError(thrown: unknown): HoneError {
  if (thrown instanceof HoneError) return thrown;
  const message = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  return new HoneError({
    code: 'HONE-INTERNAL-000',
    message: `unexpected failure: ${message}`,
    cure: 'please report this as a bug; HONE_DEBUG=1 shows where it happened',
    cause: thrown,
  });
}

export function errorText(error: HoneError): string {
  const lines = [`${error.code}: ${error.message}`];
  if (error.cure !== undefined) lines.push(`  cure: ${error.cure}`);
  if (process.env['HONE_DEBUG'] === '1') {
    const cause = error.cause instanceof Error ? error.cause : error;
    lines.push(String(cause.stack));
  }
  return lines.join('\n');
}

export function errorJson(error: HoneError): string {
  const { code, message, subject, cure } = error;
  return JSON.stringify({
    error: { code, message, subject: subject ?? null, cure: cure ?? null },
  });
}
