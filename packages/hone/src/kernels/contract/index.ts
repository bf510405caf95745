/**
 * Contractions: chooses the row of the kernel table. Every contraction has the naive row (a sum of
 * products as a reduction); convolutions and matrix products have fast rows where they fit.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { Target } from 'hone-runtime/target/types';
import { binary } from '../../expr/build.ts';
import { visitExpr } from '../../expr/rewrite.ts';
import type { Expr } from '../../expr/types.ts';
import type { Buffer, ContractBody, ConvSpec, ReduceBody, Stage } from '../../stages/types.ts';
import { lowerReduce } from '../reduce.ts';
import type { Kernel, KernelContext } from '../types.ts';
import { lowerConv } from './conv.ts';
import { whyNotGrouped } from './conv-channels.ts';
import { lowerDepthwise } from './depthwise.ts';
import { lowerMatMul, planMatMul } from './matmul.ts';
import { chooseWinograd, lowerWinograd, winogradHalo } from './winograd.ts';

export interface ContractOptions {
  /** Only the naive row (for tests and comparison). */
  readonly naive?: boolean;
  /** No minimal filtering: convolutions multiply as they are written. */
  readonly direct?: boolean;
  /** Rank of the register tile in the cost model's order; 0 is the cheapest. */
  readonly choice?: number;
}

export function lowerContract(
  ctx: KernelContext,
  body: ContractBody,
  options: ContractOptions = {},
): Kernel {
  if (options.naive !== true) {
    if (body.spec.kind === 'conv') {
      const reason = whyNotBlocked(ctx.stage, ctx.buffers, body, body.spec, ctx.target);
      if (reason === null && isLaidOut(ctx, body.spec)) {
        if (isDepthwise(body.spec)) return lowerDepthwise(ctx, body, body.spec);
        const fast = chooseWinograd(body.spec, ctx.target);
        if (typeof fast !== 'string' && options.direct !== true) {
          return lowerWinograd(ctx, body, body.spec, fast);
        }
        return lowerConv(ctx, body, options.choice);
      }
      return lowerNaive(ctx, body, reason ?? 'its buffers could not be laid out in blocks');
    }
    if (body.spec.kind === 'matmul') {
      const plan = planMatMul(ctx, body);
      if (typeof plan !== 'string') return lowerMatMul(ctx, body, plan);
      return lowerNaive(ctx, body, plan);
    }
  }
  return lowerNaive(ctx, body, 'no faster row for this form');
}

/** The sum of products as a plain reduction. */
export function lowerNaive(ctx: KernelContext, body: ContractBody, why: string): Kernel {
  const reduce: ReduceBody = {
    kind: 'reduce',
    axes: body.axes,
    reduceAxes: body.reduceAxes,
    steps: [{ op: 'sum', value: binary('mul', body.a, body.b), dtype: body.accDtype }],
    spans: 'outer',
    outIndex: body.outIndex,
    value: body.epilogue,
  };
  return { ...lowerReduce(ctx, reduce, 'contract'), why };
}

export function isDepthwise(spec: ConvSpec): boolean {
  return spec.group > 1 && spec.group === spec.ic && spec.ic === spec.oc;
}

/** Few input channels of a plain image: read planar rather than padded to a block. */
export function readsPlanar(spec: ConvSpec, target: Target): boolean {
  return spec.group === 1 && spec.ic <= 4 && spec.ic < target.lanes;
}

/** Why a convolution cannot use the blocked rows whatever its layouts, or null. */
export function whyNotBlocked(
  stage: Stage,
  buffers: readonly Buffer[],
  body: ContractBody,
  spec: ConvSpec,
  target: Target,
): string | null {
  if (spec.kernel.length !== 2) return `${spec.kernel.length} spatial axes`;
  if (body.accDtype !== 'f32') return `accumulates in ${body.accDtype}`;
  const grouped = isDepthwise(spec) ? null : whyNotGrouped(spec, target.lanes);
  if (grouped !== null) return grouped;
  const [input, weights] = [at(stage.operands, 0), at(stage.operands, 1)];
  const output = at(stage.outputs, 0);
  for (const view of [input, weights, output]) {
    const buffer = at(buffers, view.buffer);
    if (buffer.dtype !== 'f32') return `${buffer.name} is ${buffer.dtype}`;
  }
  if (at(buffers, weights.buffer).constant === undefined) return 'the weights are not constant';
  if (weights.offset !== undefined) return 'the weights are a region';
  if (!body.outIndex.every((expr, i) => expr.kind === 'axis' && expr.name === `i${i}`)) {
    return 'the output is written in another order';
  }
  return whyNotEpilogue(stage, buffers, body.epilogue, output.shape);
}

/** Epilogue operands must be images of the output's shape, or one value per channel or in all. */
function whyNotEpilogue(
  stage: Stage,
  buffers: readonly Buffer[],
  epilogue: Expr,
  shape: readonly number[],
): string | null {
  let reason: string | null = null;
  visitExpr(epilogue, (node) => {
    if (node.kind === 'axis') return;
    if (node.kind !== 'load' || reason !== null) return;
    const view = at(stage.operands, Number(node.source));
    const buffer = at(buffers, view.buffer);
    const isImage = view.shape.length === 4 && view.shape.every((extent, i) => extent === shape[i]);
    const names = node.index.flatMap((expr) => (expr.kind === 'axis' ? [expr.name] : []));
    if (isImage) return;
    if (names.every((name) => name === 'i1') && buffer.role === 'constant') return;
    if (names.length === 0) return;
    const perChannel = view.shape.length === 4 && view.shape[2] === 1 && view.shape[3] === 1;
    // Lanes past the last channel are read too: only our own buffers have room behind them.
    if (perChannel && buffer.role === 'temp') return;
    reason = `operand ${buffer.name} of the epilogue is neither an image nor per channel`;
  });
  return reason;
}

/** Are the buffers in the layouts the blocked rows need? */
function isLaidOut(ctx: KernelContext, spec: ConvSpec): boolean {
  const { stage, buffers, target } = ctx;
  const output = at(buffers, at(stage.outputs, 0).buffer);
  const input = at(buffers, at(stage.operands, 0).buffer);
  const wanted = readsPlanar(spec, target) ? 1 : target.lanes;
  if (output.layout.block !== target.lanes || input.layout.block !== wanted) return false;
  const need = haloNeeded(spec, target);
  return need.every((width, i) => at(input.layout.halo, i) >= width);
}

/** Rows and columns a convolution's kernel reads beyond its input: top, left, bottom, right. */
export function haloNeeded(spec: ConvSpec, target: Target): [number, number, number, number] {
  const fast = isDepthwise(spec) ? 'depthwise' : chooseWinograd(spec, target);
  if (typeof fast !== 'string') return winogradHalo(spec, fast);
  const beyond = (i: number): number =>
    Math.max(
      0,
      (at(spec.output, i) - 1) * at(spec.stride, i) +
        (at(spec.kernel, i) - 1) * at(spec.dilation, i) -
        at(spec.padBegin, i) -
        (at(spec.input, i) - 1),
    );
  return [
    Math.max(0, at(spec.padBegin, 0)),
    Math.max(0, at(spec.padBegin, 1)),
    beyond(0),
    beyond(1),
  ];
}
