/**
 * The processors and features that target names are made of, one table each. A feature's `check` is
 * the name under which a library asks for it when it is opened (HONE_CPU_<check> in C).
 */
import type { Arch } from './types.ts';

export interface CpuInfo {
  readonly arch: Arch;
  readonly level: number;
  readonly lanes: number;
  readonly vectorRegisters: number;
  /** Plans assume these; they belong to the name, not to the machine that compiles. */
  readonly l1Bytes: number;
  readonly l2Bytes: number;
  readonly l3Bytes: number;
  readonly checks: readonly string[];
}

const KIB = 1024;
const MIB = 1024 * KIB;

function x86(level: number, lanes: number, vectorRegisters: number, l2Bytes: number): CpuInfo {
  const checks = ['X86_V2', 'X86_V3', 'X86_V4'].slice(0, level - 1);
  return {
    arch: 'x86-64',
    level,
    lanes,
    vectorRegisters,
    l1Bytes: 32 * KIB,
    l2Bytes,
    l3Bytes: 16 * MIB,
    checks,
  };
}

/** First part of a target name. */
export const CPUS: Readonly<Record<string, CpuInfo>> = {
  'x86-64': x86(1, 4, 16, 256 * KIB),
  'x86-64-v2': x86(2, 4, 16, 256 * KIB),
  'x86-64-v3': x86(3, 8, 16, 512 * KIB),
  'x86-64-v4': x86(4, 16, 32, MIB),
  arm64: {
    arch: 'arm64',
    level: 0,
    lanes: 4,
    vectorRegisters: 32,
    l1Bytes: 64 * KIB,
    l2Bytes: MIB,
    l3Bytes: 16 * MIB,
    checks: [],
  },
  wasm32: {
    arch: 'wasm32',
    level: 0,
    lanes: 4,
    vectorRegisters: 16,
    l1Bytes: 32 * KIB,
    l2Bytes: 256 * KIB,
    l3Bytes: 4 * MIB,
    checks: [],
  },
};

export interface FeatureInfo {
  readonly name: string;
  readonly arch: Arch;
  /** Lowest x86-64 level that can have it. */
  readonly level: number;
  /** Flag of Linux's /proc/cpuinfo that shows it; undefined where none is needed. */
  readonly flag?: string;
  readonly check?: string;
}

/** In the order in which names print them. */
export const FEATURES: readonly FeatureInfo[] = [
  { name: 'vnni', arch: 'x86-64', level: 4, flag: 'avx512_vnni', check: 'AVX512_VNNI' },
  { name: 'bf16', arch: 'x86-64', level: 4, flag: 'avx512_bf16', check: 'AVX512_BF16' },
  { name: 'vbmi', arch: 'x86-64', level: 4, flag: 'avx512vbmi', check: 'AVX512_VBMI' },
  { name: 'fp16', arch: 'x86-64', level: 4, flag: 'avx512_fp16', check: 'AVX512_FP16' },
  { name: 'avxvnni', arch: 'x86-64', level: 3, flag: 'avx_vnni', check: 'AVX_VNNI' },
  { name: 'dotprod', arch: 'arm64', level: 0, flag: 'asimddp', check: 'ARM_DOTPROD' },
  { name: 'i8mm', arch: 'arm64', level: 0, flag: 'i8mm', check: 'ARM_I8MM' },
  { name: 'bf16', arch: 'arm64', level: 0, flag: 'bf16', check: 'ARM_BF16' },
  { name: 'fp16', arch: 'arm64', level: 0, flag: 'asimdhp', check: 'ARM_FP16' },
  { name: 'simd128', arch: 'wasm32', level: 0 },
  { name: 'relaxed', arch: 'wasm32', level: 0 },
];

/** The feature of an architecture by name. */
export function findFeature(arch: Arch, name: string): FeatureInfo | undefined {
  return FEATURES.find((feature) => feature.arch === arch && feature.name === name);
}
