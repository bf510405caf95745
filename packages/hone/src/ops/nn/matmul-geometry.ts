/** Numpy's matrix product in named terms: extents, batch broadcasting, accesses, the plain loops. */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount } from 'hone-runtime/base/tensor';
import { axis, index } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { MatMulSpec } from '../../stages/types.ts';
import { broadcastShapes, shapeError } from '../checks.ts';
import { broadcastOffsets } from '../math/loops.ts';
import type { NodeRef } from './window.ts';

export interface MatMulGeometry extends Omit<MatMulSpec, 'kind'> {
  /** Extents of each operand's batch axes. */
  readonly batchA: readonly number[];
  readonly batchB: readonly number[];
  /** A one-dimensional operand has no m (or n) axis of its own. */
  readonly vectorA: boolean;
  readonly vectorB: boolean;
  readonly output: readonly number[];
}

/** Extents of a · b; refuses operands that do not fit. */
export function matMulGeometry(
  ctx: NodeRef,
  a: readonly number[],
  b: readonly number[],
  transA = false,
  transB = false,
): MatMulGeometry {
  if (a.length === 0 || b.length === 0) shapeError(ctx, 'a scalar has no matrix product');
  const vectorA = a.length === 1;
  const vectorB = b.length === 1;
  const [rowsA, columnsA] = vectorA ? [1, at(a, 0)] : [at(a, a.length - 2), at(a, a.length - 1)];
  const [rowsB, columnsB] = vectorB ? [at(b, 0), 1] : [at(b, b.length - 2), at(b, b.length - 1)];
  const [m, k] = transA && !vectorA ? [columnsA, rowsA] : [rowsA, columnsA];
  const [kOfB, n] = transB && !vectorB ? [columnsB, rowsB] : [rowsB, columnsB];
  if (k !== kOfB) {
    shapeError(
      ctx,
      `a [${a.join(',')}]${transA ? ' transposed' : ''} has ${k} columns, but b [${b.join(',')}]${transB ? ' transposed' : ''} has ${kOfB} rows`,
    );
  }
  const batchA = a.slice(0, -2);
  const batchB = b.slice(0, -2);
  const batch = broadcastShapes(ctx, batchA, batchB);
  return {
    batch,
    m,
    n,
    k,
    transA: transA && !vectorA,
    transB: transB && !vectorB,
    batchA,
    batchB,
    vectorA,
    vectorB,
    output: [...batch, ...(vectorA ? [] : [m]), ...(vectorB ? [] : [n])],
  };
}

export function matMulSpec(geo: MatMulGeometry): MatMulSpec {
  const { batch, m, n, k, transA, transB } = geo;
  return { kind: 'matmul', batch, m, n, k, transA, transB };
}

/** Positions of the operands read at the output's axes and r0 = k. */
export function matMulAccesses(geo: MatMulGeometry): {
  readonly a: readonly Expr[];
  readonly b: readonly Expr[];
  /** The output row and column, where there are any. */
  readonly row: Expr;
  readonly column: Expr;
} {
  const rank = geo.batch.length;
  const batchAxes = (own: readonly number[]): Expr[] =>
    own.map((extent, i) => (extent === 1 ? index(0) : axis(`i${rank - own.length + i}`)));
  const row = geo.vectorA ? index(0) : axis(`i${rank}`);
  const column = geo.vectorB ? index(0) : axis(`i${rank + (geo.vectorA ? 0 : 1)}`);
  const k = axis('r0');
  return {
    a: geo.vectorA ? [k] : [...batchAxes(geo.batchA), ...(geo.transA ? [k, row] : [row, k])],
    b: geo.vectorB ? [k] : [...batchAxes(geo.batchB), ...(geo.transB ? [column, k] : [k, column])],
    row,
    column,
  };
}

/** The product of row-major doubles. */
export function multiply(geo: MatMulGeometry, a: Float64Array, b: Float64Array): Float64Array {
  const { batch, m, n, k, transA, transB } = geo;
  const out = new Float64Array(elementCount(batch) * m * n);
  const [rowA, stepA] = transA ? [1, m] : [k, 1];
  const [stepB, columnB] = transB ? [1, k] : [n, 1];
  const offsetsA = broadcastOffsets(geo.batchA, batch);
  const offsetsB = broadcastOffsets(geo.batchB, batch);
  for (let p = 0; p < offsetsA.length; p++) {
    const baseA = (offsetsA[p] as number) * m * k;
    const baseB = (offsetsB[p] as number) * k * n;
    for (let i = 0; i < m; i++) {
      const row = (p * m + i) * n;
      for (let q = 0; q < k; q++) {
        const left = a[baseA + i * rowA + q * stepA] as number;
        const from = baseB + q * stepB;
        for (let j = 0; j < n; j++) {
          out[row + j] = (out[row + j] as number) + left * (b[from + j * columnB] as number);
        }
      }
    }
  }
  return out;
}

/** The product of exact integers; they wrap when they are stored. */
export function multiplyBig(
  geo: MatMulGeometry,
  a: BigInt64Array | BigUint64Array,
  b: BigInt64Array | BigUint64Array,
): bigint[] {
  const { batch, m, n, k, transA, transB } = geo;
  const offsetsA = broadcastOffsets(geo.batchA, batch);
  const offsetsB = broadcastOffsets(geo.batchB, batch);
  const out: bigint[] = [];
  for (let p = 0; p < offsetsA.length; p++) {
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0n;
        for (let q = 0; q < k; q++) {
          const atA = (offsetsA[p] as number) * m * k + (transA ? q * m + i : i * k + q);
          const atB = (offsetsB[p] as number) * k * n + (transB ? j * k + q : q * n + j);
          sum += (a[atA] as bigint) * (b[atB] as bigint);
        }
        out.push(sum);
      }
    }
  }
  return out;
}
