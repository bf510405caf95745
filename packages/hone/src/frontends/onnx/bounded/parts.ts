/** Rules written as the parts an operator is made of, each part built by its own rule. */
import { at } from 'hone-runtime/base/diagnostics';
import { type DType, dtypeCode } from 'hone-runtime/base/dtype';
import type { Attrs } from '../../../graph/types.ts';
import type { Int } from './ints.ts';
import type { Use } from './rule.ts';
import type { Sized } from './sized.ts';

export class Parts {
  readonly #use: Use;

  constructor(use: Use) {
    this.#use = use;
  }

  op(op: string, inputs: readonly (Sized | null)[], attrs: Attrs = {}): Sized {
    return at(this.#use.apply({ op, inputs, attrs }), 0);
  }

  /** A constant of no axes. */
  number(value: number, dtype: DType): Sized {
    return { id: this.#use.s.number(value, dtype), sizes: [] };
  }

  list(items: readonly Int[]): Sized {
    return { id: this.#use.ints.list(items), sizes: [items.length] };
  }

  /** A number of the run as a scalar. */
  int(x: Int, dtype: DType): Sized {
    return { id: this.#use.s.cast(this.#use.ints.id(x), dtype), sizes: [] };
  }

  cast(x: Sized, dtype: DType): Sized {
    return this.#use.s.dtype(x) === dtype ? x : this.op('Cast', [x], { to: dtypeCode(dtype) });
  }

  reduce(op: string, x: Sized, axes: readonly number[], keepdims = 1): Sized {
    return this.op(op, [x, this.list(axes)], { keepdims });
  }

  reshape(x: Sized, sizes: readonly Int[]): Sized {
    return this.#use.s.reshaped(x, sizes);
  }
}

/** The dtype in which sums are made: halves are too narrow for them. */
export const wideOf = (dtype: DType): DType => (dtype === 'f64' ? 'f64' : 'f32');
