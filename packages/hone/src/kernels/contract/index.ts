/**
 * Contractions: chooses the row of the kernel table. Every contraction has the naive row (a sum of
 * products as a reduction); convolutions and matrix products have fast rows where they fit.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import type { Target } from 'hone-runtime/target/types';
import { binary } from '../../expr/build.ts';
import { visitExpr } from '../../expr/rewrite.ts';
import type { Expr } from '../../expr/types.ts';
import type { Buffer, ContractBody, ConvSpec, ReduceBody, Stage } from '../../stages/types.ts';
import { lowerReduce } from '../reduce.ts';
import type { Kernel, KernelContext } from '../types.ts';
import { lowerBlockwise, planBlockwise } from './blockwise.ts';
import { lowerConv } from './conv.ts';
import { whyNotGrouped } from './conv-channels.ts';
import { lowerDepthwise } from './depthwise.ts';
import { chooseDot, depthwiseDot, operandForm } from './dot.ts';
import { lowerMatMul, planMatMul } from './matmul.ts';
import {
  canTransformLate,
  chooseWinograd,
  lowerWinograd,
  type TransformTime,
  winogradHalo,
} from './winograd.ts';
import type { WinogradMatrices } from './winograd-matrices.ts';

export interface ContractOptions {
  /** Only the naive row (for tests and comparison). */
  readonly naive?: boolean;
  /** No minimal filtering: convolutions multiply as they are written. */
  readonly direct?: boolean;
  /** When weights of minimal filtering are transformed, where there is a choice; default: early. */
  readonly transform?: TransformTime;
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
      if (reason === null && isLaidOut(ctx, body, body.spec)) {
        const form = operandForm(body);
        if (typeof form === 'string') return lowerNaive(ctx, body, form);
        if (isDepthwise(body.spec)) return lowerDepthwise(ctx, body, body.spec, form);
        const fast = minimalFiltering(body, body.spec, ctx.target);
        if (typeof fast !== 'string' && options.direct !== true) {
          const { transform = 'early' } = options;
          const time = canTransformLate(body.spec, ctx.target) ? transform : 'early';
          return lowerWinograd(ctx, body, body.spec, fast, time);
        }
        return lowerConv(ctx, body, form, options.choice);
      }
      return lowerNaive(ctx, body, reason ?? 'its buffers could not be laid out in blocks');
    }
    if (body.spec.kind === 'matmul' && !isEmpty(at(ctx.stage.outputs, 0).shape)) {
      const plan = planMatMul(ctx, body);
      if (typeof plan !== 'string') return lowerMatMul(ctx, body, plan);
      return lowerNaive(ctx, body, plan);
    }
    if (body.spec.kind === 'blockwise') {
      const plan = planBlockwise(ctx, body, body.spec);
      if (typeof plan !== 'string') return lowerBlockwise(ctx, body, plan);
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

function isEmpty(shape: readonly number[]): boolean {
  return shape.includes(0);
}

export function isDepthwise(spec: ConvSpec): boolean {
  return spec.group > 1 && spec.group === spec.ic && spec.ic === spec.oc;
}

/** Minimal filtering is for f32: narrow types have no room for its transforms. */
function minimalFiltering(
  body: ContractBody,
  spec: ConvSpec,
  target: Target,
): WinogradMatrices | string {
  const form = operandForm(body);
  if (typeof form === 'string') return form;
  return form.data === 'f32' ? chooseWinograd(spec, target) : `multiplies ${form.data}`;
}

/** Few input channels of a plain image: read planar rather than padded to a block. */
export function readsPlanar(spec: ConvSpec, target: Target): boolean {
  return spec.group === 1 && spec.ic <= 4 && spec.ic < target.lanes;
}

/** What lanes of 32 bits can be stored as. */
const STORED: readonly DType[] = ['f32', 'bf16', 'f16', 'u8', 'i8', 'i32'];

/** Why a convolution cannot use the blocked rows whatever its layouts, or null. */
export function whyNotBlocked(
  stage: Stage,
  buffers: readonly Buffer[],
  body: ContractBody,
  spec: ConvSpec,
  target: Target,
): string | null {
  if (spec.kernel.length !== 2) return `${spec.kernel.length} spatial axes`;
  const form = operandForm(body);
  if (typeof form === 'string') return form;
  if (form.data === 'f64') return 'convolutions have no blocked row in f64';
  const grouped = isDepthwise(spec) ? null : whyNotGrouped(spec, target.lanes);
  if (grouped !== null) return grouped;
  const weights = at(stage.operands, 1);
  const output = at(stage.outputs, 0);
  if (isEmpty(output.shape)) return 'the output is empty';
  const { name, dtype } = at(buffers, output.buffer);
  if (!STORED.includes(dtype)) return `${name} is ${dtype}`;
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
function isLaidOut(ctx: KernelContext, body: ContractBody, spec: ConvSpec): boolean {
  const { stage, buffers, target } = ctx;
  const output = at(buffers, at(stage.outputs, 0).buffer);
  const input = at(buffers, at(stage.operands, 0).buffer);
  const wanted = readsPlanar(spec, target) ? 1 : target.lanes;
  if (output.layout.block !== target.lanes || input.layout.block !== wanted) return false;
  const need = haloNeeded(body, spec, target);
  if (need.some((width) => width > 0) && (input.layout.fill ?? 0) !== outsideOf(body)) return false;
  return need.every((width, i) => at(input.layout.halo, i) >= width);
}

/** What a convolution reads beside its image: 0, or the zero point of quantised data. */
export function outsideOf(body: ContractBody): number {
  const form = operandForm(body);
  return typeof form === 'string' ? 0 : form.outside;
}

/** Rows and columns a convolution's kernel reads beyond its input: top, left, bottom, right. */
export function haloNeeded(
  body: ContractBody,
  spec: ConvSpec,
  target: Target,
): [number, number, number, number] {
  const fast = isDepthwise(spec) ? 'depthwise' : minimalFiltering(body, spec, target);
  if (typeof fast !== 'string') return winogradHalo(spec, fast);
  const kernel = [at(spec.kernel, 0), columnsRead(body, spec, target)];
  const beyond = (i: number): number =>
    Math.max(
      0,
      (at(spec.output, i) - 1) * at(spec.stride, i) +
        (at(kernel, i) - 1) * at(spec.dilation, i) -
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

/** Columns of the kernel, rounded up to whole steps where steps run along them. */
function columnsRead(body: ContractBody, spec: ConvSpec, target: Target): number {
  const kw = at(spec.kernel, 1);
  const form = operandForm(body);
  if (typeof form === 'string') return kw;
  if (isDepthwise(spec)) {
    const { group } = depthwiseDot(form, at(spec.dilation, 1), target);
    return Math.ceil(kw / group) * group;
  }
  if (!readsPlanar(spec, target)) return kw;
  const { group } = chooseDot(form, target);
  return at(spec.dilation, 1) === 1 ? Math.ceil(kw / group) * group : kw;
}
