/**
 * A context of a model with steps on texts: they run here, in JavaScript, before and after the compiled
 * part. Outputs that the caller brings are used where the compiled part writes them.
 */
import type { TensorSpec } from '../artifact/program.ts';
import type { Tensor } from '../base/tensor.ts';
import type { HostProgram } from '../host/program.ts';
import { hostOutputs, namedValue, partsOf, runHostSteps } from '../host/run.ts';
import type { Context, RunOptions } from './session.ts';
import { checkNames, checkTensor, missingInput, type Tensors } from './tensors.ts';

/** The context of the compiled part as one of the whole model. */
export function withHost(native: Context, host: HostProgram): Context {
  const { before, after } = partsOf(host);
  const { signature } = native;
  const begin = (inputs: Tensors): Record<string, Tensor> => {
    checkInputs(host.inputs, inputs);
    return runHostSteps(before, inputs);
  };
  const nativeInputs = (values: Tensors): Tensors =>
    Object.fromEntries(signature.inputs.map(({ name }) => [name, namedValue(values, name)]));
  const nativeOptions = (options: RunOptions): RunOptions => {
    checkNames('output', host.outputs, options.outputs ?? {});
    const own = Object.entries(options.outputs ?? {}).filter(([name]) =>
      signature.outputs.some((spec) => spec.name === name),
    );
    return { outputs: Object.fromEntries(own) };
  };
  const end = (values: Tensors): Record<string, Tensor> =>
    hostOutputs(host, runHostSteps(after, values));
  return {
    ...native,
    signature: { name: signature.name, inputs: host.inputs, outputs: host.outputs },
    async run(inputs, options = {}) {
      const values = begin(inputs);
      const made = await native.run(nativeInputs(values), nativeOptions(options));
      return end({ ...values, ...made });
    },
    runSync(inputs, options = {}) {
      const values = begin(inputs);
      const made = native.runSync(nativeInputs(values), nativeOptions(options));
      return end({ ...values, ...made });
    },
    profile: (inputs, options) => native.profile(nativeInputs(begin(inputs)), options),
  };
}

function checkInputs(specs: readonly TensorSpec[], given: Tensors): void {
  checkNames('input', specs, given);
  for (const spec of specs) {
    const tensor = given[spec.name];
    if (tensor === undefined) missingInput(spec, specs);
    checkTensor('input', spec, tensor);
  }
}
