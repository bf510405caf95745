/** Runs an operator record's test cases: inference, reference, and what lowering needs to see. */
import { completeAttrs } from 'hone/ops/builder';
import type { InferContext, OpDef, OpInput, TestCase } from 'hone/ops/define-op';
import { interpret } from 'hone/ops/interpret';
import type { Attrs, ValueType } from 'hone/graph/types';
import { isFloat } from 'hone-runtime/base/dtype';
import type { Tensor } from 'hone-runtime/base/tensor';

export interface RunCase {
  readonly title: string;
  readonly attrs: Attrs;
  readonly context: InferContext;
  readonly types: readonly ValueType[];
  readonly outputs: readonly Tensor[];
}

/** Which inputs inference and lowering take for constants: all, or those that are not floats. */
export type Knowledge = 'all' | 'integers';

export function opTitle(op: OpDef): string {
  return op.domain ? `${op.domain}:${op.name}` : op.name;
}

export function contextOf(op: OpDef, item: TestCase, knowledge: Knowledge): InferContext {
  const known = (tensor: Tensor): boolean => knowledge === 'all' || !isFloat(tensor.dtype);
  return {
    node: `test_${op.name}`,
    op: op.name,
    attrs: completeAttrs(op, item.attrs ?? {}, op.name),
    inputs: item.inputs.map((tensor): OpInput | null => {
      if (tensor === null) return null;
      const type = { dtype: tensor.dtype, shape: tensor.shape };
      return { type, constant: known(tensor) ? () => tensor : null };
    }),
    outputCount: item.outputs ?? 1,
  };
}

/** Inference and reference of one case. */
export function runCase(op: OpDef, item: TestCase, knowledge: Knowledge = 'all'): RunCase {
  const context = contextOf(op, item, knowledge);
  const types = op.infer(context);
  const outputs = op.reference(item.inputs, context.attrs, {
    node: context.node,
    outputTypes: types,
    run: (graph, inputs) => interpret(graph, inputs),
  });
  const title = `${opTitle(op)} (${item.note ?? item.inputs.map(shapeText).join(' ')})`;
  return { title, attrs: context.attrs, context, types, outputs };
}

function shapeText(tensor: Tensor | null): string {
  return tensor === null ? 'absent' : `${tensor.dtype}[${tensor.shape.join(',')}]`;
}
