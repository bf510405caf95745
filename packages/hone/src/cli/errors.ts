/** How failures look to a user: code, message and cure, as text or JSON, and the exit code. */
import { HoneError } from 'hone-runtime/base/diagnostics';

/** What the system refuses for reasons that lie with the user's machine. */
const SYSTEM_CURES: Readonly<Record<string, string>> = {
  ENOSPC: 'free some space there',
  EDQUOT: 'free some space there: the quota is used up',
  EFBIG: 'raise the limit of file sizes (ulimit -f)',
  EROFS: 'choose a folder that can be written',
  EACCES: 'check the permissions',
  EPERM: 'check the permissions',
  EMFILE: 'raise the limit of open files (ulimit -n)',
  ENFILE: 'close other programs: the system has too many open files',
  ENOMEM: 'free some memory',
  EIO: 'the disk reports an error: check it',
};

/** Any thrown value as a coded error; what is not one of ours is a fault of Hone. */
export function asHoneError(thrown: unknown): HoneError {
  if (thrown instanceof HoneError) return thrown;
  const { code = '', path, syscall } = (thrown ?? {}) as NodeJS.ErrnoException;
  const cure = syscall === undefined ? undefined : SYSTEM_CURES[code];
  if (cure !== undefined) {
    const what =
      path === undefined ? `the system refused to ${syscall}` : `cannot ${syscall} ${path}`;
    return new HoneError({
      code: 'HONE-IO-005',
      message: `${what}: ${code}`,
      ...(path === undefined ? {} : { subject: path }),
      cure,
      cause: thrown,
    });
  }
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
