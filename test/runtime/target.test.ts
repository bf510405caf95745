import assert from 'node:assert/strict';
import test from 'node:test';
import type { HoneError } from 'hone-runtime/base/diagnostics';
import { knownTargets } from 'hone-runtime/target/known';
import { cpuFromFlags, probeMachine } from 'hone-runtime/target/native';
import {
  cpuChecks,
  cpuPart,
  nativeTarget,
  parseTarget,
  resolveTarget,
  targetRunsOn,
} from 'hone-runtime/target/parse';

const code = (expectedCode: string) => (error: HoneError) => {
  assert.equal(error.code, expectedCode, error.message);
  assert.ok(error.cure, `${error.code} has no cure`);
  return true;
};

test('names become canonical: order, system and ABI', () => {
  const names = {
    'x86-64-v4+bf16+vnni': 'x86-64-v4+vnni+bf16-linux-gnu',
    'x86-64-v4+vnni+vnni': 'x86-64-v4+vnni-linux-gnu',
    'x86-64-v3': 'x86-64-v3-linux-gnu',
    'x86-64-v1': 'x86-64-linux-gnu',
    'x86-64-v3-linux-musl': 'x86-64-v3-linux-musl',
    'arm64+dotprod': 'arm64+dotprod-linux-gnu',
    'aarch64-macos': 'arm64-macos',
    'x86-64-v2-windows': 'x86-64-v2-windows-gnu',
    'wasm32+simd128': 'wasm32+simd128',
  };
  for (const [given, canonical] of Object.entries(names)) {
    const target = parseTarget(given);
    assert.equal(target.name, canonical);
    assert.deepEqual(parseTarget(canonical), target);
  }
});

test('lanes and registers follow the level', () => {
  const shape = (name: string) => [parseTarget(name).lanes, parseTarget(name).vectorRegisters];
  assert.deepEqual(shape('x86-64-v4'), [16, 32]);
  assert.deepEqual(shape('x86-64-v3'), [8, 16]);
  assert.deepEqual(shape('x86-64-v2'), [4, 16]);
  assert.deepEqual(shape('x86-64'), [4, 16]);
  assert.equal(parseTarget('arm64').lanes, 4);
  assert.equal(parseTarget('wasm32+simd128').lanes, 4);
});

test('wrong names are refused with what there is', () => {
  assert.throws(() => resolveTarget('i386'), code('HONE-TARGET-001'));
  assert.throws(() => resolveTarget(''), code('HONE-TARGET-001'));
  assert.throws(() => resolveTarget('x86-64-v3+vnni'), code('HONE-TARGET-002'));
  assert.throws(() => resolveTarget('arm64+avx'), code('HONE-TARGET-002'));
  assert.throws(() => resolveTarget('wasm32-linux'), code('HONE-TARGET-003'));
  assert.throws(() => resolveTarget('arm64-macos-gnu'), code('HONE-TARGET-003'));
  assert.throws(() => resolveTarget('ml_p3'), code('HONE-TARGET-004'));
});

test('families and "native" resolve to canonical names', () => {
  assert.equal(resolveTarget('ml_c5').name, 'x86-64-v4-linux-gnu');
  const native = resolveTarget('native');
  assert.deepEqual(native, parseTarget(native.name));
  assert.ok(targetRunsOn(native, nativeTarget()));
  for (const { target, name } of knownTargets()) {
    assert.deepEqual(parseTarget(target.name), target, name);
  }
});

test('flags of a processor give its target', () => {
  const v2 = 'cx16 lahf_lm popcnt pni ssse3 sse4_1 sse4_2';
  const v3 = `${v2} avx avx2 bmi1 bmi2 f16c fma abm movbe`;
  const v4 = `${v3} avx512f avx512bw avx512cd avx512dq avx512vl`;
  const cpu = (flags: string) => cpuFromFlags('x86-64', new Set(flags.split(' ')));
  assert.equal(cpu(''), 'x86-64');
  assert.equal(cpu(v2), 'x86-64-v2');
  assert.equal(cpu(`${v3} avx512_vnni`), 'x86-64-v3');
  assert.equal(cpu(`${v4} avx512_vnni avx512_bf16`), 'x86-64-v4+vnni+bf16');
  assert.equal(cpuFromFlags('arm64', new Set(['asimddp', 'asimdhp'])), 'arm64+dotprod+fp16');
});

test('checks, packing part and machine', () => {
  const target = parseTarget('x86-64-v4+vnni-linux-musl');
  assert.deepEqual(cpuChecks(target), ['X86_V2', 'X86_V3', 'X86_V4', 'AVX512_VNNI']);
  assert.deepEqual(cpuChecks(parseTarget('x86-64')), []);
  assert.equal(cpuPart(target), 'x86-64-v4+vnni');
  assert.equal(cpuPart(parseTarget('wasm32+simd128')), 'wasm32+simd128');
  assert.ok(!targetRunsOn(parseTarget('arm64'), parseTarget('x86-64-v4')));
  assert.ok(targetRunsOn(parseTarget('x86-64-v3'), parseTarget('x86-64-v4+vnni')));
  assert.ok(probeMachine().cores >= 1);
});
