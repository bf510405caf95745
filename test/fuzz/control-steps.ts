/**
 * Steps with sub-graphs: a branch that an input chooses, a loop whose iterations an input counts or its
 * body ends. Conditions are made of whole numbers, which round nowhere.
 */
import type { Graph, ValueId, ValueType } from 'hone/graph/types';
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { Growth, type Grown, type Step } from './growth.ts';

const SMALL = 2000;
const MOST_TRIPS = 5;

/** Grows a sub-graph whose inputs have these elements; gives what `choose` makes of it. */
function grow(
  g: Growth,
  inputs: readonly Tensor[],
  inner: Step,
  choose: (body: Growth, given: readonly Grown[]) => readonly ValueId[],
): Graph {
  const body = new Growth(g.random, g);
  const given = inputs.map((tensor) => body.inputOf(tensor));
  const steps = g.between(1, 5);
  for (let n = 0; n < steps; n++) inner(body);
  return body.finish(choose(body, given)).graph;
}

const isSame = (a: ValueType, b: ValueType): boolean =>
  a.dtype === b.dtype && a.shape.join() === b.shape.join();

function isSmall({ type }: Grown): boolean {
  return type.shape.reduce((n, extent) => n * extent, 1) <= SMALL;
}

/** The newest value of a type. */
function newest(body: Growth, type: ValueType): Grown {
  return body.values.findLast((value) => isSame(value.type, type)) as Grown;
}

/** Values of the surrounding graph that sub-graphs read: `first` and perhaps others. */
function captured(g: Growth, first: Grown): readonly Grown[] {
  const scalars = ({ dtype, shape }: ValueType): boolean =>
    shape.length === 0 && (dtype === 'i64' || dtype === 'bool');
  const others = Array.from({ length: g.between(0, 3) }, () =>
    g.chance(0.5) ? g.pick() : g.pick(scalars),
  );
  return [first, ...others.filter((value) => value !== undefined).filter(isSmall)];
}

/** If: both branches grow from the same values and give values of the same types. */
export function branch(inner: Step): Step {
  return (g) => {
    const x = g.pick(g.isFloat);
    if (x === undefined || !isSmall(x)) return;
    const values = captured(g, x);
    const types = g.chance(0.3) ? [x.type, (values.at(-1) as Grown).type] : [x.type];
    const tensors = values.map(({ tensor }) => tensor);
    const [yes, no] = [0, 1].map(() =>
      grow(g, tensors, inner, (body) => types.map((type) => newest(body, type).id)),
    );
    const goes = g.datum(fromNumbers('bool', [], [g.between(0, 1)]));
    if (yes === undefined || no === undefined) return;
    const attrs = { captures: values.length, then_branch: yes, else_branch: no };
    g.ops('If', [goes, ...values.map(({ id }) => id)], attrs, types.length);
  };
}

/** Loop: a state that stays small, perhaps rows of something, and one or two ways to end. */
export function repetition(inner: Step): Step {
  return (g) => {
    const x = g.pick(g.isFloat);
    if (x === undefined || !isSmall(x)) return;
    const values = captured(g, x).slice(1);
    const isStacked = g.chance(0.5);
    const ends = g.chance(0.4);
    const limit = g.between(0, MOST_TRIPS);
    const formal = [
      fromNumbers('i64', [], [0]),
      fromNumbers('bool', [], [1]),
      x.tensor,
      ...values.map(({ tensor }) => tensor),
    ];
    const body = grow(g, formal, inner, (b, given) => {
      const [iteration, goOn] = given as readonly [Grown, Grown];
      const last = b.scalar(limit, 'i64');
      const again = ends ? (b.op('Less', [iteration.id, last]) ?? goOn) : goOn;
      const state = newest(b, x.type);
      const next = b.op('Tanh', [state.id]) ?? state;
      const rows = b.values.filter(isSmall);
      return [again.id, next.id, ...(isStacked ? [b.among(rows).id] : [])];
    });
    const trips = g.between(0, MOST_TRIPS);
    const isKnown = g.chance(0.3);
    const count = fromNumbers('i64', [], [trips]);
    const given = isKnown ? g.hold(count) : g.datum(count);
    const start = g.chance(0.3) ? g.datum(fromNumbers('bool', [], [g.between(0, 3) && 1])) : null;
    const hasBound = isStacked && (!isKnown || ends || start !== null || g.chance(0.2));
    const attrs = {
      captures: values.length,
      body,
      bound: hasBound ? trips + g.between(0, 2) : -1,
    };
    const outputs = 1 + (isStacked ? 1 : 0) + (hasBound ? 1 : 0);
    const ids = [given, start, x.id, ...values.map(({ id }) => id)];
    g.ops('Loop', ids, attrs, outputs);
  };
}
