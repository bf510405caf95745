/**
 * Work of a stage, counted from its body: arithmetic and bytes, independent of how it is lowered.
 *
 * A contraction is 2 · points · reduction extent (its epilogue, a few operations a point, is not
 * counted). Elsewhere every arithmetic node that depends on data counts one per evaluation;
 * casts, selects and index arithmetic count nothing, and neither do routines. Each buffer that is
 * read or written counts once, without padding lanes and halos. Control flow costs what its bodies do:
 * the dearer branch, and as many iterations as are known of, or one.
 */
import { dtypeBytes } from 'hone-runtime/base/dtype';
import { elementCount } from 'hone-runtime/base/tensor';
import { children } from '../expr/rewrite.ts';
import type { Expr } from '../expr/types.ts';
import type { Buffer, ControlBody, LoopForm, Stage, StageBody, StageGraph, View } from './types.ts';

export interface StageCost {
  readonly flops: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

export function stageCost(stage: Stage, buffers: readonly Buffer[]): StageCost {
  if (stage.body.kind === 'control') return controlCost(stage.body.form);
  return {
    flops: bodyFlops(stage.body),
    bytesRead: bytesReadBy(stage.body) ?? bytesOf(stage.operands, buffers),
    bytesWritten: bytesOf(stage.outputs, buffers),
  };
}

function bytesReadBy(body: StageBody): number | undefined {
  return body.kind === 'routine' ? body.bytesRead : undefined;
}

/** Of all stages of a graph. */
export function graphCost({ stages, buffers }: StageGraph): StageCost {
  return stages
    .map((stage) => stageCost(stage, buffers))
    .reduce(
      (sum, cost) => ({
        flops: sum.flops + cost.flops,
        bytesRead: sum.bytesRead + cost.bytesRead,
        bytesWritten: sum.bytesWritten + cost.bytesWritten,
      }),
      { flops: 0, bytesRead: 0, bytesWritten: 0 },
    );
}

/** Iterations to count with; a guard says nothing of them. */
export function expectedTrips({ limit, limitIs }: LoopForm): number {
  return limitIs === 'guard' ? 1 : limit;
}

function controlCost(form: ControlBody['form']): StageCost {
  if (form.kind === 'if') {
    const [yes, no] = [graphCost(form.then), graphCost(form.else)];
    return yes.flops + yes.bytesRead >= no.flops + no.bytesRead ? yes : no;
  }
  const { flops, bytesRead, bytesWritten } = graphCost(form.body);
  const trips = expectedTrips(form);
  return {
    flops: flops * trips,
    bytesRead: bytesRead * trips,
    bytesWritten: bytesWritten * trips,
  };
}

function bodyFlops(body: StageBody): number {
  switch (body.kind) {
    case 'map':
      return elementCount(body.axes) * arithmetic(body.value);
    case 'reduce': {
      const outer = elementCount(body.axes);
      const inner = elementCount(body.reduceAxes);
      const perStep = body.steps.map((step) => arithmetic(step.value) + 1);
      const folded = perStep.reduce((sum, ops) => sum + ops, 0) * outer * inner;
      return folded + arithmetic(body.value) * outer * (body.spans === 'all' ? inner : 1);
    }
    case 'contract':
      return 2 * elementCount(body.axes) * elementCount(body.reduceAxes);
    case 'routine':
    case 'control':
    case 'concat':
    case 'alias':
      return 0;
    default:
      return body satisfies never;
  }
}

function arithmetic(expr: Expr): number {
  return countData(expr).ops;
}

/** Arithmetic on data in an expression, and whether it depends on data at all. */
function countData(expr: Expr): { readonly ops: number; readonly data: boolean } {
  if (expr.kind === 'load' || expr.kind === 'acc') return { ops: 0, data: true };
  if (expr.kind === 'bound') return { ops: 0, data: false };
  let ops = 0;
  let data = false;
  for (const child of children(expr)) {
    const inner = countData(child);
    ops += inner.ops;
    data ||= inner.data;
  }
  const counts = data && (expr.kind === 'unary' || expr.kind === 'binary');
  return { ops: counts ? ops + 1 : ops, data };
}

/** A region counts with its own size; the same view twice counts once. */
function bytesOf(views: readonly View[], buffers: readonly Buffer[]): number {
  const seen = new Set<string>();
  let bytes = 0;
  for (const { buffer: id, shape, offset } of views) {
    const key = offset === undefined ? `${id}` : `${id} [${shape}] at [${offset}]`;
    const buffer = buffers[id];
    if (seen.has(key) || buffer === undefined) continue;
    seen.add(key);
    bytes += elementCount(shape) * dtypeBytes(buffer.dtype);
  }
  return bytes;
}
