/**
 * Builds a compiled graph with the undefined-behaviour sanitizer and runs it on odd inputs. What the
 * sanitizer finds ends the process; writes outside of outputs are returned.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buildLibrary } from 'hone/backends/c/build';
import { findToolchain } from 'hone/backends/c/toolchain';
import type { CompiledGraph } from 'hone/compile/index';
import { kernelUnits } from 'hone/compile/units';
import { joinWeights } from 'hone/compile/weights';
import { describeProgram } from 'hone-runtime/artifact/describe';
import type { TensorSpec } from 'hone-runtime/artifact/program';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { dtypeBytes } from 'hone-runtime/base/dtype';
import type { Random } from 'hone-runtime/base/random';
import { openCLibrary } from 'hone-runtime/runtime/drivers/c';

/** Of clang: overflows, shifts, bounds, alignment, null, conversions of floats out of range. */
export const SANITIZER = 'undefined';
const MOST_BYTES = 2 ** 28;
const MOST_WORK = 2 ** 29;
const GUARD_BYTES = 64;
const GARBAGE = 0xa5;

/** Whether a run stays far below the limits of a case, and is the library's alone. */
export function isSmall({ program, report }: CompiledGraph): boolean {
  if (program.host !== undefined) return false;
  const specs = [...program.inputs, ...program.outputs];
  const bytes = specs.reduce((sum, spec) => sum + spec.bytes, 0);
  const traffic = report.stages.reduce((sum, s) => sum + s.bytesRead + s.bytesWritten, 0);
  return (
    bytes + program.arenaBytes + program.weightsBytes < MOST_BYTES &&
    report.flops + traffic < MOST_WORK &&
    specs.every(({ dtype, shape }) => dtype !== 'string' && shape.length <= 8)
  );
}

/** The library's bytes; throws as the compiler does. */
export async function buildSanitized(
  compiled: CompiledGraph,
  timeoutMs: number,
): Promise<Uint8Array> {
  const { program, kernels, routines, target } = compiled;
  const { library } = await buildLibrary({
    program,
    kernelSources: kernelUnits(kernels, routines, 'fuzz'),
    target,
    toolchain: findToolchain(),
    describeJson: describeProgram(program, target.name),
    timeoutMs,
    jobs: 1,
    sanitize: SANITIZER,
  });
  return library;
}

/** Runs it with one and three workers; says what was written where it must not be. */
export function runOddly(
  compiled: CompiledGraph,
  bytes: Uint8Array,
  random: Random,
): string | undefined {
  const { program, weights } = compiled;
  const directory = mkdtempSync(path.join(tmpdir(), 'hone-fuzz-'));
  const library = openCLibrary(bytes, 'fuzz');
  try {
    const file = path.join(directory, 'weights.bin');
    writeFileSync(file, joinWeights(weights));
    for (const threads of [1, 3]) {
      const context = library.open(file, { threads, poison: true });
      try {
        const inputs = program.inputs.map((spec) => placed(spec, random));
        const before = inputs.map(({ whole }) => Uint8Array.from(whole));
        const outputs = program.outputs.map((spec) => placed(spec));
        try {
          library.run(context, inputs, outputs);
        } catch (error) {
          const isOfData = error instanceof HoneError && /^HONE-RUN-01[04]$/.test(error.code);
          if (!isOfData) throw error;
        }
        const changed = inputs.find(({ whole }, i) =>
          Buffer.compare(whole, before[i] as Uint8Array),
        );
        if (changed !== undefined) return `input ${changed.name} was changed`;
        const torn = outputs.find(({ whole, bytes: own, start }) =>
          [...whole.subarray(0, start), ...whole.subarray(start + own.length)].some(
            (byte) => byte !== GARBAGE,
          ),
        );
        if (torn !== undefined) return `something was written beside output ${torn.name}`;
      } finally {
        library.destroy(context);
      }
    }
    return undefined;
  } finally {
    library.unload();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Memory aligned to one element only, with a guard on both sides; filled where it is an input. */
function placed({ name, dtype, shape, bytes: length }: TensorSpec, random?: Random) {
  const start = GUARD_BYTES + dtypeBytes(dtype);
  const whole = new Uint8Array(start + length + GUARD_BYTES).fill(GARBAGE);
  const bytes = whole.subarray(start, start + length);
  if (random !== undefined) fill(bytes, dtype, random);
  return { name, dtype, shape, bytes, whole, start };
}

const FLOATS = [0, -0, 1, -1, 0.5, 1e38, -1e38, 1e-42, Number.NaN, Infinity, -Infinity, 2 ** 63];
const INTEGERS = [0, 1, -1, 2, 3, -2, 7, 127, -128, 255, 2 ** 31 - 1, -(2 ** 31), 2 ** 40];

/** Usual values mostly; every third tensor has odd ones among them. */
function fill(bytes: Uint8Array, dtype: string, random: Random): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isOdd = random.integer(3) === 0;
  const float = (): number =>
    isOdd && random.integer(4) === 0
      ? (FLOATS[random.integer(FLOATS.length)] as number)
      : random.normal();
  const integer = (): number =>
    isOdd ? (INTEGERS[random.integer(INTEGERS.length)] as number) : random.integer(4);
  const step = dtypeBytes(dtype as TensorSpec['dtype']);
  for (let i = 0; i + step <= bytes.length; i += step) {
    if (dtype === 'f32') view.setFloat32(i, float(), true);
    else if (dtype === 'f64') view.setFloat64(i, float(), true);
    else if (step === 8) view.setBigInt64(i, BigInt(integer()), true);
    else if (step === 4) view.setInt32(i, integer(), true);
    else if (step === 2) view.setUint16(i, isOdd ? random.integer(65_536) : 0x3c00, true);
    else bytes[i] = dtype === 'bool' ? random.integer(2) : integer();
  }
}
