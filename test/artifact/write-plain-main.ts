/**
 * A writer in a process of its own, to be killed, refused or raced:
 *
 *     node write-plain-main.js TARGET ROUNDS NAME:VALUE[:WEIGHTS_BYTES] …
 *
 * Writes each version in turn, all of them ROUNDS times, and prints "ok" or the code of the error
 * for each on a line.
 */
import { writeArtifact } from 'hone-runtime/artifact/write';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { plainContents } from './plain-artifact.ts';

const [target = '', rounds = '1', ...versions] = process.argv.slice(2);
for (let round = 0; round < Number(rounds); round++) {
  for (const version of versions) {
    const [name = '', value = '0', bytes] = version.split(':');
    let line = 'ok';
    try {
      const size = bytes === undefined ? undefined : Number(bytes);
      writeArtifact(target, plainContents(name, Number(value), size));
    } catch (error) {
      line = error instanceof HoneError ? error.code : String(error);
    }
    process.stdout.write(`${line}\n`);
  }
}
