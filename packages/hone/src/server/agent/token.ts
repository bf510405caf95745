/**
 * The secret that agent and client share. It is compared by digest in constant time, and is never
 * printed. A file that holds one is for its owner's eyes only.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { fail } from 'hone-runtime/base/diagnostics';

export const TOKEN_VARIABLE = 'HONE_AGENT_TOKEN';

const LEAST_CHARS = 20;
const MAX_FILE_BYTES = 4096;
const OTHERS_MAY_READ = 0o077;

/** The token in a file, or that of HONE_AGENT_TOKEN; throws HONE-AGENT-013. */
export function readToken(file: string | undefined, env = process.env): string {
  if (file !== undefined) return tokenOfFile(file);
  const value = env[TOKEN_VARIABLE]?.trim();
  if (value) return checkToken(value, TOKEN_VARIABLE);
  return fail(
    'HONE-AGENT-013',
    'no token: agents answer only those who know it',
    TOKEN_VARIABLE,
    `give the agent's token in a file (--token-file), or in the variable ${TOKEN_VARIABLE}`,
  );
}

/** The same for the agent itself: a file that is not there is made, with a new token. */
export function readOrMakeToken(
  file: string | undefined,
  env = process.env,
): { readonly token: string; readonly made: boolean } {
  if (file === undefined || existsSync(file)) return { token: readToken(file, env), made: false };
  const token = randomBytes(32).toString('base64url');
  try {
    const fd = openSync(file, 'wx', 0o600);
    try {
      writeFileSync(fd, `${token}\n`);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    unusable(file, `cannot be written: ${code}`, 'check the folder and its permissions');
  }
  return { token, made: true };
}

/** Whether a request's Authorization header carries the token. */
export function tokenCheck(token: string): (header: string | undefined) => boolean {
  const expected = digest(token);
  return (header) => {
    const given = /^Bearer +(\S+)$/i.exec(header ?? '')?.[1] ?? '';
    return timingSafeEqual(digest(given), expected);
  };
}

function tokenOfFile(file: string): string {
  let content: string;
  try {
    const { mode, size } = statSync(file);
    if (size > MAX_FILE_BYTES) unusable(file, 'is too large for a token', 'give another file');
    if (process.platform !== 'win32' && (mode & OTHERS_MAY_READ) !== 0) {
      unusable(file, 'can be read by other users', `chmod 600 ${file}`);
    }
    content = readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code?.startsWith('HONE')) throw error;
    return unusable(file, `cannot be read: ${code ?? 'unknown error'}`, 'check the path');
  }
  return checkToken(content.trim(), file);
}

function checkToken(token: string, where: string): string {
  const cure = `use ${LEAST_CHARS} or more letters, digits, "-" and "_"; \`hone agent --token-file NEW\` makes one`;
  if (!/^[\w.~+/=-]+$/.test(token)) unusable(where, 'holds no token', cure);
  if (token.length < LEAST_CHARS) unusable(where, 'holds a token that can be guessed', cure);
  return token;
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function unusable(where: string, problem: string, cure: string): never {
  fail('HONE-AGENT-013', `${where} ${problem}`, where, cure);
}
