/**
 * Builds a kernel whose sum overflows, with the fuzzer's sanitizer, and runs it: the sanitizer has to
 * end this process. Prints "not found" where it does not.
 */
import { buildLibrary } from 'hone/backends/c/build';
import { findToolchain } from 'hone/backends/c/toolchain';
import { describeProgram } from 'hone-runtime/artifact/describe';
import type { Program } from 'hone-runtime/artifact/program';
import { openCLibrary } from 'hone-runtime/runtime/drivers/c';
import { resolveTarget } from 'hone-runtime/target/parse';
import { SANITIZER } from './run-sanitized.ts';

const KERNEL = `#include "hone_kernel.h"
void k_sum(void *const *buf, const int64_t *dim, const hone_worker *w) {
  const int32_t *x = buf[0];
  int32_t *y = buf[1];
  y[0] = x[0] + x[1];
}
`;

const program: Program = {
  name: 'broken',
  inputs: [{ name: 'x', dtype: 'i32', shape: [2], bytes: 8 }],
  outputs: [{ name: 'y', dtype: 'i32', shape: [1], bytes: 4 }],
  steps: [
    {
      kind: 'kernel',
      kernel: 'k_sum',
      buffers: [
        { space: 'input', index: 0 },
        { space: 'output', index: 0 },
      ],
      dims: [],
      label: 'sum',
    },
  ],
  arenaBytes: 0,
  weightsBytes: 0,
};
const target = resolveTarget('native');
const { library } = await buildLibrary({
  program,
  kernelSources: [{ name: 'broken.c', text: KERNEL }],
  target,
  toolchain: findToolchain(),
  describeJson: describeProgram(program, target.name),
  timeoutMs: 120_000,
  sanitize: SANITIZER,
});
const code = openCLibrary(library, 'broken');
const context = code.open('', { threads: 1 });
const run = (a: number, b: number): number | undefined => {
  const y = new Int32Array(1);
  const tensor = (data: Int32Array) => ({
    dtype: 'i32' as const,
    shape: [data.length],
    bytes: new Uint8Array(data.buffer),
  });
  code.run(context, [tensor(Int32Array.of(a, b))], [tensor(y)]);
  return y[0];
};
console.log(`2 + 3 = ${run(2, 3)}`);
run(2 ** 31 - 1, 1);
console.log('not found');
