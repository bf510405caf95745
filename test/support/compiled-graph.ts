/** Compiles a graph for a target, runs it in every mode that must agree, and compares with the oracle. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { compileBuiltGraph, type CompileOptions, writeArtifact } from 'hone/compile/index';
import type { Graph } from 'hone/graph/types';
import { valueById } from 'hone/graph/walk';
import { interpret } from 'hone/ops/interpret';
import { load } from 'hone-runtime/runtime/session';
import { nativeTarget, resolveTarget, targetRunsOn } from 'hone-runtime/target/parse';
import { seededRandom } from 'hone-runtime/base/random';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';

export interface GraphCheck {
  readonly rows: readonly string[];
  /** Largest error of any output, relative to that output's largest value. */
  readonly worst: number;
}

/** Targets of x86-64 that this machine can run, widest first. */
export function runnableTargets(): string[] {
  const machine = nativeTarget();
  const names = ['x86-64-v4-linux-gnu', 'x86-64-v3-linux-gnu', 'x86-64-linux-gnu'];
  return names.filter((name) => targetRunsOn(resolveTarget(name), machine));
}

/** Seeded inputs in [-1, 1). */
export function randomInputs(graph: Graph, seed = 7): Tensor[] {
  const random = seededRandom(seed);
  return graph.inputs.map((id) => {
    const { dtype, shape } = valueById(graph, id).type;
    const values = Float64Array.from({ length: elementCount(shape) }, () => random.next() * 2 - 1);
    return fromNumbers(dtype, shape, values);
  });
}

/**
 * Runs with 1, 2 and 3 workers on poisoned memory: the bytes must agree; the values must be within
 * `tolerance` of the wanted ones (the interpreter's), relative to each output's largest value.
 */
export async function checkGraph(
  graph: Graph,
  options: CompileOptions,
  tolerance = 2e-6,
  inputs: readonly Tensor[] = randomInputs(graph),
  wanted: readonly Tensor[] = interpret(graph, inputs),
): Promise<GraphCheck> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-graph-'));
  try {
    const model = await compileBuiltGraph(graph, { ...options, workPerWorkerNs: 0 });
    const artifact = path.join(folder, 'model.hone');
    await writeArtifact(model, artifact);
    const named = Object.fromEntries(
      graph.inputs.map((id, i) => [valueById(graph, id).name, inputs[i] as Tensor]),
    );
    let first: Record<string, Tensor> | undefined;
    let worst = 0;
    for (const threads of [1, 2, 3]) {
      const session = load(artifact, { threads, poison: true });
      const outputs = session.runSync(named);
      await session.close();
      graph.outputs.forEach((id, i) => {
        const { name } = valueById(graph, id);
        const got = outputs[name] as Tensor;
        if (first === undefined) {
          const error = relativeError(got, wanted[i] as Tensor);
          assert.ok(error <= tolerance, `${name}: relative error ${error} on ${options.target}`);
          worst = Math.max(worst, error);
        } else {
          assert.deepEqual(got.data, first[name]?.data, `${name} differs with ${threads} threads`);
        }
      });
      first ??= outputs;
    }
    return { rows: model.report.stages.map((stage) => stage.row), worst };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Largest difference over the largest wanted value; infinite for a NaN where none is wanted. */
export function relativeError(got: Tensor, wanted: Tensor): number {
  assert.deepEqual([...got.shape], [...wanted.shape]);
  const [a, b] = [toNumbers(got), toNumbers(wanted)];
  let error = 0;
  let scale = 1e-30;
  for (let i = 0; i < b.length; i++) {
    const difference = Math.abs((a[i] as number) - (b[i] as number));
    if (Number.isNaN(difference)) return Number.POSITIVE_INFINITY;
    error = Math.max(error, difference);
    scale = Math.max(scale, Math.abs(b[i] as number));
  }
  return error / scale;
}
