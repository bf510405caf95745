/** NumPy's .npz files: zip archives of .npy files. */
import { fail } from 'hone-runtime/base/diagnostics';
import type { Tensor } from 'hone-runtime/base/tensor';
import { isNpy, parseNpy } from './npy.ts';
import { zipEntries } from './zip.ts';

const CURE = 'write it with numpy.savez(file, name=array); above 4 GiB use several .npy files';

/** The arrays of an archive by name, without ".npy"; `name` is the file, for errors. */
export function parseNpz(bytes: Uint8Array, name: string): ReadonlyMap<string, Tensor> {
  return new Map(
    zipEntries(bytes, name, CURE).map((entry) => {
      const { path } = entry;
      const array = `${name}: ${path}`;
      const content = entry.content();
      if (!isNpy(content)) fail('HONE-INPUT-019', `${array} is not an array`, array, CURE);
      return [path.replace(/\.npy$/, ''), parseNpy(content, array)];
    }),
  );
}
