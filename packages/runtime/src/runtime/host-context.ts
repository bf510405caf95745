/**
 * A context of a model with steps on texts: they run here, in JavaScript, before and after the compiled
 * part, or between its phases. Outputs that the caller brings are used where the compiled part writes them.
 */
import type { TensorSpec } from '../artifact/program.ts';
import type { Tensor } from '../base/tensor.ts';
import type { HostProgram, NativePhase } from '../host/program.ts';
import { hostOutputs, nativeInputs, nativeOutputs, partsOf, runHostSteps } from '../host/run.ts';
import type { Context, Profile, RunOptions } from './session.ts';
import { checkNames, checkTensor, missingInput, type Tensors } from './tensors.ts';

/** The context of the compiled part as one of the whole model. */
export function withHost(native: Context, host: HostProgram): Context {
  const { runs, after } = partsOf(host);
  const { signature } = native;
  const optionsFor = (phase: NativePhase | undefined, options: RunOptions): RunOptions => {
    const own = Object.entries(options.outputs ?? {}).filter(
      ([name]) =>
        signature.outputs.some((spec) => spec.name === name) &&
        (phase === undefined || phase.gives.includes(name)),
    );
    return { outputs: Object.fromEntries(own) };
  };
  const check = (inputs: Tensors, options: RunOptions = {}): void => {
    checkInputs(host.inputs, inputs);
    checkNames('output', host.outputs, options.outputs ?? {});
  };
  const inputsFor = (phase: NativePhase | undefined, values: Tensors): Tensors =>
    nativeInputs(signature.inputs, phase, values);
  const end = (values: Tensors): Record<string, Tensor> =>
    hostOutputs(host, runHostSteps(after, values));
  return {
    ...native,
    signature: { name: signature.name, inputs: host.inputs, outputs: host.outputs },
    async run(inputs, options = {}) {
      check(inputs, options);
      let values = { ...inputs };
      for (const { before, phase } of runs) {
        values = runHostSteps(before, values);
        const made = await native.run(inputsFor(phase, values), optionsFor(phase, options));
        values = { ...values, ...nativeOutputs(phase, made) };
      }
      return end(values);
    },
    runSync(inputs, options = {}) {
      check(inputs, options);
      let values = { ...inputs };
      for (const { before, phase } of runs) {
        values = runHostSteps(before, values);
        const made = native.runSync(inputsFor(phase, values), optionsFor(phase, options));
        values = { ...values, ...nativeOutputs(phase, made) };
      }
      return end(values);
    },
    profile(inputs, options) {
      check(inputs);
      let values = { ...inputs };
      const profiles = runs.map(({ before, phase }, i): Profile => {
        values = runHostSteps(before, values);
        const own = inputsFor(phase, values);
        if (i < runs.length - 1)
          values = { ...values, ...nativeOutputs(phase, native.runSync(own)) };
        return native.profile(own, options);
      });
      return profiles.reduce(added);
    },
  };
}

/** The times of one phase and another. */
function added(a: Profile, b: Profile): Profile {
  const steps = a.steps.map((step, i) => ({
    ...step,
    ns: step.ns + (b.steps[i]?.ns ?? 0),
    times: step.times + (b.steps[i]?.times ?? 0),
  }));
  return { runs: a.runs, steps, totalNs: a.totalNs + b.totalNs };
}

function checkInputs(specs: readonly TensorSpec[], given: Tensors): void {
  checkNames('input', specs, given);
  for (const spec of specs) {
    const tensor = given[spec.name];
    if (tensor === undefined) missingInput(spec, specs);
    checkTensor('input', spec, tensor);
  }
}
