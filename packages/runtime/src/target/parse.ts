/**
 * Target names: `<cpu>[+feature…][-<os>-<abi>]`, family names of cloud instances, and "native".
 * A name determines the whole target, so it is all that has to be hashed; `resolveTarget` gives the
 * same target for the same name on every host, except "native", which it turns into such a name.
 */
import { at, fail } from '../base/diagnostics.ts';
import { FAMILIES, GPU_FAMILIES } from './families.ts';
import { CPUS, FEATURES, findFeature } from './features.ts';
import { nativeTargetName } from './native.ts';
import type { Target } from './types.ts';

const ALIASES: Readonly<Record<string, string>> = { 'x86-64-v1': 'x86-64', aarch64: 'arm64' };
const NAME =
  /^(x86-64(?:-v[1-4])?|arm64|aarch64|wasm32)((?:\+[a-z0-9]+)*)(?:-(linux|macos|windows)(?:-(gnu|musl))?)?$/;
const CURE = '`hone targets` lists the names';

/** The target of a name, a family or "native"; throws HONE-TARGET-00x. */
export function resolveTarget(name: string): Target {
  if (name === 'native') return nativeTarget();
  const family = FAMILIES[name];
  if (family !== undefined) return parseTarget(family);
  if (GPU_FAMILIES.includes(name)) {
    fail(
      'HONE-TARGET-004',
      `${name} is a family with an accelerator, which this version does not compile for`,
      name,
      'choose a CPU family such as ml_c5',
    );
  }
  return parseTarget(name);
}

/** The target of a plain name; features may come in any order and twice. */
export function parseTarget(name: string): Target {
  const match = NAME.exec(name);
  if (match === null) {
    const known = Object.keys(CPUS).join(', ');
    fail('HONE-TARGET-001', `unknown target "${name}" (processors: ${known})`, name, CURE);
  }
  const given = at(match, 1);
  const cpuName = ALIASES[given] ?? given;
  const cpu = CPUS[cpuName];
  if (cpu === undefined) fail('HONE-TARGET-001', `unknown processor "${cpuName}"`, name, CURE);
  const wanted = (match[2] ?? '').split('+').filter((feature) => feature !== '');
  for (const feature of wanted) {
    const info = findFeature(cpu.arch, feature);
    if (info === undefined || info.level > cpu.level) {
      const have = FEATURES.filter((f) => f.arch === cpu.arch && f.level <= cpu.level);
      const names = have.map((f) => f.name).join(', ') || 'none';
      fail(
        'HONE-TARGET-002',
        `${cpuName} has no feature "${feature}" (it can have: ${names})`,
        name,
        CURE,
      );
    }
  }
  const features = FEATURES.filter((f) => f.arch === cpu.arch && wanted.includes(f.name));
  const system = systemOf(name, cpu.arch === 'wasm32', match[3], match[4]);
  const suffix = [system.os, system.abi].filter((part) => part !== 'none').map((p) => `-${p}`);
  const target: Target = {
    name: [cpuName, ...features.map((f) => `+${f.name}`), ...suffix].join(''),
    arch: cpu.arch,
    level: cpu.level,
    features: features.map((f) => f.name),
    os: system.os,
    abi: system.abi,
    lanes: cpu.lanes,
    vectorRegisters: cpu.vectorRegisters,
    l1Bytes: cpu.l1Bytes,
    l2Bytes: cpu.l2Bytes,
    l3Bytes: cpu.l3Bytes,
  };
  return Object.freeze(target);
}

function systemOf(
  name: string,
  wasm: boolean,
  os: string | undefined,
  abi: string | undefined,
): Pick<Target, 'os' | 'abi'> {
  if (wasm) {
    if (os !== undefined) {
      fail('HONE-TARGET-003', `${name}: wasm32 has no operating system`, name, CURE);
    }
    return { os: 'none', abi: 'none' };
  }
  if (os === 'macos') {
    if (abi !== undefined) fail('HONE-TARGET-003', `${name}: macOS has no ABI part`, name, CURE);
    return { os, abi: 'none' };
  }
  if (os === 'windows') {
    if (abi === 'musl') fail('HONE-TARGET-003', `${name}: Windows has no musl`, name, CURE);
    return { os, abi: 'gnu' };
  }
  return { os: 'linux', abi: abi === 'musl' ? 'musl' : 'gnu' };
}

/** The target of this machine: what its processor and its system can run. */
export function nativeTarget(): Target {
  return parseTarget(nativeTargetName());
}

/** The name without system and ABI, e.g. "x86-64-v4+vnni": what packings depend on. */
export function cpuPart(target: Target): string {
  const suffix = `-${target.os}`;
  const cut = target.os === 'none' ? -1 : target.name.lastIndexOf(suffix);
  return cut < 0 ? target.name : target.name.slice(0, cut);
}

/** Names of the checks a library of this target does before its kernels may run. */
export function cpuChecks(target: Target): readonly string[] {
  const base = cpuPart(target).split('+')[0] ?? '';
  const own = target.features.map((name) => findFeature(target.arch, name)?.check);
  return [...(CPUS[base]?.checks ?? []), ...own.filter((check) => check !== undefined)];
}

/** True when code for `target` runs on a machine whose native target is `machine`. */
export function targetRunsOn(target: Target, machine: Target): boolean {
  return (
    target.arch === machine.arch &&
    target.os === machine.os &&
    target.abi === machine.abi &&
    target.level <= machine.level &&
    target.features.every((feature) => machine.features.includes(feature))
  );
}
