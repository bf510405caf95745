/**
 * A Target: what a processor can do, as plain data. Resolved before anything is hashed; the same
 * target gives the same artifact on any host.
 */

export type Arch = 'x86-64' | 'arm64' | 'wasm32';

export interface Target {
  /** Canonical name: <cpu>[+feature…]-<os>-<abi>, e.g. "x86-64-v4+vnni+bf16-linux-gnu". */
  readonly name: string;
  readonly arch: Arch;
  /** x86-64 level (1 to 4); 0 elsewhere. */
  readonly level: number;
  /** Features beyond the level, sorted: "vnni", "bf16", "vbmi", "dotprod", … */
  readonly features: readonly string[];
  readonly os: 'linux' | 'macos' | 'windows' | 'none';
  readonly abi: 'gnu' | 'musl' | 'none';
  /** f32 lanes of a vector register: 16, 8 or 4. Also the channel block of layouts. */
  readonly lanes: number;
  readonly vectorRegisters: number;
  /** Data cache sizes in bytes that plans assume. */
  readonly l1Bytes: number;
  readonly l2Bytes: number;
  readonly l3Bytes: number;
}
