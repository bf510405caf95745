/**
 * Operators of users: records from outside, checked field by field before anything relies on them, and
 * watched while they work. What is wrong is HONE-OP-010 (the record) or HONE-OP-011 (what one of its
 * functions does), with the place it came from and the field.
 */
import { fail, HoneError } from 'hone-runtime/base/diagnostics';
import { DTYPES } from 'hone-runtime/base/dtype';
import type { Tensor } from 'hone-runtime/base/tensor';
import { GraphBuilder } from '../graph/build.ts';
import { printType } from '../graph/tensor-text.ts';
import type { Attrs, ValueId, ValueType } from '../graph/types.ts';
import { OpBuilder } from './builder.ts';
import type { CompositeOp, CoreOp, OpDef, ReferenceContext } from './define-op.ts';
import { interpret } from './interpret.ts';
import { type Registry, standardRegistry, withOps } from './registry.ts';

/** What users write: the kind follows from what is there, and a decomposition is its own reference. */
export type CustomOperator =
  | (Partial<Pick<CompositeOp, 'doc' | 'since' | 'attrs' | 'reference'>> &
      Omit<CompositeOp, 'kind' | 'doc' | 'since' | 'attrs' | 'reference'>)
  | (Partial<Pick<CoreOp, 'doc' | 'since' | 'attrs'>> &
      Omit<CoreOp, 'kind' | 'doc' | 'since' | 'attrs'>);

type Fields = Readonly<Record<string, unknown>>;
type Call = (...args: readonly unknown[]) => unknown;

const KINDS: Readonly<Record<string, string>> = {
  name: 'text',
  domain: 'text',
  doc: 'text',
  since: 'a whole number from 1 up',
  attrs: 'an object',
  infer: 'a function',
  decompose: 'a function',
  lower: 'a function',
  reference: 'a function',
  upgrade: 'a function',
  kernels: 'an object',
  tolerance: 'an object',
};
const ATTR_TYPES = ['int', 'float', 'string', 'ints', 'floats', 'strings', 'tensor'];
const ATTR_FIELDS = ['type', 'default', 'required'];

/**
 * The operators of a registry and one more, which takes the place of one of its name. `from`: where the
 * record came from, for errors.
 */
export function registerOperator(
  operator: CustomOperator,
  registry: Registry = standardRegistry,
  from = 'the record',
): Registry {
  let all: Registry = registry;
  const made = customOperator(operator, from, () => all);
  all = withOps([made], registry);
  return all;
}

/** A checked record. `registry` is asked when it is used: decompositions may name each other. */
export function customOperator(record: unknown, from: string, registry: () => Registry): OpDef {
  if (typeof record !== 'object' || record === null || Array.isArray(record)) {
    return badRecord(from, 'is no object');
  }
  const fields = record as Fields;
  const { name, domain = '' } = fields;
  if (typeof name !== 'string' || !/^[A-Za-z_]\w*$/.test(name)) {
    return badRecord(from, `field name: ${shown(name)} is no name of an operator`);
  }
  const label = domain === '' ? name : `${String(domain)}:${name}`;
  const place = `${from}: ${label}`;
  checkFields(place, fields);
  const has = (field: string): boolean => fields[field] !== undefined;
  if (!has('infer')) badRecord(place, 'field infer is missing');
  if (has('decompose') === has('lower')) {
    badRecord(
      place,
      has('lower')
        ? 'fields decompose and lower: one of them is enough'
        : 'it has neither decompose nor lower',
    );
  }
  if (has('lower') && !has('reference')) badRecord(place, 'field reference is missing');
  const common = {
    doc: `Of ${from}.`,
    since: 1,
    ...fields,
    name,
    domain: String(domain),
    attrs: (fields['attrs'] ?? {}) as OpDef['attrs'],
    infer: watched(place, 'infer', fields['infer'] as Call, checkTypes) as OpDef['infer'],
  };
  if (has('lower')) {
    const lower = watched(place, 'lower', fields['lower'] as Call, checkBodies) as CoreOp['lower'];
    const reference = watched(place, 'reference', fields['reference'] as Call, checkList);
    return Object.freeze({ ...common, kind: 'core', lower, reference } as CoreOp);
  }
  const decompose = watchedDecompose(place, fields['decompose'] as CompositeOp['decompose']);
  const reference =
    fields['reference'] === undefined
      ? interpreted(label, decompose, registry)
      : watched(place, 'reference', fields['reference'] as Call, checkList);
  return Object.freeze({ ...common, kind: 'composite', decompose, reference } as CompositeOp);
}

function checkFields(place: string, fields: Fields): void {
  for (const [field, value] of Object.entries(fields)) {
    const due = KINDS[field];
    if (due === undefined) {
      badRecord(place, `field ${field} is not known; there are ${Object.keys(KINDS).join(', ')}`);
    }
    const isRight =
      due === 'text'
        ? typeof value === 'string'
        : due === 'a function'
          ? typeof value === 'function'
          : due === 'an object'
            ? typeof value === 'object' && value !== null && !Array.isArray(value)
            : Number.isSafeInteger(value) && (value as number) >= 1;
    if (!isRight && value !== undefined) badRecord(place, `field ${field} is not ${due}`);
  }
  for (const [name, spec] of Object.entries((fields['attrs'] ?? {}) as Fields)) {
    const known = typeof spec === 'object' && spec !== null ? (spec as Fields) : {};
    if (!ATTR_TYPES.includes(String(known['type']))) {
      badRecord(place, `field attrs.${name}.type is none of ${ATTR_TYPES.join(', ')}`);
    }
    const odd = Object.keys(known).find((field) => !ATTR_FIELDS.includes(field));
    if (odd !== undefined) badRecord(place, `field attrs.${name}.${odd} is not known`);
  }
  for (const [routine, text] of Object.entries((fields['kernels'] ?? {}) as Fields)) {
    if (!/^[a-z_]\w*$/i.test(routine) || typeof text !== 'string') {
      badRecord(place, `field kernels.${routine} is not C text under a C name`);
    }
  }
}

function badRecord(place: string, problem: string): never {
  fail(
    'HONE-OP-010',
    `${place} ${problem.startsWith('is ') ? problem : `is no operator: ${problem}`}`,
    place,
    'see docs/custom-operators.md for what a record has',
  );
}

/** A function of the record; what it throws and gives back is an error about the record. */
function watched(
  place: string,
  field: string,
  call: Call,
  check: (result: unknown, args: readonly unknown[]) => string | null,
): Call {
  return (...args) => {
    let result: unknown;
    try {
      result = call(...args);
    } catch (cause) {
      if (cause instanceof HoneError) throw cause;
      return badCall(place, field, args, `fails: ${String(cause)}`, cause);
    }
    const problem = check(result, args);
    return problem === null ? result : badCall(place, field, args, problem);
  };
}

function badCall(
  place: string,
  field: string,
  args: readonly unknown[],
  problem: string,
  cause?: unknown,
): never {
  const node = args
    .map((arg) => (typeof arg === 'object' && arg !== null ? (arg as Fields)['node'] : undefined))
    .find((name) => typeof name === 'string');
  throw new HoneError({
    code: 'HONE-OP-011',
    message: `${place}: ${field} ${problem}${node === undefined ? '' : ` (node ${String(node)})`}`,
    subject: typeof node === 'string' ? node : place,
    cure: 'correct the operator; docs/custom-operators.md says what its functions are given and give',
    ...(cause === undefined ? {} : { cause }),
  });
}

function checkList(result: unknown): string | null {
  return Array.isArray(result) ? null : `gives ${shown(result)}, which is no list`;
}

function checkTypes(result: unknown): string | null {
  if (!Array.isArray(result) || result.length === 0) {
    return `gives ${shown(result)}, which is no list of {dtype, shape}`;
  }
  for (const type of result as readonly Partial<ValueType>[]) {
    if (!DTYPES.some((dtype) => dtype === type?.dtype)) {
      return `gives the dtype ${shown(type?.dtype)}; there are ${DTYPES.join(', ')}`;
    }
    const isShape =
      Array.isArray(type.shape) && type.shape.every((dim) => Number.isSafeInteger(dim) && dim >= 0);
    if (!isShape) return `gives the shape ${shown(type.shape)}`;
  }
  return null;
}

function checkBodies(result: unknown): string | null {
  if (typeof result === 'string') return null;
  const isList =
    Array.isArray(result) &&
    result.length > 0 &&
    result.every((body: Fields | null) => typeof body?.['kind'] === 'string');
  return isList ? null : `gives ${shown(result)}, which is neither stage bodies nor a reason`;
}

function watchedDecompose(place: string, call: CompositeOp['decompose']): CompositeOp['decompose'] {
  return (b, inputs, ctx) => {
    const check = (result: unknown): string | null => {
      if (typeof result === 'string') return null;
      if (!Array.isArray(result)) return `gives ${shown(result)}, which is no list of values`;
      for (const [i, { dtype, shape }] of ctx.outputs.entries()) {
        const id: unknown = result[i];
        if (typeof id !== 'number') return `gives ${shown(id)} as output ${i}`;
        const made = b.typeOf(id as ValueId);
        const [due, have] = [printType(dtype, shape), printType(made.dtype, made.shape)];
        if (due !== have) return `gives ${have} as output ${i}, where infer says ${due}`;
      }
      return null;
    };
    const run = watched(place, 'decompose', call as Call, check);
    return run(b, inputs, ctx) as ReturnType<CompositeOp['decompose']>;
  };
}

/** What an operator means, by what its decomposition means. */
function interpreted(
  label: string,
  decompose: CompositeOp['decompose'],
  registry: () => Registry,
): OpDef['reference'] {
  return (inputs: readonly (Tensor | null)[], attrs: Attrs, ctx: ReferenceContext) => {
    const known = registry();
    const b = new OpBuilder(new GraphBuilder(label), known.find);
    const ids = inputs.map((tensor, i) =>
      tensor === null
        ? null
        : b.graph.input(`in${i}`, { dtype: tensor.dtype, shape: tensor.shape }),
    );
    const made = decompose(b, ids, {
      node: ctx.node,
      op: label,
      attrs,
      inputs: inputs.map((tensor) =>
        tensor === null
          ? null
          : {
              type: { dtype: tensor.dtype, shape: tensor.shape },
              constant: (): Tensor => tensor,
            },
      ),
      outputs: ctx.outputTypes,
      outputCount: ctx.outputTypes.length,
    });
    if (typeof made === 'string') {
      fail(
        'HONE-COMPILE-001',
        `node ${ctx.node} (${label}) has no form: ${made}`,
        ctx.node,
        'use the operator in a way that it takes',
      );
    }
    const tensors = inputs.filter((tensor) => tensor !== null);
    return interpret(b.graph.finish(made.slice(0, ctx.outputTypes.length)), tensors, known);
  };
}

function shown(value: unknown): string {
  const text = typeof value === 'function' ? 'a function' : JSON.stringify(value);
  return text === undefined ? 'nothing' : text.slice(0, 60);
}
