/** One direction of a recurrent operator as a Loop over its steps: for sequences too long to write out. */
import { at } from 'hone-runtime/base/diagnostics';
import type { ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { reversedRows } from '../control/stacks.ts';
import type { SequenceGeometry } from './sequence.ts';
import type { NodeCell, NodeState, NodeWeights } from './unroll.ts';

export interface RepeatedDirection {
  /** The operator's node. */
  readonly node: string;
  readonly geo: SequenceGeometry;
  readonly direction: number;
  readonly hasCell: boolean;
  readonly cell: NodeCell;
  readonly weights: NodeWeights;
  /** X · Wᵀ of all steps, [steps · batch, gates · hidden]. */
  readonly products: ValueId;
  /** Lengths of the sequences, [batch, 1]; null where all take every step. */
  readonly lengths: ValueId | null;
  readonly start: NodeState;
}

/** States of all steps, [steps, batch, hidden], and the last one. */
export function repeatDirection(
  b: OpBuilder,
  { node, geo, direction, hasCell, cell, weights, products, lengths, start }: RepeatedDirection,
): { readonly sequence: ValueId; readonly last: NodeState } {
  const { steps, batch } = geo;
  const isBackwards = geo.backwards[direction] === true;
  // Written out: -1 says nothing of a tensor without elements.
  const rows = b.reshape(products, [steps, batch, b.typeOf(products).shape[1] as number]);
  const nested = b.nested('step');
  const captures: ValueId[] = [];
  const iteration = nested.graph.input('iteration', { dtype: 'i64', shape: [] });
  const goOn = nested.graph.input('go_on', { dtype: 'bool', shape: [] });
  const given = (name: string, id: ValueId): ValueId => nested.graph.input(name, b.typeOf(id));
  const h = given('h', start.h);
  const state: NodeState = { h, c: hasCell ? given('c', start.c) : h };
  const capture = <T extends ValueId | null>(name: string, id: T): T => {
    if (id === null) return id;
    captures.push(id);
    return given(name, id) as T;
  };
  const all = capture('products', rows);
  const inner: NodeWeights = {
    w: capture('w', weights.w),
    r: capture('r', weights.r),
    biasW: capture('bias_w', weights.biasW),
    biasR: capture('bias_r', weights.biasR),
    peephole: capture('peephole', weights.peephole),
  };
  const counts = capture('lengths', lengths);
  const t = isBackwards
    ? nested.op('Sub', [nested.scalar(steps - 1, 'i64'), iteration])
    : iteration;
  const step = cell.prepare(nested, geo, at(geo.activations, direction), inner);
  const next = step(nested.op('Gather', [all, t], { axis: 0 }), state);
  const keep = (now: ValueId, before: ValueId): ValueId => {
    if (counts === null) return now;
    const runs = nested.op('Less', [nested.op('Cast', [t], { to: INT32 }), counts]);
    return nested.op('Where', [runs, now, before]);
  };
  const { dtype, shape } = b.typeOf(start.h);
  const zeros = (): ValueId => nested.filled(dtype, shape);
  const results = [
    keep(next.h, state.h),
    ...(hasCell ? [keep(next.c, state.c)] : []),
    counts === null ? next.h : keep(next.h, zeros()),
  ];
  const carried = hasCell ? [start.h, start.c] : [start.h];
  const outputs = b.ops(
    'Loop',
    [b.scalar(steps, 'i64'), null, ...carried, ...captures],
    { body: nested.graph.finish([goOn, ...results]), captures: captures.length },
    { name: node, outputs: results.length },
  );
  const sequence = at(outputs, results.length - 1);
  return {
    sequence: isBackwards ? reversedRows(b, sequence) : sequence,
    last: { h: at(outputs, 0), c: hasCell ? at(outputs, 1) : start.c },
  };
}

/** ONNX's number of the type that lengths have. */
const INT32 = 6;
