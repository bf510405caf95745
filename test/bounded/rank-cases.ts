/**
 * Flags that are a scalar in one branch or before a loop, and a list of one in the other or within it, and
 * names that stand for nothing before a loop: as PaddlePaddle's exporter writes its `while`.
 */
import { fromNumbers } from 'hone-runtime/base/tensor';
import type { RawGraph, RawNode } from '../onnx/raw-model.ts';
import { type BoundedCase, f32, i64, node, scalar } from './cases.ts';

const given = (input: string, output: string): RawGraph => ({
  inputs: [],
  nodes: [node('Identity', [input], [output])],
  outputs: [{ name: output, dtype: 'bool' }],
});

const choice = (condition: string, output: string, other: string): RawNode =>
  node('If', [condition], [output], {
    then_branch: { graph: given('ones', 'a') },
    else_branch: { graph: given(other, 'b') },
  });

const BODY: RawGraph = {
  inputs: [
    { name: 'i', dtype: 'i64', shape: [1] },
    { name: 'go', dtype: 'bool', shape: [] },
    { name: 'flag', dtype: 'bool' },
    { name: 'nothing' },
    { name: 'total', shape: [3] },
  ],
  nodes: [
    node('Add', ['total', 'x'], ['sum']),
    node('Gather', ['sum', 'first'], ['head'], { axis: { int: 0 } }),
    node('Less', ['limit', 'head'], ['full']),
    choice('full', 'is_full', 'flag'),
    // Of one axis from the first iteration on.
    node('Or', ['is_full', 'no'], ['flag2']),
    node('Not', ['flag2'], ['again']),
    node('Unsqueeze', ['sum', 'first'], ['something']),
  ],
  outputs: [
    { name: 'again', dtype: 'bool' },
    { name: 'flag2', dtype: 'bool' },
    { name: 'something' },
    { name: 'sum', shape: [3] },
  ],
};

const constants = {
  ones: fromNumbers('bool', [1], [1]),
  no: fromNumbers('bool', [1], [0]),
  yes: fromNumbers('bool', [], [1]),
  off: fromNumbers('bool', [], [0]),
  void: f32([], [0]),
  first: i64(0),
  most: scalar(20),
};

export const RANK_CASES: readonly BoundedCase[] = [
  {
    name: 'a while whose flag gains an axis and whose result is nothing at first',
    model: {
      opset: 17,
      inputs: [
        { name: 'x', shape: [3] },
        { name: 'limit', shape: [1] },
      ],
      initializers: constants,
      nodes: [
        node('Loop', ['most', 'yes', 'off', 'void', 'x'], ['flag', 'last', 'sum'], {
          body: { graph: BODY },
        }),
        node('Where', ['flag', 'last', 'sum'], ['y']),
      ],
      outputs: [
        { name: 'last', shape: [1, 3] },
        { name: 'y', shape: [1, 3] },
      ],
    },
    runs: [0, 3, 7.5, 1000].map((limit) => [f32([3], [1, 2, 3]), f32([1], [limit])]),
  },
  {
    name: 'a branch that gives a scalar where the other gives a list of one',
    model: {
      opset: 17,
      inputs: [
        { name: 'x', shape: [3] },
        { name: 'on', dtype: 'bool', shape: [] },
        { name: 'other', dtype: 'bool', shape: [] },
      ],
      initializers: constants,
      nodes: [
        choice('on', 'flag', 'other'),
        node('Neg', ['x'], ['less']),
        node('Where', ['flag', 'x', 'less'], ['y']),
      ],
      outputs: [{ name: 'y', shape: [3] }],
    },
    runs: [
      [1, 0],
      [0, 0],
      [0, 1],
    ].map(([on = 0, other = 0]) => [
      f32([3], [1, 2, 3]),
      fromNumbers('bool', [], [on]),
      fromNumbers('bool', [], [other]),
    ]),
  },
];
