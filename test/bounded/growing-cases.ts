/**
 * Loops whose carried tensors grow otherwise than by so many rows per iteration, with bounds that follow from
 * the model, are asked for or assumed.
 */
import { toNumbers } from 'hone-runtime/base/tensor';
import type { RawGraph, RawNode, RawValue } from '../onnx/raw-model.ts';
import { body, f32, i64, node, noise, scalar, value } from './cases.ts';
import type { FreeCase } from './free-cases.ts';

const N = value('n', [], 'i64');
const axis = (number: number): RawNode['attrs'] => ({ axis: { int: number } });

const CONSTANTS = {
  zero: scalar(0),
  one: scalar(1),
  four: scalar(4),
  minus: scalar(-1),
  ten: scalar(10),
  zeros: i64(0),
  ones: i64(1),
  flat: i64(-1),
  row: i64(1, -1),
  column: i64(-1, 1),
};

interface Growing {
  readonly name: string;
  /** Nodes in front of the loop. */
  readonly front?: readonly RawNode[];
  readonly trips?: string;
  readonly inputs: readonly RawValue[];
  readonly starts: readonly string[];
  readonly body: RawGraph;
  readonly outputs: readonly RawValue[];
  readonly behind?: readonly RawNode[];
}

const growing = (
  { name, front = [], trips = 'n', inputs, starts, body: graph, outputs, behind = [] }: Growing,
  more: Omit<FreeCase, 'name' | 'model'>,
): FreeCase => ({
  name,
  model: {
    opset: 18,
    inputs: [N, ...inputs],
    outputs,
    initializers: CONSTANTS,
    nodes: [
      ...front,
      node('Loop', [trips, '', ...starts], ['r', 's'].slice(0, graph.outputs.length - 1), {
        body: { graph },
      }),
      ...behind,
    ],
  },
  ...more,
});

/** x ← x, x. */
const DOUBLING = body(
  [value('x', [null])],
  [node('Concat', ['x', 'x'], ['xx'], axis(0)), node('Sqrt', ['xx'], ['next'])],
  [value('next', [null])],
);
/** x, y ← x y, x. */
const FIBONACCI = body(
  [value('x', [null]), value('y', [null])],
  [node('Concat', ['x', 'y'], ['xy'], axis(0)), node('Neg', ['x'], ['was'])],
  [value('xy', [null]), value('was', [null])],
);
/** x, y ← x y, y 1. */
const TRIANGLE = body(
  [value('x', [null]), value('y', [null])],
  [
    node('Concat', ['x', 'y'], ['xy'], axis(0)),
    node('Gather', ['y', 'zeros'], ['first']),
    node('Concat', ['y', 'first'], ['more'], axis(0)),
  ],
  [value('xy', [null]), value('more', [null])],
);
/** x ← what is above the mean, appended. */
const ABOVE = body(
  [value('x', [null])],
  [
    node('ReduceMean', ['x'], ['mean'], { keepdims: { int: 0 } }),
    node('Greater', ['x', 'mean'], ['isAbove']),
    node('Compress', ['x', 'isAbove'], ['above'], axis(0)),
    node('Concat', ['x', 'above'], ['next'], axis(0)),
  ],
  [value('next', [null])],
);
/** x ← all products of its elements. */
const SQUARING = body(
  [value('x', [null])],
  [
    node('Reshape', ['x', 'row'], ['across']),
    node('Reshape', ['x', 'column'], ['down']),
    node('Mul', ['across', 'down'], ['table']),
    node('Reshape', ['table', 'flat'], ['next']),
  ],
  [value('next', [null])],
);
/** x ← x, 0 … i. */
const COUNTING = body(
  [value('x', [null], 'i64')],
  [node('Range', ['zero', 'i', 'one'], ['list']), node('Concat', ['x', 'list'], ['next'], axis(0))],
  [value('next', [null], 'i64')],
);
/** Both axes of x are doubled in turn. */
const SQUARE = body(
  [value('x', [null, null])],
  [
    node('Concat', ['x', 'x'], ['wide'], axis(1)),
    node('Neg', ['wide'], ['other']),
    node('Concat', ['wide', 'other'], ['next'], axis(0)),
  ],
  [value('next', [null, null])],
);

const list = (name: string): RawValue => ({ name, shape: [null], container: 'sequence' });
/** A list gets its last element twice as long. */
const LONGER = body(
  [list('x')],
  [
    node('SequenceAt', ['x', 'minus'], ['last']),
    node('Concat', ['last', 'last'], ['twice'], axis(0)),
    node('SequenceInsert', ['x', 'twice'], ['next']),
  ],
  [list('next')],
);
/** A list gets all its elements once more. */
const AGAIN = body(
  [list('x')],
  [
    node('SequenceLength', ['x'], ['length']),
    node('Loop', ['length', '', 'x'], ['next'], {
      body: {
        graph: {
          inputs: [value('j', [], 'i64'), value('still', [], 'bool'), list('y')],
          nodes: [
            node('Identity', ['still'], ['more']),
            node('SequenceAt', ['x', 'j'], ['element']),
            node('SequenceInsert', ['y', 'element'], ['longer']),
          ],
          outputs: [value('more', [], 'bool'), list('longer')],
        },
      },
    }),
  ],
  [list('next')],
);
const LIST = [node('SequenceConstruct', ['a'], ['list'])];
const LIST_END = [
  node('ConcatFromSequence', ['r'], ['all'], axis(0)),
  node('SequenceLength', ['r'], ['count']),
];
const OF_LIST = [value('all', [null]), value('count', [], 'i64')];

const limited = [node('Min', ['n', 'four'], ['limit'])];
const toTen = [node('Min', ['n', 'ten'], ['limit'])];
const vector = value('a', [3]);
const sum = node('ReduceSum', ['r', 'zeros'], ['sum'], { keepdims: { int: 0 } });
const R = value('r', [null]);

const at = (numbers: readonly number[], ...shapes: readonly (readonly number[])[]) =>
  numbers.map((n, k) => [
    scalar(n),
    ...shapes.map((shape, i) =>
      f32(
        shape,
        toNumbers(noise(shape, k + i)).map((x) => x ** 2),
      ),
    ),
  ]);

export const GROWING_CASES: readonly FreeCase[] = [
  growing(
    {
      name: 'a carried tensor is doubled',
      ...{ inputs: [vector], starts: ['a'], body: DOUBLING, outputs: [R, value('sum', [])] },
      behind: [sum],
    },
    {
      runs: at([0, 1, 8, 4], [3]),
      beyond: at([9, 1000], [3]).map((run) => [
        run,
        /r along axis 0: at most 1027, assumed .*--bound r=1027/,
      ]),
    },
  ),
  growing(
    {
      name: 'doubled a few times at most',
      front: limited,
      ...{ trips: 'limit', inputs: [vector], starts: ['a'], body: DOUBLING, outputs: [R] },
    },
    { runs: at([0, 1, 9, 3], [3]), beyond: [] },
  ),
  growing(
    {
      name: 'doubled up to a bound that is asked for',
      ...{ inputs: [vector], starts: ['a'], body: DOUBLING, outputs: [R] },
    },
    {
      bounds: { r: 30 },
      runs: at([0, 1, 3], [3]),
      beyond: at([4], [3]).map((run) => [run, /r along axis 0: at most 30, as --bound/]),
    },
  ),
  growing(
    {
      name: 'two that are joined in turn',
      inputs: [vector, value('b', [2])],
      ...{ starts: ['a', 'b'], body: FIBONACCI, outputs: [R, value('s', [null])] },
    },
    {
      runs: at([0, 1, 2, 11], [3], [2]),
      beyond: at([13], [3], [2]).map((run) => [run, /r along axis 0: at most 1027, assumed/]),
    },
  ),
  growing(
    {
      name: 'one grows by another that grows, a few times',
      front: toTen,
      inputs: [vector, value('b', [2])],
      trips: 'limit',
      ...{ starts: ['a', 'b'], body: TRIANGLE, outputs: [R, value('s', [null])] },
    },
    { runs: at([0, 1, 12, 10], [3], [2]), beyond: [] },
  ),
  growing(
    {
      name: 'one grows by another that grows',
      inputs: [vector, value('b', [2])],
      ...{ starts: ['a', 'b'], body: TRIANGLE, outputs: [R, value('s', [null])] },
    },
    {
      runs: at([0, 1, 12, 40], [3], [2]),
      beyond: at([60], [3], [2]).map((run) => [run, /r along axis 0: at most 1027, assumed/]),
    },
  ),
  growing(
    {
      name: 'what is above the mean is appended',
      ...{ inputs: [vector], starts: ['a'], body: ABOVE, outputs: [R] },
    },
    {
      runs: at([0, 1, 7, 8], [3]),
      beyond: at([12], [3]).map((run) => [run, /r along axis 0: at most 1027, assumed/]),
    },
  ),
  growing(
    {
      name: 'all products',
      ...{ inputs: [value('a', [2])], starts: ['a'], body: SQUARING, outputs: [R] },
    },
    {
      bounds: { r: 256 },
      runs: at([0, 1, 2, 3], [2]),
      beyond: at([4], [2]).map((run) => [run, /r along axis 0: at most 256, as --bound/]),
    },
  ),
  growing(
    {
      name: 'as many as there were iterations are appended',
      front: [...toTen, node('Cast', ['a'], ['whole'], { to: { int: 7 } })],
      trips: 'limit',
      inputs: [vector],
      ...{ starts: ['whole'], body: COUNTING, outputs: [value('r', [null], 'i64')] },
    },
    { runs: at([0, 1, 9, 20], [3]), beyond: [] },
  ),
  growing(
    {
      name: 'both axes are doubled',
      inputs: [value('a', [1, 2])],
      ...{ starts: ['a'], body: SQUARE, outputs: [value('r', [null, null])] },
    },
    {
      bounds: { 'r[0]': 64 },
      runs: at([0, 1, 5, 3], [1, 2]),
      beyond: at([7], [1, 2]).map((run) => [run, /r along axis 0: at most 64, as --bound/]),
    },
  ),
  growing(
    {
      name: 'doubled from a size that depends on data',
      front: [
        node('Greater', ['a', 'level'], ['isHigh']),
        node('Compress', ['a', 'isHigh'], ['high'], axis(0)),
      ],
      inputs: [value('a', [6]), value('level', [])],
      ...{ starts: ['high'], body: DOUBLING, outputs: [R] },
    },
    {
      runs: [0, 1, 6, 3].map((n) => [scalar(n), f32([6], [1, 2, 3, 4, 5, 6]), scalar(2.5, 'f32')]),
      beyond: [],
    },
  ),
  growing(
    {
      name: 'the elements of a list are doubled a few times',
      front: [...limited, ...LIST],
      ...{ trips: 'limit', inputs: [vector], starts: ['list'], body: LONGER },
      ...{ outputs: OF_LIST, behind: LIST_END },
    },
    { runs: at([0, 1, 9, 3], [3]), beyond: [] },
  ),
  growing(
    {
      name: 'the elements of a list are doubled',
      front: LIST,
      ...{ inputs: [vector], starts: ['list'], body: LONGER },
      ...{ outputs: OF_LIST, behind: LIST_END },
    },
    {
      bounds: { r: [20, 100] },
      runs: at([0, 1, 5, 3], [3]),
      beyond: at([6, 30], [3]).map((run) => [run, /r along axis 1: at most 100, as --bound/]),
    },
  ),
  growing(
    {
      name: 'a list is doubled',
      front: LIST,
      ...{ inputs: [vector], starts: ['list'], body: AGAIN },
      ...{ outputs: OF_LIST, behind: LIST_END },
    },
    {
      bounds: { r: [40, 3] },
      runs: at([0, 1, 5, 3], [3]),
      beyond: at([6], [3]).map((run) => [run, /r along axis 0: at most 40, as --bound/]),
    },
  ),
];
