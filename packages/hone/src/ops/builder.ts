/** A graph builder that knows operators: attributes get defaults, output types are inferred. */
import { fail } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { GraphBuilder } from '../graph/build.ts';
import type { Attrs, AttrValue, Value, ValueId, ValueType } from '../graph/types.ts';
import { constantTensor } from '../graph/walk.ts';
import type { OpDef, OpInput } from './define-op.ts';

export interface OpOptions {
  readonly name?: string;
  readonly domain?: string;
  readonly outputs?: number;
  readonly outputNames?: readonly (string | undefined)[];
}

/** Finds an operator's record; the registry passes itself so that operators can build others. */
export type FindOp = (name: string, domain: string) => OpDef | undefined;

/** Elements of a list that is stored; larger ones that follow a rule are made as the model runs. */
const MAX_STORED = 2 ** 16;

export class OpBuilder {
  readonly graph: GraphBuilder;
  readonly #find: FindOp;

  constructor(graph: GraphBuilder, find: FindOp) {
    this.graph = graph;
    this.#find = find;
  }

  /** An operator's record. */
  find(name: string, domain: string): OpDef | undefined {
    return this.#find(name, domain);
  }

  /** A builder of another graph, for the body of a control operator. */
  nested(name: string): OpBuilder {
    return new OpBuilder(new GraphBuilder(name), this.#find);
  }

  typeOf(id: ValueId): ValueType {
    return this.graph.value(id).type;
  }

  constant(tensor: Tensor, name?: string): ValueId {
    return this.graph.constant(tensor, name);
  }

  /** A rank-0 f32 constant (or of the given dtype). */
  scalar(value: number, dtype: Tensor['dtype'] = 'f32'): ValueId {
    return this.graph.constant(fromNumbers(dtype, [], [value]));
  }

  /** A 1-D i64 constant. */
  ints(values: readonly number[]): ValueId {
    return this.graph.constant(fromNumbers('i64', [values.length], values));
  }

  /** A tensor of one value. Extents are the model's: a large one is spread from the value, not stored. */
  filled(dtype: Tensor['dtype'], shape: readonly number[], value = 0, name?: string): ValueId {
    const count = elementCount(shape);
    if (count > MAX_STORED) return this.op('Expand', [this.scalar(value, dtype), this.ints(shape)]);
    return this.graph.constant(
      fromNumbers(dtype, shape, new Array<number>(count).fill(value)),
      name,
    );
  }

  /** i64 [count]: 0, step, 2 · step, …; a long list is counted, not stored. */
  positions(count: number, step = 1): ValueId {
    if (count <= MAX_STORED) return this.ints(Array.from({ length: count }, (_, i) => i * step));
    const ends = [0, count * step, step].map((value) => this.scalar(value, 'i64'));
    return this.op('Range', ends);
  }

  /** `x` in exactly this shape, extents of 0 included; one extent may be -1 where none is 0. */
  reshape(x: ValueId | null, shape: readonly number[], options: OpOptions = {}): ValueId {
    return this.op('Reshape', [x, this.ints(shape)], exactShape(shape), options);
  }

  /** Adds a node of one output. */
  op(
    op: string,
    inputs: readonly (ValueId | null)[],
    attrs: Attrs = {},
    options: OpOptions = {},
  ): ValueId {
    return this.ops(op, inputs, attrs, options)[0] as ValueId;
  }

  /** Adds a node and gives all its outputs. */
  ops(
    op: string,
    inputs: readonly (ValueId | null)[],
    attrs: Attrs = {},
    options: OpOptions = {},
  ): readonly ValueId[] {
    const domain = options.domain ?? '';
    const def = this.#find(op, domain);
    const node = options.name ?? op;
    if (def === undefined) {
      fail(
        'HONE-OP-001',
        `node ${node}: operator ${domain ? `${domain}:` : ''}${op} is not known`,
        node,
        'see docs/operators.md for what is supported, or register the operator',
      );
    }
    const full = completeAttrs(def, attrs, node);
    const types = def.infer({
      node,
      op,
      inputs: inputs.map((id) => (id === null ? null : inputOf(this.graph.value(id)))),
      attrs: full,
      outputCount: options.outputs ?? 1,
    });
    return this.graph.node({
      op,
      domain,
      inputs,
      attrs: full,
      types,
      ...(options.name === undefined ? {} : { name: options.name }),
      ...(options.outputNames === undefined ? {} : { outputNames: options.outputNames }),
    });
  }
}

/** Attributes of a Reshape for which 0 is an extent, not "as it was". */
export function exactShape(shape: readonly number[]): Attrs {
  return shape.includes(0) ? { allowzero: 1 } : {};
}

/** What inference sees of a value. */
export function inputOf(value: Value): OpInput {
  return {
    type: value.type,
    constant: value.constant === undefined ? null : () => constantTensor(value),
  };
}

/** Fills in defaults; refuses unknown and missing attributes. */
export function completeAttrs(def: OpDef, attrs: Attrs, node: string): Attrs {
  const out: Record<string, AttrValue> = {};
  for (const [name, spec] of Object.entries(def.attrs)) {
    const value = attrs[name] ?? spec.default;
    if (value !== undefined) out[name] = value;
    else if (spec.required) {
      fail(
        'HONE-OP-002',
        `node ${node} (${def.name}): attribute ${name} is missing`,
        node,
        'the model is not valid ONNX: export it again',
      );
    }
  }
  for (const name of Object.keys(attrs)) {
    if (!Object.hasOwn(def.attrs, name)) {
      fail(
        'HONE-OP-003',
        `node ${node} (${def.name}): unknown attribute ${name}`,
        node,
        'remove the attribute, or report the operator version as a bug',
      );
    }
  }
  return Object.freeze(out);
}
