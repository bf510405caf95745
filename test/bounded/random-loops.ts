/** Random loops that carry tensors of sizes that change from one iteration to the next; a function of the seed. */
import { fromNumbers } from 'hone-runtime/base/tensor';
import type { RawGraph, RawModel, RawValue } from '../onnx/raw-model.ts';
import { flags, i64, noise, scalar, SHARES, truth } from './cases.ts';
import { type Chain, type Made, STEPS, Writer } from './random-chains.ts';

/** The most iterations of a run: the input `n` may be more. */
const MOST_TRIPS = 3;

const open = (name: string, rank: number): RawValue => ({
  name,
  shape: new Array<null>(rank).fill(null),
});

/** Any tensor as a list. */
const flat = (w: Writer, x: Made): string => w.add('Reshape', [x.name, w.constant(i64(-1))]);

/** A body that carries a list `a` and a table `b`, and stacks rows of the size of `left`, which is outside. */
function body(w: Writer, columns: number): RawGraph {
  const made: Made[] = [
    { name: 'a', dims: [null] },
    { name: 'b', dims: [null, columns] },
    { name: 'left', dims: [null, columns] },
  ];
  for (let i = w.whole(1, 3); i > 0; i--) {
    const x = w.pick(made);
    const result = w.pick(STEPS)(w, x, w.whole(0, x.dims.length - 1));
    if (result !== undefined) made.push(result);
  }
  const last = made.at(-1) as Made;
  const found = flat(w, last);
  const list = w.pick([
    () => w.add('Concat', ['a', found], { axis: { int: 0 } }),
    () => w.add('Concat', ['a', flat(w, w.pick(made))], { axis: { int: 0 } }),
    () => w.add('Concat', ['a', 'a'], { axis: { int: 0 } }),
    () => found,
  ])();
  const table = w.pick([
    () => w.add('Concat', ['b', 'left'], { axis: { int: 0 } }),
    () => w.add('Concat', ['b', 'b'], { axis: { int: 0 } }),
    () => w.add('Slice', ['b', w.constant(i64(1)), w.constant(i64(9))]),
    () => w.add('Neg', ['b']),
  ])();
  const sum = w.add('ReduceSum', ['a'], { keepdims: { int: 0 } });
  const row = w.add('Add', ['left', sum]);
  const number = w.add('Cast', ['i'], { to: { int: 1 } });
  const again = w.add('Identity', ['on']);
  return {
    inputs: [{ name: 'i', dtype: 'i64', shape: [] }, truth('on'), open('a', 1), open('b', 2)],
    nodes: w.nodes,
    outputs: [
      truth(again),
      open(list, 1),
      open(table, 2),
      open(row, 2),
      { name: number, shape: [] },
    ],
  };
}

export function randomLoop(seed: number): Chain {
  const w = new Writer(seed);
  const [rows, columns] = [w.whole(2, 4), w.whole(1, 3)];
  w.nodes.push({
    op: 'Compress',
    inputs: ['x', 'rows'],
    outputs: ['left'],
    attrs: { axis: { int: 0 } },
  });
  const chosen = w.add('GatherND', ['x', w.tuples('set')]);
  const trips = w.add('Min', ['n', w.constant(scalar(MOST_TRIPS))]);
  const graph = body(new Writer(seed + 1, 'inner', w.constants), columns);
  const outputs = ['list', 'table', 'stack', 'numbers'];
  w.nodes.push({
    op: 'Loop',
    inputs: [trips, '', chosen, 'left'],
    outputs,
    attrs: { body: { graph } },
  });
  const twice = w.add('Concat', ['list', 'list'], { axis: { int: 0 } });
  const model: RawModel = {
    opset: 18,
    inputs: [
      { name: 'x', shape: [rows, columns] },
      { name: 'rows', dtype: 'bool', shape: [rows] },
      { name: 'set', dtype: 'bool', shape: [rows, columns] },
      { name: 'n', dtype: 'i64', shape: [] },
    ],
    outputs: [
      open('list', 1),
      open('table', 2),
      open('stack', 3),
      open('numbers', 1),
      open(twice, 1),
    ],
    initializers: w.constants,
    nodes: w.nodes,
  };
  const counts = [3, 1, 2, 9, 3];
  const runs = SHARES.map((share, i) => ({
    x: noise([rows, columns], seed * 10 + i),
    rows: flags([rows], share, seed + i),
    set: flags([rows, columns], share, seed + i + 1),
    n: fromNumbers('i64', [], [counts[i] ?? 1]),
  }));
  return { model, runs };
}
