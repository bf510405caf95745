/**
 * Builds a Graph step by step. The builder knows nothing of operators: types are given by the
 * caller (`ops/builder.ts` infers them).
 */
import { invariant } from 'hone-runtime/base/diagnostics';
import type { Tensor } from 'hone-runtime/base/tensor';
import type {
  Attrs,
  Constant,
  Graph,
  InputRange,
  Node,
  OutputExtent,
  Value,
  ValueId,
  ValueType,
} from './types.ts';

export interface NodeSpec {
  readonly op: string;
  readonly domain?: string;
  readonly name?: string;
  readonly inputs: readonly (ValueId | null)[];
  readonly attrs: Attrs;
  /** One per output. */
  readonly types: readonly ValueType[];
  /** Names of the outputs; made from the node's name where absent. */
  readonly outputNames?: readonly (string | undefined)[];
}

/** How many values and nodes there were. */
export interface GraphMark {
  readonly values: number;
  readonly nodes: number;
}

export class GraphBuilder {
  readonly #name: string;
  readonly #values: Value[] = [];
  readonly #nodes: Node[] = [];
  readonly #inputs: ValueId[] = [];
  readonly #producers = new Map<ValueId, Node>();
  readonly #names = new Set<string>();
  /** First number to try behind a name that is taken: those below are taken too. */
  readonly #numbers = new Map<string, number>();

  constructor(name = 'main') {
    this.#name = name;
  }

  input(name: string, type: ValueType): ValueId {
    const id = this.#addValue(name, type);
    this.#inputs.push(id);
    return id;
  }

  /** A constant in memory. */
  constant(tensor: Tensor, name = 'const'): ValueId {
    const type = { dtype: tensor.dtype, shape: tensor.shape };
    return this.#addValue(name, type, { kind: 'inline', tensor });
  }

  /** A constant that stays where it is until it is read. */
  storedConstant(constant: Constant, type: ValueType, name = 'const'): ValueId {
    return this.#addValue(name, type, constant);
  }

  node(spec: NodeSpec): readonly ValueId[] {
    const name = spec.name ?? `${spec.op}_${this.#nodes.length}`;
    const outputs = spec.types.map((type, index) =>
      this.#addValue(
        spec.outputNames?.[index] ?? (spec.types.length === 1 ? name : `${name}_${index}`),
        type,
      ),
    );
    const node: Node = Object.freeze({
      op: spec.op,
      domain: spec.domain ?? '',
      name,
      inputs: Object.freeze([...spec.inputs]),
      outputs: Object.freeze(outputs),
      attrs: Object.freeze({ ...spec.attrs }),
    });
    this.#nodes.push(node);
    for (const output of outputs) this.#producers.set(output, node);
    return outputs;
  }

  /** The node that computes a value; undefined for inputs and constants. */
  producer(id: ValueId): Node | undefined {
    return this.#producers.get(id);
  }

  value(id: ValueId): Value {
    const value = this.#values[id];
    invariant(value !== undefined, `no value ${id} in graph ${this.#name}`);
    return value;
  }

  /** How far it is: for `undo`. */
  mark(): GraphMark {
    return { values: this.#values.length, nodes: this.#nodes.length };
  }

  /** Takes back everything since; nobody may hold on to a value of it. */
  undo({ values, nodes }: GraphMark): void {
    for (const { id, name } of this.#values.splice(values)) {
      this.#names.delete(name);
      this.#producers.delete(id);
    }
    this.#numbers.clear();
    this.#nodes.splice(nodes);
    const firstGone = this.#inputs.findIndex((id) => id >= values);
    if (firstGone >= 0) this.#inputs.splice(firstGone);
  }

  finish(
    outputs: readonly ValueId[],
    extents: readonly OutputExtent[] = [],
    ranges: readonly InputRange[] = [],
  ): Graph {
    return Object.freeze({
      name: this.#name,
      inputs: Object.freeze([...this.#inputs]),
      outputs: Object.freeze([...outputs]),
      values: Object.freeze([...this.#values]),
      nodes: Object.freeze([...this.#nodes]),
      ...(extents.length === 0 ? {} : { extents: Object.freeze([...extents]) }),
      ...(ranges.length === 0 ? {} : { ranges: Object.freeze([...ranges]) }),
    });
  }

  #addValue(wanted: string, type: ValueType, constant?: Constant): ValueId {
    let name = wanted;
    if (this.#names.has(name)) {
      let n = this.#numbers.get(wanted) ?? 1;
      while (this.#names.has(`${wanted}.${n}`)) n++;
      name = `${wanted}.${n}`;
      this.#numbers.set(wanted, n + 1);
    }
    this.#names.add(name);
    const id: ValueId = this.#values.length;
    const frozenType = Object.freeze({ dtype: type.dtype, shape: Object.freeze([...type.shape]) });
    this.#values.push(
      Object.freeze(
        constant === undefined
          ? { id, name, type: frozenType }
          : { id, name, type: frozenType, constant: Object.freeze(constant) },
      ),
    );
    return id;
  }
}
