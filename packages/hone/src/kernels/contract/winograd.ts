/**
 * 3×3 convolution of stride 1 by minimal filtering (Winograd): fewer multiplications for a few more
 * additions. Weights are transformed when the model is compiled, and grow by ((m+2)/3)²; or late, by
 * the kernel (winograd-late.ts), and stay as large as they are.
 *
 * Tiles of the output are taken in blocks. Per block all workers first transform the input (into the
 * shared workspace v, [point][ic/L][tile][L]), wait for each other, then each takes some output
 * vectors: one matrix product per point, then the output transform and the epilogue. The input's
 * halo reaches to the end of the tile grid, so there is no edge code on the way in.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { Target } from 'hone-runtime/target/types';
import { axis, iadd, imul, load } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { LoopFn, Stmt } from '../../loop/types.ts';
import type { ContractBody, ConvSpec } from '../../stages/types.ts';
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
import type { Bought, Kernel, KernelBuffer, KernelContext } from '../types.ts';
import { constantOf } from './constant.ts';
import { F32_DOT } from './dot.ts';
import {
  accumulateStep,
  ACCUMULATOR,
  accPosition,
  clearTile,
  COLUMN,
  LANE,
  mainOrRest,
  type MicroTile,
  parallelTasks,
  type Place,
  prefetchWeights,
  VECTOR,
} from './micro.ts';
import { packPlain, packWinograd } from './pack-winograd.ts';
import { bestTile } from './tile.ts';
import { lateProducts } from './winograd-late.ts';
import { F2, F4, type WinogradMatrices } from './winograd-matrices.ts';
import {
  inputTransform,
  outputTransform,
  type Plan,
  pointElements,
  POINTS,
  vectorLoop,
  WORKSPACE,
} from './winograd-parts.ts';

/** Tiles transformed together: their v stays near the cores while the weights pass. */
const BLOCK_TILES = 28;
/** So few tiles are one block: the weights then pass once. */
const SMALL_IMAGE_TILES = 56;
/** Fewer channels than this do not pay for the transforms. */
const MIN_CHANNELS = 16;
/** Products of the larger tile, as a share of the smaller one's, up to which it is chosen. */
const MOST_PRODUCTS = 0.7;
/** Fewer large tiles than this leave registers unused. */
const LEAST_LARGE_TILES = 12;
/** Output vectors are all there is to share among workers where weights are transformed late. */
const LATE_TASKS = 8;
/** Of transforming one vector of weights. */
const CYCLES_PER_POINT = 4;

/** The variant for a convolution, or why there is none. */
export function chooseWinograd(spec: ConvSpec, target: Target): WinogradMatrices | string {
  if (spec.group !== 1) return 'grouped';
  if (!spec.kernel.every((k) => k === 3) || spec.kernel.length !== 2) return 'not 3×3';
  if (!spec.stride.every((s) => s === 1)) return 'strided';
  if (!spec.dilation.every((d) => d === 1)) return 'dilated';
  if (Math.min(spec.ic, spec.oc) < MIN_CHANNELS) return 'too few channels';
  if (spec.ic % target.lanes !== 0) return 'channels do not fill blocks';
  const [oh, ow] = [at(spec.output, 0), at(spec.output, 1)];
  if (Math.min(oh, ow) < 6) return 'the image is too small';
  const [large, small] = [tilesOf(spec, F4), tilesOf(spec, F2)];
  // The larger tile costs more additions, accuracy and weights: it has to save a good deal.
  const isWorthIt = large * F4.n ** 2 <= MOST_PRODUCTS * small * F2.n ** 2;
  return large >= LEAST_LARGE_TILES && isWorthIt ? F4 : F2;
}

function tilesOf(spec: ConvSpec, { m }: WinogradMatrices): number {
  return Math.ceil(at(spec.output, 0) / m) * Math.ceil(at(spec.output, 1) / m);
}

/** Rows and columns read beyond the input: top, left, bottom, right, up to the tile grid. */
export function winogradHalo(
  spec: ConvSpec,
  w: WinogradMatrices,
): [number, number, number, number] {
  const beyond = (i: number): number => {
    const tiles = Math.ceil(at(spec.output, i) / w.m);
    return Math.max(0, tiles * w.m + 2 - at(spec.padBegin, i) - at(spec.input, i));
  };
  return [
    Math.max(0, at(spec.padBegin, 0)),
    Math.max(0, at(spec.padBegin, 1)),
    beyond(0),
    beyond(1),
  ];
}

/** When weights are transformed: early, by the compiler, or late, by the kernel as it runs. */
export type TransformTime = 'early' | 'late';

/** Whether the kernel may transform the weights of a convolution itself. */
export function canTransformLate(spec: ConvSpec, target: Target): boolean {
  return Math.ceil(spec.oc / target.lanes) >= LATE_TASKS;
}

export function lowerWinograd(
  ctx: KernelContext,
  body: ContractBody,
  spec: ConvSpec,
  w: WinogradMatrices,
  time: TransformTime,
): Kernel {
  const { stage, buffers, target } = ctx;
  const { lanes } = target;
  const across = Math.ceil(at(spec.output, 1) / w.m);
  const tiles = tilesOf(spec, w);
  const blockTiles = tilesOfBlock(tiles, time);
  const blocks = Math.ceil(tiles / blockTiles);
  const vectors = Math.ceil(spec.oc / lanes);
  const maxQ = time === 'early' ? 2 : 1;
  const tile = bestTile(
    { rows: 1, columns: blockTiles, vectors, k: spec.ic, maxQ, ragged: false },
    target,
  );
  const plan: Plan = { ctx, body, spec, w, lanes, across, tiles, blockTiles, ...tile };
  const output = at(stage.outputs, 0);
  const passes: Stmt[] = [
    {
      kind: 'block',
      comment: 'input transform',
      body: [
        parallelTasks(
          [
            { name: 'ib', extent: spec.ic / lanes },
            { name: 'tile', extent: blockTiles },
          ],
          inputTransform(plan),
        ),
      ],
    },
    { kind: 'barrier' },
    time === 'early' ? earlyProducts(plan, vectors) : lateProducts(plan, vectors),
    { kind: 'barrier' },
  ];
  const stmts = [
    ...clearHalo(output, bufferAt(buffers, output), lanes),
    forLoop('n', 0, spec.batch, 'serial', [forLoop('block', 0, blocks, 'serial', passes)]),
  ];
  const epilogue = flattenLoads(body.epilogue, stage, buffers);
  const list = winogradBuffers(plan, epilogue, time);
  const fn: LoopFn = {
    name: 'winograd',
    lanes,
    buffers: bufferParams(stage, buffers, list),
    dims: [],
    body: simplifyAll(stmts),
  };
  const saved = ((w.m * w.m * 9) / (w.n * w.n)).toFixed(2);
  const also = time === 'early' ? '' : '; it transforms weights as it goes, which keeps them small';
  const bought = time === 'early' && canTransformLate(spec, target) ? boughtBy(plan) : undefined;
  return {
    ...(bought === undefined ? {} : { bought }),
    row: `winograd${w.m}_f32_${tile.tw}x${tile.q}${time === 'early' ? '' : '_late'}`,
    why: `3x3 of stride 1: ${saved} times fewer multiplications than direct${also}`,
    fn,
    buffers: list,
  };
}

/** Early transformed weights: bytes beyond their own, and cycles of transforming them late. */
function boughtBy({ spec, w, lanes, tiles }: Plan): Bought {
  const points = w.n * w.n;
  const vectors = Math.ceil(spec.oc / lanes) * spec.ic;
  const passes = Math.ceil(tiles / tilesOfBlock(tiles, 'late')) * spec.batch;
  return {
    bytes: 4 * vectors * lanes * (points - 9),
    cycles: passes * vectors * points * CYCLES_PER_POINT,
  };
}

function tilesOfBlock(tiles: number, time: TransformTime): number {
  if (tiles <= SMALL_IMAGE_TILES) return tiles;
  if (time === 'early') return BLOCK_TILES;
  // Weights are transformed once for each block: blocks are as large and as equal as may be.
  return Math.ceil(tiles / Math.ceil(tiles / SMALL_IMAGE_TILES));
}

function earlyProducts(plan: Plan, vectors: number): Stmt {
  const { blockTiles, tw, q } = plan;
  const whole = Math.floor(blockTiles / tw);
  const rest = blockTiles % tw;
  return {
    kind: 'block',
    comment: 'products and output transform',
    body: [
      parallelTasks(
        [
          { name: 'og', extent: vectors / q },
          { name: 'part', extent: whole + (rest > 0 ? 1 : 0) },
        ],
        mainOrRest('part', whole, rest, (size) => products(plan, size === 'whole' ? tw : rest)),
      ),
    ],
  };
}

/** All points of some tiles and output vectors, then their output transform. */
function products(plan: Plan, columns: number): Stmt[] {
  const { spec, w, lanes, blockTiles, tw, q } = plan;
  const shape: MicroTile = { th: 1, tw: columns, q, lanes, lastLanes: lanes, dot: F32_DOT };
  const points = w.n * w.n;
  const channel = iadd(imul(axis('ib'), lanes), iadd(axis('c'), axis('cu')));
  const weight: Place = {
    buffer: operandName(1),
    index: iadd(
      imul(iadd(imul(iadd(imul(axis('og'), points), axis('point')), spec.ic), channel), q * lanes),
      iadd(imul(axis(VECTOR), lanes), axis(LANE)),
    ),
  };
  const tile = iadd(imul(axis('part'), tw), axis(COLUMN));
  const input: Place = {
    buffer: WORKSPACE,
    index: iadd(
      iadd(imul(axis('point'), pointElements(plan)), imul(axis('ib'), blockTiles * lanes)),
      iadd(imul(tile, lanes), iadd(axis('c'), axis('cu'))),
    ),
  };
  const keep: Stmt = {
    kind: 'assign',
    buffer: POINTS,
    index: iadd(imul(axis('point'), columns * q * lanes), accPosition(shape)),
    value: load(ACCUMULATOR, 'f32', [accPosition(shape)]),
  };
  return [
    {
      kind: 'alloc',
      buffer: POINTS,
      dtype: 'f32',
      count: points * columns * q * lanes,
      space: 'stack',
    },
    forLoop('point', 0, points, 'serial', [
      ...clearTile(shape),
      forLoop('ib', 0, spec.ic / lanes, 'serial', [
        forLoop(
          'c',
          0,
          lanes,
          'serial',
          [
            forLoop('cu', 0, 4, 'unroll', [
              ...prefetchWeights(shape, weight, 4 * points * spec.ic * spec.oc, plan.ctx.target),
              ...accumulateStep(shape, weight, input),
            ]),
          ],
          4,
        ),
      ]),
      forLoop('ph', 0, 1, 'unroll', [
        forLoop(COLUMN, 0, columns, 'unroll', [
          forLoop(VECTOR, 0, q, 'unroll', [vectorLoop(plan, keep)]),
        ]),
      ]),
    ]),
    forLoop(COLUMN, 0, columns, 'serial', [
      forLoop(VECTOR, 0, q, 'serial', outputTransform(plan, columns, tile)),
    ]),
  ];
}

function winogradBuffers(plan: Plan, epilogue: Expr, time: TransformTime): KernelBuffer[] {
  const { ctx, spec, w, lanes, q } = plan;
  const weights = bufferAt(ctx.buffers, at(ctx.stage.operands, 1));
  const others = kernelBuffers(ctx.stage, [epilogue]);
  const packed =
    time === 'early'
      ? {
          packing: `winograd${w.m}_q${q}_l${lanes}`,
          pack: () => packWinograd(constantOf(weights), spec, w, lanes, q),
        }
      : {
          packing: `winograd_late_q${q}_l${lanes}`,
          pack: () => packPlain(constantOf(weights), spec, lanes, q),
        };
  return [
    { kind: 'operand', operand: 0 },
    { kind: 'packed', operand: 1, ...packed },
    ...others.filter((item) => item.kind !== 'operand' || item.operand > 1),
    { kind: 'workspace', name: WORKSPACE, dtype: 'f32', count: w.n * w.n * pointElements(plan) },
  ];
}
