/** The elements of a constant operand. */
import { invariant } from 'hone-runtime/base/diagnostics';
import type { Tensor } from 'hone-runtime/base/tensor';
import { constantTensor } from '../../graph/walk.ts';
import type { Buffer } from '../../stages/types.ts';

export function constantOf(buffer: Buffer): Tensor {
  const { constant, dtype, shape, name } = buffer;
  invariant(constant !== undefined, `buffer ${name} is not a constant`);
  return constantTensor({ id: 0, name, type: { dtype, shape }, constant });
}
