/**
 * Products of minimal filtering from weights as they are: a worker takes some output vectors, and
 * transforms their weights for a few input channels at a time into memory of its own, which stays in
 * the second cache while all tiles of the block pass. That costs a few percent of the products; the
 * weights are read from memory at their own size, and are stored at it.
 */
import { axis, binary, iadd, imul, index, load } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { Stmt } from '../../loop/types.ts';
import { operandName } from '../addressing.ts';
import { forLoop } from '../nest.ts';
import { F32_DOT } from './dot.ts';
import {
  accumulateStep,
  ACCUMULATOR,
  accPosition,
  COLUMN,
  LANE,
  letValue,
  type MicroTile,
  parallelTasks,
  type Place,
  ROW,
  VECTOR,
} from './micro.ts';
import {
  combine,
  outputTransform,
  type Plan,
  pointElements,
  POINTS,
  vectorLoop,
  WORKSPACE,
} from './winograd-parts.ts';

/** Transformed weights of a worker: [point][channel of the slice][vector][L]. */
const WEIGHTS = 'u';
const HALF = 'h';
/** Points a power of two apart would fall into the same few lines of the first cache. */
const PAD_VECTORS = 1;
/** Input channels of a slice: their weights and products fit the second cache together. */
const SLICE_CHANNELS = 64;

/** Tasks are groups of output vectors: each takes all tiles of the block. */
export function lateProducts(plan: Plan, vectors: number): Stmt {
  const { spec, w, lanes, q, blockTiles, tw } = plan;
  const points = w.n * w.n;
  const blocks = spec.ic / lanes;
  const slice = Math.min(blocks, Math.max(1, SLICE_CHANNELS / lanes));
  const first = imul(axis('slice'), slice);
  const end = iadd(first, slice);
  const beyond = blocks % slice === 0 ? end : binary('min', end, index(blocks));
  const whole = Math.floor(blockTiles / tw);
  const rest = blockTiles % tw;
  // While products run, the next slice's weights come from memory: 9 values for each channel.
  const part = (columns: number): Stmt[] => [
    forLoop('point', 0, 9, 'serial', sums(plan, columns, slice, beyond, true)),
    forLoop('point', 9, points, 'serial', sums(plan, columns, slice, beyond, false)),
  ];
  const sliced: Stmt[] = [
    letValue('first', first),
    forLoop('ib', axis('first'), beyond, 'serial', [
      forLoop('c', 0, lanes, 'serial', [
        forLoop(VECTOR, 0, q, 'serial', weightTransform(plan, slice)),
      ]),
    ]),
    ...(whole > 0 ? [forLoop('part', 0, whole, 'serial', part(tw))] : []),
    ...(rest > 0 ? [letValue('part', index(whole)), ...part(rest)] : []),
  ];
  const productCount = points * blockTiles * q * lanes;
  const body: Stmt[] = [
    {
      kind: 'alloc',
      buffer: WEIGHTS,
      dtype: 'f32',
      count: points * pointSize(plan, slice),
      space: 'stack',
    },
    { kind: 'alloc', buffer: POINTS, dtype: 'f32', count: productCount, space: 'stack' },
    forLoop('zero', 0, productCount / lanes, 'serial', [
      vectorLoop(plan, {
        kind: 'assign',
        buffer: POINTS,
        index: iadd(imul(axis('zero'), lanes), axis(LANE)),
        value: { kind: 'const', dtype: 'f32', value: 0 },
      }),
    ]),
    forLoop('slice', 0, Math.ceil(blocks / slice), 'serial', sliced),
    forLoop(COLUMN, 0, blockTiles, 'serial', [
      forLoop(VECTOR, 0, q, 'serial', outputTransform(plan, blockTiles, axis(COLUMN))),
    ]),
  ];
  return {
    kind: 'block',
    comment: 'weight transform, products and output transform',
    body: [parallelTasks([{ name: 'og', extent: vectors / q }], body)],
  };
}

/** Transformed weights of one point. */
function pointSize({ lanes, q }: Plan, slice: number): number {
  return (slice * lanes * q + PAD_VECTORS) * lanes;
}

/** Channel `c` of block `ib`, counted from the slice's first. */
function channelOfSlice(plan: Plan, c: Expr): Expr {
  return iadd(imul(binary('sub', axis('ib'), axis('first')), plan.lanes), c);
}

/** The weights of one input channel and output vector, at all points. */
function weightTransform(plan: Plan, slice: number): Stmt[] {
  const { spec, w, lanes, q } = plan;
  const channel = iadd(imul(axis('ib'), lanes), axis('c'));
  const source = (i: number, j: number): Expr =>
    load(operandName(1), 'f32', [
      iadd(
        imul(iadd(imul(iadd(imul(axis('og'), spec.ic), channel), 9), i * 3 + j), q * lanes),
        iadd(imul(axis(VECTOR), lanes), axis(LANE)),
      ),
    ]);
  const slot = (i: number, j: number): Expr => iadd(index((i * 3 + j) * lanes), axis(LANE));
  const place = iadd(
    imul(channelOfSlice(plan, axis('c')), q * lanes),
    iadd(imul(axis(VECTOR), lanes), axis(LANE)),
  );
  const stmts: Stmt[] = [
    { kind: 'alloc', buffer: HALF, dtype: 'f32', count: w.n * 3 * lanes, space: 'register' },
  ];
  for (let j = 0; j < 3; j++) {
    for (let i = 0; i < w.n; i++) {
      const value = combine(w.weights[i] ?? [], (k) => source(k, j));
      stmts.push(vectorLoop(plan, { kind: 'assign', buffer: HALF, index: slot(i, j), value }));
    }
  }
  for (let i = 0; i < w.n; i++) {
    for (let j = 0; j < w.n; j++) {
      const value = combine(w.weights[j] ?? [], (k) => load(HALF, 'f32', [slot(i, k)]));
      const point = (i * w.n + j) * pointSize(plan, slice);
      stmts.push(
        vectorLoop(plan, { kind: 'assign', buffer: WEIGHTS, index: iadd(place, point), value }),
      );
    }
  }
  return stmts;
}

/** Adds the slice's channels to the products of some tiles at one point. */
function sums(
  plan: Plan,
  columns: number,
  slice: number,
  beyond: Expr,
  prefetches: boolean,
): Stmt[] {
  const { spec, lanes, q, tw, blockTiles } = plan;
  const shape: MicroTile = { th: 1, tw: columns, q, lanes, lastLanes: lanes, dot: F32_DOT };
  const channel = channelOfSlice(plan, iadd(axis('c'), axis('cu')));
  const weight: Place = {
    buffer: WEIGHTS,
    index: iadd(
      iadd(imul(axis('point'), pointSize(plan, slice)), imul(channel, q * lanes)),
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
  const next = iadd(imul(axis('og'), spec.ic), imul(iadd(axis('slice'), 1), slice * lanes));
  const line = iadd(imul(axis('point'), slice * lanes), channel);
  const ahead: Stmt = {
    kind: 'prefetch',
    buffer: operandName(1),
    index: imul(iadd(imul(iadd(imul(next, 9), line), q), axis(VECTOR)), lanes),
  };
  const held = iadd(
    imul(iadd(imul(iadd(imul(axis('point'), blockTiles), tile), q), axis(VECTOR)), lanes),
    axis(LANE),
  );
  const each = (body: Stmt): Stmt =>
    forLoop(ROW, 0, 1, 'unroll', [
      forLoop(COLUMN, 0, columns, 'unroll', [
        forLoop(VECTOR, 0, q, 'unroll', [vectorLoop(plan, body)]),
      ]),
    ]);
  return [
    {
      kind: 'alloc',
      buffer: ACCUMULATOR,
      dtype: 'f32',
      count: columns * q * lanes,
      space: 'register',
    },
    each({
      kind: 'assign',
      buffer: ACCUMULATOR,
      index: accPosition(shape),
      value: load(POINTS, 'f32', [held]),
    }),
    forLoop('ib', axis('first'), beyond, 'serial', [
      forLoop(
        'c',
        0,
        lanes,
        'serial',
        [
          forLoop('cu', 0, 4, 'unroll', [
            ...(prefetches ? [forLoop(VECTOR, 0, q, 'unroll', [ahead])] : []),
            ...accumulateStep(shape, weight, input),
          ]),
        ],
        4,
      ),
    ]),
    each({
      kind: 'assign',
      buffer: POINTS,
      index: held,
      value: load(ACCUMULATOR, 'f32', [accPosition(shape)]),
    }),
  ];
}
