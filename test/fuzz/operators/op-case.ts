/**
 * One use of an operator: input tensors, which of them are constants, attributes. A case becomes
 * a graph of one node; many become one model of independent nodes.
 */
import type { Attrs, ValueId } from 'hone/graph/types';
import type { OpBuilder } from 'hone/ops/builder';
import type { OpDef } from 'hone/ops/define-op';
import { opBuilder } from 'hone/ops/registry';
import type { Tensor } from 'hone-runtime/base/tensor';
import type { RandomGraph } from '../growth.ts';

export interface OpCase {
  readonly op: OpDef;
  readonly inputs: readonly (Tensor | null)[];
  /** By position: known when the graph is compiled. */
  readonly constant: readonly boolean[];
  readonly attrs: Attrs;
  readonly outputs: number;
}

/** The graph's inputs hold the tensors in order; constants are in the graph. */
export function graphOf(item: OpCase): RandomGraph {
  const b = opBuilder('fuzz');
  const { inputs, outputs } = addCase(b, item, '');
  return { graph: b.graph.finish(outputs), inputs };
}

/** Adds the node, its values named after `prefix`. Throws where the operator refuses the use. */
export function addCase(
  b: OpBuilder,
  item: OpCase,
  prefix: string,
): { readonly inputs: readonly Tensor[]; readonly outputs: readonly ValueId[] } {
  const { op } = item;
  const inputs: Tensor[] = [];
  const ids = item.inputs.map((tensor, i): ValueId | null => {
    if (tensor === null) return null;
    if (item.constant[i]) return b.constant(tensor, `${prefix}k${i}`);
    inputs.push(tensor);
    return b.graph.input(`${prefix}x${i}`, { dtype: tensor.dtype, shape: tensor.shape });
  });
  const outputs = b.ops(op.name, ids, item.attrs, {
    name: `${prefix}node`,
    domain: op.domain ?? '',
    outputs: item.outputs,
    outputNames: Array.from({ length: item.outputs }, (_, i) => `${prefix}y${i}`),
  });
  return { inputs, outputs };
}

/** The case on a few lines, elements cut short. */
export function printCase({ op, inputs, constant, attrs, outputs }: OpCase): string {
  const lines = inputs.map((tensor, i) => {
    if (tensor === null) return `  input ${i}: absent`;
    const all = Array.from(tensor.data as ArrayLike<unknown>, String);
    const shown = all.length > 24 ? `${all.slice(0, 24).join(' ')} …` : all.join(' ');
    const what = constant[i] ? 'constant' : 'input';
    return `  ${what} ${i}: ${tensor.dtype}[${tensor.shape.join(',')}] ${shown}`;
  });
  const name = op.domain ? `${op.domain}:${op.name}` : op.name;
  const given = JSON.stringify(attrs, (_, v: unknown) => (typeof v === 'bigint' ? `${v}n` : v));
  return [`${name} ${given.slice(0, 400)}, ${outputs} output(s)`, ...lines].join('\n');
}
