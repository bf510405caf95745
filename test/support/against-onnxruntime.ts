/**
 * Whole models against onnxruntime-node with its graph optimisations off. Ours runs with one
 * thread and with two, its working memory poisoned, and must give the same bits both times.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CompileOptions, compileModel, writeArtifact } from 'hone/compile/index';
import { load, type Session } from 'hone-runtime';
import { dtypeCode } from 'hone-runtime/base/dtype';
import { bytesOf, type Tensor, toNumbers, viewBytes } from 'hone-runtime/base/tensor';
import * as ort from 'onnxruntime-node';

export type Tensors = Readonly<Record<string, Tensor>>;

const RELATIVE = 1e-3;
/** In parts of the output's largest value. */
const ABSOLUTE = 1e-5;
const ERRORS_ONLY = 3;
/** Our dtypes by onnxruntime's names. */
const TYPES: Readonly<Record<string, ort.Tensor.Type>> = {
  f32: 'float32',
  f16: 'float16',
  i64: 'int64',
};

/** A compiled model beside the same file in onnxruntime. */
export interface Pair {
  /** With one thread and with two. */
  readonly sessions: readonly Session[];
  /**
   * Runs both, compares, and gives our outputs. `strays` is the part of the elements that may be
   * further off, for models whose answers jump with the last bit (default 0).
   */
  check(inputs: Tensors, what?: string, strays?: number): Promise<Tensors>;
  /** What onnxruntime gives. */
  peer(inputs: Tensors): Promise<Tensors>;
  close(): Promise<void>;
}

export async function openPair(file: string, options: CompileOptions = {}): Promise<Pair> {
  const folder = mkdtempSync(join(tmpdir(), 'hone-e2e-'));
  const artifact = join(folder, 'model.hone');
  await writeArtifact(await compileModel(file, options), artifact);
  const sessions = [1, 2].map((threads) => load(artifact, { threads, poison: true }));
  const peer = await ort.InferenceSession.create(file, {
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: 2,
    logSeverityLevel: ERRORS_ONLY,
  });
  return {
    sessions,
    async check(inputs, what = '', strays = 0) {
      const [one, two] = sessions.map((session) => session.runSync(inputs));
      assert.ok(one !== undefined && two !== undefined);
      const wanted = await peer.run(feedsOf(inputs));
      for (const { name, dtype, shape } of sessions[0]?.signature.outputs ?? []) {
        const label: string = `${what} ${name}`;
        const got: Tensor | undefined = one[name];
        const again: Tensor | undefined = two[name];
        const theirs: ort.Tensor | undefined = wanted[name];
        assert.ok(got !== undefined && again !== undefined && theirs !== undefined, label);
        assert.ok(Buffer.compare(bytesOf(got), bytesOf(again)) === 0, `${label}: threads differ`);
        assert.equal(theirs.type, TYPES[dtype], `${label}: dtype`);
        assert.deepEqual([...theirs.dims], [...shape], `${label}: shape`);
        assertNear(toNumbers(got), toNumbers(tensorOf(theirs, dtype)), label, strays);
      }
      return one;
    },
    async peer(inputs) {
      const outputs = await peer.run(feedsOf(inputs));
      return Object.fromEntries(
        (sessions[0]?.signature.outputs ?? []).map(({ name, dtype }) => {
          const theirs = outputs[name];
          assert.ok(theirs !== undefined, name);
          return [name, tensorOf(theirs, dtype)];
        }),
      );
    },
    async close() {
      for (const session of sessions) session.close();
      await peer.release();
      rmSync(folder, { recursive: true });
    },
  };
}

function feedsOf(inputs: Tensors): Record<string, ort.Tensor> {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, { dtype, data, shape }]) => {
      const type = TYPES[dtype];
      assert.ok(type !== undefined, `${name}: dtype ${dtype} (${dtypeCode(dtype)})`);
      return [name, new ort.Tensor(type, data as Float32Array, shape)];
    }),
  );
}

function tensorOf(tensor: ort.Tensor, dtype: Tensor['dtype']): Tensor {
  const { buffer, byteOffset, byteLength } = tensor.data as Float32Array;
  const data = viewBytes(dtype, new Uint8Array(buffer, byteOffset, byteLength));
  return { dtype, shape: tensor.dims, data };
}

function assertNear(
  got: ArrayLike<number>,
  wanted: ArrayLike<number>,
  what: string,
  strays: number,
): void {
  assert.equal(got.length, wanted.length, `${what}: element count`);
  let scale = 0;
  for (let i = 0; i < wanted.length; i++) scale = Math.max(scale, Math.abs(wanted[i] ?? 0));
  assert.ok(Number.isFinite(scale) && scale > 0, `${what}: onnxruntime's scale is ${scale}`);
  let spare = Math.floor(wanted.length * strays);
  for (let i = 0; i < wanted.length; i++) {
    const [x, y] = [got[i] ?? Number.NaN, wanted[i] ?? Number.NaN];
    if (Math.abs(x - y) <= RELATIVE * Math.abs(y) + ABSOLUTE * scale) continue;
    if (spare-- > 0 && Number.isFinite(x)) continue;
    assert.fail(`${what}: element ${i} is ${x}, onnxruntime's ${y}, the scale ${scale}`);
  }
}
