/** Test cases of control flow: small sub-graphs, written out by hand (types are not inferred). */
import { fromNumbers } from 'hone-runtime/base/tensor';
import { GraphBuilder } from '../../graph/build.ts';
import type { Graph, ValueType } from '../../graph/types.ts';
import type { TestCase } from '../define-op.ts';
import { sample } from '../nn/samples.ts';

const PAIR: ValueType = { dtype: 'f32', shape: [2] };

/** op(x, y) of two captured pairs. */
function branch(op: 'Add' | 'Mul'): Graph {
  const b = new GraphBuilder(op);
  const x = b.input('x', PAIR);
  const y = b.input('y', PAIR);
  return b.finish(b.node({ op, inputs: [x, y], attrs: {}, types: [PAIR] }));
}

export function branchCases(): readonly TestCase[] {
  const attrs = { then_branch: branch('Add'), else_branch: branch('Mul'), captures: 2 };
  return [0, 1].map((condition) => ({
    note: condition === 1 ? 'then' : 'else',
    inputs: [fromNumbers('bool', [], [condition]), sample([2], 1), sample([2], 2)],
    attrs,
  }));
}

/** carried ← carried + captured; gives out each carried · captured. */
function loopBody(): Graph {
  const b = new GraphBuilder('body');
  b.input('iteration', { dtype: 'i64', shape: [] });
  const goOn = b.input('condition', { dtype: 'bool', shape: [] });
  const carried = b.input('carried', PAIR);
  const captured = b.input('captured', PAIR);
  const node = (op: string): readonly number[] =>
    b.node({ op, inputs: [carried, captured], attrs: {}, types: [PAIR] });
  return b.finish([goOn, ...node('Add'), ...node('Mul')]);
}

export function loopCases(): readonly TestCase[] {
  const attrs = { body: loopBody(), captures: 1 };
  const one = fromNumbers('bool', [], [1]);
  const make = (note: string, trips: number): TestCase => ({
    note,
    inputs: [fromNumbers('i64', [], [trips]), one, sample([2], 1), sample([2], 2)],
    attrs,
    outputs: 2,
  });
  const bounded = (note: string, trips: number, start: number): TestCase => ({
    note,
    inputs: [
      fromNumbers('i64', [], [trips]),
      fromNumbers('bool', [], [start]),
      sample([2], 1),
      sample([2], 2),
    ],
    attrs: { ...attrs, bound: 4 },
    outputs: 3,
  });
  return [
    make('three times', 3),
    make('never', 0),
    bounded('three times of at most four', 3, 1),
    bounded('four times of at most four', 4, 1),
    bounded('never, of at most four times', 4, 0),
    {
      note: 'while a sum is small, of at most six times',
      inputs: [fromNumbers('i64', [], [6]), one, fromNumbers('f32', [2], [1, 2]), sample([2], 2)],
      attrs: { body: whileBody(), captures: 1, bound: 6 },
      outputs: 3,
    },
    {
      note: 'while a sum is small',
      inputs: [null, one, fromNumbers('f32', [2], [1, 2])],
      attrs: { body: doublingBody() },
      outputs: 1,
    },
  ];
}

/** carried ← carried + carried. */
function doublingBody(): Graph {
  const b = new GraphBuilder('body');
  b.input('iteration', { dtype: 'i64', shape: [] });
  b.input('condition', { dtype: 'bool', shape: [] });
  const carried = b.input('carried', PAIR);
  const doubled = doubleAndTest(b, carried);
  return b.finish([doubled.goOn, doubled.sum]);
}

/** carried ← carried + carried; gives out each carried · captured. */
function whileBody(): Graph {
  const b = new GraphBuilder('body');
  b.input('iteration', { dtype: 'i64', shape: [] });
  b.input('condition', { dtype: 'bool', shape: [] });
  const carried = b.input('carried', PAIR);
  const captured = b.input('captured', PAIR);
  const { goOn, sum } = doubleAndTest(b, carried);
  const given = b.node({ op: 'Mul', inputs: [carried, captured], attrs: {}, types: [PAIR] });
  return b.finish([goOn, sum, ...given]);
}

/** x + x, and whether the first element of it is below 10. */
function doubleAndTest(b: GraphBuilder, x: number): { goOn: number; sum: number } {
  const scalar = { dtype: 'f32', shape: [] } as const;
  const one = (op: string, inputs: readonly number[], type: ValueType, attrs = {}): number =>
    b.node({ op, inputs, attrs, types: [type] })[0] ?? x;
  const sum = one('Add', [x, x], PAIR);
  const zero = b.constant(fromNumbers('i64', [], [0]), 'zero');
  const ten = b.constant(fromNumbers('f32', [], [10]), 'ten');
  const first = one('Gather', [sum, zero], scalar, { axis: 0 });
  return { goOn: one('Less', [first, ten], { dtype: 'bool', shape: [] }), sum };
}

/** state ← state + slice, given out after every slice. */
function scanBody(): Graph {
  const b = new GraphBuilder('body');
  const state = b.input('state', PAIR);
  const slice = b.input('slice', PAIR);
  const [sum = state] = b.node({ op: 'Add', inputs: [state, slice], attrs: {}, types: [PAIR] });
  return b.finish([sum, sum]);
}

export function scanCases(): readonly TestCase[] {
  const body = scanBody();
  return [
    {
      note: 'running sum of rows',
      inputs: [sample([2], 1), sample([3, 2], 2)],
      attrs: { body, num_scan_inputs: 1 },
      outputs: 2,
    },
    {
      note: 'columns backwards, stacked as columns backwards',
      inputs: [sample([2], 1), sample([2, 4], 2)],
      attrs: {
        body,
        num_scan_inputs: 1,
        scan_input_axes: [1],
        scan_input_directions: [1],
        scan_output_axes: [-1],
        scan_output_directions: [1],
      },
      outputs: 2,
    },
  ];
}
