/** C symbols of kernels and routines: what does the same has one, however many stages use it. */
import type { RoutineCall } from '../backends/c/emit-routines.ts';
import type { Kernel } from '../kernels/index.ts';
import { exactJson, loopKey } from '../loop/key.ts';
import type { LoopFn } from '../loop/types.ts';
import type { RoutineBody } from '../stages/types.ts';

export class KernelSymbols {
  readonly #kernels = new Map<string, LoopFn>();
  readonly #routines = new Map<string, RoutineCall>();

  get kernels(): readonly LoopFn[] {
    return [...this.#kernels.values()];
  }

  get routines(): readonly RoutineCall[] {
    return [...this.#routines.values()];
  }

  ofKernel(kernel: Kernel): string {
    const key = loopKey(kernel.fn);
    const have = this.#kernels.get(key);
    if (have !== undefined) return have.name;
    const name = this.#next(kernel.row);
    this.#kernels.set(key, { ...kernel.fn, name });
    return name;
  }

  ofRoutine({ routine, dims, scalars }: RoutineBody): string {
    const key = exactJson([routine, dims, scalars]);
    const have = this.#routines.get(key);
    if (have !== undefined) return have.name;
    const name = this.#next(routine);
    this.#routines.set(key, { name, routine, dims, scalars });
    return name;
  }

  #next(what: string): string {
    return `k${`${this.#kernels.size + this.#routines.size}`.padStart(2, '0')}_${what}`;
  }
}
