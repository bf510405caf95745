/** Makes a failing case small: smaller extents, plain attributes, zeros, as long as it fails. */
import { HoneError } from 'hone-runtime/base/diagnostics';
import {
  allocateData,
  elementCount,
  fromNumbers,
  type Tensor,
  toNumbers,
} from 'hone-runtime/base/tensor';
import { graphOf, type OpCase } from './op-case.ts';

/** Tries simpler cases until none fails or the time is over (`deadline` of performance.now()). */
export async function shrinkCase(
  start: OpCase,
  stillFails: (item: OpCase) => Promise<boolean>,
  deadline: number,
): Promise<OpCase> {
  let best = start;
  for (let progress = true; progress; ) {
    progress = false;
    for (const next of candidates(best)) {
      if (performance.now() > deadline) return best;
      if (!isValid(next) || !(await stillFails(next))) continue;
      best = next;
      progress = true;
      break;
    }
  }
  return best;
}

/** The operator takes it; its data may be what the reference refuses. */
function isValid(item: OpCase): boolean {
  try {
    graphOf(item);
    return true;
  } catch (error) {
    if (error instanceof HoneError) return false;
    throw error;
  }
}

function* candidates(item: OpCase): Generator<OpCase> {
  for (const name of Object.keys(item.attrs)) {
    if (item.op.attrs[name]?.required) continue;
    const { [name]: _, ...attrs } = item.attrs;
    yield { ...item, attrs };
  }
  const extents = new Set(item.inputs.flatMap((tensor) => tensor?.shape ?? []));
  for (const extent of [...extents].sort((a, b) => b - a)) {
    for (const smaller of new Set([1, Math.ceil(extent / 2), extent - 1])) {
      if (smaller < 1 || smaller >= extent) continue;
      const shrunk = (t: Tensor): Tensor =>
        cut(
          t,
          t.shape.map((e) => (e === extent ? smaller : e)),
        );
      yield { ...item, inputs: item.inputs.map((t) => t && shrunk(t)) };
    }
  }
  for (const [i, tensor] of item.inputs.entries()) {
    if (tensor === null || toNumbers(tensor).every((x) => x === 0)) continue;
    const zeros = { ...tensor, data: allocateData(tensor.dtype, tensor.data.length) };
    yield { ...item, inputs: item.inputs.toSpliced(i, 1, zeros) };
  }
}

/** The first elements in a smaller shape. */
function cut(tensor: Tensor, shape: readonly number[]): Tensor {
  return fromNumbers(tensor.dtype, shape, toNumbers(tensor).slice(0, elementCount(shape)));
}
