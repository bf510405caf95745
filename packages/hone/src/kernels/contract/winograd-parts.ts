/**
 * The transforms of minimal filtering as loop statements: of the input into the workspace v, of
 * weights that were packed as they are, and of the products into outputs with their epilogue.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { axis, binary, constant, iadd, imul, index, load } from '../../expr/build.ts';
import { rewriteExpr, substituteAxes } from '../../expr/rewrite.ts';
import type { Expr } from '../../expr/types.ts';
import type { Stmt } from '../../loop/types.ts';
import type { ContractBody, ConvSpec } from '../../stages/types.ts';
import { addressOf } from '../access.ts';
import { bufferAt, flattenLoads, operandName, OUTPUT } from '../addressing.ts';
import { forLoop } from '../nest.ts';
import type { KernelContext } from '../types.ts';
import { COLUMN, LANE, letValue, VECTOR } from './micro.ts';
import type { WinogradMatrices } from './winograd-matrices.ts';

/** Transformed input, shared by the workers: [point][ic/L][tile][L]. */
export const WORKSPACE = 'v';
/** Products of a worker: [point][tile][vector][L]. */
export const POINTS = 'm';
const RESULT = 'o';

/** A convolution cut into blocks of tiles. */
export interface Plan {
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

/**
 * Elements from a point of v to the next: a line more than there are, as points a power of two apart
 * would fall into the same few lines of the first cache.
 */
export function pointElements({ spec, blockTiles, lanes }: Plan): number {
  return spec.ic * blockTiles + lanes;
}

export const vectorLoop = (plan: Plan, body: Stmt): Stmt =>
  forLoop(LANE, 0, plan.lanes, 'vector', [body]);

/** Σ coefficient · term, leaving out zeros and multiplications by ±1. */
export function combine(row: readonly number[], term: (i: number) => Expr): Expr {
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
export function inputTransform(plan: Plan): Stmt[] {
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
  const pointSize = pointElements(plan);
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

/**
 * One tile and output vector: columns, then rows, then the epilogue and the store. POINTS holds
 * `columns` tiles, of which COLUMN is one.
 */
export function outputTransform(plan: Plan, columns: number, tile: Expr): Stmt[] {
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
