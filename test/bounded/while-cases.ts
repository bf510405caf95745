/** Loops as exporters write them: weights that every iteration passes on, and rows at a counter, `x[t : t + 1]`. */
import { fromNumbers } from 'hone-runtime/base/tensor';
import type { RawGraph } from '../onnx/raw-model.ts';
import { type BoundedCase, f32, i64, node, noise, scalar } from './cases.ts';

const PASSING: RawGraph = {
  inputs: [
    { name: 'i', dtype: 'i64', shape: [] },
    { name: 'go', dtype: 'bool', shape: [] },
    { name: 'w', shape: [3, 3] },
    { name: 'inner', shape: [3] },
    { name: 'state', shape: [3] },
  ],
  nodes: [
    node('Identity', ['go'], ['again']),
    node('MatMul', ['state', 'w'], ['turned']),
    node('Add', ['turned', 'inner'], ['sum']),
    node('Tanh', ['sum'], ['next']),
  ],
  outputs: [
    { name: 'again', dtype: 'bool', shape: [] },
    { name: 'w', shape: [3, 3] },
    { name: 'inner', shape: [3] },
    { name: 'next', shape: [3] },
    { name: 'turned', shape: [3] },
  ],
};

/** rows[t : t + 1] = x[t : t + 1] + rows so far, with t as a list of one that goes through floats. */
const ROWS: RawGraph = {
  inputs: [
    { name: 'i', dtype: 'i64', shape: [] },
    { name: 'go', dtype: 'bool', shape: [] },
    { name: 't', dtype: 'i64', shape: [1] },
    { name: 'rows', shape: [6, 2] },
  ],
  nodes: [
    node('Cast', ['t'], ['real'], { to: { int: 1 } }),
    node('Add', ['real', 'one'], ['more']),
    node('Cast', ['more'], ['later'], { to: { int: 7 } }),
    node('Min', ['extent', 'later'], ['end']),
    node('Slice', ['x', 't', 'end', 'zero', 'step'], ['row']),
    node('Shape', ['row'], ['shape']),
    node('Squeeze', ['t'], ['first']),
    node('Squeeze', ['end'], ['last']),
    node('Range', ['first', 'last', 'by'], ['places']),
    node('Unsqueeze', ['places', 'second'], ['column']),
    node('Expand', ['column', 'shape'], ['where']),
    node('ReduceSum', ['rows', 'zero'], ['total'], { keepdims: { int: 1 } }),
    node('Add', ['row', 'total'], ['sum']),
    node('ScatterElements', ['rows', 'where', 'sum'], ['written'], { axis: { int: 0 } }),
    node('ReduceSum', ['written'], ['all'], { keepdims: { int: 0 } }),
    node('Less', ['all', 'limit'], ['again']),
    node('Identity', ['later'], ['t2']),
  ],
  outputs: [
    { name: 'again', dtype: 'bool', shape: [] },
    { name: 't2', dtype: 'i64', shape: [1] },
    { name: 'written', shape: [6, 2] },
  ],
};

export const WHILE_CASES: readonly BoundedCase[] = [
  {
    name: 'a loop that passes on weights, one of them an output of the model',
    model: {
      opset: 17,
      inputs: [
        { name: 'x', shape: [3] },
        { name: 'bias', shape: [3] },
        { name: 'n', dtype: 'i64', shape: [] },
      ],
      initializers: { w: noise([3, 3], 4), yes: fromNumbers('bool', [], [1]) },
      nodes: [
        node('Loop', ['n', 'yes', 'w', 'bias', 'x'], ['w_after', 'bias_after', 'last', 'rows'], {
          body: { graph: PASSING },
        }),
        node('ReduceSum', ['w_after'], ['sum'], { keepdims: { int: 0 } }),
      ],
      outputs: [
        { name: 'bias_after', shape: [3] },
        { name: 'last', shape: [3] },
        { name: 'rows', shape: [null, 3] },
        { name: 'sum', shape: [] },
      ],
    },
    runs: [0, 1, 5].map((n) => [noise([3], n + 1), noise([3], n + 20), scalar(n)]),
  },
  {
    name: 'rows that a loop cuts and writes at its counter',
    model: {
      opset: 17,
      inputs: [
        { name: 'x', shape: [6, 2] },
        { name: 't0', dtype: 'i64', shape: [1] },
        { name: 'limit', shape: [] },
      ],
      initializers: {
        one: f32([1], [1]),
        extent: i64(6),
        zero: i64(0),
        second: i64(1),
        step: i64(1),
        by: scalar(1),
        most: scalar(9),
        yes: fromNumbers('bool', [], [1]),
        empty: f32([6, 2], new Array<number>(12).fill(0)),
      },
      nodes: [node('Loop', ['most', 'yes', 't0', 'empty'], ['t', 'y'], { body: { graph: ROWS } })],
      outputs: [
        { name: 't', dtype: 'i64', shape: [1] },
        { name: 'y', shape: [6, 2] },
      ],
    },
    runs: [
      [0, 1],
      [0, 30],
      [2, 1e9],
      [-1, 1e9],
      [9, 1e9],
    ].map(([t = 0, limit = 0]) => [
      f32([6, 2], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
      i64(t),
      f32([], [limit]),
    ]),
  },
];
