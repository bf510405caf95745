/**
 * The body of a Loop as it is compiled: the condition it is given is always true, so it is a constant; the
 * condition it gives is left out where it is always true.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { fromNumbers } from 'hone-runtime/base/tensor';
import type { Graph, Value } from '../../graph/types.ts';
import { alwaysTrue } from './subgraph.ts';

const TRUE = fromNumbers('bool', [], [1]);

/** The position of the condition among the body's inputs. */
const CONDITION = 1;

/** The body without the condition it is given, which is a constant in it. */
export function withoutCondition(body: Graph): Graph {
  const id = at(body.inputs, CONDITION);
  const constant = { kind: 'inline', tensor: TRUE } as const;
  return {
    ...body,
    inputs: body.inputs.filter((_, i) => i !== CONDITION),
    values: body.values.map((value) => (value.id === id ? { ...value, constant } : value)),
  };
}

/** The body of a node again: with an input for the condition, which it does not read. */
export function withCondition(body: Graph): Graph {
  const id = body.values.length;
  const names = new Set(body.values.map(({ name }) => name));
  let name = 'condition';
  for (let n = 1; names.has(name); n++) name = `condition.${n}`;
  const value: Value = { id, name, type: { dtype: 'bool', shape: [] } };
  return {
    ...body,
    inputs: [...body.inputs.slice(0, CONDITION), id, ...body.inputs.slice(CONDITION)],
    values: [...body.values, value],
  };
}

/** Does every iteration ask for another? */
export function neverStops(body: Graph): boolean {
  return alwaysTrue(body, at(body.outputs, 0), [at(body.inputs, CONDITION)]);
}
