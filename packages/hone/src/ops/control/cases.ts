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
  return [make('three times', 3), make('never', 0)];
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
