/** Runs a host program around the compiled part. */
import { fail } from '../base/diagnostics.ts';
import { elementCount, fromNumbers, type Tensor, toNumbers } from '../base/tensor.ts';
import type { HostProgram, HostSpec, HostStep, NativePhase } from './program.ts';
import { prefixOf } from '../base/prefix.ts';
import { runRoutine } from './routines.ts';

type Values = Record<string, Tensor>;

/** Steps, and the run of the compiled part behind them. */
export interface HostRun {
  readonly before: readonly HostStep[];
  readonly phase: NativePhase | undefined;
}

export interface HostParts {
  readonly runs: readonly HostRun[];
  /** Steps behind all of them. */
  readonly after: readonly HostStep[];
}

export function partsOf({ steps }: HostProgram): HostParts {
  const runs: HostRun[] = [];
  let before: HostStep[] = [];
  for (const step of steps) {
    if (step.kind !== 'native') {
      before.push(step);
      continue;
    }
    runs.push({ before, phase: step.phase });
    before = [];
  }
  return { runs, after: before };
}

/** The inputs of the compiled part for one of its runs. */
export function nativeInputs(
  specs: readonly Pick<HostSpec, 'name' | 'dtype' | 'shape'>[],
  phase: NativePhase | undefined,
  values: Readonly<Values>,
): Values {
  return Object.fromEntries(
    specs.map(({ name, dtype, shape }) => {
      if (phase === undefined) return [name, namedValue(values, name)];
      if (name === phase.input) return [name, fromNumbers('i64', [], [phase.number])];
      const known = values[phase.keeps[name] ?? name];
      const zeros = (): Tensor => fromNumbers(dtype, shape, new Float64Array(elementCount(shape)));
      return [name, known ?? zeros()];
    }),
  );
}

/** What a run of the compiled part makes, without what belongs to other phases. */
export function nativeOutputs(phase: NativePhase | undefined, made: Readonly<Values>): Values {
  if (phase === undefined) return { ...made };
  return Object.fromEntries(phase.gives.map((name) => [name, namedValue(made, name)]));
}

/** Runs routines in order; the values they make join those there are. */
export function runHostSteps(steps: readonly HostStep[], values: Readonly<Values>): Values {
  const known: Values = { ...values };
  for (const step of steps) {
    if (step.kind === 'native') continue;
    if (step.kind === 'constant') {
      known[step.name] = step.tensor;
      continue;
    }
    const inputs = step.inputs.map((name) => (name === null ? null : namedValue(known, name)));
    const made = runRoutine(step.routine, { ...step, inputs });
    step.outputs.forEach(({ name }, i) => {
      const tensor = made[i];
      if (tensor !== undefined) known[name] = tensor;
    });
  }
  return known;
}

/** The outputs of the whole model, those whose size depends on data cut to what they are. */
export function hostOutputs({ outputs, extents = [] }: HostProgram, all: Readonly<Values>): Values {
  const made = outputs.map(({ name }) => {
    const tensor = namedValue(all, name);
    const own = extents.filter(({ output }) => output === name);
    if (own.length === 0) return [name, tensor] as const;
    const shape = [...tensor.shape];
    for (const { axis, from } of own) {
      const [extent = -1] = toNumbers(namedValue(all, from));
      const bound = shape[axis] ?? 0;
      if (!(extent >= 0 && extent <= bound)) {
        fail(
          'HONE-RUN-010',
          `output ${name}: a size of ${extent} came out along axis ${axis}, at most ${bound} is possible`,
          name,
          'check the values of the inputs',
        );
      }
      shape[axis] = extent;
    }
    return [name, prefixOf(tensor, shape)] as const;
  });
  return Object.fromEntries(made);
}

export function namedValue(values: Readonly<Values>, name: string): Tensor {
  const tensor = values[name];
  if (tensor !== undefined) return tensor;
  return fail(
    'HONE-ARTIFACT-003',
    `a step reads the value ${JSON.stringify(name)}, which no step before gives`,
    name,
    'the artifact is damaged or of another version: compile it again',
  );
}
