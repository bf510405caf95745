/**
 * The micro-kernel shared by convolutions and matrix products, as loop statements: a register tile
 * of pixels × vectors is cleared, summed over the reduction (weights in vectors, input broadcast),
 * and written through the epilogue.
 */
import { type DType, dtypeBytes } from 'hone-runtime/base/dtype';
import { axis, binary, cast, constant, iadd, imul, index, load } from '../../expr/build.ts';
import type { Target } from 'hone-runtime/target/types';
import { rewriteExpr, substituteAxes } from '../../expr/rewrite.ts';
import type { Expr } from '../../expr/types.ts';
import type { Stmt } from '../../loop/types.ts';
import { OUTPUT } from '../addressing.ts';
import { forLoop } from '../nest.ts';
import type { Dot } from './dot.ts';

/** Names of the tile's own axes. */
export const ROW = 'ph';
export const COLUMN = 'pw';
export const VECTOR = 'j';
export const LANE = 'l';

export interface MicroTile {
  readonly th: number;
  readonly tw: number;
  readonly q: number;
  readonly lanes: number;
  /** Lanes of the last vector that exist; others are computed and not stored. */
  readonly lastLanes: number;
  readonly dot: Dot;
}

/** The accumulators' register buffer. */
export const ACCUMULATOR = 'acc';
const WEIGHTS = 'wv';

/** A position in a loop buffer. */
export interface Place {
  readonly buffer: string;
  readonly index: Expr;
}

function vector(tile: MicroTile, body: Stmt): Stmt {
  return forLoop(LANE, 0, tile.lanes, 'vector', [body]);
}

function overVectors(from: number, to: number, body: Stmt): Stmt {
  return forLoop(VECTOR, from, to, 'unroll', [body]);
}

function overPixels(tile: MicroTile, body: Stmt): Stmt {
  return forLoop(ROW, 0, tile.th, 'unroll', [forLoop(COLUMN, 0, tile.tw, 'unroll', [body])]);
}

/** Position of this pixel's and vector's accumulator lane. */
export function accPosition(tile: MicroTile): Expr {
  const pixel = iadd(imul(axis(ROW), tile.tw), axis(COLUMN));
  const register = iadd(imul(pixel, tile.q), axis(VECTOR));
  return iadd(imul(register, tile.lanes), axis(LANE));
}

/** Declares and clears the accumulators. */
export function clearTile(tile: MicroTile): Stmt[] {
  const { acc } = tile.dot;
  return [
    {
      kind: 'alloc',
      buffer: ACCUMULATOR,
      dtype: acc,
      count: tile.th * tile.tw * tile.q * tile.lanes,
      space: 'register',
    },
    overPixels(
      tile,
      overVectors(
        0,
        tile.q,
        vector(tile, {
          kind: 'assign',
          buffer: ACCUMULATOR,
          index: accPosition(tile),
          value: constant(acc, 0),
        }),
      ),
    ),
  ];
}

/** Weights beyond the second cache arrive late unless they are asked for this far ahead. */
const PREFETCH_BYTES = 3072;

/** Asks for the weights of a later step, where a layer's weights are more than a cache holds. */
export function prefetchWeights(
  tile: MicroTile,
  weight: Place,
  weightBytes: number,
  target: Target,
): Stmt[] {
  if (weightBytes <= target.l2Bytes / 2) return [];
  const ahead = PREFETCH_BYTES / dtypeBytes(tile.dot.weights);
  return [
    overVectors(0, tile.q, {
      kind: 'prefetch',
      buffer: weight.buffer,
      index: iadd(firstLane(weight.index), ahead),
    }),
  ];
}

function firstLane(position: Expr): Expr {
  return substituteAxes(position, new Map([[LANE, index(0)]]));
}

/**
 * One step of the reduction: acc += weights · data. `weight` is a position in terms of VECTOR and
 * LANE, `data` one in terms of ROW and COLUMN (and LANE for depthwise); where a step takes a group
 * of elements, they are the first of it.
 */
export function accumulateStep(tile: MicroTile, weight: Place, data: Place): Stmt[] {
  const { dot } = tile;
  if (dot.instr !== undefined) {
    const call: Stmt = {
      kind: 'call',
      instr: dot.instr,
      operands: [
        { kind: 'at', buffer: ACCUMULATOR, index: firstLane(accPosition(tile)) },
        { kind: 'at', buffer: data.buffer, index: firstLane(data.index) },
        { kind: 'at', buffer: weight.buffer, index: firstLane(weight.index) },
      ],
    };
    return [overPixels(tile, overVectors(0, tile.q, call))];
  }
  const position = iadd(imul(axis(VECTOR), tile.lanes), axis(LANE));
  const widened = (place: Place, dtype: DType): Expr =>
    cast(dot.acc, load(place.buffer, dtype, [place.index]));
  return [
    {
      kind: 'alloc',
      buffer: WEIGHTS,
      dtype: dot.acc,
      count: tile.q * tile.lanes,
      space: 'register',
    },
    overVectors(
      0,
      tile.q,
      vector(tile, {
        kind: 'assign',
        buffer: WEIGHTS,
        index: position,
        value: widened(weight, dot.weights),
      }),
    ),
    overPixels(
      tile,
      overVectors(
        0,
        tile.q,
        vector(tile, {
          kind: 'accumulate',
          op: 'sum',
          buffer: ACCUMULATOR,
          index: accPosition(tile),
          value: binary('mul', load(WEIGHTS, dot.acc, [position]), widened(data, dot.data)),
        }),
      ),
    ),
  ];
}

/** `value` with the sum in place of acc(0); a sum of integers may be held in f32, exactly. */
function withSum(value: Expr, held: Expr): Expr {
  const direct = rewriteExpr(value, (node) =>
    node.kind === 'cast' && node.x.kind === 'acc' && node.dtype === held.dtype ? held : node,
  );
  return rewriteExpr(direct, (node) => (node.kind === 'acc' ? cast(node.dtype, held) : node));
}

/** Writes the tile: `value` may use acc(0); both are in terms of ROW, COLUMN, VECTOR, LANE. */
export function storeTile(tile: MicroTile, address: Expr, value: Expr): Stmt[] {
  const { acc } = tile.dot;
  const store = (held: Expr): Stmt => ({
    kind: 'assign',
    buffer: OUTPUT,
    index: address,
    value: withSum(value, held),
  });
  const whole = tile.lastLanes === tile.lanes ? tile.q : tile.q - 1;
  const held = load(ACCUMULATOR, acc, [accPosition(tile)]);
  const stmts: Stmt[] = [];
  if (whole > 0) {
    stmts.push(overPixels(tile, overVectors(0, whole, vector(tile, store(held)))));
  }
  if (whole < tile.q) {
    const spill: Stmt = {
      kind: 'assign',
      buffer: 'rest',
      index: axis(LANE),
      value: held,
    };
    stmts.push(
      overPixels(
        tile,
        overVectors(whole, tile.q, {
          kind: 'block',
          comment: 'ragged last vector',
          body: [
            { kind: 'alloc', buffer: 'rest', dtype: acc, count: tile.lanes, space: 'stack' },
            vector(tile, spill),
            forLoop(LANE, 0, tile.lastLanes, 'serial', [store(load('rest', acc, [axis(LANE)]))]),
          ],
        }),
      ),
    );
  }
  return stmts;
}

/** Names a value for the statements behind it. */
export function letValue(name: string, value: Expr): Stmt {
  return { kind: 'let', name, value };
}

export interface TaskDigit {
  readonly name: string;
  readonly extent: number;
}

/** A parallel loop over the product of digits (first = slowest), with each digit named. */
export function parallelTasks(digits: readonly TaskDigit[], body: readonly Stmt[]): Stmt {
  const count = digits.reduce((product, digit) => product * digit.extent, 1);
  const lets: Stmt[] = [];
  let below = count;
  for (const { name, extent } of digits) {
    below /= extent;
    const part = below === 1 ? axis('t') : binary('floordiv', axis('t'), index(below));
    lets.push(letValue(name, binary('mod', part, index(extent))));
  }
  return forLoop('t', 0, count, 'parallel', [...lets, ...body]);
}

/** Chooses between the whole and the last tile of an axis: `index` < whole ? main : rest. */
export function mainOrRest(
  digit: string,
  whole: number,
  rest: number,
  make: (size: 'whole' | 'rest') => readonly Stmt[],
): Stmt[] {
  if (rest === 0) return [...make('whole')];
  if (whole === 0) return [...make('rest')];
  return [
    {
      kind: 'if',
      cond: binary('lt', axis(digit), index(whole)),
      then: make('whole'),
      else: make('rest'),
    },
  ];
}
