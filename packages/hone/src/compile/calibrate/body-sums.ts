/**
 * Sums over everything that runs in the bodies of control flow: a loop carries them from one iteration to the
 * next, a branch goes on from those of the branches and loops before it, and the graph gives them out. So what is
 * measured inside of a body needs no memory for each iteration, and no bound on their number.
 */
import type { Tensor } from 'hone-runtime/base/tensor';
import type { Graph, Node, ValueId } from '../../graph/types.ts';
import { subgraphs } from '../../graph/verify.ts';
import type { Registry } from '../../ops/registry.ts';
import { changeBodies } from '../../passes/optimize-bodies.ts';
import { bodyPrefix } from '../../passes/precision-plan.ts';
import { type Appended, appendTo } from '../precision-search/int8-twin.ts';

export interface BodySum {
  /** Before anything ran. */
  readonly initial: readonly Tensor[];
  /** Adds nodes to the body that go on from the sums so far; gives the new ones, of the same types. */
  next(to: Appended, before: readonly ValueId[]): readonly ValueId[];
}

export interface SummedGraph {
  readonly graph: Graph;
  /** Of each body, by its prefix: the final values of its sums, which are not yet outputs. */
  readonly sums: ReadonlyMap<string, readonly (readonly ValueId[])[]>;
}

/** Sums of one body. */
interface Own {
  readonly prefix: string;
  readonly sums: readonly BodySum[];
}

/** The sums of a body in a graph: the values of each. */
type Known = ReadonlyMap<string, readonly (readonly ValueId[])[]>;

/** `sumsOf`: of the body with a prefix. */
export function withBodySums(
  graph: Graph,
  registry: Registry,
  sumsOf: (prefix: string) => readonly BodySum[],
): SummedGraph {
  const to = appendTo(graph, [], registry);
  const context = { registry, sumsOf };
  let known: Known = new Map();
  for (const node of graph.nodes) {
    const inside = bodiesInside(node, '', sumsOf);
    const begin = inside.map(({ prefix, sums }): readonly [string, readonly ValueId[][]] => [
      prefix,
      sums.map(({ initial }, s) =>
        initial.map((tensor, i) =>
          to.add({
            name: `begin of ${prefix}${s}.${i}`,
            type: { dtype: tensor.dtype, shape: tensor.shape },
            constant: { kind: 'inline', tensor },
          }),
        ),
      ),
    ]);
    known = new Map([...known, ...begin]);
    known = passNode(node, '', to, known, context);
  }
  return { graph: { ...graph, values: to.values, nodes: to.nodes }, sums: known };
}

interface Context {
  readonly registry: Registry;
  readonly sumsOf: (prefix: string) => readonly BodySum[];
}

function bodiesInside(node: Node, prefix: string, sumsOf: Context['sumsOf']): readonly Own[] {
  return Object.entries(node.attrs).flatMap(([attribute, value]) => {
    const [body] = subgraphs(value);
    if (body === undefined) return [];
    const own = `${prefix}${bodyPrefix(node, attribute)}`;
    const sums = sumsOf(own);
    const inner = body.nodes.flatMap((item) => bodiesInside(item, own, sumsOf));
    return [...(sums.length === 0 ? [] : [{ prefix: own, sums }]), ...inner];
  });
}

/** Adds a node; what has bodies with sums takes them and gives them again. */
function passNode(node: Node, prefix: string, to: Appended, known: Known, context: Context): Known {
  const inside = bodiesInside(node, prefix, context.sumsOf);
  if (inside.length === 0) {
    to.nodes.push(node);
    return known;
  }
  const tensors = inside.flatMap(({ sums }) => sums.flatMap(({ initial }) => initial));
  const label = `${prefix}${node.name}`;
  const fresh = (add: Appended['add'], what: string): readonly ValueId[] =>
    tensors.map(({ dtype, shape }, i) =>
      add({ name: `${what} of ${label} ${i}`, type: { dtype, shape } }),
    );
  const given = fresh((value) => to.add(value), 'sums');
  const changed = changeBodies(node, (body, attribute) => {
    const inner = appendTo(body, [], context.registry);
    const taken = fresh((value) => inner.add(value), 'sums before');
    const own = `${prefix}${bodyPrefix(node, attribute)}`;
    let now = assign(inside, taken);
    for (const item of body.nodes) now = passNode(item, own, inner, now, context);
    const left = inside.flatMap((at) => {
      const before = now.get(at.prefix) ?? [];
      if (at.prefix !== own) return before.flat();
      return at.sums.flatMap((sum, s) => sum.next(inner, before[s] ?? []));
    });
    const { inputs, outputs } = places(node);
    return {
      ...body,
      values: inner.values,
      nodes: inner.nodes,
      inputs: body.inputs.toSpliced(inputs, 0, ...taken),
      // A loop's condition comes before what it carries.
      outputs: body.outputs.toSpliced(outputs + (node.op === 'Loop' ? 1 : 0), 0, ...left),
    };
  });
  const { inputs, outputs, captures } = places(node);
  const passed = inside.flatMap((at) => (known.get(at.prefix) ?? []).flat());
  to.nodes.push({
    ...changed,
    inputs: node.inputs.toSpliced(inputs, 0, ...passed),
    outputs: node.outputs.toSpliced(outputs, 0, ...given),
    attrs: { ...changed.attrs, captures: captures + (node.op === 'Loop' ? 0 : passed.length) },
  });
  return new Map([...known, ...assign(inside, given)]);
}

/** Where sums go: behind what a loop carries, behind everything of a branch. */
function places(node: Node): { inputs: number; outputs: number; captures: number } {
  const captures = Number(node.attrs['captures'] ?? 0);
  if (node.op !== 'Loop') {
    return { inputs: node.inputs.length, outputs: node.outputs.length, captures };
  }
  const inputs = node.inputs.length - captures;
  return { inputs, outputs: inputs - 2, captures };
}

function assign(inside: readonly Own[], flat: readonly ValueId[]): Known {
  let from = 0;
  return new Map(
    inside.map(({ prefix, sums }) => [
      prefix,
      sums.map(({ initial }) => {
        from += initial.length;
        return flat.slice(from - initial.length, from);
      }),
    ]),
  );
}
