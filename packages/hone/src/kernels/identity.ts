/** Neutral elements of reductions per dtype. */
import { type DType, dtypeBytes, dtypeKind } from 'hone-runtime/base/dtype';
import { constant } from '../expr/build.ts';
import type { Expr } from '../expr/types.ts';
import type { ReduceOp } from '../stages/types.ts';

/** x such that op(x, v) = v for every v of the dtype. */
export function identityOf(op: ReduceOp, dtype: DType): Expr {
  switch (op) {
    case 'sum':
    case 'any':
      return of(dtype, 0);
    case 'prod':
    case 'all':
      return of(dtype, 1);
    case 'max':
    case 'argmax':
      return lowest(dtype);
    case 'min':
    case 'argmin':
      return highest(dtype);
    default:
      return op satisfies never;
  }
}

function of(dtype: DType, value: number): Expr {
  return constant(dtype, dtype === 'i64' || dtype === 'u64' ? BigInt(value) : value);
}

function lowest(dtype: DType): Expr {
  const kind = dtypeKind(dtype);
  if (kind === 'float') return of(dtype, Number.NEGATIVE_INFINITY);
  if (kind !== 'int') return of(dtype, 0);
  return integer(dtype, -(1n << BigInt(dtypeBytes(dtype) * 8 - 1)));
}

function highest(dtype: DType): Expr {
  const kind = dtypeKind(dtype);
  if (kind === 'float') return of(dtype, Number.POSITIVE_INFINITY);
  if (kind === 'bool') return of(dtype, 1);
  const bits = BigInt(dtypeBytes(dtype) * 8 - (kind === 'int' ? 1 : 0));
  return integer(dtype, (1n << bits) - 1n);
}

function integer(dtype: DType, value: bigint): Expr {
  return constant(dtype, dtype === 'i64' || dtype === 'u64' ? value : Number(value));
}
