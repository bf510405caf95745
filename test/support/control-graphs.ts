/** Graphs with control flow, as text, with inputs: what compiled bodies have to get right. */
import { parseGraph } from 'hone/graph/parse';
import type { Graph } from 'hone/graph/types';
import { inferUntyped, verifyOps } from 'hone/ops/verify';
import { seededRandom } from 'hone-runtime/base/random';
import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';

export interface ControlCase {
  readonly title: string;
  readonly graph: Graph;
  /** Of as many runs. */
  readonly runs: readonly (readonly Tensor[])[];
}

export function textGraph(text: string): Graph {
  return verifyOps(parseGraph(text, { infer: inferUntyped() }));
}

/** Seeded numbers in [-1, 1). */
export function noise(shape: readonly number[], seed: number): Tensor {
  const random = seededRandom(seed);
  const values = Float64Array.from({ length: elementCount(shape) }, () => random.next() * 2 - 1);
  return fromNumbers('f32', shape, values);
}

const bool = (value: number): Tensor => fromNumbers('bool', [], [value]);
const count = (value: number): Tensor => fromNumbers('i64', [], [value]);

/** Branches with a matrix product each: only one runs. */
const CHOICE = `graph main(%go: bool[], %x: f32[4,8], %w: f32[8,8]) {
  %r = Relu(%x)
  %y, %z = If(%go, %r, %w) {
    captures=2,
    then_branch=graph then(%a: f32[4,8], %v: f32[8,8]) {
      %p = MatMul(%a, %v)
      %q = Exp(%p)
      return %q, %p
    },
    else_branch=graph else(%a: f32[4,8], %v: f32[8,8]) {
      %m = const f32[8,8] splat 0.25
      %p = MatMul(%a, %m)
      return %a, %p
    }}
  %out = Add(%y, %z)
  return %out, %z
}`;

/** A loop of a known number: a recurrence with shared weights, each state stacked. */
const recurrence = (trips: number) => `graph main(%x: f32[${trips},4], %h: f32[1,8]) {
  %n = const i64[] {${trips}}
  %w = const f32[4,8] splat 0.125
  %last, %all = Loop(%n, _, %h, %x, %w) {
    captures=2,
    body=graph body(%i: i64[], %go: bool[], %h: f32[1,8], %x: f32[${trips},4], %w: f32[4,8]) {
      %r = const f32[8,8] splat 0.03125
      %zero = const i64[1] {0}
      %row = Gather(%x, %i) {axis=0}
      %line = Unsqueeze(%row, %zero)
      %a = MatMul(%line, %w)
      %b = MatMul(%h, %r)
      %s = Add(%a, %b)
      %t = Tanh(%s)
      return %go, %t, %t
    }}
  %n2 = Neg(%last)
  return %n2, %all
}`;

/** Newton's method until the step is small: a condition that data decides, the count as output. */
const WHILE = `graph main(%x: f32[]) {
  %true = const bool[] {1}
  %one = const f32[] {1}
  %none = const i64[] {0}
  %root, %steps = Loop(_, %true, %one, %none, %x) {
    captures=1,
    body=graph body(%i: i64[], %go: bool[], %y: f32[], %n: i64[], %x: f32[]) {
      %half = const f32[] {0.5}
      %least = const f32[] {0.00001}
      %one = const i64[] {1}
      %q = Div(%x, %y)
      %s = Add(%y, %q)
      %z = Mul(%s, %half)
      %d = Sub(%z, %y)
      %a = Abs(%d)
      %again = Greater(%a, %least)
      %m = Add(%n, %one)
      return %again, %z, %m
    }}
  return %root, %steps
}`;

/** Trips that are data, two values that change places, stacked rows up to a bound. */
const SWAP = `graph main(%n: i64[], %go: bool[], %a: f32[3], %b: f32[3]) {
  %p, %q, %rows, %count = Loop(%n, %go, %a, %b) {
    bound=7,
    body=graph body(%i: i64[], %go: bool[], %a: f32[3], %b: f32[3]) {
      %f = Cast(%i) {to=1}
      %row = Add(%a, %f)
      return %go, %b, %a, %row
    }}
  return %p, %q, %rows, %count
}`;

/** A loop in a branch in a loop, which reads what each of them has. */
const NESTED = `graph main(%n: i64[], %m: i64[], %x: f32[2,5], %y: f32[2,5]) {
  %last, %rows, %count = Loop(%n, _, %x, %m, %y) {
    captures=2, bound=6,
    body=graph outer(%i: i64[], %go: bool[], %s: f32[2,5], %m: i64[], %y: f32[2,5]) {
      %two = const i64[] {2}
      %zero = const i64[] {0}
      %r = Mod(%i, %two)
      %even = Equal(%r, %zero)
      %t, %k = If(%even, %s, %m, %y, %i) {
        captures=4,
        then_branch=graph then(%s: f32[2,5], %m: i64[], %y: f32[2,5], %o: i64[]) {
          %none = const i64[] {0}
          %u, %c = Loop(%m, _, %s, %none, %y, %o) {
            captures=2,
            body=graph inner(%j: i64[], %go: bool[], %s: f32[2,5], %c: i64[], %y: f32[2,5], %o: i64[]) {
              %limit = const i64[] {3}
              %e = Sigmoid(%s)
              %v = Add(%e, %y)
              %c2 = Add(%c, %o)
              %again = Less(%j, %limit)
              return %again, %v, %c2
            }}
          return %u, %c
        },
        else_branch=graph else(%s: f32[2,5], %m: i64[], %y: f32[2,5], %o: i64[]) {
          %v = Softmax(%s) {axis=1}
          return %v, %m
        }}
      %kf = Cast(%k) {to=1}
      %row = Mul(%t, %kf)
      return %go, %t, %row
    }}
  return %last, %rows, %count
}`;

/** Stacked results of an inner loop are one row of those of the outer loop. */
const STACKS = `graph main(%x: f32[3]) {
  %n = const i64[] {20}
  %rows = Loop(%n, _, %x) {
    captures=1,
    body=graph outer(%i: i64[], %go: bool[], %x: f32[3]) {
      %m = const i64[] {60}
      %f = Cast(%i) {to=1}
      %s = Add(%x, %f)
      %last, %inner = Loop(%m, _, %s) {
        body=graph inner(%j: i64[], %go: bool[], %s: f32[3]) {
          %g = Cast(%j) {to=1}
          %one = const f32[] {1}
          %d = Add(%g, %one)
          %h = Div(%s, %d)
          %k = Sin(%h)
          %l = Add(%k, %g)
          return %go, %l, %k
        }}
      return %go, %inner
    }}
  return %rows
}`;

/** Images go through a convolution again and again. */
const CONVOLUTION = `graph main(%n: i64[], %x: f32[1,16,9,9]) {
  %w0 = const f32[16,16,3,3] splat 0.0078125
  %first = Conv(%x, %w0) {pads=[1, 1, 1, 1]}
  %y = Loop(%n, _, %first) {
    body=graph body(%i: i64[], %go: bool[], %s: f32[1,16,9,9]) {
      %w = const f32[16,16,3,3] splat 0.0078125
      %c = Conv(%s, %w) {pads=[1, 1, 1, 1]}
      %t = Tanh(%c)
      %d = Conv(%t, %w) {pads=[1, 1, 1, 1]}
      %u = Add(%d, %s)
      return %go, %u
    }}
  %z = Conv(%y, %w0) {pads=[1, 1, 1, 1]}
  return %z
}`;

/** Many slices, some turned around and stacked along another axis. */
const SCAN = `graph main(%s: f32[4], %x: f32[4,90], %y: f32[90,4]) {
  %last, %a, %b = Scan(%s, %x, %y) {
    num_scan_inputs=2, scan_input_axes=[1, 0], scan_input_directions=[1, 0],
    scan_output_axes=[1, -1], scan_output_directions=[0, 1],
    body=graph body(%s: f32[4], %x: f32[4], %y: f32[4]) {
      %p = Mul(%x, %y)
      %t = Add(%s, %p)
      %u = Tanh(%t)
      %v = Sub(%u, %x)
      return %u, %v, %u
    }}
  return %last, %a, %b
}`;

export function controlCases(): readonly ControlCase[] {
  const make = (title: string, text: string, ...runs: readonly Tensor[][]): ControlCase => ({
    title,
    graph: textGraph(text),
    runs,
  });
  const [x, w] = [noise([4, 8], 1), noise([8, 8], 2)];
  const [a, b] = [noise([3], 3), noise([3], 4)];
  const nested = (n: number, m: number): Tensor[] => [
    count(n),
    count(m),
    noise([2, 5], 5),
    noise([2, 5], 6),
  ];
  return [
    make('a branch', CHOICE, [bool(1), x, w], [bool(0), x, w]),
    make('a recurrence of an even number', recurrence(64), [noise([64, 4], 7), noise([1, 8], 8)]),
    make('a recurrence of an odd number', recurrence(65), [noise([65, 4], 7), noise([1, 8], 8)]),
    make('while a step is large', WHILE, ...[2, 1, 1e6].map((n) => [fromNumbers('f32', [], [n])])),
    make(
      'values that change places',
      SWAP,
      ...[0, 1, 2, 5, 7, -3].map((n) => [count(n), bool(1), a, b]),
      [count(3), bool(0), a, b],
    ),
    make('nested', NESTED, nested(5, 3), nested(6, 100), nested(1, 0), nested(0, 4)),
    make('stacks of stacks', STACKS, [noise([3], 9)]),
    make(
      'a convolution',
      CONVOLUTION,
      ...[0, 1, 4].map((n) => [count(n), noise([1, 16, 9, 9], 1)]),
    ),
    make('many slices', SCAN, [noise([4], 1), noise([4, 90], 2), noise([90, 4], 3)]),
  ];
}
