/**
 * Compiler and linker options per toolchain and target. Kernels get everything the target has; the
 * units of the runtime get the baseline of the architecture, because they check the processor.
 */
import { fail } from 'hone-runtime/base/diagnostics';
import { cpuPart } from 'hone-runtime/target/parse';
import type { Target } from 'hone-runtime/target/types';
import type { Toolchain } from './toolchain.ts';

export type UnitKind = 'kernel' | 'runtime';

/** Features by their name in LLVM (zig's -mcpu) and as -m options of clang and gcc. */
const X86_FEATURES: Readonly<Record<string, string>> = {
  vnni: 'avx512vnni',
  bf16: 'avx512bf16',
  vbmi: 'avx512vbmi',
  fp16: 'avx512fp16',
  avxvnni: 'avxvnni',
};

const ARM_FEATURES: Readonly<Record<string, { readonly zig: string; readonly march: string }>> = {
  dotprod: { zig: 'dotprod', march: 'dotprod' },
  i8mm: { zig: 'i8mm', march: 'i8mm' },
  bf16: { zig: 'bf16', march: 'bf16' },
  fp16: { zig: 'fullfp16', march: 'fp16' },
};

/**
 * Options to compile a unit of C to position-independent object code. With sanitizers speed is not
 * asked for: unrolled loops with checks take minutes to optimise.
 */
export function compileFlags(
  toolchain: Toolchain,
  target: Target,
  kind: UnitKind,
  sanitize?: string,
): string[] {
  // Products and sums fuse as the source has them. "fast" would fuse the vectorized part of a loop
  // otherwise than its rest, so that bits would depend on where a worker's share ends. gcc knows
  // nothing between fast and off.
  const contract = toolchain.kind === 'gcc' ? '-ffp-contract=fast' : '-ffp-contract=on';
  const most = sanitize === undefined ? '-O3' : '-O0';
  const speed = kind === 'kernel' ? [most, '-fno-math-errno', contract] : ['-O2'];
  const flags = [
    ...targetFlags(toolchain, target),
    ...cpuFlags(toolchain, target, kind),
    '-std=gnu11',
    ...speed,
    '-fPIC',
    '-fvisibility=hidden',
    ...sanitizerFlags(sanitize),
    '-fno-stack-protector',
    '-g0',
    '-ffile-prefix-map=./=',
  ];
  // Plain vectors of 512 bits are otherwise cut in two.
  if (kind === 'kernel' && target.level >= 4) flags.push('-mprefer-vector-width=512');
  return flags;
}

/** Options to link object files to the library. */
export function linkFlags(toolchain: Toolchain, target: Target, sanitize?: string): string[] {
  const flags = [...targetFlags(toolchain, target), '-shared', '-s', ...sanitizerFlags(sanitize)];
  if (target.os === 'linux')
    // Symbolic: a library calls its own functions, also in a program with another model's.
    flags.push('-Wl,--build-id=none', '-Wl,-z,now', '-Wl,-z,defs', '-Wl,-Bsymbolic', '-lpthread');
  return flags;
}

function sanitizerFlags(sanitize: string | undefined): string[] {
  if (sanitize === undefined) return ['-fno-sanitize=all'];
  return [`-fsanitize=${sanitize}`, '-fno-sanitize-recover=all'];
}

/** Name of the library file for a target's system. */
export function libraryExtension(target: Target): string {
  return { linux: '.so', macos: '.dylib', windows: '.dll', none: '.wasm' }[target.os];
}

function targetFlags(toolchain: Toolchain, target: Target): string[] {
  if (target.os === 'none') {
    fail(
      'HONE-TOOL-005',
      `libraries for ${target.name} cannot be built yet: the runtime has no WebAssembly part`,
      target.name,
      'choose a target with an operating system',
    );
  }
  const arch = target.arch === 'arm64' ? 'aarch64' : 'x86_64';
  const glibc = target.abi === 'gnu' ? '.2.17' : '';
  if (toolchain.kind === 'zig') {
    if (target.os === 'macos') return [`--target=${arch}-macos`];
    if (target.os === 'windows') return [`--target=${arch}-windows-gnu`];
    return [`--target=${arch}-linux-${target.abi}${glibc}`];
  }
  if (isHost(target)) return [];
  if (toolchain.kind === 'gcc') {
    fail(
      'HONE-TOOL-005',
      `${toolchain.id} compiles for this machine only, not for ${target.name}`,
      target.name,
      'unset HONE_CC to use the bundled compiler, which builds for every target',
    );
  }
  const systems = { macos: 'apple-macos', windows: 'windows-gnu', linux: `linux-${target.abi}` };
  const system = systems[target.os];
  return [`--target=${arch}-${system}`];
}

function isHost(target: Target): boolean {
  const arch = { x64: 'x86-64', arm64: 'arm64' }[process.arch as string];
  const system = { linux: 'linux', darwin: 'macos', win32: 'windows' }[process.platform as string];
  return arch === target.arch && system === target.os;
}

function cpuFlags(toolchain: Toolchain, target: Target, kind: UnitKind): string[] {
  const features = kind === 'kernel' ? target.features : [];
  if (target.arch === 'x86-64') {
    const names = features.map((name) => X86_FEATURES[name] ?? name);
    const cpu = (kind === 'kernel' ? cpuPart(target).split('+')[0] : undefined) ?? 'x86-64';
    if (toolchain.kind === 'zig') {
      return [`-mcpu=${[cpu.replaceAll('-', '_'), ...names].join('+')}`];
    }
    return [`-march=${cpu}`, ...names.map((name) => `-m${name}`)];
  }
  const known = features.map((name) => ARM_FEATURES[name]).filter((f) => f !== undefined);
  return toolchain.kind === 'zig'
    ? [`-mcpu=${['generic', ...known.map((f) => f.zig)].join('+')}`]
    : [armMarch(known.map((f) => f.march))];
}

/** Features are extensions of ARMv8.2; without any the baseline is ARMv8. */
function armMarch(features: readonly string[]): string {
  return `-march=${[features.length > 0 ? 'armv8.2-a' : 'armv8-a', ...features].join('+')}`;
}
