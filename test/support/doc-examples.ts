/**
 * Runs a document's examples in order: a block with a file name after its language is written to
 * that file, a block of `sh` runs in a shell. Other blocks are only read.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of package.json. */
export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

export interface Example {
  readonly language: string;
  /** Name of the file it is written to; empty for others. */
  readonly file: string;
  readonly text: string;
}

/** The fenced blocks of a document, by its path from the root. */
export function examplesOf(document: string): readonly Example[] {
  const text = readFileSync(join(ROOT, document), 'utf8');
  return [...text.matchAll(/^```(\w+)(?: (\S+))?\n([\s\S]*?)^```$/gm)].map((match) => ({
    language: match[1] ?? '',
    file: match[2] ?? '',
    text: match[3] ?? '',
  }));
}

/** Runs one shell command; a failure is a failed assertion that shows what it said. */
export function shell(
  command: string,
  cwd: string,
  env: Readonly<Record<string, string>>,
  timeout = 180_000,
): string {
  const { status, stdout, stderr } = spawnSync('bash', ['-e', '-c', command], {
    cwd,
    encoding: 'utf8',
    timeout,
    env: { ...process.env, ...env },
  });
  assert.equal(status, 0, `${command}\n${stdout}${stderr}`);
  return stdout;
}

export interface ExampleRun {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Shell blocks for which this is false do not run. */
  readonly wanted?: (command: string) => boolean;
}

/** Writes and runs the examples; what each shell block printed. */
export function runExamples(examples: readonly Example[], run: ExampleRun): string[] {
  const printed: string[] = [];
  for (const { language, file, text } of examples) {
    if (file !== '') writeFileSync(join(run.cwd, file), text);
    else if (language === 'sh' && run.wanted?.(text) !== false) {
      printed.push(shell(text, run.cwd, run.env ?? {}));
    }
  }
  return printed;
}
