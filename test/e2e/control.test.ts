/**
 * Control flow against onnxruntime-node: what compiled bodies give is what it gives, of the graphs themselves
 * and, where ONNX says all of them, of the files they are exported to.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { compileGraph } from 'hone/compile/index';
import { exportOnnx, importOnnx, openOnnx } from 'hone/frontends/onnx/index';
import type { Graph, ValueId } from 'hone/graph/types';
import { valueById } from 'hone/graph/walk';
import { at } from 'hone-runtime/base/diagnostics';
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import * as ort from 'onnxruntime-node';
import { controlCases } from '../support/control-graphs.ts';
import { mergedLibrary } from '../support/merged-library.ts';

const TYPES = { f32: 'float32', i64: 'int64', bool: 'bool' } as const;

/** Outputs that count iterations, which ONNX does not have. */
function counts(graph: Graph): ReadonlySet<ValueId> {
  const bounded = graph.nodes.filter(({ attrs }) => Number(attrs['bound'] ?? -1) >= 0);
  return new Set(bounded.flatMap(({ outputs }) => outputs.slice(-1)));
}

async function openPeer(
  graph: Graph,
  bytes: Uint8Array,
): Promise<(inputs: readonly Tensor[]) => Promise<readonly ort.Tensor[]>> {
  const session = await ort.InferenceSession.create(bytes, {
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: 3,
  });
  const names = graph.inputs.map((id) => valueById(graph, id).name);
  return async (inputs) => {
    const feeds = inputs.map(({ dtype, data, shape }, i) => {
      const type = TYPES[dtype as keyof typeof TYPES];
      return [at(names, i), new ort.Tensor(type, data as Float32Array, shape)] as const;
    });
    const results = await session.run(Object.fromEntries(feeds));
    return session.outputNames.map((name) =>
      at(
        [results[name]].filter((t) => t !== undefined),
        0,
      ),
    );
  };
}

/** What is stacked up to a bound begins with what the peer stacks, and ends with zeros. */
function assertBegins(got: Tensor, wanted: ort.Tensor, what: string): void {
  const [ours, theirs] = [toNumbers(got), Array.from(wanted.data as Float32Array, Number)];
  assert.ok(ours.length >= theirs.length, what);
  ours.forEach((value, i) => {
    const other = theirs[i] ?? 0;
    const isNear = Math.abs(value - other) <= 1e-5 + 1e-4 * Math.abs(other);
    assert.ok(isNear, `${what}: element ${i} is ${value}, onnxruntime's ${other}`);
  });
}

test('control flow, compiled, against onnxruntime', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'hone-control-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const cases = controlCases().map((item, i) => {
    const { graph } = item;
    const without = counts(graph);
    const asked = { ...graph, outputs: graph.outputs.filter((id) => !without.has(id)) };
    const bytes = exportOnnx(asked);
    if (without.size > 0) return { ...item, bytes, graphs: [asked] };
    const file = path.join(folder, `${i}.onnx`);
    writeFileSync(file, bytes);
    return { ...item, bytes, graphs: [asked, importOnnx(openOnnx(file)).graph] };
  });
  const graphs = cases.flatMap((item) => item.graphs.map((graph) => ({ ...item, graph })));
  const library = await mergedLibrary(graphs.map(({ graph }) => compileGraph(graph)));
  const peers = await Promise.all(cases.map(({ graph, bytes }) => openPeer(graph, bytes)));
  try {
    const most = Math.max(...cases.map(({ runs }) => runs.length));
    for (let r = 0; r < most; r++) {
      const inputs = graphs.map(({ runs }) => at(runs, r % runs.length));
      const results = library.run(inputs, { threads: 2, poison: true });
      for (const [c, { title, runs }] of cases.entries()) {
        const wanted = await at(peers, c)(at(runs, r % runs.length));
        graphs.forEach((item, g) => {
          if (item.title !== title) return;
          wanted.forEach((tensor, k) => {
            const got = results[g]?.outputs[k] as Tensor;
            assertBegins(got, tensor, `${title}, run ${r}, output ${k}`);
          });
        });
      }
    }
  } finally {
    library.close();
  }
  t.diagnostic(`${graphs.length} graphs`);
});
