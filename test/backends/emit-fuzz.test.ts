/**
 * Random expressions compiled as C, in scalar and in vector loops, against their meaning. Values
 * are dyadic numbers, so results agree exactly.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { axis, binary, iadd, index, select } from 'hone/expr/build';
import { compileExpr } from 'hone/expr/evaluate';
import { printExpr } from 'hone/expr/print';
import { rewriteExpr, substituteAxes, visitExpr } from 'hone/expr/rewrite';
import { roundFloat } from 'hone/expr/scalar';
import type { Expr } from 'hone/expr/types';
import type { LoopFn, Stmt } from 'hone/loop/types';
import { verifyLoop } from 'hone/loop/verify';
import { type DType, isBig, isFloat, type TypedArray } from 'hone-runtime/base/dtype';
import { seededRandom } from 'hone-runtime/base/random';
import { allocateData, toNumbers } from 'hone-runtime/base/tensor';
import { resolveTarget } from 'hone-runtime/target/parse';
import { compileKernels, runnableTargets } from '../support/compiled-kernel.js';
import { fuzzEnv, randomValue } from '../support/random-expr.js';

const COUNT = 32;
const SIZE = 40;
/** Operands by the names that random expressions give them. */
const OPERANDS: readonly (readonly [string, DType])[] = [
  ['0', 'f32'],
  ['1', 'i64'],
  ['2', 'i32'],
  ['3', 'u8'],
  ['4', 'f64'],
];

/** Loads at flat, safe positions of named buffers; the fuzz axes become the lane and constants. */
function grounded(expr: Expr, seed: number): Expr {
  const axes = new Map<string, Expr>([
    ['i1', index(seed % 5)],
    ['i2', index(3)],
  ]);
  return rewriteExpr(substituteAxes(expr, axes), (node) => {
    if (node.kind !== 'load') return node;
    const at = node.index[0] ?? index(0);
    // Plain neighbours stay neighbours, so that they become vector loads.
    const neighbour = at.kind === 'axis';
    const safe = neighbour ? at : binary('mod', at, index(SIZE));
    return { ...node, source: `x${node.source}`, index: [safe] };
  });
}

function kernel(name: string, value: Expr, lanes: number): LoopFn {
  const body = (buffer: string, at: Expr): Stmt => ({
    kind: 'assign',
    buffer,
    index: at,
    value: substituteAxes(value, new Map([['i0', at]])),
  });
  const loop = (
    name: string,
    hi: number,
    mode: 'serial' | 'vector',
    inner: Stmt,
    step = 1,
  ): Stmt => ({ kind: 'for', axis: name, lo: index(0), hi: index(hi), step, mode, body: [inner] });
  return verifyLoop({
    name,
    lanes,
    buffers: [
      ...OPERANDS.map(([k, dtype]) => ({ name: `x${k}`, dtype, access: 'read' as const })),
      { name: 'y', dtype: value.dtype, access: 'write' },
      { name: 'z', dtype: value.dtype, access: 'write' },
    ],
    dims: [],
    body: [
      loop('i', COUNT, 'serial', body('y', axis('i'))),
      loop(
        'j',
        COUNT,
        'serial',
        loop('l', lanes, 'vector', body('z', iadd(axis('j'), axis('l')))),
        lanes,
      ),
    ],
  });
}

function operandData(): Record<string, TypedArray> {
  const env = fuzzEnv(new Map());
  return Object.fromEntries(
    OPERANDS.map(([k, dtype]) => {
      const data = allocateData(dtype, SIZE);
      for (let i = 0; i < SIZE; i++) data[i] = env.load(k, [i], dtype) as never;
      return [`x${k}`, data];
    }),
  );
}

/** Saturation at 64 bits and faults of checked indices are tested elsewhere. */
function isTestable(expr: Expr): boolean {
  let good = true;
  visitExpr(expr, (node) => {
    if (node.kind === 'bound') good = false;
  });
  return good;
}

async function fuzz(seed: number, count: number, lanes: number, target: string): Promise<void> {
  const random = seededRandom(seed);
  const exprs: Expr[] = [];
  while (exprs.length < count) {
    const expr = grounded(randomValue(random, undefined, 4), exprs.length);
    // A guard the compiler cannot see through, half of the time.
    const wrapped =
      random.integer(2) === 0 && !isBig(expr.dtype)
        ? select(binary('lt', axis('i0'), index(random.integer(COUNT))), expr, expr)
        : expr;
    if (isTestable(expr)) exprs.push(wrapped);
  }
  const fns = exprs.map((expr, i) => kernel(`f${i}`, expr, lanes));
  const compiled = await compileKernels(fns, resolveTarget(target));
  const operands = operandData();
  const problems: string[] = [];
  fns.forEach((fn, k) => {
    const value = exprs[k] as Expr;
    const { dtype } = value;
    const y = allocateData(dtype, COUNT);
    const z = allocateData(dtype, COUNT);
    compiled.run(fn, { ...operands, y, z });
    const run = compileExpr(value);
    const numbers = (data: TypedArray): ArrayLike<number | bigint> =>
      isBig(dtype) ? (data as BigInt64Array) : toNumbers({ dtype, shape: [COUNT], data });
    const [a, b] = [numbers(y), numbers(z)];
    for (let i = 0; i < COUNT; i++) {
      const raw = run({
        axis: () => i,
        load: (source, [at = 0]) => operands[source]?.[at] as number | bigint,
        acc: () => 0,
      });
      const wanted = isFloat(dtype) ? roundFloat(dtype, raw as number) : raw;
      for (const [name, found] of [
        ['scalar', a[i]],
        ['vector', b[i]],
      ] as const) {
        if (found === wanted || Object.is(found, wanted)) continue;
        problems.push(`${name} ${fn.name}[${i}] is ${found}, not ${wanted}: ${printExpr(value)}`);
        return;
      }
    }
  });
  compiled.close();
  assert.equal(problems.slice(0, 3).join('\n'), '', `${problems.length} of ${count}, seed ${seed}`);
}

const [machine, second] = runnableTargets();
const rounds = Number(process.env['HONE_FUZZ_ROUNDS'] ?? 1);
for (let round = 0; round < rounds; round++) {
  test(`random expressions as C, 16 lanes, round ${round}`, () =>
    fuzz(round * 7 + 1, 120, machine?.lanes ?? 4, machine?.name ?? ''));
}
if (second !== undefined) {
  test(`random expressions as C for ${second.name}`, () => fuzz(77, 60, second.lanes, second.name));
}
