/**
 * Silero's voice detectors over recorded speech, window by window, each with the state that the one
 * before left: outputs and states as onnxruntime's, and speech where there is some.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import type { Sample } from 'hone/compile/calibrate/run';
import { type CompileOptions, compileModel, writeArtifact } from 'hone/compile/index';
import { load } from 'hone-runtime';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { npmModel } from '../../bench/npm-files.js';
import { openPair, type Tensors } from '../support/against-onnxruntime.js';
import { dataPath, missingData } from '../support/data.js';

const SPEECH = 'audio/speech.wav';
const RATE = 16_000;
const skip = missingData(SPEECH);

/** Samples of a 16-bit mono recording in [-1, 1). */
function readSpeech(): Float32Array {
  const bytes = readFileSync(dataPath(SPEECH));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 12;
  while (bytes.toString('latin1', at, at + 4) !== 'data') {
    if (bytes.toString('latin1', at, at + 4) === 'fmt ') {
      assert.deepEqual(
        [
          view.getUint16(at + 10, true),
          view.getUint32(at + 12, true),
          view.getUint16(at + 22, true),
        ],
        [1, RATE, 16],
      );
    }
    at += 8 + view.getUint32(at + 4, true);
  }
  const count = Math.min(view.getUint32(at + 4, true), bytes.length - at - 8) / 2;
  return Float32Array.from(
    { length: count },
    (_, i) => view.getInt16(at + 8 + i * 2, true) / 32768,
  );
}

const zeros = (shape: readonly number[]): Tensor =>
  fromNumbers('f32', shape, new Float64Array(shape.reduce((n, extent) => n * extent, 1)));
const rate = (value: number): Tensor => fromNumbers('i64', [], [value]);

interface Detector {
  readonly model: 'silero-v5' | 'silero-v6' | 'silero-legacy';
  readonly window: number;
  /** Samples before the window that the model is given too. */
  readonly context: number;
  /**
   * Part of the state's elements that may be further off, as the logarithm of quiet parts grows
   * rounding; the answer itself, one element, may not.
   */
  readonly strays: number;
  readonly state: Tensors;
  /** The next window's state from what a run gives. */
  readonly next: (outputs: Tensors) => Tensors;
}

const DETECTORS: readonly Detector[] = [
  {
    model: 'silero-v5',
    window: 512,
    context: 0,
    strays: 0.02,
    state: { state: zeros([2, 1, 128]) },
    next: (outputs) => ({ state: outputs['stateN'] as Tensor }),
  },
  {
    model: 'silero-v6',
    window: 512,
    context: 64,
    strays: 0.02,
    state: { state: zeros([2, 1, 128]) },
    next: (outputs) => ({ state: outputs['stateN'] as Tensor }),
  },
  {
    model: 'silero-legacy',
    window: 1536,
    context: 0,
    strays: 0.5,
    state: { h: zeros([2, 1, 64]), c: zeros([2, 1, 64]) },
    next: (outputs) => ({ h: outputs['hn'] as Tensor, c: outputs['cn'] as Tensor }),
  },
];

for (const { model, window, context, strays, state: first, next } of DETECTORS) {
  test(`${model}: hears speech as onnxruntime does`, { skip }, async () => {
    const shapes = Object.fromEntries(
      Object.entries(first).map(([name, { shape }]) => [name, shape]),
    );
    const length = context + window;
    const pair = await openPair(npmModel(model), { shapes: { input: [1, length], ...shapes } });
    try {
      const samples = readSpeech();
      let state = first;
      const heard: boolean[] = [];
      for (let at = context; at + window <= samples.length && heard.length < 600; at += window) {
        const data = samples.slice(at - context, at + window);
        const input = { dtype: 'f32', shape: [1, length], data } as const;
        const label = `window ${heard.length}`;
        const out = await pair.check({ input, sr: rate(RATE), ...state }, label, strays);
        state = next(out);
        const chance = out['output']?.data[0];
        heard.push(typeof chance === 'number' && chance > 0.5);
      }
      const share = heard.filter(Boolean).length / heard.length;
      assert.ok(heard.length > 100 && share > 0.3 && share < 0.98, `${share} of ${heard.length}`);
    } finally {
      await pair.close();
    }
  });
}

test('silero-v5: a rate whose branch does not fit the window is an error of the run', {
  skip,
}, async () => {
  const shapes = { input: [1, 512], state: [2, 1, 128] };
  const pair = await openPair(npmModel('silero-v5'), { shapes });
  try {
    const inputs = { input: zeros([1, 512]), sr: rate(8000), state: zeros([2, 1, 128]) };
    assert.throws(
      () => pair.sessions[0]?.runSync(inputs),
      (error) => error instanceof HoneError && error.code === 'HONE-RUN-010',
    );
  } finally {
    await pair.close();
  }
});

for (const { model, window, context, state: first, next } of DETECTORS) {
  test(`${model} in int8: at least 99 % of the decisions agree, calibrated on the other half`, {
    skip,
  }, async () => {
    const samples = readSpeech();
    const windows = Math.floor(samples.length / window);
    const half = windows >> 1;
    const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-silero-'));
    const states = Object.entries(first).map(([name, { shape }]) => [name, shape] as const);
    const length = context + window;
    const shapes = { input: [1, length], ...Object.fromEntries(states) };
    const inputOf = (i: number): Tensors => {
      const data = new Float32Array(length);
      const begin = Math.max(0, i * window - context);
      const heard = samples.subarray(begin, (i + 1) * window);
      data.set(heard, length - heard.length);
      return { input: { dtype: 'f32', shape: [1, length], data }, sr: rate(RATE) };
    };
    /** Chances of speech, each window with the state that the one before left. */
    const hear = async (name: string, options: CompileOptions) => {
      const artifact = path.join(folder, name);
      const compiled = await compileModel(npmModel(model), { shapes, ...options });
      await writeArtifact(compiled, artifact);
      const session = load(artifact);
      let state = first;
      const chances = Array.from({ length: windows }, (_, i) => {
        const out = session.runSync({ ...inputOf(i), ...state });
        state = next(out);
        return Number(out['output']?.data[0]);
      });
      session.close();
      return { compiled, chances: chances.slice(half) };
    };
    try {
      const wide = await hear('wide.hone', {});
      const calibration = Array.from({ length: half }, (_, i): Sample => {
        return { name: `window ${i}`, inputs: inputOf(i) };
      });
      const options: CompileOptions = {
        precision: 'int8',
        calibration: { samples: calibration },
      };
      const narrow = await hear('int8.hone', options);
      const { calibrated, plan, reasons } = narrow.compiled;
      assert.deepEqual(Object.keys(calibrated?.carried ?? {}), Object.keys(first));
      const kinds = [...(plan?.contractions.values() ?? [])];
      assert.ok(kinds.filter((kind) => kind === 'int8').length >= 2, kinds.join());
      assert.ok([...(reasons?.values() ?? [])].some((why) => /^stays f32: alone in/.test(why)));
      const speech = wide.chances.map((chance) => chance > 0.5);
      const agree = narrow.chances.filter((chance, i) => chance > 0.5 === speech[i]).length;
      const share = agree / narrow.chances.length;
      assert.ok(share >= 0.99, `${agree} of ${narrow.chances.length} agree`);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}
