/**
 * The Loop form: how a stage is computed, as a small program over flat buffers.
 *
 * A LoopFn runs once for each part of a step (one program, many parts): everything is done in every
 * part, except that a `parallel` loop's range is split among them in contiguous pieces. `parallel`
 * loops do not nest. Parts run in any order, also one after the other; only a function with a
 * barrier has exactly one part per worker, all at once, and waits for all of them there. Buffers
 * given as parameters are shared; allocated ones belong to the part.
 *
 * A `vector` loop has a constant extent equal to the function's `lanes` (or a divisor of it) and
 * each of its statements happens in all lanes at once: addresses must be of the form
 * base + lane or be independent of the lane. Register buffers are addressed only through vector
 * loops (whole registers) at positions that are constant once `unroll` loops are unrolled.
 */
import type { DType } from 'hone-runtime/base/dtype';
import type { Expr } from '../expr/types.ts';

export type LoopMode = 'serial' | 'parallel' | 'unroll' | 'vector';
export type AccumulateOp = 'sum' | 'prod' | 'max' | 'min';

export type Stmt =
  | {
      readonly kind: 'for';
      readonly axis: string;
      readonly lo: Expr;
      readonly hi: Expr;
      readonly step: number;
      readonly mode: LoopMode;
      readonly body: readonly Stmt[];
    }
  /** A named i64 value, constant in the rest of the enclosing block. */
  | { readonly kind: 'let'; readonly name: string; readonly value: Expr }
  | { readonly kind: 'assign'; readonly buffer: string; readonly index: Expr; readonly value: Expr }
  | {
      readonly kind: 'accumulate';
      readonly op: AccumulateOp;
      readonly buffer: string;
      readonly index: Expr;
      readonly value: Expr;
    }
  /** Memory of the worker for the rest of the enclosing block; uninitialised. */
  | {
      readonly kind: 'alloc';
      readonly buffer: string;
      readonly dtype: DType;
      readonly count: number;
      readonly space: 'stack' | 'register';
    }
  | {
      readonly kind: 'if';
      readonly cond: Expr;
      readonly then: readonly Stmt[];
      readonly else: readonly Stmt[];
    }
  /** An instruction: C text plus its meaning; operands are buffer positions or scalars. */
  | { readonly kind: 'call'; readonly instr: string; readonly operands: readonly Operand[] }
  /** A hint: the cache line at this position will be read soon. Means nothing. */
  | { readonly kind: 'prefetch'; readonly buffer: string; readonly index: Expr }
  | { readonly kind: 'barrier' }
  | { readonly kind: 'block'; readonly comment: string; readonly body: readonly Stmt[] };

export type Operand =
  | { readonly kind: 'at'; readonly buffer: string; readonly index: Expr }
  | { readonly kind: 'scalar'; readonly value: Expr };

export interface BufferParam {
  readonly name: string;
  readonly dtype: DType;
  readonly access: 'read' | 'write';
}

export interface LoopFn {
  readonly name: string;
  /** Elements in a vector register of 32-bit lanes: 16, 8 or 4. */
  readonly lanes: number;
  readonly buffers: readonly BufferParam[];
  /** Integer parameters, used as axes in expressions. */
  readonly dims: readonly string[];
  readonly body: readonly Stmt[];
}

/** An instruction of some ISA: how it is written in C, and what it means. */
export interface Instr {
  readonly name: string;
  /** Target feature it needs, e.g. "avx512bf16". */
  readonly feature: string;
  /** Parameters: buffers addressed from their given position on (index 0 of the meaning), or scalars. */
  readonly params: readonly (
    | BufferParam
    | { readonly name: string; readonly dtype: DType; readonly access: 'scalar' }
  )[];
  /** C text; `{name}` stands for the operand. */
  readonly code: string;
  /** The same effect as loop statements over the parameters. */
  readonly meaning: readonly Stmt[];
}
