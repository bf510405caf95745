/**
 * Direct convolution in blocked layouts: input [n][ic/L][h][w][L] with its padding written as a
 * halo (or planar, for the few channels of an image), output [n][oc/L][oh][ow][L], L = lanes.
 *
 * Weights are packed [oc/(L·q)][ic/L][kh][kw][L][q][L] and read front to back. Output channels past
 * `oc` are computed from zero weights and unspecified; input channels past `ic` are never read.
 * Groups: whole blocks per group, or groups that divide a block (packed as a block diagonal).
 */
import { at } from 'hone-runtime/base/diagnostics';
import { axis, iadd, imul, load } from '../../expr/build.ts';
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
import { flattenPointwise } from './flatten.ts';
import {
  accumulateStep,
  clearTile,
  COLUMN,
  LANE,
  mainOrRest,
  type MicroTile,
  parallelTasks,
  prefetchWeights,
  ROW,
  storeTile,
  VECTOR,
} from './micro.ts';
import { packConv } from './pack.ts';
import { rankTiles, type Tile } from './tile.ts';

/** Channels unrolled in the innermost loop. */
const UNROLL = 4;

export function lowerConv(original: KernelContext, full: ContractBody, choice = 0): Kernel {
  const { ctx, spec } = flattenPointwise(original, full);
  const { stage, buffers, target } = ctx;
  const lanes = target.lanes;
  const input = at(stage.operands, 0);
  const inputBuffer = bufferAt(buffers, input);
  const output = at(stage.outputs, 0);
  const outputBuffer = bufferAt(buffers, output);
  const planar = inputBuffer.layout.block === 1;
  const channels = convChannels(spec, lanes, planar);
  const [oh, ow] = [at(spec.output, 0), at(spec.output, 1)];
  const vectors = Math.ceil(spec.oc / lanes);
  const tiles = rankTiles(
    {
      rows: oh,
      columns: ow,
      vectors,
      k: channels.reduction * at(spec.kernel, 0) * at(spec.kernel, 1),
      maxQ: channels.maxQ,
      ...(channels.divisor === undefined ? {} : { divisor: channels.divisor }),
      ragged: false,
    },
    target,
  );
  const tile = at(tiles, Math.min(choice, tiles.length - 1));
  const { th, tw, q } = tile;
  const epilogue = flattenLoads(full.epilogue, stage, buffers);
  const address = addressOf(outputBuffer, output, full.outIndex);
  const micro = (rows: number, columns: number): Stmt[] => {
    const shape: MicroTile = { th: rows, tw: columns, q, lanes, lastLanes: lanes };
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
  const list = convBuffers(ctx, spec, epilogue, q, planar);
  const fn: LoopFn = {
    name: 'conv',
    lanes,
    buffers: bufferParams(stage, buffers, list),
    dims: [],
    body: simplifyAll(body),
  };
  const size = `${th > 1 ? `${th}x` : ''}${tw}x${q}`;
  return {
    row: `conv_f32_${size}${planar ? '_planar' : ''}`,
    why: `cheapest of ${tiles.length} register tiles by the cost model for ${oh}x${ow} pixels, ${vectors} output vectors`,
    fn,
    buffers: list,
  };
}

/** Weights outermost, unless the input dwarfs them: then each input row is read once. */
function taskOrder<T>(spec: ConvSpec, ctx: KernelContext, digits: readonly T[]): readonly T[] {
  const inputBytes = spec.ic * at(spec.input, 0) * at(spec.input, 1) * 4;
  const weightBytes =
    (spec.oc * spec.ic * at(spec.kernel, 0) * at(spec.kernel, 1) * 4) / spec.group;
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
  const { q, lanes } = shape;
  const view = at(stage.operands, 0);
  const buffer = bufferAt(buffers, view);
  const [kh, kw] = [at(spec.kernel, 0), at(spec.kernel, 1)];
  const channels = convChannels(spec, target.lanes, planar);
  const taps = kh * kw;
  const weightBytes = 4 * spec.oc * channels.reduction * taps;
  const groupLength = channels.reduction * taps * q * lanes;
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
    imul(axis('kw'), at(spec.dilation, 1)),
  );
  /** One reduction step at channel `c` of the group's part; `step` counts channel × tap. */
  const body = (channel: Expr, step: Expr): Stmt[] => {
    const place = iadd(imul(axis('og'), groupLength), imul(step, q * lanes));
    const lane = iadd(imul(axis(VECTOR), lanes), axis(LANE));
    const weight = load(operandName(1), 'f32', [iadd(place, lane)]);
    const first = channels.firstChannel(axis('og'), q);
    const x = addressOf(buffer, view, [axis('n'), iadd(first, channel), row, column]);
    return [
      ...prefetchWeights(shape, weight, weightBytes, target),
      ...accumulateStep(shape, weight, load(operandName(0), 'f32', [x])),
    ];
  };
  const overTaps = (inner: readonly Stmt[], mode: 'serial' | 'unroll' = 'serial'): Stmt =>
    forLoop('kh', 0, kh, 'serial', [forLoop('kw', 0, kw, mode, inner)]);
  const tap = iadd(imul(axis('kh'), kw), axis('kw'));
  if (planar) {
    const step = iadd(imul(axis('ic'), taps), tap);
    return [forLoop('ic', 0, channels.reduction, 'serial', [overTaps(body(axis('ic'), step))])];
  }
  const whole = Math.floor(channels.reduction / lanes);
  const rest = channels.reduction % lanes;
  const stmts: Stmt[] = [];
  if (whole > 0) {
    const c = iadd(axis('c'), axis('cu'));
    const step = iadd(imul(iadd(imul(axis('ib'), taps), tap), lanes), c);
    const inner = forLoop(
      'c',
      0,
      lanes,
      'serial',
      [forLoop('cu', 0, UNROLL, 'unroll', body(iadd(imul(axis('ib'), lanes), c), step))],
      UNROLL,
    );
    stmts.push(forLoop('ib', 0, whole, 'serial', [overTaps([inner])]));
  }
  if (rest > 0) {
    const step = iadd(iadd(imul(tap, rest), axis('c')), whole * taps * lanes);
    stmts.push(
      overTaps([forLoop('c', 0, rest, 'serial', body(iadd(axis('c'), whole * lanes), step))]),
    );
  }
  return stmts;
}

function convBuffers(
  ctx: KernelContext,
  spec: ConvSpec,
  epilogue: Expr,
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
      packing: `conv${planar ? '_planar' : ''}_q${q}_l${target.lanes}`,
      pack: () => packConv(constantOf(weights), spec, target.lanes, q, planar),
    },
    ...others.filter((item) => item.kind !== 'operand' || item.operand > 1),
  ];
}
