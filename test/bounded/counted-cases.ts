/** Loops as TensorFlow exports them: no number of iterations that means anything, and a condition of counters. */
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import type { RawGraph, RawNode, RawValue } from '../onnx/raw-model.ts';
import { type BoundedCase, f32, i64, node, noise, scalar, truth } from './cases.ts';

const STEPS = 5;
const WIDTH = 3;

export interface CountedCase extends BoundedCase {
  /** The numbers of iterations of the loops in the model; null: data decides. */
  readonly trips: readonly (number | null)[];
}

const i64s = (name: string): RawValue => ({ name, dtype: 'i64', shape: [] });
const i32s = (name: string): RawValue => ({ name, dtype: 'i32', shape: [] });
const row = (name: string): RawValue => ({ name, shape: [WIDTH] });

const loop = (inputs: readonly string[], outputs: readonly string[], body: RawGraph): RawNode =>
  node('Loop', inputs, outputs, { body: { graph: body } });

const COMMON: Readonly<Record<string, Tensor>> = {
  most: scalar(2 ** 31 - 1),
  yes: scalar(1, 'bool'),
  no: scalar(0, 'bool'),
  zero: scalar(0),
  one: scalar(1),
  two: scalar(2),
  axes: i64(0),
  zero32: scalar(0, 'i32'),
  one32: scalar(1, 'i32'),
  start: f32([WIDTH], [0, 0, 0]),
};

/** One model of loops over the rows of x, STEPS of them. */
function counted(
  name: string,
  trips: CountedCase['trips'],
  outputs: readonly RawValue[],
  nodes: readonly RawNode[],
  initializers: Readonly<Record<string, Tensor>> = {},
  runs = [1, 2].map((seed) => [noise([STEPS, WIDTH], seed)]),
): CountedCase {
  const inputs = [{ name: 'x', shape: [STEPS, WIDTH] }];
  const model = { opset: 18, inputs, outputs, initializers: { ...COMMON, ...initializers }, nodes };
  return { name, trips, model, runs };
}

/** `limit` of the rows of x. */
const ROWS: readonly RawNode[] = [
  node('Shape', ['x'], ['shape']),
  node('Gather', ['shape', 'zero'], ['limit']),
];

/** Two counters (that of the iterations i32), a state, and what it adds up to in each step. */
const adding = (limit = 'limit', step = 'one'): RawGraph => ({
  inputs: [i64s('i'), truth('on'), i64s('time'), i32s('n'), row('state')],
  nodes: [
    node('Add', ['time', step], ['later']),
    node('Add', ['n', 'one32'], ['more']),
    node('Gather', ['x', 'time'], ['now'], { axis: { int: 0 } }),
    node('Tanh', ['now'], ['bent']),
    node('Add', ['state', 'bent'], ['next']),
    node('Less', ['later', limit], ['a']),
    node('Cast', [limit], ['limit32'], { to: { int: 6 } }),
    node('Less', ['more', 'limit32'], ['b']),
    node('And', ['a', 'b'], ['again']),
    node('Identity', ['next'], ['out']),
  ],
  outputs: [truth('again'), i64s('later'), i32s('more'), row('next'), row('out')],
});

const ADDED = ['t', 'k', 'last', 'rows'];
const LOOP_IN = ['zero', 'zero32', 'start'];
const LAST: RawValue = row('last');
const STACK: RawValue = { name: 'rows', shape: [null, WIDTH] };

/** Writes each step into its place in a tensor that it carries. */
const SCATTERING: RawGraph = {
  inputs: [i64s('i'), truth('on'), i64s('time'), { name: 'list', shape: [STEPS, WIDTH] }],
  nodes: [
    node('Gather', ['x', 'time'], ['now'], { axis: { int: 0 } }),
    node('Exp', ['now'], ['own']),
    node('Unsqueeze', ['time', 'axes'], ['place']),
    node('Unsqueeze', ['place', 'axes'], ['places']),
    node('Unsqueeze', ['own', 'axes'], ['owns']),
    node('ScatterND', ['list', 'places', 'owns'], ['written']),
    node('Add', ['time', 'one'], ['later']),
    node('Less', ['later', 'limit'], ['again']),
  ],
  outputs: [truth('again'), i64s('later'), { name: 'written', shape: [STEPS, WIDTH] }],
};

/** Puts each step behind the others. */
const GROWING: RawGraph = {
  inputs: [i64s('i'), truth('on'), i64s('time'), { name: 'list', shape: [null, WIDTH] }],
  nodes: [
    node('Gather', ['x', 'time'], ['now'], { axis: { int: 0 } }),
    node('Unsqueeze', ['now', 'axes'], ['nows']),
    node('Concat', ['list', 'nows'], ['longer'], { axis: { int: 0 } }),
    node('Add', ['time', 'one'], ['later']),
    node('Less', ['later', 'limit'], ['again']),
  ],
  outputs: [truth('again'), i64s('later'), { name: 'longer', shape: [null, WIDTH] }],
};

/** The same, as long as the list is short and its last iteration is not reached. */
const MEASURED: RawGraph = {
  ...GROWING,
  nodes: [
    ...GROWING.nodes.filter(({ op }) => op !== 'Less'),
    node('Shape', ['list'], ['extents']),
    node('Gather', ['extents', 'zero'], ['length']),
    node('Add', ['length', 'later'], ['both']),
    node('Less', ['both', 'limit'], ['again']),
  ],
};

/** Ends where its state is large, too. */
const DECIDED: RawGraph = {
  ...adding(),
  nodes: [
    ...adding().nodes.filter(({ op }) => op !== 'And'),
    node('And', ['a', 'b'], ['counts']),
    node('ReduceMax', ['next'], ['top'], { keepdims: { int: 0 } }),
    node('Less', ['top', 'half'], ['small']),
    node('And', ['counts', 'small'], ['again']),
  ],
};

/** The limit is carried, and the state that gives it is data: only its shape decides. */
const PASSED: RawGraph = {
  inputs: [i64s('i'), truth('on'), i64s('time'), { name: 'all', shape: [STEPS, WIDTH] }, row('s')],
  nodes: [
    node('Shape', ['all'], ['extents']),
    node('Gather', ['extents', 'zero'], ['end']),
    node('Gather', ['all', 'i'], ['now'], { axis: { int: 0 } }),
    node('Add', ['time', 'one'], ['later']),
    node('Less', ['later', 'end'], ['again']),
    node('Add', ['s', 'now'], ['next']),
    node('Identity', ['all'], ['same']),
    node('Mul', ['next', 'next'], ['square']),
  ],
  outputs: [
    truth('again'),
    i64s('later'),
    { name: 'same', shape: [STEPS, WIDTH] },
    row('next'),
    row('square'),
  ],
};

/** Each iteration runs a loop of its own, for two rows. */
const NESTED: RawGraph = {
  inputs: [i64s('j'), truth('go'), i64s('outer'), row('sum')],
  nodes: [
    loop(['most', 'yes', 'zero', 'zero32', 'sum'], ['t', 'k', 'last', 'rows'], adding('two')),
    node('Add', ['outer', 'one'], ['after']),
    node('Less', ['after', 'limit'], ['onward']),
  ],
  outputs: [truth('onward'), i64s('after'), row('last'), { name: 'rows', shape: [null, WIDTH] }],
};

const behind = (from: string): readonly RawNode[] => [
  node('Transpose', [from], ['columns'], { perm: { ints: [1, 0] } }),
  node('Softmax', ['columns'], ['soft'], { axis: { int: -1 } }),
];
const SOFT: RawValue = { name: 'soft', shape: [WIDTH, null] };

export const COUNTED_CASES: readonly CountedCase[] = [
  counted(
    'two counters, a limit from a shape, and what stands behind',
    [STEPS],
    [LAST, STACK, SOFT, { ...i64s('t') }, i32s('k')],
    [...ROWS, loop(['most', 'yes', ...LOOP_IN], ADDED, adding()), ...behind('rows')],
  ),
  counted(
    'no number of iterations and no first condition',
    [STEPS],
    [LAST, STACK],
    [...ROWS, loop(['', '', ...LOOP_IN], ADDED, adding())],
  ),
  counted(
    'an end below the number of iterations, by steps of two',
    [3],
    [LAST, STACK],
    [...ROWS, loop(['four', 'yes', ...LOOP_IN], ADDED, adding('limit', 'two'))],
    { four: i64(4) },
  ),
  counted(
    'fewer iterations than the counters allow',
    [2],
    [LAST, STACK],
    [...ROWS, loop(['two', 'yes', ...LOOP_IN], ADDED, adding())],
  ),
  counted(
    'no iteration',
    [0],
    [LAST, STACK],
    [...ROWS, loop(['most', 'no', ...LOOP_IN], ADDED, adding())],
  ),
  counted(
    'no iteration, for the counters begin at their limit',
    [0],
    [LAST, STACK],
    [
      ...ROWS,
      node('Less', ['limit', 'limit'], ['begins']),
      loop(['most', 'begins', ...LOOP_IN], ADDED, adding()),
    ],
  ),
  counted(
    'rows that are written into their places',
    [STEPS],
    [{ name: 'list', shape: [STEPS, WIDTH] }],
    [...ROWS, loop(['most', 'yes', 'zero', 'empty'], ['t', 'list'], SCATTERING)],
    { empty: f32([STEPS, WIDTH], new Array<number>(STEPS * WIDTH).fill(0)) },
  ),
  counted(
    'rows that are put behind one another',
    [],
    [{ name: 'list', shape: [null, WIDTH] }, SOFT],
    [...ROWS, loop(['most', 'yes', 'zero', 'none'], ['t', 'list'], GROWING), ...behind('list')],
    { none: f32([0, WIDTH], []) },
  ),
  counted(
    'a condition of the extent of what grows',
    [null],
    [{ name: 'list', shape: [null, WIDTH] }],
    [...ROWS, loop(['most', 'yes', 'zero', 'none'], ['t', 'list'], MEASURED)],
    { none: f32([0, WIDTH], []) },
  ),
  counted(
    'a limit that is the extent of a carried tensor',
    [STEPS],
    [LAST, STACK],
    [loop(['most', 'yes', 'zero', 'x', 'start'], ['t', 'same', 'last', 'rows'], PASSED)],
  ),
  counted(
    'a loop in a loop',
    [STEPS, 2],
    [row('end'), { name: 'all', shape: [null, null, WIDTH] }],
    [...ROWS, loop(['most', 'yes', 'zero', 'start'], ['o', 'end', 'all'], NESTED)],
  ),
  counted(
    'a condition of data, too',
    [null],
    [LAST, STACK],
    [...ROWS, loop(['ten', 'yes', ...LOOP_IN], ADDED, DECIDED)],
    { half: f32([], [0.5]), ten: scalar(10) },
  ),
  counted(
    'a number of iterations that is data, and counters that allow fewer',
    [null],
    [LAST, STACK],
    [...ROWS, loop(['n', 'yes', ...LOOP_IN], ADDED, adding())],
  ),
].map((item) => withNumber(item));

/** Where a model reads a number n, it is an input. */
function withNumber(item: CountedCase): CountedCase {
  const isRead = item.model.nodes.some(({ inputs }) => inputs.includes('n'));
  if (!isRead) return item;
  const inputs = [...(item.model.inputs ?? []), i64s('n')];
  const x = item.runs[0]?.[0] ?? fromNumbers('f32', [0], []);
  return { ...item, model: { ...item.model, inputs }, runs: [0, 2, 9].map((n) => [x, scalar(n)]) };
}
