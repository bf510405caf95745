/**
 * Elementary functions of hone_math.h, measured against JavaScript's double-precision ones: the
 * largest error, in units in the last place, stays within what the header states; special values
 * are those of C; no function of the C library is called.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { readFileSync } from 'node:fs';
import { erf } from 'hone/expr/erf';
import type { Target } from 'hone-runtime/target/types';
import { seededRandom } from 'hone-runtime/base/random';
import koffi from 'koffi';
import { compileC, runnableTargets } from '../support/compiled-kernel.js';

const COUNT = 1 << 14;

interface Elementary {
  readonly name: string;
  readonly of: (x: number) => number;
  readonly from: number;
  readonly to: number;
  /** Largest error in ulp of f32, and relative in f64. */
  readonly ulp: number;
  readonly relative: number;
}

const FUNCTIONS: readonly Elementary[] = [
  { name: 'exp', of: Math.exp, from: -87, to: 88.7, ulp: 1.1, relative: 1e-15 },
  { name: 'log', of: Math.log, from: 1e-30, to: 1e6, ulp: 1.1, relative: 1e-15 },
  { name: 'sin', of: Math.sin, from: -1e4, to: 1e4, ulp: 1.5, relative: 1e-12 },
  { name: 'cos', of: Math.cos, from: -1e4, to: 1e4, ulp: 1.5, relative: 1e-12 },
  { name: 'tan', of: Math.tan, from: -50, to: 50, ulp: 0.6, relative: 1e-13 },
  { name: 'asin', of: Math.asin, from: -1, to: 1, ulp: 0.6, relative: 1e-15 },
  { name: 'acos', of: Math.acos, from: -1, to: 1, ulp: 0.6, relative: 1e-14 },
  { name: 'atan', of: Math.atan, from: -40, to: 40, ulp: 0.6, relative: 1e-15 },
  { name: 'sinh', of: Math.sinh, from: -80, to: 80, ulp: 0.6, relative: 2e-15 },
  { name: 'cosh', of: Math.cosh, from: -80, to: 80, ulp: 0.6, relative: 2e-15 },
  { name: 'tanh', of: Math.tanh, from: -9, to: 9, ulp: 2, relative: 1e-15 },
  { name: 'asinh', of: Math.asinh, from: -1e5, to: 1e5, ulp: 0.6, relative: 1e-15 },
  { name: 'acosh', of: Math.acosh, from: 1, to: 1e5, ulp: 0.6, relative: 1e-15 },
  { name: 'atanh', of: Math.atanh, from: -1, to: 1, ulp: 0.6, relative: 2e-15 },
  { name: 'erf', of: erf, from: -5, to: 5, ulp: 2.5, relative: 1e-14 },
  {
    name: 'sigmoid',
    of: (x) => 1 / (1 + Math.exp(-x)),
    from: -80,
    to: 80,
    ulp: 3,
    relative: 1e-14,
  },
];

/** Where a scalar and a vector of each function are called over an array. */
function source(lanes: number): string {
  const loops = FUNCTIONS.map(({ name }) => [
    `void ${name}_f64(const double *x, double *y, int n) {`,
    `  for (int i = 0; i < n; i++) y[i] = hone_${name}_f64(x[i]);`,
    '}',
    `void ${name}_f32(const float *x, float *y, int n) {`,
    `  for (int i = 0; i < n; i++) y[i] = hone_${name}_f32(x[i]);`,
    '}',
    `void ${name}_vector(const float *x, float *y, int n) {`,
    `  for (int i = 0; i < n; i += ${lanes})`,
    `    hone_store_f32x${lanes}(y + i, hone_${name}_f32x${lanes}(hone_load_f32x${lanes}(x + i)));`,
    '}',
  ]);
  const headers = [
    '#include "hone_kernel.h"',
    '#include "hone_math.h"',
    `#define HONE_LANES ${lanes}`,
    '#include "hone_vector.h"',
  ];
  return [...headers, ...loops.flat()].join('\n');
}

/** Distance between neighbouring floats at a value. */
function ulpOf(value: number): number {
  const exponent = Math.max(-126, Math.floor(Math.log2(Math.abs(value))));
  return 2 ** (exponent - 23);
}

/** Half of the points evenly, half crowding around zero. */
function points({ from, to }: Elementary): Float64Array {
  const random = seededRandom(5);
  return Float64Array.from({ length: COUNT }, (_, i) => {
    const x = from + (to - from) * random.next();
    return i % 2 === 0 || from > 0 ? x : x * random.next() ** 8;
  });
}

function measure(target: Target): void {
  const unit = compileC(source(target.lanes), target);
  const library = unit.then(({ path }) => koffi.load(path));
  after(async () => {
    (await library).unload();
    (await unit).close();
  });
  for (const item of FUNCTIONS) {
    test(`${item.name} on ${target.name}`, async () => {
      const call = (suffix: string) =>
        library.then((lib) =>
          lib.func(`${item.name}_${suffix}`, 'void', ['void *', 'void *', 'int']),
        );
      const x = points(item);
      const y = new Float64Array(COUNT);
      (await call('f64'))(x, y, COUNT);
      let relative = 0;
      x.forEach((value, i) => {
        const wanted = item.of(value);
        if (Math.abs(wanted) < 1e-300) return;
        relative = Math.max(relative, Math.abs(((y[i] ?? 0) - wanted) / wanted));
      });
      assert.ok(relative <= item.relative, `f64: ${relative} > ${item.relative}`);
      const x32 = Float32Array.from(x);
      for (const suffix of ['f32', 'vector']) {
        const y32 = new Float32Array(COUNT);
        (await call(suffix))(x32, y32, COUNT);
        let worst = 0;
        let at = 0;
        x32.forEach((value, i) => {
          const wanted = item.of(value);
          const error = Math.abs((y32[i] ?? 0) - wanted) / ulpOf(wanted);
          if (error > worst) [worst, at] = [error, value];
        });
        assert.ok(worst <= item.ulp, `${suffix}: ${worst} ulp at ${at} > ${item.ulp}`);
      }
    });
  }
  test(`angles of which nothing is left have a sine, a cosine and a tangent on ${target.name}`, async () => {
    const x = Float64Array.of(1e17, -3e38, 1e300, 2 ** 60);
    const y = new Float64Array(x.length);
    for (const name of ['sin', 'cos', 'tan']) {
      const run = (await library).func(`${name}_f64`, 'void', ['void *', 'void *', 'int']);
      run(x, y, x.length);
      assert.ok(y.every(Number.isFinite), `${name}: ${y.join(' ')}`);
    }
  });
  test(`no library function is needed on ${target.name}`, async () => {
    const text = readFileSync((await unit).path).toString('latin1');
    for (const name of [
      'expf',
      'logf',
      'sinf',
      'sqrtf',
      'floorf',
      'rintf',
      'fmodf',
      'powf',
      'memcpy',
    ]) {
      assert.ok(!text.includes(`\0${name}\0`), `${name} is called`);
    }
  });
}

for (const target of runnableTargets()) measure(target);
