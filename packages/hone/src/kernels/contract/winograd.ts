/**
 * 3×3 convolution of stride 1 by minimal filtering (Winograd): fewer multiplications for a few more
 * additions, and weights that grow by ((m+2)/3)².
 *
 * Tiles of the output are taken in blocks. Per block all workers first transform the input (into the
 * shared workspace v, [point][ic/L][tile][L]), wait for each other, then each takes some output
 * vectors: one matrix product per point, then the output transform and the epilogue. The input's
 * halo reaches to the end of the tile grid, so there is no edge code on the way in.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { Target } from 'hone-runtime/target/types';
import { axis, binary, constant, iadd, imul, index, load } from '../../expr/build.ts';
import { rewriteExpr, substituteAxes } from '../../expr/rewrite.ts';
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
  OUTPUT,
} from '../addressing.ts';
import { forLoop } from '../nest.ts';
import { simplifyAll } from '../simplify-stmts.ts';
import type { Kernel, KernelBuffer, KernelContext } from '../types.ts';
import { constantOf } from './constant.ts';
import { F32_DOT } from './dot.ts';
import {
  accumulateStep,
  ACCUMULATOR,
  accPosition,
  clearTile,
  COLUMN,
  LANE,
  letValue,
  mainOrRest,
  type MicroTile,
  parallelTasks,
  type Place,
  prefetchWeights,
  VECTOR,
} from './micro.ts';
import { packWinograd } from './pack-winograd.ts';
import { bestTile } from './tile.ts';
import { F2, F4, type WinogradMatrices } from './winograd-matrices.ts';

/** Tiles transformed together: their v stays near the cores while the weights pass. */
const BLOCK_TILES = 28;
/** So few tiles are one block: the weights then pass once. */
const SMALL_IMAGE_TILES = 56;
/** Fewer channels than this do not pay for the transforms. */
const MIN_CHANNELS = 16;
const WORKSPACE = 'v';
const POINTS = 'm';
const RESULT = 'o';

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
  // The larger tile quadruples the weights: it pays where many pixels share them.
  return Math.min(oh, ow) >= 26 ? F4 : F2;
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

export function lowerWinograd(
  ctx: KernelContext,
  body: ContractBody,
  spec: ConvSpec,
  w: WinogradMatrices,
): Kernel {
  const { stage, buffers, target } = ctx;
  const { lanes } = target;
  const across = Math.ceil(at(spec.output, 1) / w.m);
  const down = Math.ceil(at(spec.output, 0) / w.m);
  const tiles = across * down;
  const blockTiles = tiles <= SMALL_IMAGE_TILES ? tiles : BLOCK_TILES;
  const blocks = Math.ceil(tiles / blockTiles);
  const vectors = Math.ceil(spec.oc / lanes);
  const tile = bestTile(
    { rows: 1, columns: blockTiles, vectors, k: spec.ic, maxQ: 2, ragged: false },
    target,
  );
  const plan: Plan = { ctx, body, spec, w, lanes, across, tiles, blockTiles, ...tile };
  const output = at(stage.outputs, 0);
  const inBlocks = spec.ic / lanes;
  const whole = Math.floor(blockTiles / tile.tw);
  const rest = blockTiles % tile.tw;
  const passes: Stmt[] = [
    {
      kind: 'block',
      comment: 'input transform',
      body: [
        parallelTasks(
          [
            { name: 'ib', extent: inBlocks },
            { name: 'tile', extent: blockTiles },
          ],
          inputTransform(plan),
        ),
      ],
    },
    { kind: 'barrier' },
    {
      kind: 'block',
      comment: 'products and output transform',
      body: [
        parallelTasks(
          [
            { name: 'og', extent: vectors / tile.q },
            { name: 'part', extent: whole + (rest > 0 ? 1 : 0) },
          ],
          mainOrRest('part', whole, rest, (size) =>
            products(plan, size === 'whole' ? tile.tw : rest),
          ),
        ),
      ],
    },
    { kind: 'barrier' },
  ];
  const stmts = [
    ...clearHalo(output, bufferAt(buffers, output), lanes),
    forLoop('n', 0, spec.batch, 'serial', [forLoop('block', 0, blocks, 'serial', passes)]),
  ];
  const epilogue = flattenLoads(body.epilogue, stage, buffers);
  const list = winogradBuffers(plan, epilogue);
  const fn: LoopFn = {
    name: 'winograd',
    lanes,
    buffers: bufferParams(stage, buffers, list),
    dims: [],
    body: simplifyAll(stmts),
  };
  const saved = ((w.m * w.m * 9) / (w.n * w.n)).toFixed(2);
  return {
    row: `winograd${w.m}_f32_${tile.tw}x${tile.q}`,
    why: `3x3 of stride 1: ${saved} times fewer multiplications than direct`,
    fn,
    buffers: list,
  };
}

interface Plan {
  readonly ctx: KernelContext;
  readonly body: ContractBody;
  readonly spec: ConvSpec;
  readonly w: WinogradMatrices;
  readonly lanes: number;
  readonly across: number;
  readonly tiles: number;
  readonly blockTiles: number;
  readonly tw: number;
  readonly q: number;
}

const vectorLoop = (plan: Plan, body: Stmt): Stmt => forLoop(LANE, 0, plan.lanes, 'vector', [body]);

/** Σ coefficient · term, leaving out zeros and multiplications by ±1. */
function combine(row: readonly number[], term: (i: number) => Expr): Expr {
  let sum: Expr | undefined;
  row.forEach((coefficient, i) => {
    if (coefficient === 0) return;
    const size = Math.abs(coefficient);
    const value = size === 1 ? term(i) : binary('mul', constant('f32', size), term(i));
    if (sum === undefined) {
      sum = coefficient < 0 ? binary('mul', constant('f32', coefficient), term(i)) : value;
    } else sum = binary(coefficient < 0 ? 'sub' : 'add', sum, value);
  });
  return sum ?? constant('f32', 0);
}

/** Names the tile's place: position in all, row and column of its first output. */
function place(plan: Plan, tile: Expr): Stmt[] {
  const { across, tiles, blockTiles, w } = plan;
  const number = iadd(imul(axis('block'), blockTiles), tile);
  // Past the last tile (in the last block) the last one is read again; it is not stored.
  const clamped = binary('min', number, index(tiles - 1));
  return [
    letValue('all', clamped),
    letValue('row', imul(binary('floordiv', axis('all'), index(across)), w.m)),
    letValue('column', imul(binary('mod', axis('all'), index(across)), w.m)),
  ];
}

/** One tile of one channel block: rows, then columns, into v. */
function inputTransform(plan: Plan): Stmt[] {
  const { ctx, spec, w, lanes, blockTiles } = plan;
  const view = at(ctx.stage.operands, 0);
  const buffer = bufferAt(ctx.buffers, view);
  const channel = iadd(imul(axis('ib'), lanes), axis(LANE));
  const slot = (i: number, j: number): Expr => iadd(index((i * w.n + j) * lanes), axis(LANE));
  const stmts: Stmt[] = [
    ...place(plan, axis('tile')),
    { kind: 'alloc', buffer: RESULT, dtype: 'f32', count: w.n * w.n * lanes, space: 'register' },
  ];
  for (let j = 0; j < w.n; j++) {
    const source = (i: number): Expr =>
      load(operandName(0), 'f32', [
        addressOf(buffer, view, [
          axis('n'),
          channel,
          iadd(axis('row'), i - at(spec.padBegin, 0)),
          iadd(axis('column'), j - at(spec.padBegin, 1)),
        ]),
      ]);
    for (let i = 0; i < w.n; i++) {
      const value = combine(at(w.input, i), source);
      stmts.push(vectorLoop(plan, { kind: 'assign', buffer: RESULT, index: slot(i, j), value }));
    }
  }
  const pointSize = spec.ic * blockTiles;
  for (let i = 0; i < w.n; i++) {
    for (let j = 0; j < w.n; j++) {
      const value = combine(at(w.input, j), (k) => load(RESULT, 'f32', [slot(i, k)]));
      const position = iadd(
        imul(axis('ib'), blockTiles * lanes),
        iadd(imul(axis('tile'), lanes), axis(LANE)),
      );
      stmts.push(
        vectorLoop(plan, {
          kind: 'assign',
          buffer: WORKSPACE,
          index: iadd(position, (i * w.n + j) * pointSize),
          value,
        }),
      );
    }
  }
  return stmts;
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
      iadd(imul(axis('point'), spec.ic * blockTiles), imul(axis('ib'), blockTiles * lanes)),
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

/** One tile and output vector: columns, then rows, then the epilogue and the store. */
function outputTransform(plan: Plan, columns: number, tile: Expr): Stmt[] {
  const { ctx, body, spec, w, lanes, q } = plan;
  const { stage, buffers } = ctx;
  const output = at(stage.outputs, 0);
  const address = addressOf(bufferAt(buffers, output), output, body.outIndex);
  const epilogue = flattenLoads(body.epilogue, stage, buffers);
  const held = (i: number, j: number): Expr =>
    load(POINTS, 'f32', [
      iadd(
        imul(iadd(imul(axis(COLUMN), q), axis(VECTOR)), lanes),
        iadd(axis(LANE), (i * w.n + j) * columns * q * lanes),
      ),
    ]);
  const slot = (i: number, j: number): Expr => iadd(index((i * w.n + j) * lanes), axis(LANE));
  const stmts: Stmt[] = [
    ...place(plan, tile),
    { kind: 'alloc', buffer: RESULT, dtype: 'f32', count: w.m * w.n * lanes, space: 'register' },
  ];
  for (let j = 0; j < w.n; j++) {
    for (let i = 0; i < w.m; i++) {
      const value = combine(at(w.output, i), (k) => held(k, j));
      stmts.push(vectorLoop(plan, { kind: 'assign', buffer: RESULT, index: slot(i, j), value }));
    }
  }
  const [oh, ow] = [at(spec.output, 0), at(spec.output, 1)];
  for (let i = 0; i < w.m; i++) {
    for (let j = 0; j < w.m; j++) {
      const value = combine(at(w.output, j), (k) => load(RESULT, 'f32', [slot(i, k)]));
      const [row, column] = [iadd(axis('row'), i), iadd(axis('column'), j)];
      const here = new Map<string, Expr>([
        ['i0', axis('n')],
        ['i1', iadd(imul(iadd(imul(axis('og'), q), axis(VECTOR)), lanes), axis(LANE))],
        ['i2', row],
        ['i3', column],
      ]);
      const store = vectorLoop(plan, {
        kind: 'assign',
        buffer: OUTPUT,
        index: substituteAxes(address, here),
        value: rewriteExpr(substituteAxes(epilogue, here), (node) =>
          node.kind === 'acc' ? value : node,
        ),
      });
      const guards = [
        ...(i > 0 && oh % w.m !== 0 ? [binary('lt', row, index(oh))] : []),
        ...(j > 0 && ow % w.m !== 0 ? [binary('lt', column, index(ow))] : []),
      ];
      stmts.push(guarded(guards, store));
    }
  }
  return plan.tiles % plan.blockTiles === 0 ? stmts : lastBlockGuard(plan, tile, stmts);
}

/** In a last block that is not full, tiles past the end are left out. */
function lastBlockGuard(plan: Plan, tile: Expr, stmts: readonly Stmt[]): Stmt[] {
  const number = iadd(imul(axis('block'), plan.blockTiles), tile);
  return [guarded([binary('lt', number, index(plan.tiles))], ...stmts)];
}

function guarded(conditions: readonly Expr[], ...then: readonly Stmt[]): Stmt {
  const [first, ...more] = conditions;
  if (first === undefined && then.length === 1) return at(then, 0);
  const cond = more.reduce((all, item) => binary('and', all, item), first ?? constant('bool', 1));
  return { kind: 'if', cond, then, else: [] };
}

function winogradBuffers(plan: Plan, epilogue: Expr): KernelBuffer[] {
  const { ctx, spec, w, lanes, q, blockTiles } = plan;
  const weights = bufferAt(ctx.buffers, at(ctx.stage.operands, 1));
  const others = kernelBuffers(ctx.stage, [epilogue]);
  return [
    { kind: 'operand', operand: 0 },
    {
      kind: 'packed',
      operand: 1,
      packing: `winograd${w.m}_q${q}_l${lanes}`,
      pack: () => packWinograd(constantOf(weights), spec, w, lanes, q),
    },
    ...others.filter((item) => item.kind !== 'operand' || item.operand > 1),
    { kind: 'workspace', name: WORKSPACE, dtype: 'f32', count: w.n * w.n * spec.ic * blockTiles },
  ];
}
