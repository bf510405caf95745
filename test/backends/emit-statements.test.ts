/**
 * Loop functions as C: the text against goldens (`test/golden/c/<case>.txt`: the function, `----`,
 * the kernel; `UPDATE_GOLDEN=1` writes it), and what the compiled kernel does against the
 * interpreter, on random data, for one and for three workers.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { emitKernel } from 'hone/backends/c/emit';
import { interpretLoop } from 'hone/loop/interpret';
import { parseLoop } from 'hone/loop/parse';
import { printLoop } from 'hone/loop/print';
import type { LoopFn } from 'hone/loop/types';
import { verifyLoop } from 'hone/loop/verify';
import { isFloat, type TypedArray } from 'hone-runtime/base/dtype';
import { seededRandom } from 'hone-runtime/base/random';
import { allocateData, fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import {
  type CompiledKernels,
  compileKernels,
  runnableTargets,
} from '../support/compiled-kernel.js';

const ROOT = fileURLToPath(new URL('../../../test/golden/c/', import.meta.url));
const SEPARATOR = '\n----\n';
/** Elements of every buffer, and the value of every dim. */
const SIZE = 4096;
const DIM = 13;

interface Case {
  readonly name: string;
  readonly path: string;
  readonly fn: LoopFn;
  readonly golden: string | undefined;
  /** Relative; from a comment line `; tolerance: 1e-5`. */
  readonly tolerance: number;
}

function readCase(file: string): Case {
  const text = readFileSync(ROOT + file, 'utf8');
  const [head = '', golden] = text.split(SEPARATOR);
  const tolerance = Number(/^; tolerance: (.*)$/m.exec(head)?.[1] ?? 0);
  return {
    name: file.replace(/\.txt$/, ''),
    path: ROOT + file,
    fn: verifyLoop(parseLoop(head)),
    golden,
    tolerance,
  };
}

const CASES = readdirSync(ROOT)
  .filter((file) => file.endsWith('.txt'))
  .sort()
  .map(readCase);

function checkText({ fn, golden, path }: Case): void {
  const text = emitKernel(fn);
  if (text === golden) return;
  const head = (readFileSync(path, 'utf8').split(SEPARATOR)[0] ?? '').trimEnd();
  const update = process.env['UPDATE_GOLDEN'] === '1';
  if (update || golden === undefined) writeFileSync(path, head + SEPARATOR + text);
  if (!update) assert.equal(text, golden ?? '(written: review it, then run again)');
}

function randomBuffers(fn: LoopFn): Record<string, TypedArray> {
  const random = seededRandom(fn.name.length);
  return Object.fromEntries(
    fn.buffers.map(({ name, dtype }) => {
      const values = Array.from({ length: SIZE }, () => {
        if (dtype === 'bool') return random.integer(2);
        return isFloat(dtype) ? random.integer(65) / 8 - 4 : random.integer(23) - 8;
      });
      return [name, fromNumbers(dtype, [SIZE], values).data as TypedArray];
    }),
  );
}

function checkRun(item: Case, compiled: CompiledKernels): void {
  const { fn } = item;
  const dims = Object.fromEntries(fn.dims.map((name) => [name, DIM]));
  for (const workers of [1, 3]) {
    const wanted = randomBuffers(fn);
    const got = randomBuffers(fn);
    const { fault } = interpretLoop(fn, wanted, dims, { workers });
    assert.equal(compiled.run(fn, got, dims, workers), fault, 'fault');
    for (const { name, dtype } of fn.buffers) {
      const [a, b] = [wanted[name] ?? allocateData(dtype, 0), got[name] ?? allocateData(dtype, 0)];
      const left = toNumbers({ dtype, shape: [SIZE], data: a });
      const right = toNumbers({ dtype, shape: [SIZE], data: b });
      left.forEach((value, i) => {
        const found = right[i] ?? Number.NaN;
        const near = Math.abs(found - value) <= item.tolerance * Math.max(1, Math.abs(value));
        const same = found === value || Object.is(found, value) || near;
        assert.ok(same, `${name}[${i}] is ${found}, not ${value}, with ${workers} workers`);
      });
    }
  }
}

test('there are goldens', () => assert.ok(CASES.length > 5));

for (const item of CASES) {
  test(`${item.name}: text`, () => {
    assert.deepEqual(parseLoop(printLoop(item.fn)), item.fn);
    checkText(item);
  });
}

for (const target of runnableTargets()) {
  const compiled = compileKernels(
    CASES.map(({ fn }) => fn),
    target,
  );
  after(async () => (await compiled).close());
  for (const item of CASES) {
    test(`${item.name}: run on ${target.name}`, async () => checkRun(item, await compiled));
  }
}
