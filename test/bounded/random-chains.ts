/** Random chains of operators behind Compress and NonZero; a function of the seed. */
import { seededRandom } from 'hone-runtime/base/random';
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import type { RawModel, RawNode } from '../onnx/raw-model.ts';
import { f32, flags, i64, noise, scalar, SHARES } from './cases.ts';

export interface Chain {
  readonly model: RawModel;
  /** By the names of the inputs. */
  readonly runs: readonly Readonly<Record<string, Tensor>>[];
}

/** A tensor of f32 and its extents; null: it depends on data. */
export interface Made {
  readonly name: string;
  readonly dims: readonly (number | null)[];
}

/** Everything that a step may use. */
export class Writer {
  readonly nodes: RawNode[] = [];
  readonly constants: Record<string, Tensor>;
  readonly random: ReturnType<typeof seededRandom>;
  readonly #prefix: string;

  /** A body shares the constants of the graph around it. */
  constructor(seed: number, prefix = 'v', constants: Record<string, Tensor> = {}) {
    this.random = seededRandom(seed);
    this.constants = constants;
    this.#prefix = prefix;
  }

  whole(least: number, most: number): number {
    return least + Math.floor(this.random.next() * (most - least + 1));
  }

  pick<T>(list: readonly T[]): T {
    return list[this.whole(0, list.length - 1)] as T;
  }

  constant(tensor: Tensor): string {
    const name = `c${Object.keys(this.constants).length}`;
    this.constants[name] = tensor;
    return name;
  }

  add(op: string, inputs: readonly string[], attrs: RawNode['attrs'] = {}, outputs = 1): string {
    const first = `${this.#prefix}${this.nodes.length}`;
    const names = [first, ...Array.from({ length: outputs - 1 }, (_, i) => `${first}_${i}`)];
    this.nodes.push({ op, inputs, outputs: names, attrs });
    return first;
  }

  /** Where a condition holds, as tuples. */
  tuples(condition: string): string {
    const found = this.add('NonZero', [condition]);
    return this.add('Transpose', [found], { perm: { ints: [1, 0] } });
  }
}

/** One operator on a tensor; undefined where it does not take one of this rank. */
type Step = (w: Writer, x: Made, axis: number) => Made | undefined;

const along = ({ dims }: Made, axis: number, extent: number | null): (number | null)[] =>
  dims.map((dim, i) => (i === axis ? extent : dim));
const int = (value: number) => ({ int: value });

export const STEPS: readonly Step[] = [
  (w, x) => ({ ...x, name: w.add(w.pick(['Neg', 'Sigmoid', 'Abs']), [x.name]) }),
  (w, x) => ({ ...x, name: w.add(w.pick(['Add', 'Mul', 'Sub']), [x.name, x.name]) }),
  (w, x) => {
    const condition = w.add('Greater', [x.name, w.constant(scalar(0, 'f32'))]);
    return { ...x, name: w.add('Where', [condition, x.name, w.constant(scalar(-2, 'f32'))]) };
  },
  (w, x) => {
    const perm = x.dims.map((_, i) => x.dims.length - 1 - i);
    const name = w.add('Transpose', [x.name], { perm: { ints: perm } });
    return { name, dims: [...x.dims].reverse() };
  },
  (w, x, axis) => {
    if (x.dims.length > 2) return undefined;
    const name = w.add('Unsqueeze', [x.name, w.constant(i64(axis))]);
    return { name, dims: x.dims.toSpliced(axis, 0, 1) };
  },
  (w, x) => ({ name: w.add('Reshape', [x.name, w.constant(i64(-1))]), dims: [null] }),
  (w, x) => {
    const [rows, columns] = x.dims;
    if (x.dims.length !== 2 || rows !== null || columns == null) return undefined;
    const count = w.add('Gather', [w.add('Shape', [x.name]), w.constant(i64(0))]);
    const to = w.add('Concat', [w.constant(i64(columns)), count], { axis: int(0) });
    return {
      name: w.add('Reshape', [x.name, to], { allowzero: int(1) }),
      dims: [columns, null],
    };
  },
  (w, x, axis) => {
    const [start, end] = [w.whole(-4, 3), w.pick([-1, 2, 5, 9999])];
    const limits = [i64(start), i64(end), i64(axis), i64(w.whole(1, 2))];
    const name = w.add('Slice', [x.name, ...limits.map((limit) => w.constant(limit))]);
    return { name, dims: along(x, axis, null) };
  },
  (w, x, axis) => {
    const end = fromNumbers('i64', [1], [-(2 ** 40)]);
    const limits = [i64(-1), end, i64(axis), i64(-w.whole(1, 2))];
    const name = w.add('Slice', [x.name, ...limits.map((limit) => w.constant(limit))]);
    return { name, dims: along(x, axis, null) };
  },
  (w, x, axis) => ({
    name: w.add('Concat', [x.name, x.name], { axis: int(axis) }),
    dims: along(x, axis, null),
  }),
  (w, x, axis) => {
    const op = w.pick(['ReduceSum', 'ReduceMax', 'ReduceMin', 'ReduceL2', 'ReduceProd']);
    const attrs = { keepdims: int(1) };
    const name = w.add(op, [x.name, w.constant(i64(axis))], attrs);
    return { name, dims: along(x, axis, 1) };
  },
  (w, x, axis) => {
    const attrs = { reverse: int(w.whole(0, 1)), exclusive: int(w.whole(0, 1)) };
    return { ...x, name: w.add('CumSum', [x.name, w.constant(scalar(axis))], attrs) };
  },
  (w, x, axis) => {
    const own = w.add('Shape', [x.name], { start: int(axis), end: int(axis + 1) });
    const k = w.add('Min', [own, w.constant(i64(w.whole(0, 4)))]);
    const attrs = { axis: int(axis), largest: int(w.whole(0, 1)) };
    return { name: w.add('TopK', [x.name, k], attrs, 2), dims: along(x, axis, null) };
  },
  (w, x, axis) => {
    const times = x.dims.map((_, i) => (i === axis ? w.whole(0, 3) : 1));
    return { name: w.add('Tile', [x.name, w.constant(i64(...times))]), dims: along(x, axis, null) };
  },
  (w, x) => {
    const pads = [...x.dims, ...x.dims].map(() => w.whole(0, 2));
    const name = w.add('Pad', [x.name, w.constant(i64(...pads)), w.constant(f32([], [3]))]);
    return { name, dims: x.dims.map(() => null) };
  },
  (w, x, axis) => ({ ...x, name: w.add('Softmax', [x.name], { axis: int(axis) }) }),
  (w, x) => {
    const chosen = w.tuples(w.add('Greater', [x.name, w.constant(scalar(0.1, 'f32'))]));
    return { name: w.add('GatherND', [x.name, chosen]), dims: [null] };
  },
  (w, x) => {
    const chosen = w.tuples(w.add('Less', [x.name, w.constant(scalar(0.2, 'f32'))]));
    const changed = w.add('Neg', [w.add('GatherND', [x.name, chosen])]);
    return { ...x, name: w.add('ScatterND', [x.name, chosen, changed]) };
  },
  (w, x, axis) => ({
    name: w.add('Split', [x.name], { axis: int(axis), num_outputs: int(2) }, 2),
    dims: along(x, axis, null),
  }),
  (w, x) => {
    if (x.dims.length !== 2) return undefined;
    const turned = w.add('Transpose', [x.name], { perm: { ints: [1, 0] } });
    const operands = w.pick([
      [x.name, turned],
      [turned, x.name],
    ]);
    return { name: w.add('MatMul', operands), dims: [null, null] };
  },
  (w, x) => {
    const to = w.add('Shape', [x.name]);
    return { ...x, name: w.add('Expand', [w.constant(f32([], [w.whole(1, 5)])), to]) };
  },
  (w, x) => ({
    name: w.add('Unique', [x.name], { sorted: int(w.whole(0, 1)) }),
    dims: [null],
  }),
];

/** Elements of the input `k`: repeats, padding, extents. A run may give anything up to these bounds. */
export const FREE_BOUNDS = { k: [3, 2, 6] } as const;

/** Element `i` of the input `k` as a list of one. */
const free = (w: Writer, i: number): string => w.add('Gather', ['k', w.constant(i64(i))]);

/** A list of the same number but for one place. */
function listed(w: Writer, length: number, other: number, at: number, item: string): string {
  const parts = Array.from({ length }, (_, i) => (i === at ? item : w.constant(i64(other))));
  return w.add('Concat', parts, { axis: int(0) });
}

/** Steps whose sizes the input `k` decides. */
const FREE_STEPS: readonly Step[] = [
  (w, x, axis) => {
    const times = listed(w, x.dims.length, 1, axis, free(w, 0));
    return { name: w.add('Tile', [x.name, times]), dims: along(x, axis, null) };
  },
  (w, x, axis) => {
    const rank = x.dims.length;
    const pads = listed(w, 2 * rank, 0, axis + w.pick([0, rank]), free(w, 1));
    return { name: w.add('Pad', [x.name, pads]), dims: along(x, axis, null) };
  },
  (w, x, axis) => {
    const limits = [free(w, 1), free(w, 2), w.constant(i64(axis))];
    return { name: w.add('Slice', [x.name, ...limits]), dims: along(x, axis, null) };
  },
  (w, x) => {
    if (x.dims.length > 2) return undefined;
    const to = w.add('Concat', [free(w, 2), w.add('Shape', [x.name])], { axis: int(0) });
    return { name: w.add('Expand', [x.name, to]), dims: [null, ...x.dims] };
  },
  (w) => {
    const end = w.add('Squeeze', [free(w, 2)]);
    const list = w.add('Range', [w.constant(scalar(0)), end, w.constant(scalar(1))]);
    return { name: w.add('Cast', [list], { to: int(1) }), dims: [null] };
  },
  (w) => {
    const to = w.add('Concat', [free(w, 2), free(w, 0)], { axis: int(0) });
    const value = { tensor: f32([1], [w.whole(-3, 3)]) };
    return { name: w.add('ConstantOfShape', [to], { value }), dims: [null, null] };
  },
];

const MOST_STEPS = 7;

/** A chain with an input whose elements decide sizes, bounded by nothing in the model. */
export function freeChain(seed: number): Chain {
  const chain = randomChain(seed, true);
  const numbers = [i64(2, 1, 4), i64(0, 0, 0), i64(...FREE_BOUNDS.k), i64(1, 2, 1), i64(3, 0, 5)];
  const { inputs = [] } = chain.model;
  return {
    model: { ...chain.model, inputs: [...inputs, { name: 'k', dtype: 'i64', shape: [3] }] },
    runs: chain.runs.map((run, i) => ({ ...run, k: numbers[i % numbers.length] as Tensor })),
  };
}

export function randomChain(seed: number, isFree = false): Chain {
  const w = new Writer(seed);
  const [rows, columns] = [w.whole(2, 6), w.whole(1, 4)];
  const left = w.add('Compress', ['x', 'rows'], { axis: int(0) });
  const chosen = w.add('GatherND', ['x', w.tuples('set')]);
  const made: Made[] = [
    { name: left, dims: [null, columns] },
    { name: chosen, dims: [null] },
  ];
  for (let i = w.whole(2, MOST_STEPS); i > 0; i--) {
    const x = w.pick(made);
    const steps = isFree && w.whole(0, 1) === 1 ? FREE_STEPS : STEPS;
    const result = w.pick(steps)(w, x, w.whole(0, x.dims.length - 1));
    if (result !== undefined) made.push(result);
  }
  const outputs = made.slice(-3).map(({ name, dims }) => ({ name, shape: dims.map(() => null) }));
  const model: RawModel = {
    opset: 18,
    inputs: [
      { name: 'x', shape: [rows, columns] },
      { name: 'rows', dtype: 'bool', shape: [rows] },
      { name: 'set', dtype: 'bool', shape: [rows, columns] },
    ],
    outputs,
    initializers: w.constants,
    nodes: w.nodes,
  };
  const runs = SHARES.map((share, i) => ({
    x: noise([rows, columns], seed * 10 + i),
    rows: flags([rows], share, seed + i),
    set: flags([rows, columns], share, seed + i + 1),
  }));
  return { model, runs };
}
