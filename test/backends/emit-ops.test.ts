/**
 * Every operator on every dtype as compiled C, scalar and in vector loops, against the meaning of
 * expressions. Integers, comparisons and float arithmetic agree exactly; elementary functions
 * within their stated error.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { axis, binary, cast, iadd, load, unary } from 'hone/expr/build';
import { compileExpr, type EvaluationEnv } from 'hone/expr/evaluate';
import { roundFloat } from 'hone/expr/scalar';
import { BINARY_OPS, type BinaryOp, type Expr, UNARY_OPS, type UnaryOp } from 'hone/expr/types';
import type { LoopFn, Stmt } from 'hone/loop/types';
import { verifyLoop } from 'hone/loop/verify';
import { type DType, isBig, isFloat, type TypedArray } from 'hone-runtime/base/dtype';
import { seededRandom } from 'hone-runtime/base/random';
import { allocateData, fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import type { Target } from 'hone-runtime/target/types';
import { compileKernels, runnableTargets } from '../support/compiled-kernel.js';

const COUNT = 75;
const DTYPES: readonly DType[] = [
  'f32',
  'f64',
  'f16',
  'bf16',
  'i8',
  'u8',
  'i16',
  'u16',
  'i32',
  'u32',
  'i64',
  'u64',
  'bool',
];
const FUNCTIONS: ReadonlySet<string> = new Set([
  'exp',
  'log',
  'sin',
  'cos',
  'tan',
  'asin',
  'acos',
  'atan',
  'sinh',
  'cosh',
  'tanh',
  'asinh',
  'acosh',
  'atanh',
  'erf',
  'sigmoid',
  'pow',
]);
const FLOAT_ONLY: ReadonlySet<string> = new Set([...FUNCTIONS, 'sqrt']);
const INTEGER_ONLY: ReadonlySet<string> = new Set(['and', 'or', 'xor', 'shl', 'shr', 'not']);
const BOOL_OPS: ReadonlySet<string> = new Set(['and', 'or', 'xor', 'eq', 'ne', 'not']);

interface Case {
  readonly fn: LoopFn;
  readonly value: Expr;
  readonly exact: boolean;
}

/** y by scalar code, z by vector loops with a scalar tail. */
function kernel(
  name: string,
  lanes: number,
  inputs: readonly DType[],
  make: (at: Expr) => Expr,
): LoopFn {
  const dtype = make(axis('i')).dtype;
  const store = (buffer: string, at: Expr): Stmt => ({
    kind: 'assign',
    buffer,
    index: at,
    value: make(at),
  });
  const zero = { kind: 'const', dtype: 'i64', value: 0 } as const;
  const whole = Math.floor(COUNT / lanes) * lanes;
  const to = (value: number): Expr => ({ ...zero, value });
  const loop = (
    name: string,
    hi: number,
    mode: 'serial' | 'vector',
    body: Stmt,
    step = 1,
  ): Stmt => ({
    kind: 'for',
    axis: name,
    lo: zero,
    hi: to(hi),
    step,
    mode,
    body: [body],
  });
  return verifyLoop({
    name,
    lanes,
    buffers: [
      ...inputs.map((input, i) => ({
        name: i === 0 ? 'a' : 'b',
        dtype: input,
        access: 'read' as const,
      })),
      { name: 'y', dtype, access: 'write' },
      { name: 'z', dtype, access: 'write' },
    ],
    dims: [],
    body: [
      loop('i', COUNT, 'serial', store('y', axis('i'))),
      loop(
        'j',
        whole,
        'serial',
        loop('l', lanes, 'vector', store('z', iadd(axis('j'), axis('l')))),
        lanes,
      ),
      loop('l', COUNT - whole, 'vector', store('z', iadd(axis('l'), whole))),
    ],
  });
}

const SIMPLE: ReadonlySet<string> = new Set(['add', 'mul', 'mod', 'shr', 'pow', 'abs']);

function applies(op: UnaryOp | BinaryOp, dtype: DType): boolean {
  // The same text makes the functions of all integers.
  if (dtype === 'i16' || dtype === 'u16' || dtype === 'u64') return SIMPLE.has(op);
  if (dtype === 'bool') return BOOL_OPS.has(op);
  // Half types share the functions of f32; two show that the result is rounded.
  if (dtype === 'f16' || dtype === 'bf16') {
    return !INTEGER_ONLY.has(op) && (!FUNCTIONS.has(op) || op === 'exp' || op === 'pow');
  }
  if (isFloat(dtype)) return !INTEGER_ONLY.has(op);
  return op === 'pow' || !FLOAT_ONLY.has(op);
}

function cases(lanes: number, dtypes: readonly DType[]): Case[] {
  const list: Case[] = [];
  for (const dtype of dtypes) {
    for (const op of UNARY_OPS) {
      if (!applies(op, dtype)) continue;
      const make = (at: Expr): Expr => unary(op, load('a', dtype, [at]));
      const exact = !FUNCTIONS.has(op) || !isFloat(dtype);
      list.push({
        fn: kernel(`${op}_${dtype}`, lanes, [dtype], make),
        value: make(axis('i')),
        exact,
      });
    }
    for (const op of BINARY_OPS) {
      if (!applies(op, dtype)) continue;
      const make = (at: Expr): Expr => binary(op, load('a', dtype, [at]), load('b', dtype, [at]));
      const exact = !isFloat(dtype) || (!FUNCTIONS.has(op) && op !== 'floordiv');
      list.push({
        fn: kernel(`${op}_${dtype}_2`, lanes, [dtype, dtype], make),
        value: make(axis('i')),
        exact,
      });
    }
    for (const to of DTYPES) {
      if (to === dtype) continue;
      const make = (at: Expr): Expr => cast(to, load('a', dtype, [at]));
      list.push({
        fn: kernel(`cast_${dtype}_${to}`, lanes, [dtype], make),
        value: make(axis('i')),
        exact: true,
      });
    }
  }
  return list;
}

const SPECIAL: readonly number[] = [
  0,
  -0,
  1,
  -1,
  2,
  -2,
  0.5,
  -0.5,
  1.5,
  2.5,
  -2.5,
  3,
  7,
  -7,
  127,
  128,
  -128,
  -129,
  255,
  256,
  1e-3,
  32767.5,
  65535,
  65536,
  1e6,
  -1e6,
  2147483520,
  2147483648,
  -2147483648,
  -3e9,
  4294967295,
  4294967296,
  1e10,
  -1e10,
  1e19,
  -1e19,
  2e19,
  3e38,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  88,
  -88,
  0.9,
  -0.3,
  10,
  20,
];

function inputData(dtype: DType, seed: number): TypedArray {
  const random = seededRandom(seed);
  const data = allocateData(dtype, COUNT);
  if (isFloat(dtype)) {
    const order = (i: number): number => SPECIAL[(i * (seed === 1 ? 1 : 7)) % SPECIAL.length] ?? 0;
    const values = Array.from({ length: COUNT }, (_, i) =>
      i < SPECIAL.length ? order(i) : random.normal() * (random.integer(3) === 0 ? 20 : 1),
    );
    return fromNumbers(dtype, [COUNT], values).data as TypedArray;
  }
  for (let i = 0; i < COUNT; i++) {
    const small = random.integer(3) === 0 ? random.integer(9) - 4 : random.integer(1 << 30) * 4;
    const sign = random.integer(2) === 0 ? 1 : -1;
    if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
      const wide = BigInt(small) * (random.integer(2) === 0 ? 1n : BigInt(random.integer(1 << 30)));
      data[i] = wide * BigInt(sign);
    } else if (dtype === 'bool') data[i] = random.integer(2);
    else data[i] = small * sign;
  }
  return data;
}

function environment(buffers: Readonly<Record<string, TypedArray>>, i: number): EvaluationEnv {
  return {
    axis: () => i,
    load: (source, [at = 0], dtype) => {
      const data = buffers[source] as TypedArray;
      const element = data[at] as number | bigint;
      if (dtype !== 'f16' && dtype !== 'bf16') return element;
      return (
        toNumbers({ dtype, shape: [1], data: data.subarray(at, at + 1) as Uint16Array })[0] ?? 0
      );
    },
    acc: () => 0,
  };
}

/** Largest relative error that counts as equal for a function of this dtype. */
const FUNCTION_ERROR: Partial<Record<DType, number>> = {
  f32: 4e-7,
  f64: 2e-12,
  f16: 2e-3,
  bf16: 1.6e-2,
};

function disagreements(
  item: Case,
  buffers: Readonly<Record<'a' | 'b' | 'y' | 'z', TypedArray>>,
): string[] {
  const { dtype } = item.value;
  const numbers = (data: TypedArray): ArrayLike<number | bigint> =>
    isBig(dtype) ? (data as BigInt64Array) : toNumbers({ dtype, shape: [COUNT], data });
  const results = { y: numbers(buffers.y), z: numbers(buffers.z) };
  const run = compileExpr(item.value);
  const problems: string[] = [];
  for (let i = 0; i < COUNT; i++) {
    const raw = run(environment(buffers, i));
    const wanted = isFloat(dtype) ? roundFloat(dtype, raw as number) : raw;
    for (const name of ['y', 'z'] as const) {
      const found = results[name][i] as number | bigint;
      if (agrees(item, found, wanted, Number(buffers.a[i]))) continue;
      const inputs = `a=${buffers.a[i]} b=${buffers.b[i]}`;
      problems.push(`${item.fn.name} ${name}[${i}] of ${inputs}: ${found}, not ${wanted}`);
    }
  }
  return problems;
}

function agrees(
  item: Case,
  found: number | bigint,
  wanted: number | bigint,
  input: number,
): boolean {
  // The sign of zero is not part of the meaning.
  if (found === wanted || Object.is(found, wanted)) return true;
  if (item.exact || typeof found === 'bigint' || typeof wanted === 'bigint') return false;
  // Of the angle in a huge number little is left.
  if (/^(sin|cos|tan)_/.test(item.fn.name) && Math.abs(input) > 1e9) return true;
  const { dtype } = item.value;
  const tiny = dtype === 'f64' ? 1e-300 : 2e-38;
  return Math.abs(found - wanted) <= (FUNCTION_ERROR[dtype] ?? 0) * Math.abs(wanted) + tiny;
}

function testTarget(target: Target, dtypes: readonly DType[]): void {
  const list = cases(target.lanes, dtypes);
  // Two units, because two compilers may run at once.
  const halves = [0, 1].map((half) => list.filter((_, i) => i % 2 === half).map(({ fn }) => fn));
  const compiled = Promise.all(halves.map((fns) => compileKernels(fns, target)));
  after(async () => {
    for (const unit of await compiled) unit.close();
  });
  for (const dtype of dtypes) {
    test(`operators on ${dtype} compiled for ${target.name}`, async () => {
      const units = await compiled;
      const problems: string[] = [];
      list.forEach((item, i) => {
        if (item.fn.buffers[0]?.dtype !== dtype) return;
        const out = item.value.dtype;
        const buffers = {
          a: inputData(dtype, 1),
          b: inputData(dtype, 2),
          y: allocateData(out, COUNT),
          z: allocateData(out, COUNT),
        };
        units[i % 2]?.run(item.fn, buffers);
        problems.push(...disagreements(item, buffers));
      });
      assert.equal(problems.join('\n'), '');
    });
  }
}

const [machine, ...others] = runnableTargets();
if (machine !== undefined) testTarget(machine, DTYPES);
// Elsewhere what differs by instruction set: float rounding, half conversions, narrow lanes.
for (const target of others) testTarget(target, ['f32', 'f16', 'u8']);
