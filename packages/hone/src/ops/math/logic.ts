/** Comparisons, logical and bitwise operators, shifts. */
import { runRoutine } from 'hone-runtime/host/routines';
import { type DType, dtypeBytes } from 'hone-runtime/base/dtype';
import type { BinaryOp, Expr } from '../../expr/types.ts';
import { textAttr, typeError } from '../checks.ts';
import { defineOp, type OpDef, type TestCase } from '../define-op.ts';
import { defineBinary } from './binary-family.ts';
import { BOOL, EVERY, INTS, NUMBERS, UNSIGNED_INTS } from './dtypes.ts';
import { given } from './loops.ts';
import { bools, f32, i64, specials, tensor } from './samples.ts';
import { apply, choose, lt } from './scalar.ts';
import { alignBroadcast } from './upgrades.ts';

interface Comparison {
  readonly name: string;
  readonly doc: string;
  readonly since: number;
  readonly op: BinaryOp;
  readonly dtypes: readonly DType[];
  readonly number: (a: number, b: number) => boolean;
  readonly big: (a: bigint, b: bigint) => boolean;
}

const COMPARISONS: readonly Comparison[] = [
  {
    name: 'Less',
    doc: 'a < b.',
    since: 13,
    op: 'lt',
    dtypes: NUMBERS,
    number: (a, b) => a < b,
    big: (a, b) => a < b,
  },
  {
    name: 'LessOrEqual',
    doc: 'a ≤ b.',
    since: 16,
    op: 'le',
    dtypes: NUMBERS,
    number: (a, b) => a <= b,
    big: (a, b) => a <= b,
  },
  {
    name: 'Greater',
    doc: 'a > b.',
    since: 13,
    op: 'gt',
    dtypes: NUMBERS,
    number: (a, b) => a > b,
    big: (a, b) => a > b,
  },
  {
    name: 'GreaterOrEqual',
    doc: 'a ≥ b.',
    since: 16,
    op: 'ge',
    dtypes: NUMBERS,
    number: (a, b) => a >= b,
    big: (a, b) => a >= b,
  },
  {
    name: 'Equal',
    doc: 'a = b.',
    since: 19,
    op: 'eq',
    dtypes: EVERY,
    number: (a, b) => a === b,
    big: (a, b) => a === b,
  },
];

const comparisons = COMPARISONS.map((row) =>
  defineBinary({
    name: row.name,
    doc: row.doc,
    since: row.since,
    dtypes: row.dtypes,
    result: 'bool',
    upgrade: alignBroadcast,
    scalar: () => ({
      number: (a, b) => (row.number(a, b) ? 1 : 0),
      big: (a, b) => (row.big(a, b) ? 1n : 0n),
    }),
    expr: (a, b) => apply(row.op, a, b),
    cases: () => [
      { note: 'equal elements', inputs: [f32([3], [1, 2, 3]), f32([3], [1, 3, 2])] },
      { note: 'NaN', inputs: [specials(), f32([1], [Number.NaN])] },
      {
        note: 'beyond 2^53',
        inputs: [i64([2], [2n ** 60n + 1n, 2n ** 60n]), i64([], [2n ** 60n])],
      },
    ],
  }),
);

/** Equal also compares strings, on the host. */
const comparisonsAndStrings = comparisons.map((op) =>
  op.name !== 'Equal'
    ? op
    : defineOp({
        ...op,
        hostCall: () => ({ routine: 'equal_texts', attrs: {} }),
        reference(inputs, attrs, ctx) {
          if (given(inputs, 0).dtype !== 'string') return op.reference(inputs, attrs, ctx);
          const call = { node: ctx.node, attrs: {}, inputs, outputs: ctx.outputTypes };
          return runRoutine('equal_texts', call);
        },
      }),
);

type BitRow = readonly [
  name: string,
  since: number,
  op: 'and' | 'or' | 'xor',
  doc: string,
  number: (a: number, b: number) => number,
  big: (a: bigint, b: bigint) => bigint,
];

const LOGICAL: readonly BitRow[] = [
  ['And', 7, 'and', 'a and b.', (a, b) => a & b, (a, b) => a & b],
  ['Or', 7, 'or', 'a or b.', (a, b) => a | b, (a, b) => a | b],
  ['Xor', 7, 'xor', 'Either a or b.', (a, b) => a ^ b, (a, b) => a ^ b],
];

const logical = LOGICAL.flatMap(([name, since, op, doc, number, big]) => [
  defineBinary({
    name,
    doc,
    since,
    dtypes: BOOL,
    upgrade: alignBroadcast,
    scalar: () => ({ number }),
    expr: (a, b) => apply(op, a, b),
    cases: () => [{ note: 'broadcast', inputs: [bools([2, 1], [0, 1]), bools([3], [0, 1, 1])] }],
  }),
  defineBinary({
    name: `Bitwise${name}`,
    doc: `${name} of every pair of bits.`,
    since: 18,
    dtypes: INTS,
    scalar: () => ({ number, big }),
    expr: (a, b) => apply(op, a, b),
    cases: () => [{ note: 'broadcast', inputs: [i64([2, 1], [12, -1]), i64([3], [10, 6, 1])] }],
  }),
]);

/** As many places as there are bits, or more, leave 0 (C leaves it undefined). */
function shiftExpr(a: Expr, b: Expr, direction: string): Expr {
  const shifted = apply(direction === 'LEFT' ? 'shl' : 'shr', a, b);
  return choose(lt(b, 8 * dtypeBytes(a.dtype)), shifted, 0);
}

function shiftCases(): readonly TestCase[] {
  return UNSIGNED_INTS.flatMap((dtype) =>
    ['LEFT', 'RIGHT'].map((direction) => ({
      note: `${dtype} ${direction}`,
      inputs: [tensor(dtype, [4], [16, 5, 1, 200]), tensor(dtype, [4], [1, 2, 7, 64])],
      attrs: { direction },
    })),
  );
}

const bitShift = defineOp({
  ...defineBinary({
    name: 'BitShift',
    doc: 'Bits of a moved left or right by b places; zeros move in.',
    since: 11,
    dtypes: UNSIGNED_INTS,
    attrs: { direction: { type: 'string', required: true } },
    check(ctx) {
      const direction = textAttr(ctx.attrs, 'direction');
      if (direction !== 'LEFT' && direction !== 'RIGHT') {
        typeError(ctx, `direction is ${direction}; it must be LEFT or RIGHT`);
      }
    },
    scalar(attrs, dtype) {
      const bits = BigInt(8 * dtypeBytes(dtype));
      const left = textAttr(attrs, 'direction') === 'LEFT';
      return {
        number: (a, b) => (b >= 32 ? 0 : left ? a * 2 ** b : Math.floor(a / 2 ** b)),
        big: (a, b) => (b >= bits ? 0n : left ? a << b : a >> b),
      };
    },
    expr: (a, b, attrs) => shiftExpr(a, b, textAttr(attrs, 'direction')),
  }),
  cases: shiftCases,
});

export const LOGIC: readonly OpDef[] = [...comparisonsAndStrings, ...logical, bitShift];
