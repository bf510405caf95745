/**
 * Random numbers. A number is a hash of the seed and the element's position, so that any number of threads,
 * any runtime and every run give the same ones: who needs others compiles with another seed. Without the
 * attribute `seed` the node's name is the seed, so that two nodes differ.
 *
 * Beyond ONNX, an operator that draws may have more inputs behind its own, i64 scalars: the numbers of the
 * iterations that it runs in. They go into the hash, so that every iteration draws others. `loops` says how
 * many loops are accounted for so, `stream` keeps the name that is the seed where a node is written out
 * under others (see `ops/control/number-draws.ts`).
 */
import { at } from 'hone-runtime/base/diagnostics';
import { stridesOf, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { binary, cast, constant, iadd, imul, index } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { Attrs } from '../../graph/types.ts';
import { int, shapeError, typeError } from '../checks.ts';
import type { AttrSpec, InferContext, LowerContext } from '../define-op.ts';
import { outAxes } from '../lower.ts';
import { call, choose, loadInput, lt, mul, sub, widen } from './scalar.ts';

/** Attributes of every operator that draws. */
export const DRAWS: Readonly<Record<string, AttrSpec>> = {
  seed: { type: 'float' },
  stream: { type: 'string' },
  loops: int(0),
};

/** How many inputs ONNX gives to the operators that draw; the numbers of iterations come behind them. */
const OWN_INPUTS: ReadonlyMap<string, number> = new Map([
  ['Bernoulli', 1],
  ['Dropout', 3],
  ['Multinomial', 1],
  ['RandomNormal', 0],
  ['RandomNormalLike', 1],
  ['RandomUniform', 0],
  ['RandomUniformLike', 1],
]);

/** The position of the first iteration number among the inputs; undefined for operators that draw nothing. */
export function firstDraw(op: string, domain: string): number | undefined {
  return domain === '' ? OWN_INPUTS.get(op) : undefined;
}

/** What stands behind the operator's own inputs are i64 scalars. */
export function checkDraws(ctx: InferContext): void {
  for (const input of ctx.inputs.slice(OWN_INPUTS.get(ctx.op))) {
    if (input?.type.dtype !== 'i64') typeError(ctx, 'it has more inputs than ONNX gives it');
    if (input.type.shape.length > 0) shapeError(ctx, 'the number of an iteration is a scalar');
  }
}

/** The numbers of iterations that a node is given, as a kernel reads them. */
export function drawExprs(ctx: LowerContext): readonly Expr[] {
  const first = OWN_INPUTS.get(ctx.op) ?? 0;
  return ctx.inputs.slice(first).map((_, i) => loadInput(ctx, first + i, []));
}

/** The same of tensors. */
export function drawNumbers(op: string, inputs: readonly (Tensor | null)[]): readonly number[] {
  return inputs
    .slice(OWN_INPUTS.get(op))
    .map((tensor) => (tensor === null ? 0 : at([...toNumbers(tensor)], 0)));
}

/** What seeds the second number of an element that takes two. */
export const SECOND_STREAM = 0x85297a4d;
const STEP = 0x9e3779b1;
const MIX = [0x85ebca6b, 0xc2b2ae35] as const;

/** The seed as 32 bits. */
export function seedOf(attrs: Attrs, node: string): number {
  const { seed, stream } = attrs;
  const name = typeof stream === 'string' && stream !== '' ? stream : node;
  const text = typeof seed === 'number' ? `seed ${seed}` : `node ${name}`;
  let hash = 0x811c9dc5;
  for (const char of text) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193);
  return hash >>> 0;
}

/** A permutation of 32 bits. */
function mixed(start: number): number {
  let h = start >>> 0;
  h = Math.imul(h ^ (h >>> 16), MIX[0]) >>> 0;
  h = Math.imul(h ^ (h >>> 13), MIX[1]) >>> 0;
  return (h ^ (h >>> 16)) >>> 0;
}

/**
 * An iteration has a first state and a step of its own for its positions, so that two iterations share no run of
 * states. Both are sums of products, for an expression that is read twice is there twice.
 */
function streamOf(draw: number): { readonly start: number; readonly step: number } {
  return { start: (mixed(2 * draw + 1) | 1) >>> 0, step: Math.imul(mixed(2 * draw + 2), 2) >>> 0 };
}

/** A number in [0, 1) for a position in an iteration. */
export function uniformAt(seed: number, position: number, draws: readonly number[] = []): number {
  let [start, step] = [seed, STEP];
  draws.forEach((draw, i) => {
    const own = streamOf(i);
    start += Math.imul(draw, own.start);
    step = (step + Math.imul(draw, own.step)) | 0;
  });
  return (mixed(Math.imul(position, step) + start) >>> 8) * 2 ** -24;
}

/** The same as an f32 expression. */
export function uniformExpr(seed: number, position: Expr, draws: readonly Expr[] = []): Expr {
  const u32 = (value: number): Expr => constant('u32', value);
  const folded = (h: Expr, bits: number): Expr => binary('xor', h, binary('shr', h, u32(bits)));
  const sum = (from: number, part: (i: number) => number): Expr =>
    draws.reduce(
      (rest, draw, i) => binary('add', binary('mul', cast('u32', draw), u32(part(i))), rest),
      u32(from),
    );
  const step = sum(STEP, (i) => streamOf(i).step);
  const place = binary('mul', cast('u32', position), step);
  const start = binary(
    'add',
    place,
    sum(seed, (i) => streamOf(i).start),
  );
  const once = binary('mul', folded(start, 16), u32(MIX[0]));
  const twice = binary('mul', folded(once, 13), u32(MIX[1]));
  return mul(cast('f32', binary('shr', folded(twice, 16), u32(8))), 2 ** -24);
}

/** The position of an element, from the output's axes. */
export function positionExpr(shape: readonly number[]): Expr {
  const strides = stridesOf(shape);
  return outAxes(shape.length).reduce(
    (sum, axis, i) => iadd(sum, imul(axis, at(strides, i))),
    index(0),
  );
}

/** Is an element dropped, and what stays? For Dropout in training mode; `draw` is a number in [0, 1). */
export function dropExpr(
  x: Expr,
  ratio: Expr,
  training: Expr,
  draw: Expr,
): { readonly value: Expr; readonly kept: Expr } {
  const dropped = binary('and', training, lt(draw, ratio));
  const scaled = binary('div', widen(x), sub(1, cast(widen(x).dtype, ratio)));
  const value = choose(dropped, 0, choose(training, scaled, widen(x)));
  return { value: cast(x.dtype, value), kept: call('not', dropped) };
}
