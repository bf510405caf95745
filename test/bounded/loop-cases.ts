/** Loops that stack something for as many iterations as data says, and operators behind them. */
import type { RawGraph, RawNode, RawValue } from '../onnx/raw-model.ts';
import { type BoundedCase, f32, i64, node, scalar } from './cases.ts';

const WIDTH = 3;
const MOST = 6;

/** total ← total + x, while its first element is below 10; stacks every total, and its own number. */
const ADDING: RawGraph = {
  inputs: [
    { name: 'i', dtype: 'i64', shape: [] },
    { name: 'on', dtype: 'bool', shape: [] },
    { name: 'total', shape: [WIDTH] },
  ],
  nodes: [
    node('Add', ['total', 'x'], ['sum']),
    node('Gather', ['sum', 'first'], ['head'], { axis: { int: 0 } }),
    node('Less', ['head', 'ten'], ['again']),
    node('Identity', ['sum'], ['row']),
    node('Identity', ['i'], ['number']),
  ],
  outputs: [
    { name: 'again', dtype: 'bool', shape: [] },
    { name: 'sum', shape: [WIDTH] },
    { name: 'row', shape: [WIDTH] },
    { name: 'number', dtype: 'i64', shape: [] },
  ],
};

/** The same without a condition of its own. */
const COUNTING: RawGraph = {
  ...ADDING,
  nodes: [...ADDING.nodes.filter(({ op }) => op !== 'Less'), node('Identity', ['on'], ['again'])],
};

function looping(
  name: string,
  body: RawGraph,
  inputs: readonly [trips: string, start: string],
  nodes: readonly RawNode[],
  outputs: readonly RawValue[],
): BoundedCase {
  return {
    name,
    model: {
      opset: 18,
      inputs: [
        { name: 'x', shape: [WIDTH] },
        { name: 'n', dtype: 'i64', shape: [] },
        { name: 'start', dtype: 'bool', shape: [] },
      ],
      outputs,
      initializers: {
        first: scalar(0),
        axis: i64(1),
        ten: scalar(10, 'f32'),
        most: scalar(MOST),
        zeros: f32([WIDTH], [0, 0, 0]),
      },
      nodes: [
        node('Min', ['n', 'most'], ['limit']),
        node('Loop', [...inputs, 'zeros'], ['last', 'rows', 'numbers'], { body: { graph: body } }),
        ...nodes,
      ],
    },
    runs: [
      [f32([WIDTH], [4, 1, 2]), scalar(3), scalar(1, 'bool')],
      [f32([WIDTH], [1, 0, -2]), scalar(9), scalar(1, 'bool')],
      [f32([WIDTH], [20, 5, 6]), scalar(1), scalar(1, 'bool')],
      [f32([WIDTH], [3, 5, 6]), scalar(0), scalar(0, 'bool')],
      [f32([WIDTH], [2.5, 5, 6]), scalar(5), scalar(1, 'bool')],
    ],
  };
}

const LAST: RawValue = { name: 'last', shape: [WIDTH] };
const ROWS: RawValue = { name: 'rows', shape: [null, WIDTH] };
const NUMBERS: RawValue = { name: 'numbers', dtype: 'i64', shape: [null] };

export const LOOP_CASES: readonly BoundedCase[] = [
  looping('a loop that data ends', ADDING, ['most', ''], [], [LAST, ROWS, NUMBERS]),
  looping('a loop that may not begin', ADDING, ['most', 'start'], [], [ROWS, NUMBERS]),
  looping('a number of iterations that is clipped', COUNTING, ['limit', ''], [], [LAST, ROWS]),
  looping('both', ADDING, ['limit', 'start'], [], [LAST, NUMBERS]),
  looping(
    'operators behind a loop',
    ADDING,
    ['most', 'start'],
    [
      node('Transpose', ['rows'], ['columns'], { perm: { ints: [1, 0] } }),
      node('ReduceSum', ['columns', 'axis'], ['sums'], { keepdims: { int: 0 } }),
      node('Shape', ['rows'], ['shape']),
      node('Concat', ['rows', 'rows'], ['twice'], { axis: { int: 0 } }),
    ],
    [
      { name: 'columns', shape: [WIDTH, null] },
      { name: 'sums', shape: [WIDTH] },
      { name: 'shape', dtype: 'i64', shape: [2] },
      { name: 'twice', shape: [null, WIDTH] },
    ],
  ),
];
