/** Sequences whose length, elements or positions depend on data, and optionals that data decides. */
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import type { RawGraph, RawNode, RawValue } from '../onnx/raw-model.ts';
import {
  branch,
  type BoundedCase,
  f32,
  flags,
  i64,
  node,
  noise,
  scalar,
  SHARES,
  truth,
} from './cases.ts';

const MOST = 5;
const WIDTH = 3;
const list = (name: string, shape: RawValue['shape'] = [null]): RawValue => ({
  name,
  shape,
  container: 'sequence',
});
const number = (name: string): RawValue => ({ name, dtype: 'i64', shape: [] });
const tensor = (name: string, ...shape: (number | null)[]): RawValue => ({ name, shape });
const axis = (value: number, isNew = false): RawNode['attrs'] => ({
  axis: { int: value },
  ...(isNew ? { new_axis: { int: 1 } } : {}),
});
const bool = (value: number): Tensor => fromNumbers('bool', [], [value]);
const keep0 = { keepdims: { int: 0 } };

const CONSTANTS: Readonly<Record<string, Tensor>> = {
  zero: scalar(0),
  one: scalar(1),
  zeros: i64(0),
  ones: i64(1),
  minus: scalar(-1),
  most: scalar(MOST),
  yes: bool(1),
  real: f32([], [0]),
};

/** A body that carries one sequence. */
const body = (nodes: readonly RawNode[], element: RawValue['shape'] = [null]): RawGraph => ({
  inputs: [number('i'), truth('go'), list('before', element)],
  nodes: [node('Identity', ['go'], ['on']), ...nodes],
  outputs: [truth('on'), list('after', element)],
});

const loop = (inputs: readonly string[], outputs: readonly string[], graph: RawGraph): RawNode =>
  node('Loop', inputs, outputs, { body: { graph } });

/** Appends x[0 … i], whose length grows, or a row of m. */
const APPEND_PART = [
  node('Unsqueeze', ['i', 'zeros'], ['at']),
  node('Add', ['at', 'ones'], ['end']),
  node('Slice', ['x', 'zeros', 'end'], ['part']),
  node('SequenceInsert', ['before', 'part'], ['after']),
];
const APPEND_ROW = [
  node('Gather', ['m', 'i'], ['row']),
  node('SequenceInsert', ['before', 'row'], ['after']),
];

const counts = (...extra: readonly (readonly Tensor[])[]): readonly (readonly Tensor[])[] =>
  extra.length === 0 ? [0, 1, 3, 9].map((n) => [scalar(n)]) : extra;

function collecting(
  name: string,
  append: readonly RawNode[],
  nodes: readonly RawNode[],
  outputs: readonly RawValue[],
  runs = counts(),
): BoundedCase {
  const isRow = append === APPEND_ROW;
  return {
    name,
    model: {
      opset: 17,
      inputs: [
        isRow ? tensor('m', MOST, WIDTH) : tensor('x', MOST),
        { name: 'n', dtype: 'i64', shape: [] },
      ],
      outputs,
      initializers: CONSTANTS,
      nodes: [
        node('Min', ['n', 'most'], ['limit']),
        node('SequenceEmpty', [], ['none']),
        loop(['limit', 'yes', 'none'], ['seq'], body(append, isRow ? [WIDTH] : [null])),
        ...nodes,
      ],
    },
    runs: runs.map(([n], k) => [noise(isRow ? [MOST, WIDTH] : [MOST], k), n as Tensor]),
  };
}

const SOME = [1, 2, 5, 8].map((n) => [scalar(n)]);

const COLLECTED: readonly BoundedCase[] = [
  collecting(
    'a loop collects tensors that grow',
    APPEND_PART,
    [
      node('ConcatFromSequence', ['seq'], ['all'], axis(0)),
      node('SequenceLength', ['seq'], ['count']),
      node('SequenceAt', ['seq', 'minus'], ['last']),
      node('SequenceAt', ['seq', 'zero'], ['first']),
    ],
    [tensor('all', null), number('count'), tensor('last', null), tensor('first', null)],
    SOME,
  ),
  collecting(
    'a loop collects none, or several',
    APPEND_ROW,
    [node('SequenceLength', ['seq'], ['count'])],
    [number('count')],
  ),
  collecting(
    'a loop collects rows, which are stacked',
    APPEND_ROW,
    [
      node('ConcatFromSequence', ['seq'], ['rows'], axis(0, true)),
      node('ConcatFromSequence', ['seq'], ['columns'], axis(1, true)),
      node('ConcatFromSequence', ['seq'], ['flat'], axis(-1)),
      node('ReduceSum', ['columns', 'ones'], ['sums'], keep0),
    ],
    [
      tensor('rows', null, WIDTH),
      tensor('columns', WIDTH, null),
      tensor('flat', null),
      tensor('sums', WIDTH),
    ],
    SOME,
  ),
  collecting(
    'what is collected is erased and inserted at positions that are data',
    APPEND_ROW,
    [
      node('Sub', ['limit', 'one'], ['top']),
      node('Neg', ['limit'], ['bottom']),
      node('Div', ['top', 'two'], ['middle']),
      node('SequenceAt', ['seq', 'middle'], ['taken']),
      node('SequenceErase', ['seq', 'middle'], ['shorter']),
      node('SequenceInsert', ['shorter', 'taken', 'zero'], ['turned']),
      node('SequenceInsert', ['turned', 'taken', 'top'], ['longer']),
      node('SequenceInsert', ['longer', 'taken', 'bottom'], ['longest']),
      node('SequenceErase', ['longest'], ['cut']),
      node('ConcatFromSequence', ['turned'], ['a'], axis(0, true)),
      node('ConcatFromSequence', ['longest'], ['b'], axis(0, true)),
      node('ConcatFromSequence', ['cut'], ['c'], axis(0)),
    ],
    [tensor('a', null, WIDTH), tensor('b', null, WIDTH), tensor('c', null)],
    SOME,
  ),
  collecting(
    'a loop reads what another collected',
    APPEND_PART,
    [
      node('SequenceLength', ['seq'], ['count']),
      loop(['count', 'yes', 'real'], ['total', 'sums'], {
        inputs: [number('i'), truth('go'), tensor('sum')],
        nodes: [
          node('Identity', ['go'], ['on']),
          node('SequenceAt', ['seq', 'i'], ['part']),
          node('ReduceSum', ['part'], ['own'], keep0),
          node('Add', ['sum', 'own'], ['next']),
        ],
        outputs: [truth('on'), tensor('next'), tensor('own')],
      }),
    ],
    [tensor('total'), tensor('sums', null)],
  ),
  collecting(
    'a body for every element',
    APPEND_PART,
    [
      node('SequenceMap', ['seq', 'real'], ['mapped', 'lengths'], {
        body: {
          graph: {
            inputs: [tensor('part', null), tensor('add')],
            nodes: [
              node('Neg', ['part'], ['turned']),
              node('Add', ['turned', 'add'], ['more']),
              node('Concat', ['more', 'part'], ['both'], axis(0)),
              node('Shape', ['part'], ['length']),
            ],
            outputs: [tensor('both', null), { name: 'length', dtype: 'i64', shape: [1] }],
          },
        },
      }),
      node('ConcatFromSequence', ['mapped'], ['all'], axis(0)),
      node('ConcatFromSequence', ['lengths'], ['own'], axis(0)),
    ],
    [tensor('all', null), { name: 'own', dtype: 'i64', shape: [null] }],
    SOME,
  ),
].map((item) => ({
  ...item,
  model: {
    ...item.model,
    opset: 18,
    initializers: { ...CONSTANTS, two: scalar(2) },
  },
}));

/** Inserts a row where its first element is positive. */
const filtering: BoundedCase = {
  name: 'a branch inserts, the other does not',
  model: {
    opset: 17,
    inputs: [tensor('m', MOST, WIDTH)],
    outputs: [number('count'), tensor('all', null, WIDTH)],
    initializers: { ...CONSTANTS, nothing: f32([0, WIDTH], []) },
    nodes: [
      node('SequenceEmpty', [], ['none']),
      loop(
        ['most', 'yes', 'none'],
        ['seq'],
        body(
          [
            node('Gather', ['m', 'i'], ['row']),
            node('Gather', ['row', 'zero'], ['head']),
            node('Greater', ['head', 'real'], ['isPositive']),
            branch(
              'isPositive',
              ['after'],
              {
                nodes: [node('SequenceInsert', ['before', 'row'], ['longer'])],
                outputs: [list('longer', [WIDTH])],
              },
              {
                nodes: [node('Identity', ['before'], ['same'])],
                outputs: [list('same', [WIDTH])],
              },
            ),
          ],
          [WIDTH],
        ),
      ),
      node('SequenceLength', ['seq'], ['count']),
      node('Greater', ['count', 'zero'], ['isAny']),
      branch(
        'isAny',
        ['all'],
        {
          nodes: [node('ConcatFromSequence', ['seq'], ['joined'], axis(0, true))],
          outputs: [tensor('joined', null, WIDTH)],
        },
        {
          nodes: [node('Identity', ['nothing'], ['blank'])],
          outputs: [tensor('blank', 0, WIDTH)],
        },
      ),
    ],
  },
  runs: [
    [f32([MOST, WIDTH], new Float32Array(MOST * WIDTH).fill(-1))],
    [f32([MOST, WIDTH], new Float32Array(MOST * WIDTH).fill(2))],
    ...[1, 2, 3].map((seed) => [noise([MOST, WIDTH], seed)]),
  ],
};

/** A list of parts of known lengths, read and changed at a position that is data. */
function choosing(name: string, size: number): BoundedCase {
  return {
    name,
    model: {
      opset: 17,
      inputs: [tensor('x', 6), number('where')],
      outputs: [tensor('y', null), tensor('rest', null), tensor('more', null)],
      initializers: { ...CONSTANTS, size: scalar(size) },
      nodes: [
        node('SplitToSequence', ['x', 'size'], ['parts']),
        node('SequenceAt', ['parts', 'where'], ['y']),
        node('SequenceErase', ['parts', 'where'], ['others']),
        node('ConcatFromSequence', ['others'], ['rest'], axis(0)),
        node('SequenceInsert', ['parts', 'y', 'where'], ['longer']),
        node('ConcatFromSequence', ['longer'], ['more'], axis(0)),
      ],
    },
    runs: [0, 1, -1, -2].map((where) => [noise([6], where + 5), scalar(where)]),
  };
}

/** Parts of what is left of rows: one by one, by twos, and as data says. */
function splitting(
  name: string,
  nodes: readonly RawNode[],
  outputs: readonly RawValue[],
): BoundedCase {
  return {
    name,
    model: {
      opset: 17,
      inputs: [tensor('x', 6, WIDTH), { name: 'c', dtype: 'bool', shape: [6] }, number('size')],
      outputs,
      initializers: { ...CONSTANTS, two: scalar(2), four: scalar(4) },
      nodes: [
        node('Compress', ['x', 'c'], ['r'], axis(0)),
        node('Clip', ['size', 'one', 'four'], ['chunk']),
        ...nodes,
      ],
    },
    runs: SHARES.slice(1).flatMap((share, k) =>
      [1, 2, 3].map((size) => [
        noise([6, WIDTH], k),
        // At least one: an empty list has no element that could be read.
        fromNumbers('bool', [6], [1, ...flags([5], share, k + 1).data].map(Number)),
        scalar(size),
      ]),
    ),
  };
}

const joinedBack = (seq: string, isNew = false): RawNode[] => [
  node('SequenceLength', [seq], ['count']),
  node('ConcatFromSequence', [seq], ['all'], axis(0, isNew)),
  node('SequenceAt', [seq, 'minus'], ['last']),
];
const JOINED = [number('count'), tensor('all', null, WIDTH), tensor('last', null, WIDTH)];

const SPLIT: readonly BoundedCase[] = [
  splitting(
    'rows one by one',
    [node('SplitToSequence', ['r'], ['seq'], axis(0)), ...joinedBack('seq')],
    JOINED,
  ),
  splitting(
    'rows one by one, without their axis',
    [node('SplitToSequence', ['r'], ['seq'], { ...axis(0), ...keep0 }), ...joinedBack('seq', true)],
    [number('count'), tensor('all', null, WIDTH), tensor('last', WIDTH)],
  ),
  splitting(
    'rows by twos',
    [node('SplitToSequence', ['r', 'two'], ['seq'], axis(0)), ...joinedBack('seq')],
    JOINED,
  ),
  splitting(
    'rows by a number that is data',
    [node('SplitToSequence', ['r', 'chunk'], ['seq'], axis(0)), ...joinedBack('seq')],
    JOINED,
  ),
  splitting(
    'known rows by a number that is data',
    [node('SplitToSequence', ['x', 'chunk'], ['seq'], axis(0)), ...joinedBack('seq')],
    JOINED,
  ),
  splitting(
    'columns, some of their axes of unknown extent',
    [
      node('SplitToSequence', ['r'], ['seq'], axis(1)),
      node('ConcatFromSequence', ['seq'], ['all'], axis(1)),
      node('SequenceAt', ['seq', 'chunk0'], ['last']),
    ],
    [tensor('all', null, WIDTH), tensor('last', null, 1)],
  ),
  splitting(
    'two parts, as long as data says',
    [
      node('Shape', ['r'], ['shape']),
      node('Gather', ['shape', 'zeros'], ['whole']),
      node('Div', ['whole', 'two'], ['half']),
      node('Sub', ['whole', 'half'], ['rest']),
      node('Concat', ['half', 'rest'], ['lengths'], axis(0)),
      node('SplitToSequence', ['r', 'lengths'], ['seq'], axis(0)),
      ...joinedBack('seq'),
    ],
    JOINED,
  ),
].map((item) => {
  if (!item.name.startsWith('columns')) return item;
  const nodes = [node('Sub', ['chunk', 'one'], ['chunk0']), ...item.model.nodes.slice(2)];
  return { ...item, model: { ...item.model, nodes: [...item.model.nodes.slice(0, 2), ...nodes] } };
});

/** Branches that give sequences of other lengths and other shapes. */
const branches: BoundedCase = {
  name: 'branches give sequences of different lengths',
  model: {
    opset: 17,
    inputs: [tensor('x', 6), truth('which')],
    outputs: [tensor('all', null), number('count'), tensor('last', null)],
    initializers: { ...CONSTANTS, two: scalar(2) },
    nodes: [
      branch(
        'which',
        ['seq'],
        {
          nodes: [node('SplitToSequence', ['x', 'two'], ['a'])],
          outputs: [list('a')],
        },
        {
          nodes: [node('Neg', ['x'], ['turned']), node('SequenceConstruct', ['turned'], ['b'])],
          outputs: [list('b')],
        },
      ),
      node('ConcatFromSequence', ['seq'], ['all'], axis(0)),
      node('SequenceLength', ['seq'], ['count']),
      node('SequenceAt', ['seq', 'minus'], ['last']),
    ],
  },
  runs: [0, 1].map((which) => [noise([6], which), bool(which)]),
};

/** Takes the first of a queue, and puts two halves of it at its end while it is long. */
const queue: BoundedCase = {
  name: 'a queue that a loop empties and fills',
  model: {
    opset: 17,
    inputs: [tensor('x', 8), number('n')],
    outputs: [tensor('all', null), number('count'), tensor('sums', null)],
    initializers: { ...CONSTANTS, twos: i64(2), ends: i64(99) },
    nodes: [
      node('Min', ['n', 'most'], ['limit']),
      node('SequenceConstruct', ['x'], ['start']),
      loop(['limit', 'yes', 'start'], ['seq', 'sums'], {
        inputs: [number('i'), truth('go'), list('before')],
        nodes: [
          node('Identity', ['go'], ['on']),
          node('SequenceAt', ['before', 'zero'], ['first']),
          node('SequenceErase', ['before', 'zero'], ['rest']),
          node('Shape', ['first'], ['whole']),
          node('Div', ['whole', 'twos'], ['half']),
          node('Slice', ['first', 'zeros', 'half'], ['left']),
          node('Slice', ['first', 'half', 'ends'], ['right']),
          node('SequenceInsert', ['rest', 'left'], ['more']),
          node('SequenceInsert', ['more', 'right'], ['after']),
          node('ReduceSum', ['first'], ['own'], keep0),
        ],
        outputs: [truth('on'), list('after'), tensor('own')],
      }),
      node('ConcatFromSequence', ['seq'], ['all'], axis(0)),
      node('SequenceLength', ['seq'], ['count']),
    ],
  },
  runs: [0, 1, 2, 4, 7].map((n) => [noise([8], n), scalar(n)]),
};

/** A list of states of fixed shapes, which stays as long as it is. */
const states: BoundedCase = {
  name: 'a loop carries a list of states',
  model: {
    opset: 17,
    inputs: [tensor('a', 3), tensor('b', 2), number('n')],
    outputs: [tensor('c', 3), tensor('d', 2)],
    initializers: { ...CONSTANTS, half: f32([], [0.5]) },
    nodes: [
      node('Min', ['n', 'most'], ['limit']),
      node('SequenceConstruct', ['a', 'b'], ['start']),
      loop(
        ['limit', 'yes', 'start'],
        ['end'],
        body([
          node('SequenceAt', ['before', 'zero'], ['p']),
          node('SequenceAt', ['before', 'one'], ['q']),
          node('ReduceSum', ['p'], ['sum']),
          node('Mul', ['p', 'half'], ['p2']),
          node('Add', ['q', 'sum'], ['q2']),
          node('SequenceConstruct', ['p2', 'q2'], ['after']),
        ]),
      ),
      node('SequenceAt', ['end', 'zero'], ['c']),
      node('SequenceAt', ['end', 'one'], ['d']),
    ],
  },
  runs: [0, 1, 4].map((n) => [noise([3], n), noise([2], n + 1), scalar(n)]),
};

export const SEQUENCE_CASES: readonly BoundedCase[] = [
  ...COLLECTED,
  filtering,
  choosing('an element of a list at a position that is data', 2),
  choosing('the same of elements that differ in length', 4),
  ...SPLIT,
  branches,
  queue,
  states,
];
