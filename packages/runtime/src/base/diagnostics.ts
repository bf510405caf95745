/**
 * Coded errors and notes. Every failure a user can meet is a `HoneError` with a stable code
 * (`HONE-<AREA>-<NNN>`), the thing it is about (file, node, field) and what to do about it.
 */

export type ErrorArea =
  | 'ONNX'
  | 'SHAPE'
  | 'OP'
  | 'GRAPH'
  | 'PARSE'
  | 'TARGET'
  | 'TOOL'
  | 'COMPILE'
  | 'ARTIFACT'
  | 'RUN'
  | 'INPUT'
  | 'CLI'
  | 'BENCH'
  | 'AGENT'
  | 'ADVISE'
  | 'CALIBRATE'
  | 'IO'
  | 'INTERNAL';

export type ErrorCode = `HONE-${ErrorArea}-${string}`;

export interface ErrorDetails {
  /** Stable code, e.g. HONE-ONNX-012. */
  readonly code: ErrorCode;
  /** What is wrong, in one sentence, naming the thing. */
  readonly message: string;
  /** File, node, field or option the error is about. */
  readonly subject?: string;
  /** What the user can do. */
  readonly cure?: string;
  readonly cause?: unknown;
}

export class HoneError extends Error {
  readonly code: ErrorCode;
  readonly subject: string | undefined;
  readonly cure: string | undefined;

  constructor(details: ErrorDetails) {
    super(details.message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'HoneError';
    this.code = details.code;
    this.subject = details.subject;
    this.cure = details.cure;
  }

  /** 1 when the user can cure it, 2 for a fault of ours. */
  get exitCode(): 1 | 2 {
    return this.code.startsWith('HONE-INTERNAL') ? 2 : 1;
  }
}

/** Throws a `HoneError`; reads as a statement at the place of the failure. */
export function fail(code: ErrorCode, message: string, subject?: string, cure?: string): never {
  throw new HoneError({
    code,
    message,
    ...(subject === undefined ? {} : { subject }),
    ...(cure === undefined ? {} : { cure }),
  });
}

/** Asserts an invariant of our own; a failure is a fault of Hone, not of the user. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) fail('HONE-INTERNAL-001', message, undefined, 'please report this as a bug');
}

/** An array element that must be there. */
export function at<T>(items: readonly T[], index: number): T {
  const item = items[index];
  invariant(item !== undefined, `index ${index} outside 0..${items.length - 1}`);
  return item;
}
