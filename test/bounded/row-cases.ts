/** Loops and scans that stack rows whose own extents depend on data, and scans of such tensors. */
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { RawGraph, RawNode, RawValue } from '../onnx/raw-model.ts';
import { body, f32, flags, i64, node, noise, numbers, scalar, SHARES, value } from './cases.ts';
import type { FreeCase } from './free-cases.ts';

const axis = (number: number): RawNode['attrs'] => ({ axis: { int: number } });
const keep = (number: number): RawNode['attrs'] => ({ keepdims: { int: number } });

const CONSTANTS: Readonly<Record<string, Tensor>> = {
  zero: scalar(0),
  one: scalar(1),
  three: scalar(3),
  seven: scalar(7),
  zeros: i64(0),
  ones: i64(1),
  start: f32([], [0]),
};

const loop = (inputs: readonly string[], outputs: readonly string[], graph: RawGraph): RawNode =>
  node('Loop', inputs, outputs, { body: { graph } });

/** x, c: what c picks of the rows of x is r. */
const PICKED: readonly RawNode[] = [node('Compress', ['x', 'c'], ['r'], axis(0))];
const PICKED_INPUTS = [value('x', [6, 3]), value('c', [6], 'bool'), value('n', [], 'i64')];
const pickedRuns = (...counts: readonly number[]): readonly (readonly Tensor[])[] =>
  counts.map((n, k) => [
    noise([6, 3], k),
    flags([6], SHARES[k % SHARES.length] ?? 1, k + 7),
    scalar(n),
  ]);
/** At least one is picked: onnxruntime ends the process where it transposes rows without elements. */
const someRuns = (...more: readonly Tensor[]): readonly (readonly Tensor[])[] =>
  [1, 0.5, 0.9, 0.4].map((share, k) => [noise([6, 3], k), flags([6], share, k + 7), ...more]);

/** Stacks r · i, where all of r is read. */
const SCALED = body(
  [value('t', [])],
  [
    node('Cast', ['i'], ['number'], { to: { int: 1 } }),
    node('Add', ['number', 't'], ['next']),
    node('Mul', ['r', 'next'], ['row']),
  ],
  [value('next', []), value('row', [null, 3])],
);
/** Stacks the places at which a row of x is positive, and the positive numbers. */
const PLACES = body(
  [value('t', [])],
  [
    node('Gather', ['x', 'i'], ['own'], axis(0)),
    node('Greater', ['own', 'start'], ['isMore']),
    node('NonZero', ['isMore'], ['places']),
    node('Compress', ['own', 'isMore'], ['some'], axis(0)),
    node('ReduceSum', ['some', 'zeros'], ['sum'], keep(0)),
    node('Add', ['t', 'sum'], ['next']),
  ],
  [value('next', []), value('places', [1, null], 'i64'), value('some', [null])],
);
/** The same, and ends where the sum is above 2. */
const ENDING: RawGraph = {
  ...PLACES,
  nodes: [...PLACES.nodes.slice(1), node('Less', ['next', 'two'], ['again'])],
};
/** Stacks 0 … n + i, which differ. */
const DIFFERENT = body(
  [value('t', [])],
  [
    node('Add', ['n', 'i'], ['many']),
    node('Range', ['zero', 'many', 'one'], ['row']),
    node('Identity', ['t'], ['next']),
  ],
  [value('next', []), value('row', [null], 'i64')],
);

/** Rows with `count` positive numbers of 5 each, at other places in every row. */
const positives = (rows: number, count: number): Tensor =>
  f32(
    [rows, 5],
    Array.from({ length: rows * 5 }, (_, i) => {
      const [row, place] = [Math.floor(i / 5), i % 5];
      return ((place + row) % 5 < count ? 1 : -1) * (0.25 + 0.125 * i);
    }),
  );

/** A scan over x. */
const scan = (
  inputs: readonly string[],
  outputs: readonly string[],
  graph: RawGraph,
  attrs: RawNode['attrs'] = {},
): RawNode =>
  node('Scan', inputs, outputs, { body: { graph }, num_scan_inputs: { int: 1 }, ...attrs });

const SUMMING: RawGraph = {
  inputs: [value('t', [3]), value('own', [3])],
  nodes: [node('Add', ['t', 'own'], ['next']), node('Mul', ['next', 'next'], ['row'])],
  outputs: [value('next', [3]), value('row', [3])],
};
/** Stacks r times the slice. */
const TIMES: RawGraph = {
  inputs: [value('t', []), value('own', [3])],
  nodes: [
    node('ReduceSum', ['own', 'zeros'], ['sum'], keep(0)),
    node('Add', ['t', 'sum'], ['next']),
    node('Mul', ['r', 'own'], ['row']),
  ],
  outputs: [value('next', []), value('row', [null, 3])],
};

interface Rows {
  readonly name: string;
  readonly inputs: readonly RawValue[];
  readonly nodes: readonly RawNode[];
  readonly outputs: readonly RawValue[];
  readonly more?: Readonly<Record<string, Tensor>>;
}

const rows = (
  { name, inputs, nodes, outputs, more = {} }: Rows,
  runs: FreeCase['runs'],
  rest: Partial<FreeCase> = {},
): FreeCase => ({
  name,
  model: { opset: 18, inputs, outputs, initializers: { ...CONSTANTS, ...more }, nodes },
  runs,
  beyond: [],
  ...rest,
});

const BEHIND = [
  node('Transpose', ['s'], ['turned'], { perm: { ints: [1, 2, 0] } }),
  node('ReduceSum', ['s', 'ones'], ['sums'], keep(0)),
  node('Shape', ['s'], ['shape']),
  node('Concat', ['s', 's'], ['twice'], axis(1)),
];

const INNER: RawGraph = {
  inputs: [value('j', [], 'i64'), value('still', [], 'bool'), value('v', [])],
  nodes: [
    node('Identity', ['still'], ['more']),
    node('Gather', ['own', 'j'], ['row'], axis(0)),
    node('Identity', ['v'], ['w']),
  ],
  outputs: [value('more', [], 'bool'), value('w', []), value('row', [], 'i64')],
};

export const ROW_CASES: readonly FreeCase[] = [
  rows(
    {
      name: 'a loop stacks rows of a size from outside',
      inputs: PICKED_INPUTS,
      nodes: [...PICKED, loop(['n', '', 'start'], ['t2', 's'], SCALED), ...BEHIND],
      outputs: [
        ...[value('t2', []), value('s', [null, null, 3]), value('turned', [null, 3, null])],
        ...[value('sums', [null, 3]), value('shape', [3], 'i64'), value('twice', [null, null, 3])],
      ],
    },
    pickedRuns(3, 1, 5, 2, 7),
    {
      bounds: { n: 8 },
      beyond: [[pickedRuns(9)[0] as readonly Tensor[], /values of n: at most 8, as --bound/]],
    },
  ),
  rows(
    {
      name: 'a known number of rows of a size from outside',
      inputs: PICKED_INPUTS.slice(0, 2),
      nodes: [...PICKED, loop(['three', '', 'start'], ['t2', 's'], SCALED), ...BEHIND],
      outputs: [value('s', [3, null, 3]), value('turned', [null, 3, 3]), value('sums', [3, 3])],
    },
    pickedRuns(3, 3, 3, 3, 3).map((run) => run.slice(0, 2)),
  ),
  rows(
    {
      name: 'a loop stacks rows whose size each iteration finds',
      inputs: [value('x', [7, 5]), value('n', [], 'i64')],
      nodes: [
        node('Min', ['n', 'seven'], ['limit']),
        loop(['limit', '', 'start'], ['t2', 's', 'u'], PLACES),
        node('Neg', ['u'], ['minus']),
        node('ReduceSum', ['u', 'zeros'], ['sums'], keep(0)),
      ],
      outputs: [
        ...[value('t2', []), value('s', [null, 1, null], 'i64'), value('minus', [null, null])],
        value('sums', [null]),
      ],
    },
    [
      [positives(7, 2), scalar(3)],
      [positives(7, 5), scalar(9)],
      [positives(7, 0), scalar(4)],
      [positives(7, 3), scalar(0)],
      [positives(7, 4), scalar(1)],
    ],
    {
      beyond: [
        [[noise([7, 5], 3), scalar(7)], /all rows of s have the same extent along axis 2/],
        [[noise([7, 5], 8), scalar(4)], /all rows of s have the same extent along axis 2/],
      ],
    },
  ),
  rows(
    {
      name: 'a loop that data ends stacks rows whose size each iteration finds',
      inputs: [value('x', [7, 5])],
      more: { two: f32([], [2]) },
      nodes: [loop(['seven', '', 'start'], ['t2', 's', 'u'], ENDING)],
      outputs: [value('t2', []), value('s', [null, 1, null], 'i64'), value('u', [null, null])],
    },
    [2, 5, 0, 1].map((count) => [positives(7, count)]),
  ),
  rows(
    {
      name: 'a loop whose rows differ',
      inputs: [value('x', [2]), value('n', [], 'i64')],
      nodes: [loop(['one', '', 'start'], ['t2', 's'], DIFFERENT), node('Neg', ['x'], ['y'])],
      outputs: [value('y', [2]), value('s', [null, null], 'i64')],
    },
    [0, 1, 5, 1024].map((n) => [f32([2], [1, 2]), scalar(n)]),
    {
      beyond: [[[f32([2], [1, 2]), scalar(1025)], /row along axis 0: at most 1024, assumed/]],
    },
  ),
  rows(
    {
      name: 'a scan stacks rows of a size from outside',
      inputs: [...PICKED_INPUTS.slice(0, 2), value('w', [3, 4])],
      nodes: [
        ...PICKED,
        scan(['start', 'w'], ['t2', 's'], TIMES, {
          scan_input_axes: { ints: [1] },
          scan_input_directions: { ints: [1] },
          scan_output_axes: { ints: [1] },
          scan_output_directions: { ints: [1] },
        }),
      ],
      outputs: [value('t2', []), value('s', [null, 4, 3])],
    },
    someRuns(noise([3, 4], 5)),
  ),
  rows(
    {
      name: 'a scan of as many slices as data says',
      inputs: [...PICKED_INPUTS.slice(0, 2)],
      more: { none: f32([3], [0, 0, 0]) },
      nodes: [
        ...PICKED,
        scan(['none', 'r'], ['t2', 's'], SUMMING),
        scan(['none', 'r'], ['t3', 'back'], SUMMING, {
          scan_input_directions: { ints: [1] },
          scan_output_axes: { ints: [-1] },
        }),
        scan(['none', 'r'], ['t4', 'turned'], SUMMING, { scan_output_directions: { ints: [1] } }),
        node('ReduceSum', ['back', 'ones'], ['sums'], keep(0)),
      ],
      outputs: [
        ...[value('t2', [3]), value('t3', [3]), value('s', [null, 3]), value('back', [3, null])],
        ...[value('turned', [null, 3]), value('sums', [3])],
      ],
    },
    someRuns(),
  ),
  rows(
    {
      name: 'a loop in a loop stacks rows of rows',
      inputs: [value('x', [4, 5], 'i64'), value('n', [], 'i64')],
      more: { four: scalar(4) },
      nodes: [
        node('Min', ['n', 'four'], ['limit']),
        loop(
          ['limit', '', 'start'],
          ['t2', 's'],
          body(
            [value('t', [])],
            [
              node('Gather', ['x', 'i'], ['own'], axis(0)),
              node('Gather', ['own', 'zero'], ['many'], axis(0)),
              loop(['many', '', 'start'], ['t3', 'inner'], INNER),
              node('Add', ['t', 't3'], ['next']),
            ],
            [value('next', []), value('inner', [null], 'i64')],
          ),
        ),
      ],
      outputs: [value('s', [null, null], 'i64')],
    },
    [3, 1, 5, 0].map((many, k) => [
      fromNumbers(
        'i64',
        [4, 5],
        toNumbers(numbers([4, 5], 9, k)).map((x, i) => (i % 5 === 0 ? many : x)),
      ),
      scalar([4, 2, 9, 1][k] ?? 0),
    ]),
    {
      bounds: { many: 5 },
    },
  ),
];
