/** Runs a host program around the compiled part. */
import { fail } from '../base/diagnostics.ts';
import { type Tensor, toNumbers } from '../base/tensor.ts';
import type { HostProgram, HostStep } from './program.ts';
import { prefixOf } from '../base/prefix.ts';
import { runRoutine } from './routines.ts';

type Values = Record<string, Tensor>;

/** The steps before and after the compiled part. */
export interface HostParts {
  readonly before: readonly HostStep[];
  readonly after: readonly HostStep[];
}

export function partsOf({ steps }: HostProgram): HostParts {
  const native = steps.findIndex((step) => step.kind === 'native');
  const end = native < 0 ? steps.length : native;
  return { before: steps.slice(0, end), after: steps.slice(end) };
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
