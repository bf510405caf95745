/**
 * How often a loop runs whose condition is made of counters: what it is made of is computed with the
 * operators' references, iteration by iteration, until it is false.
 */
import { invariant } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import type { GraphBuilder } from '../../graph/build.ts';
import type { Node, Value, ValueId, ValueType } from '../../graph/types.ts';
import { constantTensor } from '../../graph/walk.ts';
import { evaluateNode } from '../../ops/interpret.ts';
import { firstDraw } from '../../ops/math/draws.ts';
import type { Registry } from '../../ops/registry.ts';
import type { FoldBudget } from './fold.ts';

/** A loop that counts further than this is none that counts. */
const MAX_ITERATIONS = 100_000;
/** Counters are small: so many elements at most. */
const MAX_ELEMENTS = 256;
/** What computing a small node takes off what may be computed in an import. */
const NODE_WORK = 200;

/** What decides whether a loop goes on, in a graph of its own. */
export interface Counter {
  readonly graph: GraphBuilder;
  /** i64 scalar: the number of the iteration. */
  readonly number: ValueId;
  /** bool scalar: the condition of the last iteration. */
  readonly given: ValueId;
  /** bool: the next condition. */
  readonly again: ValueId;
  readonly carried: readonly CarriedCounter[];
}

/** A value that the loop carries: in an iteration, before the loop, and after an iteration. */
interface CarriedCounter {
  readonly id: ValueId;
  readonly before: Value;
  readonly after: ValueId;
}

/** `most` at most; undefined: data decides, or no end was found. The first iteration is known to run. */
export function iterationsOf(
  counter: Counter,
  most: number,
  registry: Registry,
  budget: FoldBudget,
): number | undefined {
  const part = reached(counter, registry);
  if (part === undefined) return undefined;
  const values = new Map(part.constants);
  const state = new Map<ValueId, Tensor>();
  for (const { id, before } of part.carried) {
    if (before.constant === undefined) return undefined;
    state.set(id, constantTensor(before));
  }
  const read = (id: ValueId): Tensor => found(values, id);
  for (let t = 0; t < most; t++) {
    budget.left -= NODE_WORK * part.nodes.length;
    if (t >= MAX_ITERATIONS || budget.left < 0) return undefined;
    values.set(counter.number, fromNumbers('i64', [], [t]));
    values.set(counter.given, fromNumbers('bool', [], [1]));
    for (const [id, tensor] of state) values.set(id, tensor);
    for (const node of part.nodes) {
      const inputs = node.inputs.map((id) => (id === null ? null : read(id)));
      const types = node.outputs.map((id) => counter.graph.value(id).type);
      const results = evaluateNode(node, inputs, types, registry);
      node.outputs.forEach((id, i) => {
        const tensor = results[i];
        if (tensor !== undefined) values.set(id, tensor);
      });
    }
    if (read(counter.again).data[0] !== 1) return t + 1;
    for (const { id, after } of part.carried) {
      const next = read(after);
      // A counter that is a list of one after an iteration has another shape in the next.
      if (!isLike(next, found(state, id))) return undefined;
      state.set(id, next);
    }
  }
  return Math.max(0, most);
}

function found(values: ReadonlyMap<ValueId, Tensor>, id: ValueId): Tensor {
  const tensor = values.get(id);
  invariant(tensor !== undefined, `value ${id} is not computed`);
  return tensor;
}

/** The same dtype and shape? */
export const isLike = (a: ValueType, b: ValueType): boolean =>
  a.dtype === b.dtype && a.shape.join() === b.shape.join();

interface Reached {
  /** In the order in which they are computed. */
  readonly nodes: readonly Node[];
  readonly constants: ReadonlyMap<ValueId, Tensor>;
  readonly carried: readonly CarriedCounter[];
}

/** What the condition is made of; undefined where that is data, chance, large, or could take long. */
function reached(counter: Counter, registry: Registry): Reached | undefined {
  const { graph, number, given, again } = counter;
  const seen = new Set<ValueId>();
  const nodes = new Set<Node>();
  const constants = new Map<ValueId, Tensor>();
  const carried = new Set<CarriedCounter>();
  const todo = [again];
  for (let id = todo.pop(); id !== undefined; id = todo.pop()) {
    if (seen.has(id)) continue;
    seen.add(id);
    const value = graph.value(id);
    if (elementCount(value.type.shape) > MAX_ELEMENTS) return undefined;
    const maker = graph.producer(id);
    const own = counter.carried.find((item) => item.id === id);
    if (value.constant !== undefined) constants.set(id, constantTensor(value));
    else if (own !== undefined) {
      carried.add(own);
      todo.push(own.after);
    } else if (maker !== undefined) {
      if (!isPlain(maker, registry)) return undefined;
      nodes.add(maker);
      todo.push(...maker.inputs.filter((input) => input !== null));
    } else if (id !== number && id !== given) return undefined;
  }
  const order = graph.finish([again]).nodes.filter((node) => nodes.has(node));
  return { nodes: order, constants, carried: [...carried] };
}

/** Neither drawn by chance nor with a sub-graph, which could take long. */
function isPlain({ op, domain }: Node, registry: Registry): boolean {
  const def = registry.find(op, domain);
  return def !== undefined && def.kind !== 'control' && firstDraw(op, domain) === undefined;
}
