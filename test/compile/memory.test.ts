/** The memory budget: what gives way, what is refused, and that the printed peak is what is used. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { compileBuiltGraph, compileGraph, peakBytes, writeArtifact } from 'hone/compile/index';
import type { Graph } from 'hone/graph/types';
import { opBuilder } from 'hone/ops/registry';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { seededRandom } from 'hone-runtime/base/random';
import { writeCompiler } from '../support/c-compiler.ts';
import { checkGraph } from '../support/compiled-graph.ts';
import { shell } from '../support/doc-examples.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-memory-'));
after(() => rmSync(folder, { recursive: true }));

/** Three 3×3 convolutions, the second with the most weights. */
function convolutions(size: number, channels: readonly number[]): Graph {
  const random = seededRandom(3);
  const b = opBuilder('net');
  let x = b.graph.input('x', { dtype: 'f32', shape: [1, 16, size, size] });
  let before = 16;
  channels.forEach((count, i) => {
    const shape = [count, before, 3, 3];
    const values = Float64Array.from({ length: count * before * 9 }, () => random.normal() / 9);
    const weights: Tensor = fromNumbers('f32', shape, values);
    x = b.op('Conv', [x, b.constant(weights, `w${i}`)], { pads: [1, 1, 1, 1] }, { name: `c${i}` });
    x = b.op('Relu', [x], {}, { name: `r${i}` });
    before = count;
  });
  return b.graph.finish([b.op('GlobalAveragePool', [x], {}, { outputNames: ['y'] })]);
}

const GRAPH = convolutions(24, [32, 64, 32]);
const options = { target: 'x86-64-v3' };
const rowsOf = (memoryBytes?: number): { rows: string[]; peak: number; lean: number } => {
  const { report } = compileGraph(
    GRAPH,
    memoryBytes === undefined ? options : { ...options, memoryBytes },
  );
  const rows = report.stages.map((stage) => stage.row);
  return { rows, peak: peakBytes(report), lean: report.leanStages ?? 0 };
};

test('kernels give way, as few as possible: weights are transformed late, then not at all', () => {
  const fastest = rowsOf();
  const fast = fastest.rows.filter((row) => row.startsWith('winograd'));
  assert.equal(fast.length, 3);
  // Only the convolution to 64 channels has vectors enough to transform late.
  const least = rowsOf(fastest.peak - 1);
  assert.ok(least.peak < fastest.peak);
  assert.equal(least.lean, 1);
  assert.equal(least.rows.filter((row) => row.startsWith('winograd')).length, 3);
  assert.equal(least.rows.filter((row) => row.endsWith('_late')).length, 1);
  const less = rowsOf(least.peak - 1);
  assert.ok(less.peak < least.peak);
  assert.ok(less.rows.filter((row) => row.startsWith('winograd')).length < 3);
  const smallest = compileGraph(GRAPH, { ...options, contract: { direct: true } }).report;
  const most = rowsOf(peakBytes(smallest));
  assert.equal(most.peak, peakBytes(smallest));
  assert.equal(most.lean, 3);
});

test('without a budget weights grow little, and minimal filtering stays', () => {
  const { report } = compileGraph(convolutions(14, [512, 512, 512]), options);
  assert.ok(report.weightsBytes <= report.parameterBytes * 1.1 + 8e6);
  const fast = report.stages.filter((stage) => stage.row.startsWith('winograd'));
  assert.equal(fast.length, 3);
  const late = fast.filter((stage) => stage.row.endsWith('_late')).length;
  assert.ok(late > 0 && late < 3, `${late} late`);
  assert.equal(report.leanStages, late);
});

test('what cannot be kept is refused with the largest needs', () => {
  const smallest = peakBytes(
    compileGraph(GRAPH, { ...options, contract: { direct: true } }).report,
  );
  assert.throws(
    () => rowsOf(smallest - 1),
    (error) => {
      assert.ok(error instanceof HoneError);
      assert.equal(error.code, 'HONE-COMPILE-050');
      assert.match(error.message, new RegExp(`needs ${smallest} bytes and ${smallest - 1} are`));
      assert.match(error.message, /weights, the largest w[12] \(18432 elements\)/);
      assert.match(error.message, /working memory, fullest in c\d/);
      assert.match(error.cure ?? '', new RegExp(`--memory ${smallest}`));
      return true;
    },
  );
});

test('a model without a budget still has a limit', () => {
  const b = opBuilder('bomb');
  const x = b.graph.input('x', { dtype: 'f32', shape: [2 ** 37] });
  const y = b.op('ReduceMean', [b.op('CumSum', [x, b.scalar(0, 'i64')])]);
  assert.throws(
    () => compileGraph(b.graph.finish([y])),
    (error) => error instanceof HoneError && error.code === 'HONE-COMPILE-050',
  );
});

test('the lean kernels answer as the others', async () => {
  const { peak } = rowsOf();
  for (const memoryBytes of [peak - 1, rowsOf(peak - 1).peak - 1]) {
    await checkGraph(GRAPH, { target: 'native', memoryBytes }, 2e-5);
  }
});

const PROGRAM = `
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model.h"

static long peak_kib(void) {
  char line[256];
  long found = 0;
  FILE *status = fopen("/proc/self/status", "r");
  while (status && fgets(line, sizeof line, status)) sscanf(line, "VmHWM: %ld", &found);
  if (status) fclose(status);
  return found;
}

int main(int count, char **arguments) {
  hone_options options = {sizeof options, 1, 0, 0};
  hone_tensor x, y;
  hone_context *context;
  hone_input(0, &x);
  hone_output(0, &y);
  x.data = malloc(x.bytes);
  memset(x.data, 0, x.bytes);
  y.data = malloc(y.bytes);
  memset(y.data, 0, y.bytes);
  y.capacity = y.bytes;
  const long before = peak_kib();
  if (count < 2 || hone_open(arguments[1], &options, &context)) return 1;
  for (int i = 0; i < 3; i++)
    if (hone_run(context, &x, 1, &y, 1)) return 2;
  printf("%ld\\n", peak_kib() - before);
  hone_close(context);
  return 0;
}
`;

test('the printed peak is what a process uses', {
  skip: process.platform !== 'linux' && 'reads /proc',
}, async () => {
  const model = await compileBuiltGraph(convolutions(160, [64, 128, 256]), { static: true });
  const artifact = path.join(folder, 'net.hone');
  await writeArtifact(model, artifact);
  const source = path.join(folder, 'use.c');
  const program = path.join(folder, 'use');
  writeFileSync(source, PROGRAM);
  const cc = writeCompiler(path.join(folder, 'cc'));
  const parts = `-I '${artifact}/include' '${source}' '${artifact}'/lib/*.a -pthread`;
  shell(`'${cc}' ${parts} -o '${program}'`, folder, {}, 300_000);
  const used = Number(shell(`'${program}' '${artifact}'`, folder, {}, 60_000)) * 1024;
  const printed = peakBytes(model.report);
  // Code, stacks and page tables come on top; where steps never touch all, a little is missing.
  const words = `${used} bytes used, ${printed} printed`;
  assert.ok(used <= printed + 1_500_000 && used >= printed * 0.9, words);
});
