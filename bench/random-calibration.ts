/** Samples for int8 as the measurement has its inputs: they show speed, not accuracy. */
import { makeInputs } from 'hone/bench/engine-inputs';
import type { InputValues } from 'hone/bench/engine-protocol';
import type { CalibrationRequest } from 'hone/compile/calibrate/request';

const SAMPLES = 4;

export function randomCalibration(
  values: Readonly<Record<string, InputValues>> = {},
): CalibrationRequest {
  return {
    origin: 'random',
    samples: (inputs) => {
      const plans = inputs.map((input) => ({ ...input, ...values[input.name] }));
      return Array.from({ length: SAMPLES }, (_, seed) => ({
        name: `seed ${seed}`,
        inputs: makeInputs(plans, seed),
      }));
    },
  };
}
