#!/usr/bin/env node
/** Starts the command line, or says how to build it where the build is missing. */
import { existsSync } from 'node:fs';

const main = new URL('../dist/cli/main.js', import.meta.url);
if (existsSync(main)) {
  await import(main.href);
} else {
  process.stderr.write(
    'HONE-CLI-001: hone is not built yet\n  cure: run `npm run build` in the root of the repository\n',
  );
  process.exitCode = 1;
}
