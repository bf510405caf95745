/**
 * What a loop carries and every iteration passes on as it is, as exporters do with weights: the body reads it
 * from outside instead, where it is a constant or the same in every iteration, and after the loop it is what
 * it was before.
 */
import type { OnnxGraph, OnnxNode } from './types.ts';

/** A loop without what it passes on. */
export interface ShorterLoop {
  readonly node: OnnxNode;
  /** For each output of the loop before: its place among those now, or the input that it is. */
  readonly outputs: readonly ({ readonly output: number } | { readonly input: string })[];
}

/** Inputs of a Loop, and of its body, in front of what it carries. */
const FIRST_CARRIED = 2;

/** Undefined where the loop passes nothing on. */
export function withoutPassed(node: OnnxNode): ShorterLoop | undefined {
  const attribute = node.attributes.find(({ name }) => name === 'body');
  if (attribute?.kind !== 'graph') return undefined;
  const body = attribute.value;
  const carried = node.inputs.length - FIRST_CARRIED;
  if (body.inputs.length !== node.inputs.length || body.outputs.length <= carried) return undefined;
  const own = namesMade(body);
  const isPassed = (k: number): boolean => {
    const [inner, outer] = [body.inputs[k + FIRST_CARRIED]?.name, node.inputs[k + FIRST_CARRIED]];
    if (k < 0 || k >= carried || inner === undefined || outer === undefined || outer === '')
      return false;
    // A name that the body uses otherwise would not reach what is around.
    return body.outputs[k + 1]?.name === inner && (inner === outer || !own.has(outer));
  };
  const passed = new Set(Array.from({ length: carried }, (_, k) => k).filter(isPassed));
  if (passed.size === 0) return undefined;
  const staysAt = (first: number) => (_: unknown, i: number) => !passed.has(i - first);
  const renamed = [...passed].flatMap((k): OnnxNode[] => {
    const [inner = '', outer = ''] = [
      body.inputs[k + FIRST_CARRIED]?.name,
      node.inputs[k + FIRST_CARRIED],
    ];
    if (inner === outer) return [];
    return [
      { ...node, op: 'Identity', name: '', inputs: [outer], outputs: [inner], attributes: [] },
    ];
  });
  const shorter: OnnxGraph = {
    ...body,
    inputs: body.inputs.filter(staysAt(FIRST_CARRIED)),
    outputs: body.outputs.filter(staysAt(1)),
    nodes: [...renamed, ...body.nodes],
  };
  let next = 0;
  return {
    node: {
      ...node,
      inputs: node.inputs.filter(staysAt(FIRST_CARRIED)),
      outputs: node.outputs.filter(staysAt(0)),
      attributes: node.attributes.map((item) =>
        item === attribute ? { ...attribute, value: shorter } : item,
      ),
    },
    outputs: node.outputs.map((_, k) =>
      passed.has(k) ? { input: node.inputs[k + FIRST_CARRIED] ?? '' } : { output: next++ },
    ),
  };
}

/** Names that a body gives to values of its own. */
function namesMade(body: OnnxGraph): ReadonlySet<string> {
  return new Set([
    ...body.inputs.map(({ name }) => name),
    ...body.initializers.map(({ name }) => name),
    ...body.sparseInitializers.map(({ values }) => values.name),
    ...body.nodes.flatMap(({ outputs }) => outputs),
  ]);
}
