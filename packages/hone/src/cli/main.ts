/**
 * Entry point of `hone`. Exit codes: 0 done, 1 the user can cure it, 2 a fault of ours,
 * 130 interrupted. Results go to stdout, everything else to stderr.
 */
import { readFileSync } from 'node:fs';
import { COMMANDS } from './contract.ts';
import { asHoneError, errorJson, errorText } from './errors.ts';
import { runProgram } from './program.ts';

const EXAMPLES = `hone compiles trained models for a processor, measures them, and runs them.

  hone analyze model.onnx                        what it is, and what would be compiled
  hone run model.onnx --random                   compile it into the cache and run it once
  hone bench model.onnx --baseline onnxruntime   how fast it is, beside another engine

hone --help lists every command.
`;

// A reader that stops reading (`hone … | head`) is not a failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 2);
});
process.once('SIGINT', () => process.exit(130));

const argv = process.argv.slice(2);
const json = argv.includes('--json');
const status = process.stderr.isTTY === true;
let statusShown = false;

function clearStatus(): void {
  if (statusShown) process.stderr.write('\r\u001b[K');
  statusShown = false;
}

try {
  process.exitCode = await main();
} catch (thrown) {
  clearStatus();
  const error = asHoneError(thrown);
  if (json) process.stdout.write(`${errorJson(error)}\n`);
  process.stderr.write(`${errorText(error)}\n`);
  process.exitCode = error.exitCode;
}

async function main(): Promise<number> {
  if (argv.length === 0) {
    process.stdout.write(EXAMPLES);
    return 0;
  }
  const parsed = await runProgram(COMMANDS, packageVersion(), argv, {
    log(message) {
      clearStatus();
      process.stderr.write(`${message}\n`);
    },
    progress(message) {
      if (!status) return;
      process.stderr.write(`\r\u001b[K${message.slice(0, 100)}`);
      statusShown = true;
    },
  });
  clearStatus();
  if (parsed.kind === 'text') {
    process.stdout.write(parsed.text);
    return 0;
  }
  const { outcome } = parsed;
  process.stdout.write(
    json ? `${JSON.stringify(outcome.json)}\n` : outcome.text.map((line) => `${line}\n`).join(''),
  );
  return outcome.exitCode ?? 0;
}

function packageVersion(): string {
  const url = new URL('../../package.json', import.meta.url);
  const parsed: unknown = JSON.parse(readFileSync(url, 'utf8'));
  return String((parsed as { readonly version?: unknown }).version ?? 'unknown');
}
