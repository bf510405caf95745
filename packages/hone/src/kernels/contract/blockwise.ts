/**
 * Matrix products with weights of 2, 4 or 8 bits in blocks (MatMulNBits). The weights stay packed in
 * memory; a step of the reduction loads a byte for each lane's column, takes its elements apart and
 * makes each real by one multiply-add before it is multiplied by the data.
 *
 * Why: with few rows the product is bound by reading the weights, and these are 4 to 16 times
 * smaller than f32. With many rows a tile of rows shares the work of unpacking.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { Target } from 'hone-runtime/target/types';
import { type Affine, asAffine } from '../../expr/affine.ts';
import { axis, binary, cast, constant, iadd, imul, load } from '../../expr/build.ts';
import { substituteAxes, visitExpr } from '../../expr/rewrite.ts';
import { simplifyExpr } from '../../expr/simplify.ts';
import type { Expr } from '../../expr/types.ts';
import type { LoopFn, Stmt } from '../../loop/types.ts';
import type { BlockwiseSpec, ContractBody } from '../../stages/types.ts';
import { addressOf, isPlain } from '../access.ts';
import { bufferAt, bufferParams, flattenLoads, kernelBuffers, operandName } from '../addressing.ts';
import { forLoop, rangesOf } from '../nest.ts';
import { simplifyAll } from '../simplify-stmts.ts';
import type { Kernel, KernelBuffer, KernelContext } from '../types.ts';
import { constantOf } from './constant.ts';
import { F32_DOT } from './dot.ts';
import {
  ACCUMULATOR,
  accPosition,
  clearTile,
  COLUMN,
  LANE,
  mainOrRest,
  type MicroTile,
  parallelTasks,
  ROW,
  storeTile,
  VECTOR,
} from './micro.ts';
import { packBlocks, packBytes, zeroPoints } from './pack-blockwise.ts';

/** The product in loop terms. */
export interface BlockwisePlan {
  readonly spec: BlockwiseSpec;
  /** The row axis that a tile runs over; null: one row. */
  readonly m: string | null;
  readonly n: string;
  readonly batch: readonly string[];
  readonly extents: ReadonlyMap<string, number>;
  /** Operands of the scales and of the zero points; a number: one for all blocks. */
  readonly scales: number;
  readonly zeros: { readonly operand: number } | number;
}

/** The plan, or why this product is lowered naively. */
export function planBlockwise(
  ctx: KernelContext,
  body: ContractBody,
  spec: BlockwiseSpec,
): BlockwisePlan | string {
  const { stage, buffers } = ctx;
  const { k, bits, block } = spec;
  if (body.accDtype !== 'f32') return `accumulates in ${body.accDtype}`;
  if (body.a.kind !== 'load' || body.a.dtype !== 'f32') return 'the data is not f32';
  if (k % block !== 0) return `the last block of ${k} is not whole`;
  if (!isPlain(bufferAt(buffers, at(stage.outputs, 0)))) return 'the output is blocked';
  const parameters = parametersOf(body);
  if (parameters === null) return 'the weights are not read as blocks';
  const operands = [1, parameters.scales];
  if (typeof parameters.zeros !== 'number') operands.push(parameters.zeros.operand);
  for (const operand of operands) {
    const view = at(stage.operands, operand);
    const buffer = bufferAt(buffers, view);
    if (buffer.constant === undefined || view.offset !== undefined) {
      return `${buffer.name} is not constant`;
    }
  }
  if (8 % bits !== 0) return `weights of ${bits} bits`;
  const names = body.axes.map((_, i) => `i${i}`);
  const extents = new Map(names.map((name, i) => [name, at(body.axes, i)]));
  extents.set('r0', k);
  const a = dataAddress(ctx, body, extents);
  if (a === null) return 'the data is not walked by strides';
  const n = at(names, names.length - 1);
  const rows = names.filter((name) => name !== n && (extents.get(name) ?? 1) > 1);
  const m = rows.at(-1) ?? null;
  return { spec, m, n, batch: rows.slice(0, -1), extents, ...parameters };
}

function dataAddress(
  { stage, buffers }: KernelContext,
  body: ContractBody,
  extents: ReadonlyMap<string, number>,
): Affine | null {
  if (body.a.kind !== 'load') return null;
  const view = at(stage.operands, Number(body.a.source));
  const flat = addressOf(bufferAt(buffers, view), view, body.a.index);
  const ranges = rangesOf([...extents].map(([name, extent]) => ({ name, extent })));
  return asAffine(simplifyExpr(flat, ranges));
}

/** Reads (weight - zero) · scale. */
function parametersOf({ b }: ContractBody): Pick<BlockwisePlan, 'scales' | 'zeros'> | null {
  if (b.kind !== 'binary' || b.op !== 'mul') return null;
  const [shifted, scale] = [b.a, b.b];
  if (shifted.kind !== 'binary' || shifted.op !== 'sub') return null;
  const scales = operandOf(scale);
  if (scales === null) return null;
  const zero = shifted.b;
  if (zero.kind === 'const') return { scales, zeros: Number(zero.value) };
  const operand = operandOf(zero);
  return operand === null ? null : { scales, zeros: { operand } };
}

function operandOf(expr: Expr): number | null {
  let found: number | null = null;
  visitExpr(expr, (node) => {
    if (node.kind === 'load') found ??= Number(node.source);
  });
  return found;
}

interface Tile {
  readonly tw: number;
  readonly q: number;
}

/** Registers: the sums, scale and shift, the bytes, the weights, one broadcast. */
function tileOf(m: number, vectors: number, target: Target): Tile {
  const registers = target.vectorRegisters;
  const wide = m === 1 ? Math.floor((registers - 2) / 6) : registers >= 32 ? 2 : 1;
  const q = Math.max(1, Math.min(wide, 4, vectors));
  const tw = Math.max(1, Math.min(m, Math.floor((registers - 4 * q - 1) / q)));
  return { tw, q };
}

const [SCALE, SHIFT, BYTES] = ['scale', 'shift', 'bytes'] as const;

export function lowerBlockwise(
  ctx: KernelContext,
  body: ContractBody,
  plan: BlockwisePlan,
): Kernel {
  const { stage, buffers, target } = ctx;
  const { lanes } = target;
  const { n, k, bits } = plan.spec;
  const extent = (name: string): number => plan.extents.get(name) ?? 1;
  const m = plan.m === null ? 1 : extent(plan.m);
  const vectors = Math.ceil(n / lanes);
  const { tw, q } = tileOf(m, vectors, target);
  const width = q * lanes;
  const wholeGroups = Math.floor(n / width);
  const rest = n - wholeGroups * width;
  const epilogue = flattenLoads(body.epilogue, stage, buffers);
  const output = at(stage.outputs, 0);
  const address = addressOf(bufferAt(buffers, output), output, body.outIndex);
  const unit = body.axes
    .map((_, i) => `i${i}`)
    .filter((name) => name !== plan.n && extent(name) === 1);
  const micro = (rows: number, vectorsHere: number, last: number): Stmt[] => {
    const shape: MicroTile = {
      ...{ th: 1, tw: rows, q: vectorsHere, lanes },
      ...{ lastLanes: last, dot: F32_DOT },
    };
    const here = new Map<string, Expr>([
      [plan.n, iadd(imul(axis('ng'), width), lanePosition(lanes))],
    ]);
    if (plan.m !== null) {
      here.set(plan.m, iadd(iadd(imul(axis('mt'), tw), axis(COLUMN)), axis(ROW)));
    }
    for (const name of unit) here.set(name, { kind: 'const', dtype: 'i64', value: 0 });
    const at_ = (expr: Expr): Expr => substituteAxes(expr, here);
    return [
      ...clearTile(shape),
      sumBlocks(ctx, body, plan, shape, width, at_),
      ...storeTile(shape, at_(address), at_(epilogue)),
    ];
  };
  const restVectors = Math.ceil(rest / lanes);
  const nest = parallelTasks(
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
  const list = blockwiseBuffers(ctx, plan, epilogue, width);
  const fn: LoopFn = {
    name: 'matmul_nbits',
    lanes,
    buffers: bufferParams(stage, buffers, list),
    dims: [],
    body: simplifyAll([nest]),
  };
  return {
    row: `matmul_${bits}bits_${tw}x${q}`,
    why: `weights of ${bits} bits stay packed; ${m}x${n}, reduction ${k} in blocks of ${plan.spec.block}`,
    fn,
    buffers: list,
  };
}

function lanePosition(lanes: number): Expr {
  return iadd(imul(axis(VECTOR), lanes), axis(LANE));
}

/** The reduction: blocks, their bytes, the elements of a byte. */
function sumBlocks(
  ctx: KernelContext,
  body: ContractBody,
  plan: BlockwisePlan,
  shape: MicroTile,
  width: number,
  at_: (expr: Expr) => Expr,
): Stmt {
  const { k, bits, block } = plan.spec;
  const { lanes, q } = shape;
  const per = 8 / bits;
  const blocks = k / block;
  const bytes = block / per;
  const held = lanePosition(lanes);
  const register = (buffer: string, dtype: 'f32' | 'i32'): Stmt => ({
    kind: 'alloc',
    ...{ buffer, dtype },
    count: q * lanes,
    space: 'register',
  });
  const overLanes = (stmt: Stmt): Stmt =>
    forLoop(VECTOR, 0, q, 'unroll', [forLoop(LANE, 0, lanes, 'vector', [stmt])]);
  const put = (buffer: string, value: Expr): Stmt =>
    overLanes({ kind: 'assign', buffer, index: held, value });
  const position = iadd(imul(iadd(imul(axis('ng'), blocks), axis('kb')), width), held);
  const scale = load(SCALE, 'f32', [held]);
  const zero =
    typeof plan.zeros === 'number'
      ? constant('f32', plan.zeros)
      : load(operandName(plan.zeros.operand), 'f32', [position]);
  const byte = iadd(imul(axis('kb'), bytes), axis('ki'));
  const bytePosition = iadd(imul(iadd(imul(axis('ng'), blocks * bytes), byte), width), held);
  const data = dataAddressIn(ctx, body);
  const step = (part: number): Stmt[] => {
    const stored = load(BYTES, 'i32', [held]);
    const high = part === 0 ? stored : binary('shr', stored, constant('i32', part * bits));
    const element = part === per - 1 ? high : binary('and', high, constant('i32', 2 ** bits - 1));
    const weights = `w${part}`;
    const real = binary(
      'add',
      binary('mul', cast('f32', element), scale),
      load(SHIFT, 'f32', [held]),
    );
    const reduction = new Map([['r0', iadd(imul(byte, per), part)]]);
    const x = load(operandName(0), 'f32', [at_(substituteAxes(data, reduction))]);
    return [
      register(weights, 'f32'),
      put(weights, real),
      forLoop(ROW, 0, shape.th, 'unroll', [
        forLoop(COLUMN, 0, shape.tw, 'unroll', [
          overLanes({
            kind: 'accumulate',
            op: 'sum',
            buffer: ACCUMULATOR,
            index: accPosition(shape),
            value: binary('mul', load(weights, 'f32', [held]), x),
          }),
        ]),
      ]),
    ];
  };
  return forLoop('kb', 0, blocks, 'serial', [
    register(SCALE, 'f32'),
    register(SHIFT, 'f32'),
    put(SCALE, load(operandName(plan.scales), 'f32', [position])),
    put(SHIFT, { kind: 'unary', dtype: 'f32', op: 'neg', x: binary('mul', zero, scale) }),
    forLoop('ki', 0, bytes, 'serial', [
      register(BYTES, 'i32'),
      put(BYTES, cast('i32', load(operandName(1), 'u8', [bytePosition]))),
      ...Array.from({ length: per }, (_, part) => step(part)).flat(),
    ]),
  ]);
}

function dataAddressIn({ stage, buffers }: KernelContext, body: ContractBody): Expr {
  if (body.a.kind !== 'load') throw new TypeError('planned as a load');
  const view = at(stage.operands, Number(body.a.source));
  return addressOf(bufferAt(buffers, view), view, body.a.index);
}

function blockwiseBuffers(
  { stage, buffers }: KernelContext,
  plan: BlockwisePlan,
  epilogue: Expr,
  width: number,
): KernelBuffer[] {
  const { n, k, bits, block } = plan.spec;
  const blocks = k / block;
  const tensorOf = (operand: number) => constantOf(bufferAt(buffers, at(stage.operands, operand)));
  const packed: KernelBuffer[] = [
    {
      kind: 'packed',
      operand: 1,
      packing: `nbits_w${width}`,
      pack: () => packBytes(tensorOf(1), n, width),
    },
    {
      kind: 'packed',
      operand: plan.scales,
      packing: `nbits_scales_w${width}`,
      dtype: 'f32',
      pack: () => packBlocks(zeroPoints(tensorOf(plan.scales), n, blocks, bits), n, blocks, width),
    },
  ];
  const { zeros } = plan;
  if (typeof zeros !== 'number') {
    packed.push({
      kind: 'packed',
      operand: zeros.operand,
      packing: `nbits_zeros_w${width}_${bits}`,
      dtype: 'f32',
      pack: () =>
        packBlocks(zeroPoints(tensorOf(zeros.operand), n, blocks, bits), n, blocks, width),
    });
  }
  const taken = new Set([0, ...packed.flatMap((b) => (b.kind === 'packed' ? [b.operand] : []))]);
  const others = kernelBuffers(stage, [epilogue]);
  return [
    { kind: 'operand', operand: 0 },
    ...packed,
    ...others.filter((item) => item.kind !== 'operand' || !taken.has(item.operand)),
  ];
}
