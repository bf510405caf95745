/**
 * Matrix products: output rows × output vectors in registers, the reduction in one pass. The right
 * side is packed at compile time when it is a constant, else read where it lies (rows contiguous
 * along n). The left side is broadcast element by element from any affine address.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { dtypeBytes } from 'hone-runtime/base/dtype';
import type { Target } from 'hone-runtime/target/types';
import { type Affine, asAffine } from '../../expr/affine.ts';
import { axis, iadd, imul } from '../../expr/build.ts';
import { substituteAxes } from '../../expr/rewrite.ts';
import { simplifyExpr } from '../../expr/simplify.ts';
import type { Expr } from '../../expr/types.ts';
import type { LoopFn, Stmt } from '../../loop/types.ts';
import type { ContractBody } from '../../stages/types.ts';
import { addressOf, isPlain } from '../access.ts';
import { bufferAt, bufferParams, flattenLoads, kernelBuffers, operandName } from '../addressing.ts';
import { forLoop, rangesOf } from '../nest.ts';
import { simplifyAll } from '../simplify-stmts.ts';
import type { Kernel, KernelBuffer, KernelContext } from '../types.ts';
import { constantOf } from './constant.ts';
import {
  chooseDot,
  type Dot,
  exactDot,
  type OperandForm,
  operandForm,
  singleDot,
  targetOf,
} from './dot.ts';
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
import { packMatrix } from './pack.ts';
import { bestTile } from './tile.ts';

/** A product in loop terms: which stage axis is m, which is n, what is left is batch. */
export interface MatMulPlan {
  readonly batch: readonly string[];
  /** null: one row only. */
  readonly m: string | null;
  readonly n: string;
  readonly a: Affine;
  readonly b: Affine;
  readonly extents: ReadonlyMap<string, number>;
  readonly dot: Dot;
}

/** The plan, or why this contraction is lowered naively. */
export function planMatMul(ctx: KernelContext, body: ContractBody): MatMulPlan | string {
  const { stage, buffers, target } = ctx;
  const form = operandForm(body);
  if (typeof form === 'string') return form;
  if (body.reduceAxes.length !== 1) return 'reduces over several axes';
  const output = at(stage.outputs, 0);
  if (!isPlain(bufferAt(buffers, output))) return 'the output is blocked';
  const names = body.axes.map((_, i) => `i${i}`);
  const extents = new Map(names.map((name, i) => [name, at(body.axes, i)]));
  extents.set('r0', at(body.reduceAxes, 0));
  const ranges = rangesOf([...extents].map(([name, extent]) => ({ name, extent })));
  const address = (expr: Expr, operand: number): Affine | string => {
    const read = loadIn(expr);
    if (read === null || Number(read.source) !== operand) return 'an operand is computed';
    const view = at(stage.operands, operand);
    const flat = addressOf(bufferAt(buffers, view), view, read.index);
    return asAffine(simplifyExpr(flat, ranges)) ?? 'an operand is not walked by strides';
  };
  const a = address(body.a, 0);
  const b = address(body.b, 1);
  if (typeof a === 'string') return a;
  if (typeof b === 'string') return b;
  const n = names.findLast((name) => b.terms.has(name) && !a.terms.has(name));
  if (n === undefined) return 'no output axis belongs to the right side alone';
  const m = names.findLast((name) => a.terms.has(name) && !b.terms.has(name)) ?? null;
  const right = bufferAt(buffers, at(stage.operands, 1));
  const isConstant = right.constant !== undefined;
  const chosen = matMulDot(form, target, a, extents.get('r0') ?? 1, isConstant);
  if (!isConstant) {
    if (b.terms.get(n) !== 1) return 'the right side is not contiguous along n';
    const ragged = extents.get(n) ?? 1;
    if (right.role === 'input' && ragged % targetOf(chosen, target).lanes !== 0)
      return 'ragged model input';
  } else if (names.some((name) => name !== n && b.terms.has(name))) {
    return 'a constant right side differs by batch';
  }
  const batch = names.filter((name) => name !== m && name !== n && (extents.get(name) ?? 1) > 1);
  const dot = chosen.limit === undefined ? chosen : exactDot(chosen, constantOf(right));
  return { batch, m, n, a, b, extents, dot };
}

/** Steps of several elements need them side by side in the data, and packed weights. */
function matMulDot(
  form: OperandForm,
  target: Target,
  a: Affine,
  k: number,
  isPacked: boolean,
): Dot {
  const dot = chooseDot(form, target);
  const fits = isPacked && k % dot.group === 0 && a.terms.get('r0') === 1;
  return fits ? dot : singleDot(dot);
}

/** The load that an operand is, perhaps widened. */
function loadIn(expr: Expr): Extract<Expr, { kind: 'load' }> | null {
  const inner = expr.kind === 'cast' ? expr.x : expr;
  return inner.kind === 'load' ? inner : null;
}

export function lowerMatMul(ctx: KernelContext, body: ContractBody, plan: MatMulPlan): Kernel {
  const { stage, buffers } = ctx;
  const { dot } = plan;
  const target = targetOf(dot, ctx.target);
  const { lanes } = target;
  const { group, ops = 1, registers = 1 } = dot;
  const extent = (name: string): number => plan.extents.get(name) ?? 1;
  const k = extent('r0');
  const n = extent(plan.n);
  const m = plan.m === null ? 1 : extent(plan.m);
  const right = bufferAt(buffers, at(stage.operands, 1));
  const isPacked = right.constant !== undefined;
  const vectors = Math.ceil(n / lanes);
  // Rows a multiple of 4 KiB apart share one cache set: more than 8 of them evict each other.
  const rowBytes = dtypeBytes(dot.data) * (plan.m === null ? 0 : (plan.a.terms.get(plan.m) ?? 0));
  const maxPixels = rowBytes % 4096 === 0 && rowBytes > 0 ? 8 : 14;
  const tile = bestTile(
    {
      rows: 1,
      columns: m,
      vectors,
      k: k / group,
      maxQ: m === 1 ? 8 : 6,
      ragged: true,
      maxPixels,
      ops,
      registers,
      laneBytes: dtypeBytes(dot.acc),
    },
    target,
  );
  const { tw, q } = tile;
  const width = q * lanes;
  const wholeGroups = Math.floor(n / width);
  const rest = n - wholeGroups * width;
  const restVectors = Math.ceil(rest / lanes);
  const epilogue = flattenLoads(body.epilogue, stage, buffers);
  const output = at(stage.outputs, 0);
  const address = addressOf(bufferAt(buffers, output), output, body.outIndex);
  const micro = (rows: number, vectorsHere: number, last: number): Stmt[] => {
    const shape: MicroTile = { th: 1, tw: rows, q: vectorsHere, lanes, lastLanes: last, dot };
    const column = iadd(imul(axis('ng'), width), iadd(imul(axis(VECTOR), lanes), axis(LANE)));
    const here = new Map<string, Expr>([[plan.n, column]]);
    if (plan.m !== null)
      here.set(plan.m, iadd(iadd(imul(axis('mt'), tw), axis(COLUMN)), axis(ROW)));
    for (const name of unitAxes(body, plan))
      here.set(name, { kind: 'const', dtype: 'i64', value: 0 });
    const at_ = (expr: Expr): Expr => substituteAxes(expr, here);
    const step = axis('r0');
    const inGroup = new Map<string, Expr>([['r0', imul(step, group)]]);
    const along = (expr: Expr): Expr => at_(substituteAxes(expr, inGroup));
    const x: Place = { buffer: operandName(0), index: along(addressIn(ctx, body.a, 0)) };
    const lane = imul(iadd(imul(axis(VECTOR), lanes), axis(LANE)), group);
    const packed = iadd(
      imul(axis('ng'), k * width),
      iadd(imul(step, vectorsHere * lanes * group), lane),
    );
    const weight: Place = {
      buffer: operandName(1),
      index: isPacked ? packed : along(addressIn(ctx, body.b, 1)),
    };
    const weightBytes = dtypeBytes(dot.weights) * k * n;
    return [
      ...clearTile(shape),
      forLoop('r0', 0, k / group, 'serial', [
        ...(isPacked ? prefetchWeights(shape, weight, weightBytes, target) : []),
        ...accumulateStep(shape, weight, x),
      ]),
      ...storeTile(shape, at_(address), at_(epilogue)),
    ];
  };
  const body_ = parallelTasks(
    [
      ...plan.batch.map((name) => ({ name, extent: extent(name) })),
      { name: 'ng', extent: wholeGroups + (rest > 0 ? 1 : 0) },
      { name: 'mt', extent: Math.ceil(m / tw) },
    ],
    mainOrRest('ng', wholeGroups, rest, (group) =>
      mainOrRest('mt', Math.floor(m / tw), m % tw, (rows) =>
        micro(
          rows === 'whole' ? tw : m % tw,
          group === 'whole' ? q : restVectors,
          group === 'whole' || rest % lanes === 0 ? lanes : rest % lanes,
        ),
      ),
    ),
  );
  const list = matMulBuffers(ctx, plan, epilogue, { k, n, lanes, q, isPacked });
  const fn: LoopFn = {
    name: 'matmul',
    lanes,
    buffers: bufferParams(stage, buffers, list),
    dims: [],
    body: simplifyAll([body_]),
  };
  return {
    row: `matmul_${dot.name}_${tw}x${q}${isPacked ? '' : '_inplace'}`,
    why: `cheapest register tile by the cost model for ${m}x${n}, reduction ${k}`,
    fn,
    buffers: list,
  };
}

/** Axes of extent 1 that are neither m, n nor a batch digit. */
function unitAxes(body: ContractBody, plan: MatMulPlan): string[] {
  return body.axes
    .map((_, i) => `i${i}`)
    .filter((name) => name !== plan.m && name !== plan.n && !plan.batch.includes(name));
}

function addressIn(ctx: KernelContext, expr: Expr, operand: number): Expr {
  const read = loadIn(expr);
  if (read === null) throw new TypeError('planned as a load');
  const view = at(ctx.stage.operands, operand);
  return addressOf(bufferAt(ctx.buffers, view), view, read.index);
}

function matMulBuffers(
  ctx: KernelContext,
  plan: MatMulPlan,
  epilogue: Expr,
  p: { k: number; n: number; lanes: number; q: number; isPacked: boolean },
): KernelBuffer[] {
  const right = bufferAt(ctx.buffers, at(ctx.stage.operands, 1));
  const others = kernelBuffers(ctx.stage, [epilogue]);
  const shape = {
    k: p.k,
    n: p.n,
    rowStride: plan.b.terms.get('r0') ?? 0,
    columnStride: plan.b.terms.get(plan.n) ?? 0,
    base: plan.b.constant,
  };
  return [
    { kind: 'operand', operand: 0 },
    p.isPacked
      ? {
          kind: 'packed',
          operand: 1,
          packing: `matmul_q${p.q}_l${p.lanes}_g${plan.dot.group}_r${shape.rowStride}_c${shape.columnStride}`,
          pack: () => packMatrix(constantOf(right), shape, p.lanes, p.q, plan.dot.group),
        }
      : { kind: 'operand', operand: 1 },
    ...others.filter((item) => item.kind !== 'operand' || item.operand > 1),
  ];
}
