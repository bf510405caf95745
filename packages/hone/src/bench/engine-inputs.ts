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
  if (plan.content === 'page') drawPage(values, shape, low, high, random);
  else {
    for (let at = 0; at < values.length; at++) {
      values[at] = low + (float ? random.next() * (high - low) : random.integer(high - low));
    }
  }
  return fromNumbers(dtype, shape, values);
}

const LINE_HEIGHT = 32;

/** The same page in every item and channel of [n, c, h, w] or [n, h, w, c]. */
function drawPage(
  values: Float64Array,
  shape: readonly number[],
  low: number,
  high: number,
  random: ReturnType<typeof seededRandom>,
): void {
  const [, a = 1, b = 1, c = 1] = shape;
  const planar = a <= 4;
  const [height, width, channels] = planar ? [b, c, a] : [a, b, c];
  const page = new Float64Array(height * width).fill(high);
  for (let stroke = 0; stroke < page.length / 400; stroke++) {
    const x = random.integer(width);
    const y =
      random.integer(Math.ceil(height / LINE_HEIGHT)) * LINE_HEIGHT + 8 + random.integer(12);
    const length = 4 + random.integer(8);
    const [tall, wide] = random.integer(2) === 1 ? [length, 2] : [2, length];
    for (let row = y; row < Math.min(height, y + tall); row++) {
      page.fill(low, row * width + x, row * width + Math.min(width, x + wide));
    }
  }
  for (let at = 0; at < values.length; at++) {
    const pixel = planar ? at % page.length : Math.floor(at / channels) % page.length;
    values[at] = page[pixel] as number;
  }
}
