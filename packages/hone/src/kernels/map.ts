/**
 * Lowers a map stage: loops in the output's memory order, merged where every operand is walked
 * alike, so that plain element-wise work becomes one flat loop a C compiler vectorises.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { load } from '../expr/build.ts';
import type { Expr } from '../expr/types.ts';
import type { LoopFn, Stmt } from '../loop/types.ts';
import type { MapBody } from '../stages/types.ts';
import { addressOf } from './access.ts';
import {
  bufferAt,
  bufferParams,
  clearHalo,
  firstChannelOf,
  flattenLoads,
  hasPaddedLanes,
  intoLoops,
  kernelBuffers,
  OUTPUT,
  ownsPadding,
  outputAxes,
} from './addressing.ts';
import { simplifyAll } from './simplify-stmts.ts';
import { dropUnitAxes, mergeAxes, nestLoops } from './nest.ts';
import type { Kernel, KernelContext } from './types.ts';

export function lowerMap(ctx: KernelContext, body: MapBody): Kernel {
  const { stage, buffers, target } = ctx;
  const output = at(stage.outputs, 0);
  const buffer = bufferAt(buffers, output);
  const channel = body.outIndex[1];
  const fullLanes =
    channel?.kind === 'axis' &&
    ownsPadding(output, buffer) &&
    hasPaddedLanes([body.value], channel.name, stage, buffers, buffer.layout.block);
  const { axes, by } = outputAxes(
    body.axes,
    body.outIndex,
    buffer,
    fullLanes,
    firstChannelOf(output),
  );
  const value = flattenLoads(body.value, stage, buffers);
  const address = addressOf(buffer, output, body.outIndex);
  // The store travels as a load so that merging treats its address like the operands'.
  const store = load(OUTPUT, buffer.dtype, [address]);
  const limits = axes.flatMap((a) => (a.limit === undefined ? [] : [a.limit]));
  const start = [intoLoops(value, by), intoLoops(store, by), ...limits];
  const loops = settle(axes, start);
  const [finalValue, finalStore] = loops.exprs;
  const assign: Stmt = {
    kind: 'assign',
    buffer: OUTPUT,
    index: addressIn(
      at(
        [finalStore].filter((e) => e !== undefined),
        0,
      ),
    ),
    value: at(
      [finalValue].filter((e) => e !== undefined),
      0,
    ),
  };
  const list = kernelBuffers(stage, [value]);
  const isEmpty = axes.some((a) => a.extent === 0);
  const fn: LoopFn = {
    name: 'map',
    lanes: target.lanes,
    buffers: bufferParams(stage, buffers, list),
    dims: [],
    body: isEmpty
      ? []
      : simplifyAll([
          ...clearHalo(output, buffer, target.lanes),
          ...nestLoops(loops.axes, [assign]),
        ]),
  };
  return { row: 'map', why: 'element-wise or data movement', fn, buffers: list };
}

/** Unit axes dropped, neighbours merged. */
function settle(
  axes: Parameters<typeof dropUnitAxes>[0],
  exprs: readonly Expr[],
): ReturnType<typeof dropUnitAxes> {
  const limited = dropUnitAxes(axes, exprs);
  // dropUnitAxes may replace the block axis a limit refers to; take the rewritten limits.
  const tail = limited.exprs.slice(2);
  let next = 0;
  const fixed = limited.axes.map((a) => {
    if (a.limit === undefined) return a;
    const limit = tail[next++];
    return limit === undefined ? a : { ...a, limit };
  });
  return mergeAxes(fixed, limited.exprs);
}

function addressIn(expr: Expr): Expr {
  if (expr.kind !== 'load') throw new TypeError('the store is a load');
  return at(expr.index, 0);
}
