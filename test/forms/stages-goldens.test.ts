/**
 * Graphs with control flow as stages: `test/golden/stages/<case>.txt` holds a graph, `----`, and the stages that the
 * passes and fusion make of it. `UPDATE_GOLDEN=1` writes what comes out; a missing second part is written once and
 * fails. The graphs are also compiled and run beside the interpreter.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compileGraph } from 'hone/compile/index';
import { fuseGraph } from 'hone/fusion/index';
import { interpret } from 'hone/ops/interpret';
import { standardRegistry as registry } from 'hone/ops/registry';
import { runPasses } from 'hone/passes/index';
import { parseStages } from 'hone/stages/parse';
import { printStages } from 'hone/stages/print';
import { verifyStages } from 'hone/stages/verify';
import type { Tensor } from 'hone-runtime/base/tensor';
import { assertClose } from '../support/compare.ts';
import { textGraph } from '../support/control-graphs.ts';
import { randomInputs } from '../support/golden.ts';
import { mergedLibrary } from '../support/merged-library.ts';

const ROOT = fileURLToPath(new URL('../../../test/golden/stages/', import.meta.url));
const SEPARATOR = '\n----\n';

const cases = readdirSync(ROOT)
  .filter((name) => name.endsWith('.txt'))
  .sort()
  .map((name) => {
    const [before = '', expected] = readFileSync(`${ROOT}${name}`, 'utf8').split(SEPARATOR);
    return { name, before, expected, graph: textGraph(before) };
  });

for (const { name, before, expected, graph } of cases) {
  test(`stages/${name.replace(/\.txt$/, '')}`, () => {
    const stages = verifyStages(fuseGraph(runPasses(graph, { registry }), { registry }));
    const printed = printStages(stages, { constants: 'full' });
    assert.deepEqual(parseStages(printed), stages, 'the text reads back equal');
    if (printed === expected) return;
    const update = process.env['UPDATE_GOLDEN'] === '1';
    if (update || expected === undefined)
      writeFileSync(`${ROOT}${name}`, before.trimEnd() + SEPARATOR + printed);
    if (!update) assert.equal(printed, expected ?? '(written: review it, then run again)');
  });
}

test('the graphs run as the interpreter says', async () => {
  const library = await mergedLibrary(cases.map(({ graph }) => compileGraph(graph)));
  try {
    for (const seed of [1, 2, 3]) {
      const inputs = cases.map(({ graph }) => randomInputs(graph, { seed }));
      const results = library.run(inputs, { threads: 2, poison: true });
      cases.forEach(({ name, graph }, c) => {
        interpret(graph, inputs[c] ?? []).forEach((wanted, k) => {
          const got = results[c]?.outputs[k] as Tensor;
          assertClose(got, wanted, `${name}, seed ${seed}, output ${k}`);
        });
      });
    }
  } finally {
    library.close();
  }
});
