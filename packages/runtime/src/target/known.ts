/**
 * The targets that `hone targets` lists: what may be asked for by name, and what each is.
 */
import { FAMILIES } from './families.ts';
import { nativeTarget, parseTarget, targetRunsOn } from './parse.ts';
import type { Target } from './types.ts';

export interface KnownTarget {
  /** What a user writes after --target. */
  readonly name: string;
  readonly target: Target;
  readonly kind: 'cpu' | 'family' | 'native';
  /** Whether this machine can run what is compiled for it. */
  readonly runsHere: boolean;
}

const CPU_NAMES: readonly string[] = [
  'x86-64',
  'x86-64-v2',
  'x86-64-v3',
  'x86-64-v4',
  'x86-64-v4+vnni',
  'x86-64-v4+vnni+bf16+vbmi',
  'arm64',
  'arm64+dotprod',
  'arm64+dotprod+i8mm+bf16+fp16',
  'arm64+dotprod+fp16-macos',
  'wasm32+simd128',
];

/** "native" first, then plain names, then families. */
export function knownTargets(): readonly KnownTarget[] {
  const machine = nativeTarget();
  const row = (name: string, target: Target, kind: KnownTarget['kind']): KnownTarget => ({
    name,
    target,
    kind,
    runsHere: targetRunsOn(target, machine),
  });
  return [
    row('native', machine, 'native'),
    ...CPU_NAMES.map((name) => row(name, parseTarget(name), 'cpu')),
    ...Object.entries(FAMILIES).map(([name, full]) => row(name, parseTarget(full), 'family')),
  ];
}
