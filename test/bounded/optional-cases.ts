/** Optionals of which data says whether they have a value. */
import { fromNumbers } from 'hone-runtime/base/tensor';
import type { RawNode, RawValue } from '../onnx/raw-model.ts';
import { branch, type BoundedCase, f32, node, noise, scalar, truth } from './cases.ts';

const optional = (name: string, ...shape: (number | null)[]): RawValue => ({
  name,
  shape,
  container: 'optional',
});
/** Takes the value where there is one, else its own. */
const orElse = (name: string, fallback: string): RawNode[] => [
  node('OptionalHasElement', [name], ['has']),
  branch(
    'has',
    ['y'],
    {
      nodes: [node('OptionalGetElement', [name], ['own'])],
      outputs: [{ name: 'own', shape: [null] }],
    },
    {
      nodes: [node('Neg', [fallback], ['other'])],
      outputs: [{ name: 'other', shape: [null] }],
    },
  ),
];

const decided: BoundedCase = {
  name: 'an optional that a branch gives or does not',
  model: {
    opset: 18,
    inputs: [{ name: 'x', shape: [4] }, truth('which')],
    outputs: [truth('has'), { name: 'y', shape: [null] }],
    initializers: { twos: fromNumbers('f32', [2], [2, 3]) },
    nodes: [
      branch(
        'which',
        ['maybe'],
        {
          nodes: [node('Exp', ['x'], ['e']), node('Optional', ['e'], ['some'])],
          outputs: [optional('some', 4)],
        },
        {
          nodes: [node('Optional', [], ['none'], { type: { valueType: {} } })],
          outputs: [optional('none', 4)],
        },
      ),
      ...orElse('maybe', 'twos'),
    ],
  },
  runs: [0, 1].map((which) => [noise([4], which), fromNumbers('bool', [], [which])]),
};

/** What both branches give, of different lengths. */
const both: BoundedCase = {
  name: 'an optional of either of two lengths',
  model: {
    opset: 18,
    inputs: [{ name: 'x', shape: [4] }, truth('which')],
    outputs: [truth('has'), { name: 'y', shape: [null] }],
    initializers: { twos: f32([2], [2, 3]) },
    nodes: [
      branch(
        'which',
        ['maybe'],
        {
          nodes: [node('Exp', ['x'], ['e']), node('Optional', ['e'], ['some'])],
          outputs: [optional('some', null)],
        },
        {
          nodes: [node('Exp', ['twos'], ['f']), node('Optional', ['f'], ['few'])],
          outputs: [optional('few', null)],
        },
      ),
      ...orElse('maybe', 'twos'),
    ],
  },
  runs: [0, 1].map((which) => [noise([4], which), fromNumbers('bool', [], [which])]),
};

/** The last row that is positive, if there is one. */
const found: BoundedCase = {
  name: 'a loop finds a value, or does not',
  model: {
    opset: 18,
    inputs: [{ name: 'm', shape: [4, 3] }],
    outputs: [truth('has'), { name: 'y', shape: [null] }],
    initializers: {
      zero: scalar(0),
      four: scalar(4),
      yes: fromNumbers('bool', [], [1]),
      real: f32([], [0]),
      twos: f32([3], [2, 3, 4]),
    },
    nodes: [
      node('Optional', [], ['nothing'], { type: { valueType: {} } }),
      node('Loop', ['four', 'yes', 'nothing'], ['maybe'], {
        body: {
          graph: {
            inputs: [{ name: 'i', dtype: 'i64', shape: [] }, truth('go'), optional('before', 3)],
            nodes: [
              node('Identity', ['go'], ['on']),
              node('Gather', ['m', 'i'], ['row']),
              node('Gather', ['row', 'zero'], ['head']),
              node('Greater', ['head', 'real'], ['isPositive']),
              branch(
                'isPositive',
                ['after'],
                {
                  nodes: [node('Optional', ['row'], ['some'])],
                  outputs: [optional('some', 3)],
                },
                {
                  nodes: [node('Identity', ['before'], ['same'])],
                  outputs: [optional('same', 3)],
                },
              ),
            ],
            outputs: [truth('on'), optional('after', 3)],
          },
        },
      }),
      ...orElse('maybe', 'twos'),
    ],
  },
  runs: [
    [f32([4, 3], new Float32Array(12).fill(-1))],
    ...[1, 2, 3].map((seed) => [noise([4, 3], seed)]),
  ],
};

export const OPTIONAL_CASES: readonly BoundedCase[] = [decided, both, found];
