/** Seeded inputs: the same plan gives the same values in every process. */
import { fail } from 'hone-runtime/base/diagnostics';
import { isFloat } from 'hone-runtime/base/dtype';
import { seededRandom } from 'hone-runtime/base/random';
import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import type { InputPlan } from './engine-protocol.ts';

/** Tensors by name. Ranges by default: floats [-1, 1), bytes all values, other integers 0 and 1. */
export function makeInputs(plans: readonly InputPlan[], seed = 0): Record<string, Tensor> {
  const random = seededRandom(seed);
  return Object.fromEntries(plans.map((plan) => [plan.name, fill(plan, random)]));
}

function fill(plan: InputPlan, random: ReturnType<typeof seededRandom>): Tensor {
  const { name, dtype, shape } = plan;
  if (dtype === 'string') {
    const cure = 'benchmark a part of the model that takes numbers';
    fail('HONE-BENCH-004', `input "${name}" takes strings, which are not made up`, name, cure);
  }
  const float = isFloat(dtype);
  const low = plan.low ?? (float ? -1 : 0);
  const high = plan.high ?? (float ? 1 : dtype === 'u8' ? 256 : 2);
  const values = new Float64Array(elementCount(shape));
  for (let at = 0; at < values.length; at++) {
    values[at] = low + (float ? random.next() * (high - low) : random.integer(high - low));
  }
  return fromNumbers(dtype, shape, values);
}
