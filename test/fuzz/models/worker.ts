/**
 * A process that works through cases of the model fuzzer and says on stdout, line by line, what it
 * does: `begin N`, `build N`, `end N JSON`. It may crash or hang: that is what its parent looks for.
 *
 *   node worker.js SEED FIRST STEP COUNT tried|sanitized
 */
import { writeSync } from 'node:fs';
import { modelCase, tryModel } from './model-case.ts';
import { buildSanitized, isSmall, runOddly } from './run-sanitized.ts';

const BUILD_TIMEOUT_MS = 600_000;

const [seed = 1, first = 0, step = 1, count = 1] = process.argv.slice(2, 6).map(Number);
const isSanitized = process.argv[6] === 'sanitized';

function say(line: string): void {
  writeSync(1, `${line}\n`);
}

for (let i = 0; i < count; i++) {
  const number = first + i * step;
  say(`begin ${number}`);
  const item = modelCase(seed, number, isSanitized ? 'structure' : undefined);
  const { compiled, ...outcome } = tryModel(item, isSanitized ? { target: 'native' } : {});
  let problem = outcome.fault;
  let ran = false;
  if (isSanitized && compiled !== undefined && problem === undefined && isSmall(compiled)) {
    try {
      say(`build ${number}`);
      const library = await buildSanitized(compiled, BUILD_TIMEOUT_MS);
      say(`begin ${number}`);
      problem = runOddly(compiled, library, item.random);
      ran = true;
    } catch (error) {
      problem = error instanceof Error ? `${error.stack}` : String(error);
    }
  }
  const { kind, reached, code } = outcome;
  say(
    `end ${number} ${JSON.stringify({ kind, reached, code, fault: problem, ran, name: item.name })}`,
  );
}
const { maxRSS } = process.resourceUsage();
say(`done ${maxRSS * 1024}`);
