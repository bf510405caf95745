/**
 * Lowers a reduce stage; also the naive lowering of every contraction (a sum of products).
 *
 * Three schedules. `row`: one accumulator per output, reduction loops innermost; right where the
 * last reduction axis is contiguous. `lanes`: a strip of accumulators along the output's last
 * axis, reduction loops outside it; right where neighbouring outputs read neighbouring elements.
 * `blocks`: least and greatest elements over blocks of channels, an accumulator for each channel of
 * a block; right where the elements of a block are neighbours, and no others.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { asAffine } from '../expr/affine.ts';
import { axis, binary, constant, iadd, imul, index, load } from '../expr/build.ts';
import { rewriteExpr, visitExpr } from '../expr/rewrite.ts';
import { simplifyExpr } from '../expr/simplify.ts';
import type { Expr } from '../expr/types.ts';
import type { LoopFn, Stmt } from '../loop/types.ts';
import type { ReduceBody, ReduceStep } from '../stages/types.ts';
import { addressOf } from './access.ts';
import {
  bufferAt,
  bufferParams,
  clearHalo,
  firstChannelOf,
  flattenLoads,
  hasPaddedLanes,
  intoLoops,
  kernelBuffers,
  OUTPUT,
  outputAxes,
  ownsPadding,
} from './addressing.ts';
import { forLoop, type LoopAxis, nestLoops, rangesOf } from './nest.ts';
import { simplifyAll } from './simplify-stmts.ts';
import { identityOf } from './identity.ts';
import type { Kernel, KernelContext } from './types.ts';

/** Longest strip of accumulators of the `lanes` schedule. */
const STRIP = 64;

export function lowerReduce(ctx: KernelContext, body: ReduceBody, row = 'reduce'): Kernel {
  const { stage, buffers, target } = ctx;
  const output = at(stage.outputs, 0);
  const buffer = bufferAt(buffers, output);
  const channel = body.outIndex[1];
  const { block } = buffer.layout;
  const fullLanes =
    channel?.kind === 'axis' &&
    ownsPadding(output, buffer) &&
    hasPaddedLanes(
      [body.value, ...body.steps.map((s) => s.value)],
      channel.name,
      stage,
      buffers,
      block,
    );
  const first = firstChannelOf(output);
  const { axes, by } = outputAxes(body.axes, body.outIndex, buffer, fullLanes, first);
  const inner = body.reduceAxes.map((extent, i): LoopAxis => ({ name: `r${i}`, extent }));
  const flat = (expr: Expr): Expr => intoLoops(flattenLoads(expr, stage, buffers), by);
  const steps = body.steps.map((step) => ({ ...step, value: flat(step.value) }));
  const value = flat(body.value);
  const address = intoLoops(addressOf(buffer, output, body.outIndex), by);
  const isEmpty = axes.some((a) => a.extent === 0);
  const useLanes =
    !isEmpty && body.spans === 'outer' && wantsLanes(axes, inner, steps, target.lanes);
  const parts = { axes, inner, steps, value, address, dtype: buffer.dtype, spans: body.spans };
  const blocks = isEmpty || useLanes ? undefined : blocksSchedule(parts, ctx);
  const nest = isEmpty ? [] : useLanes ? lanesSchedule(parts) : (blocks ?? rowSchedule(parts));
  const list = kernelBuffers(stage, [value, ...steps.map((step) => step.value)]);
  const fn: LoopFn = {
    name: row,
    lanes: target.lanes,
    buffers: bufferParams(stage, buffers, list),
    dims: [],
    body: simplifyAll([...clearHalo(output, buffer, target.lanes), ...nest]),
  };
  const schedule = useLanes ? 'lanes' : blocks === undefined ? 'row' : 'blocks';
  return { row: `${row}_${schedule}`, why: REASONS[schedule], fn, buffers: list };
}

const REASONS = {
  lanes: 'neighbouring outputs read neighbouring elements',
  row: 'one output at a time',
  blocks: 'one output at a time, a block of channels at once',
} as const;

interface Parts {
  readonly axes: readonly LoopAxis[];
  readonly inner: readonly LoopAxis[];
  readonly steps: readonly ReduceStep[];
  readonly value: Expr;
  readonly address: Expr;
  readonly spans: 'outer' | 'all';
}

/**
 * Does a strip of neighbouring outputs read neighbouring elements, or the same one, at every step?
 * Where one output also folds neighbouring elements (pooling of stride 1, plain products), the strip
 * is better if it fills a vector: it needs no sum across lanes.
 */
function wantsLanes(
  axes: readonly LoopAxis[],
  inner: readonly LoopAxis[],
  steps: readonly ReduceStep[],
  lanes: number,
): boolean {
  const last = axes.findLast((a) => a.extent > 1);
  if (last === undefined) return false;
  if (steps.some((step) => step.op === 'argmax' || step.op === 'argmin')) return false;
  const ranges = rangesOf([...axes, ...inner]);
  const reduced = inner.findLast((a) => a.extent > 1);
  let along = 0;
  let strided = 0;
  let across = 0;
  for (const step of steps) {
    visitExpr(step.value, (node) => {
      if (node.kind !== 'load') return;
      const sum = asAffine(simplifyExpr(at(node.index, 0), ranges));
      if (sum === null) return;
      const stride = sum.terms.get(last.name) ?? 0;
      if (stride === 1) along++;
      else if (stride !== 0) strided++;
      if (reduced !== undefined && (sum.terms.get(reduced.name) ?? 0) === 1) across++;
    });
  }
  if (along === 0) return false;
  return across === 0 || (strided === 0 && last.extent >= lanes);
}

/** Elements one output folds. */
function workOf(parts: Parts): number {
  return parts.inner.reduce((product, a) => product * a.extent, parts.steps.length);
}

const accName = (step: number): string => `acc${step}`;

/** Replaces `acc` by loads of the accumulators. */
function withAccs(expr: Expr, position: Expr): Expr {
  return rewriteExpr(expr, (node) =>
    node.kind === 'acc' ? load(accName(node.step), node.dtype, [position]) : node,
  );
}

function rowSchedule(parts: Parts): Stmt[] {
  const { inner, steps } = parts;
  const zero = index(0);
  const body: Stmt[] = steps.flatMap((step, s) =>
    step.op === 'argmax' || step.op === 'argmin'
      ? argStep(step, s, inner)
      : [
          alloc(s, step, 1),
          set(s, zero, identityOf(step.op, step.dtype)),
          ...nestSerial(inner, [fold(step, s, zero)]),
        ],
  );
  const store: Stmt = {
    kind: 'assign',
    buffer: OUTPUT,
    index: parts.address,
    value: withAccs(parts.value, zero),
  };
  const tail = parts.spans === 'all' ? nestSerial(inner, [store]) : [store];
  return nestLoops(dropUnits(parts.axes), withUnits(parts.axes, [...body, ...tail]), workOf(parts));
}

function lanesSchedule(parts: Parts): Stmt[] {
  const position = parts.axes.findLastIndex((a) => a.extent > 1);
  const last = at(parts.axes, position);
  const strip = Math.min(STRIP, last.extent);
  const start = `${last.name}_strip`;
  const lane = `${last.name}_lane`;
  const exact = last.limit === undefined && last.extent % strip === 0;
  const rest = binary('sub', last.limit ?? index(last.extent), imul(axis(start), strip));
  const width = exact ? index(strip) : binary('min', index(strip), rest);
  const by = new Map([[last.name, iadd(imul(axis(start), strip), axis(lane))]]);
  const over = (body: Stmt): Stmt => forLoop(lane, 0, width, 'serial', [body]);
  const at_ = axis(lane);
  const body: Stmt[] = parts.steps.flatMap((step, s) => {
    const moved = { ...step, value: intoLoops(step.value, by) };
    return [
      alloc(s, step, strip),
      over(set(s, at_, identityOf(step.op, step.dtype))),
      ...nestSerial(parts.inner, [over(fold(moved, s, at_))]),
    ];
  });
  const store: Stmt = {
    kind: 'assign',
    buffer: OUTPUT,
    index: intoLoops(parts.address, by),
    value: withAccs(intoLoops(parts.value, by), at_),
  };
  const loops: LoopAxis[] = [
    ...parts.axes.slice(0, position),
    { name: start, extent: Math.ceil(last.extent / strip) },
  ];
  return nestLoops(
    dropUnits(loops),
    withUnits(parts.axes.slice(position + 1), withUnits(loops, [...body, over(store)])),
    workOf(parts) * strip,
  );
}

/**
 * A reduced axis in blocks of `block`, whose elements every load has side by side; undefined where
 * there is none. Only for what does not depend on the order: least and greatest elements.
 */
function blocksSchedule(parts: Parts, { stage, buffers }: KernelContext): Stmt[] | undefined {
  const { axes, inner, steps } = parts;
  const [step] = steps;
  if (step === undefined || steps.length !== 1 || parts.spans !== 'outer') return undefined;
  if (step.op !== 'min' && step.op !== 'max') return undefined;
  const sizes = stage.operands.map((view) => bufferAt(buffers, view).layout.block);
  for (const block of new Set(sizes)) {
    for (const reduced of block > 1 ? inner : []) {
      if (reduced.limit !== undefined || reduced.extent % block !== 0) continue;
      const [outer, lane] = [`${reduced.name}_block`, `${reduced.name}_lane`];
      const whole = iadd(imul(axis(outer), block), axis(lane));
      const loops = inner.map((a) =>
        a === reduced ? { name: outer, extent: a.extent / block } : a,
      );
      const ranges = rangesOf([...axes, ...loops, { name: lane, extent: block }]);
      const moved = intoLoops(step.value, new Map([[reduced.name, whole]]));
      const value = simplifyExpr(moved, ranges);
      if (readsAlong(value, lane, ranges))
        return inBlocks(parts, { ...step, value }, loops, lane, block);
    }
  }
  return undefined;
}

/** Does every load of an expression go from element to element along an axis? */
function readsAlong(value: Expr, name: string, ranges: ReturnType<typeof rangesOf>): boolean {
  let loads = 0;
  let along = 0;
  visitExpr(value, (node) => {
    if (node.kind !== 'load') return;
    loads++;
    const sum = asAffine(simplifyExpr(at(node.index, 0), ranges));
    if (sum?.terms.get(name) === 1) along++;
  });
  return loads > 0 && along === loads;
}

function inBlocks(
  parts: Parts,
  step: ReduceStep,
  loops: readonly LoopAxis[],
  lane: string,
  block: number,
): Stmt[] {
  const [zero, position] = [index(0), axis(lane)];
  const over = (body: Stmt): Stmt => forLoop(lane, 0, block, 'serial', [body]);
  const each = load(accName(0), step.dtype, [position]);
  const store: Stmt = {
    kind: 'assign',
    buffer: OUTPUT,
    index: parts.address,
    value: withAccs(parts.value, zero),
  };
  return nestLoops(
    dropUnits(parts.axes),
    withUnits(parts.axes, [
      alloc(0, step, block),
      over(set(0, position, identityOf(step.op, step.dtype))),
      ...nestSerial(loops, [over(fold(step, 0, position))]),
      // The first of them is folded into itself, which changes neither.
      over(fold({ ...step, value: each }, 0, zero)),
      store,
    ]),
    workOf(parts),
  );
}

function alloc(s: number, step: ReduceStep, count: number): Stmt {
  const dtype = step.op === 'argmax' || step.op === 'argmin' ? 'i64' : step.dtype;
  return { kind: 'alloc', buffer: accName(s), dtype, count, space: 'stack' };
}

function set(s: number, position: Expr, value: Expr): Stmt {
  return { kind: 'assign', buffer: accName(s), index: position, value };
}

function fold(step: ReduceStep, s: number, position: Expr): Stmt {
  const op =
    step.op === 'any'
      ? 'max'
      : step.op === 'all'
        ? 'min'
        : (step.op as 'sum' | 'prod' | 'max' | 'min');
  return {
    kind: 'accumulate',
    op,
    buffer: accName(s),
    index: position,
    value: withAccs(step.value, position),
  };
}

/** Position of the largest or smallest: a scan that keeps the best value and where it was. */
function argStep(step: ReduceStep, s: number, inner: readonly LoopAxis[]): Stmt[] {
  const best = `best${s}`;
  const candidate = withAccs(step.value, index(0));
  const held = load(best, candidate.dtype, [index(0)]);
  const strict = step.op === 'argmax' ? 'gt' : 'lt';
  const loose = step.op === 'argmax' ? 'ge' : 'le';
  const reduced = at(inner, 0).name;
  const isBetter = binary(step.lastOfEquals === true ? loose : strict, candidate, held);
  const isFirst = binary('eq', axis(reduced), index(0));
  return [
    { kind: 'alloc', buffer: best, dtype: candidate.dtype, count: 1, space: 'stack' },
    alloc(s, step, 1),
    set(s, index(0), constant('i64', 0)),
    ...nestSerial(inner, [
      {
        kind: 'if',
        cond: binary('or', isFirst, isBetter),
        then: [
          { kind: 'assign', buffer: best, index: index(0), value: candidate },
          set(s, index(0), axis(reduced)),
        ],
        else: [],
      },
    ]),
  ];
}

function nestSerial(axes: readonly LoopAxis[], body: readonly Stmt[]): Stmt[] {
  return axes.reduceRight<readonly Stmt[]>(
    (stmts, a) => [forLoop(a.name, 0, a.limit ?? a.extent, 'serial', stmts)],
    body,
  ) as Stmt[];
}

function dropUnits(axes: readonly LoopAxis[]): LoopAxis[] {
  return axes.filter((a) => a.extent !== 1 || a.limit !== undefined);
}

/** Names dropped unit axes as 0, so that expressions may still use them. */
function withUnits(axes: readonly LoopAxis[], body: readonly Stmt[]): Stmt[] {
  const lets = axes
    .filter((a) => a.extent === 1 && a.limit === undefined)
    .map((a): Stmt => ({ kind: 'let', name: a.name, value: index(0) }));
  return [...lets, ...body];
}
