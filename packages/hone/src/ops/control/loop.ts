/**
 * Loop: a sub-graph repeated a number of times, or while a condition holds.
 *
 * Beyond ONNX, a node may have a `bound`: the most iterations it can take, for loops that stack results
 * and whose number of iterations is known only at run time. Stacked results then have that extent, what
 * lies behind the last iteration is zero, and one more output at the end, `count` (i64, a scalar), says
 * how many iterations ran. `tensor`, `origin` and `option` say where the bound comes from.
 */
import { at, fail } from 'hone-runtime/base/diagnostics';
import { dtypeBytes } from 'hone-runtime/base/dtype';
import {
  bytesOf,
  elementCount,
  fromNumbers,
  type Tensor,
  toNumbers,
  viewBytes,
} from 'hone-runtime/base/tensor';
import type { Attrs, Graph, ValueType } from '../../graph/types.ts';
import { int, intAttr, inputType, shapeError } from '../checks.ts';
import {
  type ControlForm,
  type ControlOp,
  defineOp,
  type InferContext,
  type OpInput,
} from '../define-op.ts';
import { loopCases } from './cases.ts';
import { stack, stackNodes, withAxis } from './stacks.ts';
import { neverStops, withoutCondition } from './loop-body.ts';
import { BOUND_ATTRS, boundText } from '../tensor/within.ts';
import {
  CAPTURES,
  graphAttr,
  hasTexts,
  inlineGraph,
  nodeCount,
  typesOf,
  UNROLL_LIMIT,
  WRITTEN_OUT_NODES,
} from './subgraph.ts';

/** A loop that goes on after so many iterations is taken for one without end, unless it was made for more. */
export const ITERATION_LIMIT = 1_000_000;

interface LoopParts {
  readonly body: Graph;
  /** Values carried from one iteration to the next. */
  readonly carried: number;
  readonly captures: number;
  /** Most iterations; undefined: not stated. */
  readonly bound: number | undefined;
}

/** The output behind all others of a loop with a bound. */
const COUNT: ValueType = { dtype: 'i64', shape: [] };

function boundOf(attrs: Attrs): number | undefined {
  const bound = intAttr(attrs, 'bound');
  return bound < 0 ? undefined : bound;
}

function partsOf(ctx: InferContext): LoopParts {
  const body = graphAttr(ctx, ctx.attrs, 'body');
  const captures = intAttr(ctx.attrs, 'captures');
  const carried = ctx.inputs.length - 2 - captures;
  if (body.inputs.length !== 2 + carried + captures || body.outputs.length < 1 + carried) {
    shapeError(
      ctx,
      `the body has ${body.inputs.length} inputs and ${body.outputs.length} outputs, but ${carried} values are carried`,
    );
  }
  return { body, carried, captures, bound: boundOf(ctx.attrs) };
}

/** The number of iterations, where it is known at compile time; the loop's inputs begin with trips and condition. */
export function knownTrips(
  [trips, condition]: readonly (OpInput | null)[],
  body: Graph,
): number | undefined {
  if (condition !== null && condition !== undefined) {
    if (condition.constant === null) return undefined;
    if (condition.constant().data[0] !== 1) return 0;
  }
  if (trips === null || trips === undefined || trips.constant === null) return undefined;
  const limit = Math.max(0, toNumbers(trips.constant())[0] ?? 0);
  return limit === 0 || neverStops(body) ? limit : undefined;
}

function controlForm(ctx: InferContext): ControlForm {
  const { body, carried, bound } = partsOf(ctx);
  const trips = knownTrips(ctx.inputs, body);
  const stops = !neverStops(body);
  const plain = withoutCondition(body);
  const inner = stops ? plain : { ...plain, outputs: plain.outputs.slice(1) };
  const rest = ctx.inputs.flatMap((_, i) => (i >= 2 ? [i] : []));
  const rule = bound === undefined ? '' : boundText(ctx.attrs, `${bound}`);
  const said = rule === '' ? {} : { rule };
  const common = { kind: 'loop', carried, counts: bound !== undefined, ...said } as const;
  if (trips !== undefined && Number.isSafeInteger(trips) && trips <= (bound ?? trips)) {
    const only = { ...plain, outputs: plain.outputs.slice(1) };
    const fixed = { from: [], again: false, limit: trips, limitIs: 'exactly' } as const;
    return { ...common, ...fixed, body: only, operands: rest };
  }
  const from = (['trips', 'start'] as const).filter((_, i) => isAsked(ctx.inputs[i]));
  const front = from.map((name) => (name === 'trips' ? 0 : 1));
  return {
    ...common,
    from,
    again: stops,
    limit: bound ?? ITERATION_LIMIT,
    limitIs: bound === undefined ? 'guard' : 'bound',
    body: inner,
    operands: [...front, ...rest],
  };
}

/** Can the number of iterations, or the first condition, end the loop? */
function isAsked(input: OpInput | null | undefined): boolean {
  if (input === null || input === undefined) return false;
  if (input.constant === null) return true;
  const [value = 0] = toNumbers(input.constant());
  return input.type.dtype === 'bool' ? value === 0 : value < Number.MAX_SAFE_INTEGER;
}

function inferLoop(ctx: InferContext): readonly ValueType[] {
  const { body, carried, bound } = partsOf(ctx);
  const results = typesOf(body, body.outputs.slice(1));
  for (let i = 0; i < carried; i++) {
    const [start, next] = [inputType(ctx, 2 + i), at(results, i)];
    if (start.dtype !== next.dtype || start.shape.join() !== next.shape.join()) {
      shapeError(
        ctx,
        `carried value ${i} begins as ${start.dtype}[${start.shape.join(',')}], but an iteration makes it ${next.dtype}[${next.shape.join(',')}]; shapes that change are not supported`,
      );
    }
  }
  const stacked = results.slice(carried);
  if (stacked.length === 0 && bound === undefined) return results;
  const trips = bound ?? knownTrips(ctx.inputs, body);
  if (trips === undefined) {
    fail(
      'HONE-SHAPE-002',
      `node ${ctx.node} (Loop): the number of iterations depends on the model's input data`,
      ctx.node,
      'data-dependent shapes are not supported yet: export the model with fixed sizes',
    );
  }
  return [
    ...results.slice(0, carried),
    ...stacked.map(({ dtype, shape }) => ({ dtype, shape: withAxis(shape, 0, trips) })),
    ...(bound === undefined ? [] : [COUNT]),
  ];
}

function failBound(node: string, bound: number, attrs: Attrs): never {
  const rule = boundText(attrs, `${bound}`);
  fail(
    'HONE-RUN-010',
    `node ${node} (Loop): it goes on after the ${bound} iterations that it is bound to${rule === '' ? '' : ` (${rule})`}`,
    node,
    'check the values of the inputs, or compile with another --bound',
  );
}

/** Zeros (empty texts) behind the rows of a stack, up to `bound` rows. */
function padRows(rows: Tensor, bound: number): Tensor {
  const shape = [bound, ...rows.shape.slice(1)];
  if (rows.dtype === 'string') {
    const missing = elementCount(shape) - rows.data.length;
    return {
      dtype: 'string',
      shape,
      data: [...(rows.data as readonly string[]), ...new Array<string>(missing).fill('')],
    };
  }
  const out = new Uint8Array(elementCount(shape) * dtypeBytes(rows.dtype));
  out.set(bytesOf(rows));
  return { dtype: rows.dtype, shape, data: viewBytes(rows.dtype, out) };
}

export const loop: ControlOp = defineOp({
  kind: 'control',
  name: 'Loop',
  doc: 'A sub-graph repeated; a few iterations of a known number are written out.',
  since: 25,
  attrs: { ...CAPTURES, ...BOUND_ATTRS, body: { type: 'graph', required: true }, bound: int(-1) },
  infer: inferLoop,
  decompose: (b, inputs, ctx) => {
    const { body, carried, bound } = partsOf(ctx);
    const trips = knownTrips(ctx.inputs, body);
    const isText = hasTexts(body);
    if (trips === undefined) {
      return isText ? 'the number of iterations depends on input data' : undefined;
    }
    const nodes = trips * nodeCount(body);
    // It is an error of the run.
    if (bound !== undefined && trips > bound) return undefined;
    if (nodes > (isText ? UNROLL_LIMIT : WRITTEN_OUT_NODES)) {
      if (!isText) return undefined;
      return `writing out ${trips} iterations would take ${nodes} nodes`;
    }
    const given = inputs.map((id) => id ?? b.scalar(1, 'bool'));
    const captures = given.slice(2 + carried);
    let state = given.slice(2, 2 + carried);
    const collected = body.outputs.slice(1 + carried).map((): number[] => []);
    for (let t = 0; t < trips; t++) {
      const results = inlineGraph(
        b,
        body,
        [b.scalar(t, 'i64'), b.scalar(1, 'bool'), ...state, ...captures],
        `${ctx.node}/${t}`,
      );
      state = results.slice(1, 1 + carried);
      collected.forEach((list, k) => {
        list.push(at(results, 1 + carried + k));
      });
    }
    const stacked = collected.map((list, k) => {
      const { dtype, shape } = at(ctx.outputs, carried + k);
      const missing = at(shape, 0) - list.length;
      const rest = [missing, ...shape.slice(1)];
      const tail = (): number => b.filled(dtype, rest);
      if (list.length === 0) return tail();
      const rows = stackNodes(b, list, 0);
      return missing === 0 ? rows : b.op('Concat', [rows, tail()], { axis: 0 });
    });
    return [...state, ...stacked, ...(bound === undefined ? [] : [b.scalar(trips, 'i64')])];
  },
  control: controlForm,
  reference: (inputs, attrs, ctx) => {
    const node = { node: ctx.node, op: 'Loop' };
    const body = graphAttr(node, attrs, 'body');
    const bound = boundOf(attrs);
    const carried = inputs.length - 2 - intAttr(attrs, 'captures');
    const [trips, condition] = inputs;
    const limit =
      trips === null || trips === undefined ? Number.POSITIVE_INFINITY : (toNumbers(trips)[0] ?? 0);
    let goOn = condition === null || condition === undefined || condition.data[0] === 1;
    let state = inputs.slice(2, 2 + carried) as readonly Tensor[];
    const captures = inputs.slice(2 + carried) as readonly Tensor[];
    const collected = body.outputs.slice(1 + carried).map((): Tensor[] => []);
    let count = 0;
    for (let t = 0; goOn && t < limit; t++) {
      if (t === bound) failBound(ctx.node, bound, attrs);
      if (t >= ITERATION_LIMIT) {
        fail(
          'HONE-RUN-014',
          `node ${ctx.node} (Loop): no end after ${ITERATION_LIMIT} iterations`,
          ctx.node,
          'check the loop condition',
        );
      }
      const [next, ...results] = ctx.run(body, [
        fromNumbers('i64', [], [t]),
        fromNumbers('bool', [], [1]),
        ...state,
        ...captures,
      ]);
      count++;
      goOn = next?.data[0] === 1;
      state = results.slice(0, carried);
      collected.forEach((list, k) => {
        list.push(at(results, carried + k));
      });
    }
    return [
      ...state,
      ...collected.map((list, k) => {
        const { dtype, shape } = at(ctx.outputTypes, carried + k);
        const rows = stack(list, 0, { dtype, shape: [list.length, ...shape.slice(1)] });
        return bound === undefined ? rows : padRows(rows, bound);
      }),
      ...(bound === undefined ? [] : [fromNumbers('i64', [], [count])]),
    ];
  },
  cases: () => loopCases(),
});
