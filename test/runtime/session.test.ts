import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import test from 'node:test';
import { type Context, load } from 'hone-runtime';
import { writeArtifact } from 'hone-runtime/artifact/write';
import type { HoneError } from 'hone-runtime/base/diagnostics';
import type { Tensor } from 'hone-runtime/base/tensor';
import { nativeTarget } from 'hone-runtime/target/parse';
import { COUNT, expected, sampleContents, withDirectory, withSample } from './sample-artifact.ts';

const vector = (data: Float32Array): Tensor => ({ dtype: 'f32', shape: [COUNT], data });

function inputs(seed: number): { a: Float32Array; b: Float32Array } {
  return {
    a: Float32Array.from({ length: COUNT }, (_, i) => Math.sin(i * 12.9898 + seed)),
    b: Float32Array.from({ length: COUNT }, (_, i) => (i === 0 ? 1 : (i % 13) - 6)),
  };
}

async function checkRun(context: Context, seed: number): Promise<void> {
  const { a, b } = inputs(seed);
  const outputs = await context.run({ a: vector(a), b: vector(b) });
  const want = expected(a, b);
  assert.deepEqual(outputs['y']?.data, want.y);
  assert.deepEqual(outputs['z']?.data, want.z);
}

const code = (expectedCode: string) => (error: HoneError) => {
  assert.equal(error.code, expectedCode, error.message);
  assert.ok(error.cure, `${error.code} has no cure`);
  return true;
};

test('runs with 1, 2 and more threads, all the same', async () => {
  await withSample(
    async (artifact) => {
      for (const threads of [1, 2, 5]) {
        const session = load(artifact, { threads, poison: true, verify: 'full' });
        assert.equal(session.threads, threads);
        for (let seed = 0; seed < 4; seed++) await checkRun(session, seed);
        const { a, b } = inputs(9);
        const sync = session.runSync({ a: vector(a), b: vector(b) });
        assert.deepEqual(sync['y']?.data, expected(a, b).y);
        session.close();
      }
    },
    { repeats: 20 },
  );
});

test('the default number of threads is at least one', async () => {
  await withSample(async (artifact) => {
    const session = load(artifact);
    assert.ok(session.threads >= 1);
    assert.equal(session.signature.inputs[0]?.name, 'a');
    await checkRun(session, 1);
    session.close();
  });
});

test('contexts run at the same time, own workers or shared, and outlive the session', async () => {
  await withSample(
    async (artifact) => {
      const session = load(artifact, { threads: 2 });
      const own = session.createContext({ threads: 2 });
      const shared = [1, 2].map(() => session.createContext({ threads: 2, group: 7 }));
      const all = [session, own, ...shared];
      const runs = Array.from({ length: 40 }, (_, i) => checkRun(all[i % 4] as Context, i));
      await Promise.all(runs);
      session.close();
      await checkRun(own, 50);
      await checkRun(shared[1] as Context, 51);
      own.close();
      for (const context of shared) context.close();
    },
    { repeats: 10 },
  );
});

test('closing waits for runs; a closed model refuses', async () => {
  await withSample(
    async (artifact) => {
      const session = load(artifact, { threads: 2 });
      const runs = [checkRun(session, 1), checkRun(session, 2)];
      session.close();
      session.close();
      await Promise.all(runs);
      await assert.rejects(checkRun(session, 3), code('HONE-RUN-011'));
      assert.throws(() => session.createContext(), code('HONE-RUN-011'));
    },
    { repeats: 50 },
  );
});

test('a process may end without closing its models', async () => {
  await withSample((artifact) => {
    const script = `
      const { load } = await import(process.argv[1]);
      const session = load(process.argv[2], { threads: 3 });
      const data = new Float32Array(${COUNT});
      const vector = { dtype: 'f32', shape: [${COUNT}], data };
      session.runSync({ a: vector, b: vector });`;
    const args = [
      '--input-type=module',
      '-e',
      script,
      import.meta.resolve('hone-runtime'),
      artifact,
    ];
    // Workers are waiting in the library's code while Node unloads what it holds.
    for (let round = 0; round < 8; round++) {
      const { status, signal, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
      assert.deepEqual([status, signal, stderr], [0, null, '']);
    }
  });
});

test('two models of the same file can be open at once', async () => {
  await withSample(async (artifact) => {
    const first = load(artifact, { threads: 1 });
    const second = load(artifact, { threads: 1 });
    first.close();
    const third = load(artifact, { threads: 1 });
    await checkRun(second, 1);
    await checkRun(third, 2);
    second.close();
    third.close();
  });
});

test('outputs go to arrays the caller gives, also unaligned ones', async () => {
  await withSample(async (artifact) => {
    const session = load(artifact, { threads: 2 });
    const { a, b } = inputs(3);
    const shifted = new Float32Array(COUNT + 1).subarray(1);
    const result = await session.run(
      { a: vector(a), b: vector(b) },
      { outputs: { y: vector(shifted) } },
    );
    assert.equal(result['y']?.data, shifted);
    assert.deepEqual(shifted, expected(a, b).y);
    const twice = { y: vector(shifted), z: vector(shifted) };
    await assert.rejects(
      session.run({ a: vector(a), b: vector(b) }, { outputs: twice }),
      code('HONE-INPUT-008'),
    );
    session.close();
  });
});

test('inputs that do not fit are refused by name', async () => {
  await withSample(async (artifact) => {
    const session = load(artifact, { threads: 1 });
    const a = vector(new Float32Array(COUNT));
    const refuse = async (given: Record<string, Tensor>, expectedCode: string): Promise<void> => {
      await assert.rejects(session.run(given), code(expectedCode));
    };
    await refuse({ a }, 'HONE-INPUT-001');
    await refuse({ a, b: a, c: a }, 'HONE-INPUT-002');
    await refuse({ a, b: { ...a, dtype: 'i32' } }, 'HONE-INPUT-003');
    await refuse({ a, b: { ...a, shape: [1, COUNT] } }, 'HONE-INPUT-004');
    await refuse({ a, b: { ...a, shape: [COUNT - 1] } }, 'HONE-INPUT-005');
    await refuse({ a, b: { ...a, data: new Float32Array(5) } }, 'HONE-INPUT-006');
    await refuse({ a, b: { ...a, data: new Int32Array(COUNT) } }, 'HONE-INPUT-007');
    await checkRun(session, 1);
    session.close();
  });
});

test('a fault in a kernel is an error that names the step; the model stays usable', async () => {
  await withSample(
    async (artifact) => {
      for (const threads of [1, 2]) {
        const session = load(artifact, { threads });
        const { a, b } = inputs(1);
        const bad = b.slice();
        bad[0] = -1;
        await assert.rejects(
          session.run({ a: vector(a), b: vector(bad) }),
          (error: HoneError) =>
            code('HONE-RUN-010')(error) && /index.*step 2 \(check\)/.test(error.message),
        );
        await checkRun(session, 2);
        session.close();
      }
    },
    { repeats: 3 },
  );
});

test('profiles name the steps and add up', async () => {
  await withSample(async (artifact) => {
    const session = load(artifact, { threads: 2 });
    const { a, b } = inputs(1);
    const profile = session.profile({ a: vector(a), b: vector(b) }, { runs: 5 });
    assert.deepEqual(
      profile.steps.map((step) => [step.label, step.kernel]),
      [
        ['add', 'k_add'],
        ['reverse + scale "é"', 'k_reverse'],
        ['check', 'k_check'],
      ],
    );
    const sum = profile.steps.reduce((total, step) => total + step.ns, 0);
    assert.ok(sum > 0 && Math.abs(sum - profile.totalNs) < 1);
    session.close();
  });
});

test('a library for another processor is refused before it runs', async () => {
  await withDirectory(async (directory) => {
    const contents = await sampleContents();
    const libraries = contents.libraries.map((entry) => ({ ...entry, target: 'arm64-linux-musl' }));
    const artifact = path.join(directory, 'other.hone');
    writeArtifact(artifact, { ...contents, libraries });
    assert.throws(() => load(artifact), code('HONE-RUN-003'));
    assert.throws(() => load(artifact, { target: 'x86-64' }), code('HONE-RUN-009'));
  });
});

test('a library checks the processor itself', async (t) => {
  const machine = nativeTarget();
  if (machine.arch !== 'x86-64' || machine.features.includes('fp16')) {
    t.skip('this processor has AVX-512 FP16 or is no x86');
    return;
  }
  await withDirectory(async (directory) => {
    const contents = await sampleContents({ target: 'x86-64-v4+fp16' });
    const libraries = contents.libraries.map((entry) => ({ ...entry, target: machine.name }));
    const artifact = path.join(directory, 'other.hone');
    writeArtifact(artifact, { ...contents, libraries });
    assert.throws(() => load(artifact), code('HONE-RUN-003'));
  });
});

test('a wrong number of threads is refused', async () => {
  await withSample((artifact) => {
    for (const threads of [-1, 1.5, 100_000]) {
      assert.throws(() => load(artifact, { threads }), code('HONE-RUN-008'));
    }
  });
});
