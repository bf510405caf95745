/** Writes .npz archives as numpy.savez and numpy.savez_compressed do. */
import { formatNpy } from 'hone/cli/input/npy';
import type { Tensor } from 'hone-runtime/base/tensor';
import { formatZip } from './zip.ts';

export function formatNpz(arrays: Readonly<Record<string, Tensor>>, compressed = false): Buffer {
  const files = Object.entries(arrays).map(([name, tensor]) => {
    return [`${name}.npy`, formatNpy(tensor)] as const;
  });
  return formatZip(new Map(files), compressed);
}
