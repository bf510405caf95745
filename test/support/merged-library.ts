/**
 * Many small compiled graphs in one library: their programs one after the other, with arenas,
 * weights, inputs and outputs side by side. A library costs seconds, a graph in it milliseconds.
 *
 * Runs are strict about memory: outputs begin as garbage and have a guard behind them, and inputs
 * must come back unchanged.
 */
import assert from 'node:assert/strict';
import { hostOutputs, namedValue, partsOf, runHostSteps } from 'hone-runtime/host/run';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buildLibrary, type SourceText } from 'hone/backends/c/build';
import { emitUnit } from 'hone/backends/c/emit';
import { emitRoutineUnit, type RoutineCall } from 'hone/backends/c/emit-routines';
import { findToolchain } from 'hone/backends/c/toolchain';
import type { CompiledGraph } from 'hone/compile/index';
import { exactJson, loopKey } from 'hone/loop/key';
import type { LoopFn } from 'hone/loop/types';
import { describeProgram } from 'hone-runtime/artifact/describe';
import type {
  BufferRef,
  ExtentSpec,
  Program,
  ProgramLoop,
  Step,
  TensorSpec,
} from 'hone-runtime/artifact/program';
import { dtypeBytes } from 'hone-runtime/base/dtype';
import { bytesOf, elementCount, type Tensor, viewBytes } from 'hone-runtime/base/tensor';
import {
  type CLibrary,
  type ContextOptions,
  type ContextPointer,
  type NativeTensor,
  openCLibrary,
} from 'hone-runtime/runtime/drivers/c';

export interface MergedLibrary {
  /** Runs every graph; `inputs[g]` are those of graph g, in its order. */
  run(inputs: readonly (readonly Tensor[])[], options: ContextOptions): readonly MergedResult[];
  close(): void;
}

export interface LibraryOptions {
  /** Compiled without optimisation. */
  readonly quick?: boolean;
}

/** What one graph gave. */
export interface MergedResult {
  readonly outputs: readonly Tensor[];
  /** Writes outside the outputs, if any were seen. */
  readonly damage: string | undefined;
}

/** The label of a step of graph `g` begins so; runtime errors name it. */
export function stepPrefix(g: number): string {
  return `graph ${g}: `;
}

/** The number of the graph that an error of a run names. */
export function graphOfError(text: string): number | undefined {
  const found = /\bgraph (\d+): /.exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}

const KERNELS_PER_UNIT = 40;
/** Without optimisation it is the start of a compiler that costs. */
const KERNELS_PER_QUICK_UNIT = 400;
const TIMEOUT_MS = 300_000;
const GUARD_BYTES = 64;
const GARBAGE = 0xa5;

/** Compiles the graphs, all for one target, into one library of this machine. */
export async function mergedLibrary(
  graphs: readonly CompiledGraph[],
  { quick = false }: LibraryOptions = {},
): Promise<MergedLibrary> {
  const target = graphs[0]?.target;
  assert.ok(target, 'no graph');
  const { program, kernels, routines } = merge(graphs);
  const { library: bytes } = await buildLibrary({
    program,
    kernelSources: units(kernels, routines, quick ? KERNELS_PER_QUICK_UNIT : KERNELS_PER_UNIT),
    target,
    toolchain: findToolchain(),
    describeJson: describeProgram(program, target.name),
    timeoutMs: TIMEOUT_MS,
    quick,
  });
  const directory = mkdtempSync(path.join(tmpdir(), 'hone-test-'));
  const weights = path.join(directory, 'weights.bin');
  writeFileSync(weights, mergedWeights(graphs, program.weightsBytes));
  const library = openCLibrary(bytes, 'merged');
  return {
    run: (inputs, options) => {
      const context = library.open(weights, options);
      try {
        // Steps on texts run around the compiled part, as the Node runtime runs them.
        const begun = graphs.map(({ program }, g) => beginHost(program, inputs[g] ?? []));
        const natives = begun.map(({ native }) => native);
        return runAll(library, context, graphs, natives).map((result, g) => ({
          ...result,
          outputs: endHost(graphs[g]?.program, begun[g]?.values ?? {}, result.outputs),
        }));
      } finally {
        library.destroy(context);
      }
    },
    close: () => {
      library.unload();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

interface Merged {
  readonly program: Program;
  readonly kernels: readonly LoopFn[];
  readonly routines: readonly RoutineCall[];
}

function merge(graphs: readonly CompiledGraph[]): Merged {
  const kernels = new Map<string, LoopFn>();
  const routines = new Map<string, RoutineCall>();
  const steps: Step[] = [];
  const loops: ProgramLoop[] = [];
  const inputs: TensorSpec[] = [];
  const outputs: TensorSpec[] = [];
  const extents: ExtentSpec[] = [];
  const visible = graphs.reduce((sum, { program }) => sum + program.outputs.length, 0);
  let arenaBytes = 0;
  let weightsBytes = 0;
  for (const [g, graph] of graphs.entries()) {
    const symbols = new Map<string, string>();
    const firstLoop = loops.length;
    for (const fn of graph.kernels) {
      const key = loopKey(fn);
      const have = kernels.get(key) ?? { ...fn, name: `k${kernels.size}_${fn.name}` };
      kernels.set(key, have);
      symbols.set(fn.name, have.name);
    }
    for (const call of graph.routines) {
      const key = exactJson([call.routine, call.dims, call.scalars]);
      const have = routines.get(key) ?? { ...call, name: `r${routines.size}_${call.name}` };
      routines.set(key, have);
      symbols.set(call.name, have.name);
    }
    const move = (ref: BufferRef): BufferRef => {
      if (ref.space === 'arena') return { ...ref, offset: ref.offset + arenaBytes };
      if (ref.space === 'weights') return { ...ref, offset: ref.offset + weightsBytes };
      if (ref.space === 'moved') {
        const loop = ref.loop + firstLoop;
        return { ...ref, loop, even: move(ref.even), odd: move(ref.odd) };
      }
      if (ref.space === 'input') return { ...ref, index: ref.index + inputs.length };
      const hidden = ref.index - graph.program.outputs.length;
      const index = hidden < 0 ? ref.index + outputs.length : visible + extents.length + hidden;
      return { ...ref, index };
    };
    const firstStep = steps.length;
    for (const step of graph.program.steps) {
      const label = `${stepPrefix(g)}${step.label}`;
      if (step.kind === 'kernel') {
        const kernel = symbols.get(step.kernel);
        assert.ok(kernel, `${step.kernel} is not among the kernels`);
        steps.push({ ...step, kernel, label, buffers: step.buffers.map(move) });
        continue;
      }
      const target = step.target + firstStep;
      if (step.kind === 'unless') {
        steps.push({ ...step, label, target, condition: move(step.condition) });
      } else if (step.kind === 'jump') steps.push({ ...step, label, target });
      else steps.push({ ...step, label, target, loop: step.loop + firstLoop });
    }
    for (const { iteration, trips, start, again, ...rest } of graph.program.loops ?? []) {
      loops.push({
        ...rest,
        iteration: move(iteration),
        ...(trips && { trips: move(trips) }),
        ...(start && { start: move(start) }),
        ...(again && { again: move(again) }),
      });
    }
    const first = outputs.length;
    extents.push(
      ...(graph.program.extents ?? []).map(({ name, of }) => ({
        name: `${g}/${name}`,
        of: of.map(({ output, axis }) => ({ output: output + first, axis })),
      })),
    );
    inputs.push(...graph.program.inputs.map((spec) => ({ ...spec, name: `${g}/${spec.name}` })));
    outputs.push(...graph.program.outputs.map((spec) => ({ ...spec, name: `${g}/${spec.name}` })));
    arenaBytes += align(graph.program.arenaBytes);
    weightsBytes += align(graph.program.weightsBytes);
  }
  const program = {
    name: 'merged',
    inputs,
    outputs,
    extents,
    steps,
    loops,
    arenaBytes,
    weightsBytes,
  };
  return { program, kernels: [...kernels.values()], routines: [...routines.values()] };
}

/** The values before the compiled part, and those it takes. */
interface Begun {
  readonly values: Record<string, Tensor>;
  readonly native: readonly Tensor[];
}

function beginHost({ host, inputs }: Program, given: readonly Tensor[]): Begun {
  if (host === undefined) return { values: {}, native: given };
  const named = Object.fromEntries(host.inputs.map(({ name }, i) => [name, given[i] as Tensor]));
  const { runs } = partsOf(host);
  assert.equal(runs.length, 1, 'a compiled part of several phases runs alone');
  const values = runHostSteps(runs[0]?.before ?? [], named);
  return { values, native: inputs.map(({ name }) => namedValue(values, name)) };
}

function endHost(
  program: Program | undefined,
  values: Record<string, Tensor>,
  outputs: readonly Tensor[],
): readonly Tensor[] {
  const host = program?.host;
  if (program === undefined || host === undefined) return outputs;
  const made = Object.fromEntries(
    program.outputs.map(({ name }, i) => [name, outputs[i] as Tensor]),
  );
  const all = hostOutputs(host, runHostSteps(partsOf(host).after, { ...values, ...made }));
  return host.outputs.map(({ name }) => namedValue(all, name));
}

function align(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}

function units(
  kernels: readonly LoopFn[],
  routines: readonly RoutineCall[],
  size: number,
): SourceText[] {
  const files: SourceText[] = [];
  for (let start = 0; start < kernels.length; start += size) {
    const part = kernels.slice(start, start + size);
    files.push({ name: `kernels_${files.length}.c`, text: emitUnit(part, 'Kernels.') });
  }
  if (routines.length === 0) return files;
  return [...files, { name: 'routines_0.c', text: emitRoutineUnit(routines, 'Routines.') }];
}

function mergedWeights(graphs: readonly CompiledGraph[], bytes: number): Uint8Array {
  const out = new Uint8Array(bytes);
  let base = 0;
  for (const { weights, program } of graphs) {
    for (const { offset, data } of weights.parts) out.set(data(), base + offset);
    base += align(program.weightsBytes);
  }
  return out;
}

/** Memory that begins one element past the allocation, so that only the element is aligned. */
function unevenly(spec: TensorSpec, guard: number): { whole: Uint8Array; bytes: Uint8Array } {
  const start = dtypeBytes(spec.dtype);
  const whole = new Uint8Array(start + spec.bytes + guard).fill(GARBAGE);
  return { whole, bytes: whole.subarray(start, start + spec.bytes) };
}

function runAll(
  library: CLibrary,
  context: ContextPointer,
  graphs: readonly CompiledGraph[],
  inputs: readonly (readonly Tensor[])[],
): readonly MergedResult[] {
  const places = graphs.map(({ program }, g) => ({
    inputs: program.inputs.map((spec, i) => {
      const place = unevenly(spec, 0);
      const tensor = inputs[g]?.[i];
      assert.ok(tensor, `graph ${g}: input ${spec.name} is missing`);
      place.bytes.set(bytesOf(tensor));
      return { spec, ...place, before: Uint8Array.from(place.bytes) };
    }),
    outputs: program.outputs.map((spec) => ({ spec, ...unevenly(spec, GUARD_BYTES) })),
  }));
  const native = (list: readonly { spec: TensorSpec; bytes: Uint8Array }[]): NativeTensor[] =>
    list.map(({ spec, bytes }) => ({ dtype: spec.dtype, shape: spec.shape, bytes }));
  const shapes = library.run(
    context,
    native(places.flatMap((place) => place.inputs)),
    native(places.flatMap((place) => place.outputs)),
  );
  let taken = 0;
  return places.map((place) => {
    const actual = shapes.slice(taken, taken + place.outputs.length);
    taken += place.outputs.length;
    const changed = place.inputs.find(({ bytes, before }) => !same(bytes, before));
    const torn = place.outputs.find(({ spec, whole }) => {
      const start = dtypeBytes(spec.dtype);
      const around = [...whole.subarray(0, start), ...whole.subarray(start + spec.bytes)];
      return around.some((byte) => byte !== GARBAGE);
    });
    const damage = changed
      ? `input ${changed.spec.name} was changed`
      : torn && `something was written beside output ${torn.spec.name}`;
    const outputs = place.outputs.map(({ spec: { dtype }, bytes }, i): Tensor => {
      const shape = actual[i] ?? [];
      const meant = bytes.slice(0, elementCount(shape) * dtypeBytes(dtype));
      return { dtype, shape, data: viewBytes(dtype, meant) };
    });
    return { outputs, damage };
  });
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i]);
}
