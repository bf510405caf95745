/**
 * Direct convolution in blocked layouts: input [n][ic/L][h][w][L] with its padding written as a
 * halo (or planar, for the few channels of an image), output [n][oc/L][oh][ow][L], L = lanes.
 *
 * A step of the reduction takes g neighbouring channels (planar: columns), as the operands' type has
 * it (dot.ts). Weights are packed [oc/(L·q)][ic/L][kh][kw][L/g][q][L][g] and read front to back. Output
 * channels past `oc` are computed from zero weights and unspecified; input channels past `ic` are
 * read by steps of integers only, times zero.
 * Groups: whole blocks per group, or groups that divide a block (packed as a block diagonal).
 */
import { at } from 'hone-runtime/base/diagnostics';
import { dtypeBytes } from 'hone-runtime/base/dtype';
import type { Target } from 'hone-runtime/target/types';
import { axis, iadd, imul } from '../../expr/build.ts';
import { substituteAxes } from '../../expr/rewrite.ts';
import type { Expr } from '../../expr/types.ts';
import type { LoopFn, Stmt } from '../../loop/types.ts';
import type { ContractBody, ConvSpec } from '../../stages/types.ts';
import { addressOf } from '../access.ts';
import {
  bufferAt,
  bufferParams,
  clearHalo,
  flattenLoads,
  kernelBuffers,
  operandName,
} from '../addressing.ts';
import { forLoop } from '../nest.ts';
import { simplifyAll } from '../simplify-stmts.ts';
import type { Kernel, KernelBuffer, KernelContext } from '../types.ts';
import { convChannels } from './conv-channels.ts';
import { constantOf } from './constant.ts';
import { chooseDot, type Dot, exactDot, type OperandForm, singleDot } from './dot.ts';
import { flattenPointwise } from './flatten.ts';
import {
  accumulateStep,
  clearTile,
  COLUMN,
  LANE,
  mainOrRest,
  type MicroTile,
  parallelTasks,
  type Place,
  prefetchWeights,
  ROW,
  storeTile,
  VECTOR,
} from './micro.ts';
import { convSteps, packConv } from './pack.ts';
import { rankTiles, type Tile } from './tile.ts';

/**
 * Steps unrolled in the innermost loop. Not where steps are instructions: clang would load the data
 * of all of them first, and spill it.
 */
const UNROLL = 4;

export function lowerConv(
  original: KernelContext,
  full: ContractBody,
  form: OperandForm,
  choice = 0,
): Kernel {
  const { ctx, spec } = flattenPointwise(original, full);
  const { stage, buffers, target } = ctx;
  const lanes = target.lanes;
  const input = at(stage.operands, 0);
  const inputBuffer = bufferAt(buffers, input);
  const output = at(stage.outputs, 0);
  const outputBuffer = bufferAt(buffers, output);
  const planar = inputBuffer.layout.block === 1;
  const channels = convChannels(spec, lanes, planar);
  const weights = constantOf(bufferAt(buffers, at(stage.operands, 1)));
  const dot = exactDot(convDot(form, spec, channels.reduction, target, planar), weights);
  const [oh, ow] = [at(spec.output, 0), at(spec.output, 1)];
  const vectors = Math.ceil(spec.oc / lanes);
  const tiles = rankTiles(
    {
      rows: oh,
      columns: ow,
      vectors,
      k: convSteps(spec, channels.reduction, lanes, planar, dot.group),
      maxQ: channels.maxQ,
      ...(channels.divisor === undefined ? {} : { divisor: channels.divisor }),
      ragged: false,
      ops: dot.ops ?? 1,
      registers: dot.registers ?? 1,
    },
    target,
  );
  const tile = at(tiles, Math.min(choice, tiles.length - 1));
  const { th, tw, q } = tile;
  const epilogue = flattenLoads(full.epilogue, stage, buffers);
  const address = addressOf(outputBuffer, output, full.outIndex);
  const micro = (rows: number, columns: number): Stmt[] => {
    const shape: MicroTile = { th: rows, tw: columns, q, lanes, lastLanes: lanes, dot };
    const here = new Map<string, Expr>([
      ['i0', axis('n')],
      ['i1', iadd(imul(iadd(imul(axis('og'), q), axis(VECTOR)), lanes), axis(LANE))],
      ['i2', iadd(imul(axis('rt'), th), axis(ROW))],
      ['i3', iadd(imul(axis('ct'), tw), axis(COLUMN))],
    ]);
    return [
      ...clearTile(shape),
      ...reduction(ctx, spec, shape, tile, planar),
      ...storeTile(shape, substituteAxes(address, here), substituteAxes(epilogue, here)),
    ];
  };
  const digits = taskOrder(spec, ctx, [
    { name: 'og', extent: vectors / q },
    { name: 'n', extent: spec.batch },
    { name: 'rt', extent: Math.ceil(oh / th) },
    { name: 'ct', extent: Math.ceil(ow / tw) },
  ]);
  const body = [
    ...clearHalo(output, outputBuffer, lanes),
    parallelTasks(
      digits,
      mainOrRest('rt', Math.floor(oh / th), oh % th, (rows) =>
        mainOrRest('ct', Math.floor(ow / tw), ow % tw, (columns) =>
          micro(rows === 'whole' ? th : oh % th, columns === 'whole' ? tw : ow % tw),
        ),
      ),
    ),
  ];
  const list = convBuffers(ctx, spec, epilogue, dot, q, planar);
  const fn: LoopFn = {
    name: 'conv',
    lanes,
    buffers: bufferParams(stage, buffers, list),
    dims: [],
    body: simplifyAll(body),
  };
  const size = `${th > 1 ? `${th}x` : ''}${tw}x${q}`;
  return {
    row: `conv_${dot.name}_${size}${planar ? '_planar' : ''}`,
    why: `cheapest of ${tiles.length} register tiles by the cost model for ${oh}x${ow} pixels, ${vectors} output vectors`,
    fn,
    buffers: list,
  };
}

/** A step takes neighbouring channels, or in a planar image neighbouring columns. */
function convDot(
  form: OperandForm,
  spec: ConvSpec,
  channels: number,
  target: Target,
  planar: boolean,
): Dot {
  const dot = chooseDot(form, target);
  // Lanes past the last channel may hold anything; times zero that is zero for integers only.
  const overhangs = !planar && (channels % target.lanes) % dot.group !== 0;
  const skips = planar && dilated(spec);
  return skips || (overhangs && dot.acc === 'f32') ? singleDot(dot) : dot;
}

/** Weights outermost, unless the input dwarfs them: then each input row is read once. */
function taskOrder<T>(spec: ConvSpec, ctx: KernelContext, digits: readonly T[]): readonly T[] {
  const [data, weights] = [0, 1].map((k) =>
    dtypeBytes(bufferAt(ctx.buffers, at(ctx.stage.operands, k)).dtype),
  );
  const inputBytes = spec.ic * at(spec.input, 0) * at(spec.input, 1) * (data ?? 4);
  const taps = at(spec.kernel, 0) * at(spec.kernel, 1);
  const weightBytes = (spec.oc * spec.ic * taps * (weights ?? 4)) / spec.group;
  const { l2Bytes } = ctx.target;
  const pixelsFirst = inputBytes > l2Bytes / 2 && weightBytes < l2Bytes / 4;
  const [og, ...pixels] = digits;
  return pixelsFirst && og !== undefined ? [...pixels, og] : digits;
}

function reduction(
  ctx: KernelContext,
  spec: ConvSpec,
  shape: MicroTile,
  tile: Tile,
  planar: boolean,
): Stmt[] {
  const { stage, buffers, target } = ctx;
  const { q, lanes, dot } = shape;
  const { group } = dot;
  const view = at(stage.operands, 0);
  const buffer = bufferAt(buffers, view);
  const [kh, kw] = [at(spec.kernel, 0), at(spec.kernel, 1)];
  const channels = convChannels(spec, target.lanes, planar);
  const taps = kh * kw;
  const weightBytes = dtypeBytes(dot.weights) * spec.oc * channels.reduction * taps;
  const stepLength = q * lanes * group;
  const groupLength = convSteps(spec, channels.reduction, lanes, planar, group) * stepLength;
  const row = iadd(
    iadd(
      imul(iadd(imul(axis('rt'), tile.th), axis(ROW)), at(spec.stride, 0)),
      -at(spec.padBegin, 0),
    ),
    imul(axis('kh'), at(spec.dilation, 0)),
  );
  const column = iadd(
    iadd(
      imul(iadd(imul(axis('ct'), tile.tw), axis(COLUMN)), at(spec.stride, 1)),
      -at(spec.padBegin, 1),
    ),
    imul(axis('kw'), planar && !dilated(spec) ? group : at(spec.dilation, 1)),
  );
  /** The step-th step of the reduction, from channel `channel` of the group's part on. */
  const body = (channel: Expr, step: Expr): Stmt[] => {
    const lane = imul(iadd(imul(axis(VECTOR), lanes), axis(LANE)), group);
    const place = iadd(imul(axis('og'), groupLength), imul(step, stepLength));
    const weight: Place = { buffer: operandName(1), index: iadd(place, lane) };
    const first = channels.firstChannel(axis('og'), q);
    const x = addressOf(buffer, view, [axis('n'), iadd(first, channel), row, column]);
    return [
      ...prefetchWeights(shape, weight, weightBytes, target),
      ...accumulateStep(shape, weight, { buffer: operandName(0), index: x }),
    ];
  };
  const overTaps = (columns: number, inner: readonly Stmt[]): Stmt =>
    forLoop('kh', 0, kh, 'serial', [forLoop('kw', 0, columns, 'serial', inner)]);
  if (planar) {
    const columns = dilated(spec) ? kw : Math.ceil(kw / group);
    const tap = iadd(imul(axis('kh'), columns), axis('kw'));
    const step = iadd(imul(axis('ic'), kh * columns), tap);
    const inner = overTaps(columns, body(axis('ic'), step));
    return [forLoop('ic', 0, channels.reduction, 'serial', [inner])];
  }
  const tap = iadd(imul(axis('kh'), kw), axis('kw'));
  const whole = Math.floor(channels.reduction / lanes);
  const rest = channels.reduction % lanes;
  const perBlock = lanes / group;
  const stmts: Stmt[] = [];
  if (whole > 0) {
    const c = iadd(axis('c'), axis('cu'));
    const step = iadd(imul(iadd(imul(axis('ib'), taps), tap), perBlock), c);
    const channel = iadd(imul(axis('ib'), lanes), imul(c, group));
    const unroll = dot.instr === undefined ? UNROLL : 1;
    const unrolled = forLoop('cu', 0, unroll, 'unroll', body(channel, step));
    const inner = forLoop('c', 0, perBlock, 'serial', [unrolled], unroll);
    stmts.push(forLoop('ib', 0, whole, 'serial', [overTaps(kw, [inner])]));
  }
  if (rest > 0) {
    const steps = Math.ceil(rest / group);
    const step = iadd(iadd(imul(tap, steps), axis('c')), whole * taps * perBlock);
    const channel = iadd(imul(axis('c'), group), whole * lanes);
    stmts.push(overTaps(kw, [forLoop('c', 0, steps, 'serial', body(channel, step))]));
  }
  return stmts;
}

function dilated(spec: ConvSpec): boolean {
  return at(spec.dilation, 1) !== 1;
}

function convBuffers(
  ctx: KernelContext,
  spec: ConvSpec,
  epilogue: Expr,
  dot: Dot,
  q: number,
  planar: boolean,
): KernelBuffer[] {
  const { stage, buffers, target } = ctx;
  const weights = bufferAt(buffers, at(stage.operands, 1));
  const others = kernelBuffers(stage, [epilogue]);
  return [
    { kind: 'operand', operand: 0 },
    {
      kind: 'packed',
      operand: 1,
      packing: `conv${planar ? '_planar' : ''}_q${q}_l${target.lanes}_g${dot.group}`,
      pack: () => packConv(constantOf(weights), spec, target.lanes, q, planar, dot.group),
    },
    ...others.filter((item) => item.kind !== 'operand' || item.operand > 1),
  ];
}
