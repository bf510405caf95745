/** Fuzz: simplified expressions mean the same, intervals hold, printed text reads back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Random, seededRandom } from 'hone-runtime/base/random';
import { evaluateExpr } from 'hone/expr/evaluate';
import { type Interval, interval } from 'hone/expr/interval';
import { parseExpr } from 'hone/expr/parse';
import { printExpr } from 'hone/expr/print';
import { simplifyExpr } from 'hone/expr/simplify';
import type { Expr } from 'hone/expr/types';
import {
  FUZZ_AXES,
  fuzzEnv,
  randomAnyExpr,
  randomIndex,
  randomRanges,
  randomValue,
  smallestFailing,
} from '../support/random-expr.js';

const SEED = Number(process.env['HONE_FUZZ_SEED'] ?? 20261122);
const COUNT = Number(process.env['HONE_FUZZ_COUNT'] ?? 4000);
const POINTS = 6;

/** Points inside the ranges: both corners, then random ones. */
function pointsIn(ranges: ReadonlyMap<string, Interval>, random: Random): Map<string, number>[] {
  return Array.from({ length: POINTS }, (_, n) => {
    const at = ([lo, hi]: Interval): number =>
      n === 0 ? lo : n === 1 ? hi : lo + random.integer(hi - lo + 1);
    return new Map(FUZZ_AXES.map((name) => [name, at(ranges.get(name) ?? [0, 0])]));
  });
}

function explain(expr: Expr, ranges: ReadonlyMap<string, Interval>, seed: number): string {
  const where = [...ranges].map(([name, [lo, hi]]) => `${name} in [${lo}, ${hi}]`).join(', ');
  const after = printExpr(simplifyExpr(expr, ranges));
  return `seed ${seed}: ${printExpr(expr)} simplifies to ${after} (${where})`;
}

test('simplify preserves the value at every point of the ranges', () => {
  for (let n = 0; n < COUNT; n++) {
    const random = seededRandom(SEED + n);
    const ranges = randomRanges(random);
    const expr = n % 2 === 0 ? randomIndex(random, 4) : randomValue(random);
    const points = pointsIn(ranges, random);
    const fails = (part: Expr): boolean => {
      const simple = simplifyExpr(part, ranges);
      return points.some((point) => {
        const env = fuzzEnv(point);
        return !Object.is(evaluateExpr(part, env), evaluateExpr(simple, env));
      });
    };
    if (fails(expr)) assert.fail(explain(smallestFailing(expr, fails), ranges, SEED + n));
  }
});

test('intervals contain every value', () => {
  for (let n = 0; n < COUNT; n++) {
    const random = seededRandom(SEED + n);
    const ranges = randomRanges(random);
    const expr = n % 2 === 0 ? randomIndex(random, 4) : randomValue(random);
    const points = pointsIn(ranges, random);
    const fails = (part: Expr): boolean => {
      const [lo, hi] = interval(part, ranges);
      return points.some((point) => {
        const value = Number(evaluateExpr(part, fuzzEnv(point)));
        return value < lo || value > hi;
      });
    };
    if (fails(expr)) {
      const part = smallestFailing(expr, fails);
      assert.fail(`${explain(part, ranges, SEED + n)}: interval ${interval(part, ranges)}`);
    }
  }
});

test('simplify is idempotent', () => {
  for (let n = 0; n < COUNT / 4; n++) {
    const random = seededRandom(SEED + n);
    const ranges = randomRanges(random);
    const once = simplifyExpr(randomIndex(random, 4), ranges);
    assert.equal(printExpr(simplifyExpr(once, ranges)), printExpr(once), `seed ${SEED + n}`);
  }
});

test('text reads back as the same expression', () => {
  for (let n = 0; n < COUNT; n++) {
    const expr = randomAnyExpr(seededRandom(SEED + n), 4);
    const text = printExpr(expr);
    assert.deepEqual(parseExpr(text), expr, `seed ${SEED + n}: ${text}`);
  }
});
