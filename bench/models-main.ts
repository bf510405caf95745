/** `npm run bench:models -- --out DIR NAME…`: only writes NAME.onnx of built networks. */
import { mkdirSync, statSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { fail } from 'hone-runtime/base/diagnostics';
import { asHoneError, errorText } from 'hone/cli/errors';
import { formatBytes } from 'hone/cli/table';
import { expandNames, modelByName, TRAINED } from './models.ts';

const USAGE = 'npm run bench:models -- --out DIR NAME…';

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { out: { type: 'string' } },
  });
  if (values.out === undefined || positionals.length === 0) {
    fail('HONE-BENCH-009', '--out DIR and at least one NAME are needed', undefined, USAGE);
  }
  mkdirSync(values.out, { recursive: true });
  for (const name of expandNames(positionals)) {
    const { onnx } = await modelByName(name, values.out);
    const note = name in TRAINED ? ' (not written: it is a file already)' : '';
    console.log(`${onnx}  ${formatBytes(statSync(onnx).size)}${note}`);
  }
} catch (thrown) {
  const error = asHoneError(thrown);
  process.stderr.write(`${errorText(error)}\n`);
  process.exitCode = error.exitCode;
}
