/**
 * Checks that stages of control flow pass to their bodies what those take, and get back what they give:
 * in number, dtype and shape, whole and row-major.
 */
import { fail } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import type { BufferId, ControlBody, LoopForm, Stage, StageGraph, View } from './types.ts';

interface Type {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

const BOOL: Type = { dtype: 'bool', shape: [] };
const INTEGER: Type = { dtype: 'i64', shape: [] };

/** Throws HONE-GRAPH-114 at the first thing that does not fit; the bodies themselves are sound. */
export function verifyControl(graph: StageGraph, stage: Stage, form: ControlBody['form']): void {
  const outer = (views: readonly View[]): Type[] =>
    views.map(({ buffer, shape, offset }) => {
      const { dtype, layout, name } = graph.buffers[buffer] ?? wrong(graph, stage, 'no buffer');
      const isPlain = offset === undefined && layout.block === 1 && !layout.halo.some(Boolean);
      if (!isPlain) wrong(graph, stage, `it sees a part of ${name}`);
      return { dtype, shape };
    });
  const inner = (body: StageGraph, ids: readonly BufferId[]): Type[] =>
    ids.map((id) => {
      const buffer = body.buffers[id] ?? wrong(graph, stage, `${body.name} has no buffer ${id}`);
      const { dtype, shape, layout } = buffer;
      if (layout.block !== 1 || layout.halo.some(Boolean)) {
        wrong(graph, stage, `${buffer.name} has a layout`);
      }
      return { dtype, shape };
    });
  const same = (what: string, has: readonly Type[], wants: readonly Type[]): void => {
    const [a, b] = [has, wants].map((list) => list.map(printType).join(', '));
    if (a !== b) wrong(graph, stage, `${what} are ${a}, not ${b}`);
  };
  const operands = outer(stage.operands);
  const outputs = outer(stage.outputs);
  if (form.kind === 'if') {
    const [condition, ...rest] = operands;
    same('conditions', condition === undefined ? [] : [{ ...condition, shape: [] }], [BOOL]);
    for (const body of [form.then, form.else]) {
      same('operands', rest, inner(body, body.inputs));
      same('outputs', outputs, inner(body, body.outputs));
    }
    return;
  }
  const { body, carried, from, again, counts } = form;
  checkLimit(graph, stage, form);
  const front = operands.slice(0, from.length).map(({ dtype }) => ({ dtype, shape: [] }));
  const wanted = from.map((name) => (name === 'trips' ? INTEGER : BOOL));
  same('the numbers and conditions', front, wanted);
  same('operands', [INTEGER, ...operands.slice(from.length)], inner(body, body.inputs));
  const state = operands.slice(from.length, from.length + carried);
  const rows = outputs
    .slice(carried, outputs.length - (counts ? 1 : 0))
    .map(({ dtype, shape }) => ({ dtype, shape: shape.slice(1) }));
  const given = inner(body, body.outputs);
  same('results of an iteration', given, [...(again ? [BOOL] : []), ...state, ...rows]);
  same('carried values', outputs.slice(0, carried), state);
  if (counts) same('counts', outputs.slice(-1), [INTEGER]);
}

function checkLimit(graph: StageGraph, stage: Stage, form: LoopForm): void {
  const { from, again, limit, limitIs, carried } = form;
  if (!Number.isSafeInteger(limit) || limit < 0) wrong(graph, stage, `its limit is ${limit}`);
  if (limitIs === 'exactly' && (from.length > 0 || again)) {
    wrong(graph, stage, 'a loop of so many iterations has no conditions');
  }
  const stacked = stage.outputs.slice(carried, stage.outputs.length - (form.counts ? 1 : 0));
  const short = stacked.some(({ shape }) => (shape[0] ?? 0) < limit);
  if (short && limitIs !== 'guard') wrong(graph, stage, 'its results do not hold all iterations');
  if (stacked.length > 0 && limitIs === 'guard') wrong(graph, stage, 'its results have no bound');
}

function printType({ dtype, shape }: Type): string {
  return `${dtype}[${shape.join(',')}]`;
}

function wrong(graph: StageGraph, stage: Stage, message: string): never {
  fail(
    'HONE-GRAPH-114',
    `stages ${graph.name}: stage ${stage.id}: ${message}`,
    graph.name,
    'this is a fault of fusion or of an operator record: please report it',
  );
}
