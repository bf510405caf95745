/** Kernels that move what a loop carries: copies of bytes, and zeros. */
import type { Target } from 'hone-runtime/target/types';
import { axis, constant, load } from '../expr/build.ts';
import { type Kernel, lowerStage } from '../kernels/index.ts';
import { type Buffer, PLAIN, type Stage, type View } from '../stages/types.ts';

/** Buffers of the kernel: where to read, unless it writes zeros, then where to write. */
export function bytesKernel(what: 'copy' | 'zeros', bytes: number, target: Target): Kernel {
  const buffer = (id: number, role: Buffer['role']): Buffer => ({
    id,
    name: role,
    dtype: 'u8',
    shape: [bytes],
    layout: PLAIN,
    role,
  });
  const view = (id: number): View => ({ buffer: id, shape: [bytes] });
  const along = [axis('i0')];
  const value = what === 'copy' ? load('0', 'u8', along) : constant('u8', 0);
  const stage: Stage = {
    id: 0,
    nodes: [],
    ops: [],
    operands: what === 'copy' ? [view(0)] : [],
    outputs: [view(1)],
    body: { kind: 'map', axes: [bytes], outIndex: along, value },
  };
  const kernel = lowerStage(stage, [buffer(0, 'temp'), buffer(1, 'temp')], target);
  if (kernel === null) throw new TypeError('a map has a kernel');
  return kernel;
}
