/** Expressions: the rules one by one, the scalar semantics, errors of the parser. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asAffine } from 'hone/expr/affine';
import { axis, binary, constant, load } from 'hone/expr/build';
import { compileIndex, evaluateExpr } from 'hone/expr/evaluate';
import { interval } from 'hone/expr/interval';
import { parseExpr } from 'hone/expr/parse';
import { printExpr } from 'hone/expr/print';
import { simplifyExpr } from 'hone/expr/simplify';
import { fuzzEnv } from '../support/random-expr.js';

const RANGES = new Map([
  ['a', [0, 63]],
  ['b', [0, 15]],
  ['c', [0, 7]],
  ['x', [0, 4095]],
] as const);

const RULES: readonly (readonly [before: string, after: string])[] = [
  ['floordiv(add(mul(a, 16), b), 16)', 'a'],
  ['mod(add(mul(a, 16), b), 16)', 'b'],
  ['mod(sub(b, 16), 16)', 'b'],
  ['floordiv(floordiv(x, 8), 8)', 'floordiv(x, 64)'],
  ['floordiv(x, 4096)', '0'],
  ['mod(mod(x, 64), 16)', 'mod(x, 16)'],
  ['floordiv(mod(x, 64), 8)', 'mod(floordiv(x, 8), 8)'],
  ['mod(add(mul(a, 8), c), 4)', 'mod(c, 4)'],
  ['floordiv(add(mul(a, 6), 3), 4)', 'floordiv(add(mul(a, 3), 1), 2)'],
  ['add(mul(floordiv(x, 64), 64), add(mul(mod(floordiv(x, 8), 8), 8), mod(x, 8)))', 'x'],
  ['div(a, 16)', 'floordiv(a, 16)'],
  ['add(add(a, b), sub(c, a))', 'add(b, c)'],
  ['sub(5, a)', 'sub(5, a)'],
  ['min(add(a, 3), a)', 'a'],
  ['max(min(a, 64), 0)', 'a'],
  ['lt(add(a, 1), add(a, 2))', '1:bool'],
  ['and(ge(c, 0), lt(c, 4))', 'lt(c, 4)'],
  ['bound(add(a, b), 79)', 'add(a, b)'],
  ['bound(add(a, b), 78)', 'bound(add(a, b), 78)'],
  ['bound(%1[a]:i64, 1)', 'bound(%1[a]:i64, 1)'],
  ['add(mul(bound(%1[a]:i64, 1), 4), c)', 'add(mul(bound(%1[a]:i64, 1), 4), c)'],
  ['mul(bound(%1[a]:i64, 1), 4)', 'mul(bound(%1[a]:i64, 1), 4)'],
  ['mul(bound(mod(a, 1), 1), 4)', '0'],
  ['sel(lt(a, 16), %0[mod(a, 16)], 0:f32)', 'sel(lt(a, 16), %0[a], 0:f32)'],
  ['cast:f32(cast:f64(%0[a]))', '%0[a]'],
  ['cast:u8(cast:f32(%0[a]:i32))', 'cast:u8(cast:f32(%0[a]:i32))'],
  ['mul(%0[add(a, 0)], 1:f32)', '%0[a]'],
  ['add(%0[a], 0:f32)', 'add(%0[a], 0:f32)'],
  ['add(%0[a]:i32, 0:i32)', '%0[a]:i32'],
];

test('simplification rules', () => {
  for (const [before, after] of RULES) {
    assert.equal(printExpr(simplifyExpr(parseExpr(before), RANGES)), after, before);
  }
});

test('affine form keeps coefficients, refuses the rest', () => {
  const sum = asAffine(parseExpr('add(mul(sub(a, b), 4), sub(7, mul(3, a)))'));
  assert.deepEqual(
    [...(sum?.terms ?? [])],
    [
      ['a', 1],
      ['b', -4],
    ],
  );
  assert.equal(sum?.constant, 7);
  assert.equal(asAffine(parseExpr('floordiv(a, 2)')), null);
  const opaque = new Map();
  assert.equal(asAffine(parseExpr('add(a, floordiv(a, 2))'), opaque)?.terms.size, 2);
  assert.deepEqual([...opaque.values()], [parseExpr('floordiv(a, 2)')]);
});

test('intervals of single nodes', () => {
  const of = (text: string): readonly number[] => [...interval(parseExpr(text), RANGES)];
  assert.deepEqual(of('sub(a, b)'), [-15, 63]);
  assert.deepEqual(of('cast:i64(%3[a]:u8)'), [0, 255]);
  assert.deepEqual(of('bound(%1[a]:i64, 10)'), [0, 9]);
  assert.deepEqual(of('%1[a]:i64'), [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]);
  assert.deepEqual(of('mod(sub(a, 100), 8)'), [0, 7]);
});

const VALUES: readonly (readonly [text: string, value: number | bigint])[] = [
  ['div(-7, 2)', -3n],
  ['floordiv(-7, 2)', -4n],
  ['mod(-7, 2)', 1n],
  ['mod(7, -2)', -1n],
  ['fmod(-7, 2)', -1n],
  ['div(7, 0)', 0n],
  ['add(9223372036854775807n, 1n)', -9223372036854775808n],
  ['add(200:u8, 100:u8)', 44],
  ['mul(65537:i32, 65537:i32)', 131073],
  ['cast:i8(cast:f32(300))', 127],
  ['cast:i8(300)', 44],
  ['cast:u8(-1.5:f32)', 0],
  ['cast:i32(nan:f32)', 0],
  ['cast:i64(1e30:f64)', 9223372036854775807n],
  ['cast:bool(nan:f32)', 1],
  ['round(2.5:f32)', 2],
  ['round(-0.5:f32)', -0],
  ['max(nan:f32, 1:f32)', Number.NaN],
  ['min(1:f32, nan:f32)', Number.NaN],
  ['pow(2:i32, 10:i32)', 1024],
  ['pow(nan:f32, 0:f32)', 1],
  ['cast:f16(65504:f32)', 65504],
  ['cast:f16(65536:f32)', Number.POSITIVE_INFINITY],
  ['not(0:bool)', 1],
  ['not(0:u8)', 255],
  ['shl(1:u8, 8:u8)', 0],
  ['isinf(-inf:f32)', 1],
  ['bound(-1, 10)', 9n],
  ['sel(lt(1, 2), 1.5:f32, 2:f32)', 1.5],
  ['sigmoid(-1000:f64)', 0],
  ['erf(inf:f64)', 1],
];

test('scalar semantics', () => {
  for (const [text, expected] of VALUES) {
    assert.ok(Object.is(evaluateExpr(parseExpr(text), fuzzEnv(new Map())), expected), text);
  }
});

test('erf is exact to a few ulp', () => {
  // Values of Abramowitz and Stegun, table 7.1, and of higher-precision evaluation.
  const table = [
    [0.5, 0.5204998778130465],
    [1, 0.8427007929497149],
    [2, 0.9953222650189527],
    [2.6, 0.9997639655834707],
    [3, 0.9999779095030014],
  ] as const;
  for (const [x, y] of table) {
    const value = Number(evaluateExpr(parseExpr(`erf(${x}:f64)`), fuzzEnv(new Map())));
    assert.ok(Math.abs(value - y) < 4e-16, `erf(${x}) = ${value}`);
  }
});

test('a checked index outside its extent is reported and reads 0', () => {
  let faults = 0;
  const run = compileIndex(parseExpr('bound(12, 10)'));
  assert.equal(run({ ...fuzzEnv(new Map()), fault: () => faults++ }), 0);
  assert.equal(faults, 1);
});

test('bad text is refused with its line', () => {
  for (const text of [
    'add(a)',
    'add(a, 1:f32)',
    'frob(a)',
    'a b',
    '%0[',
    'cast:f9(a)',
    '1.5:',
    '',
  ]) {
    assert.throws(() => parseExpr(text), { code: 'HONE-PARSE-001' }, text);
  }
  assert.throws(() => parseExpr('add(a,\n  ?)'), /line 2/);
});

test('an i64 constant that doubles do not hold stays exact in a sum', () => {
  const big = constant('i64', 2n ** 53n + 1n);
  const sum = simplifyExpr(binary('add', load('x', 'i64', [axis('i')]), big), new Map());
  assert.ok(printExpr(sum).includes('9007199254740993'), printExpr(sum));
});
