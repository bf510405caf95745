/** Host programs as JSON of the manifest. What is read is checked field by field. */
import { isBig, isDType } from '../base/dtype.ts';
import { elementCount, fromNumbers, type Tensor, toNumbers } from '../base/tensor.ts';
import type {
  HostAttr,
  HostExtent,
  HostProgram,
  HostSpec,
  HostStep,
  NativePhase,
} from '../host/program.ts';
import { hasRoutine } from '../host/routines.ts';
import { parseKeys } from './map-keys.ts';
import {
  broken,
  count,
  type Field,
  hasMember,
  type Json,
  type JsonObject,
  list,
  member,
  object,
  text,
} from './json.ts';

export function hostToJson(host: HostProgram): JsonObject {
  return {
    inputs: host.inputs.map(specToJson),
    outputs: host.outputs.map(specToJson),
    steps: host.steps.map(stepToJson),
    ...(host.extents === undefined ? {} : { extents: host.extents.map((item) => ({ ...item })) }),
  };
}

function specToJson({ name, dtype, shape, bytes, keys, bounded }: HostSpec): JsonObject {
  return {
    ...{ name, dtype, shape, bytes },
    ...(keys === undefined ? {} : { keys }),
    ...(bounded === undefined ? {} : { bounded }),
  };
}

function stepToJson(step: HostStep): JsonObject {
  switch (step.kind) {
    case 'native':
      return step.phase === undefined
        ? { kind: 'native' }
        : { kind: 'native', phase: { ...step.phase } };
    case 'constant':
      return { kind: 'constant', name: step.name, tensor: tensorToJson(step.tensor) };
    case 'routine':
      return {
        kind: 'routine',
        node: step.node,
        routine: step.routine,
        attrs: Object.fromEntries(
          Object.entries(step.attrs).map(([name, value]) => [name, attrToJson(value)]),
        ),
        inputs: step.inputs,
        outputs: step.outputs.map(specToJson),
      };
    default:
      return step satisfies never;
  }
}

function attrToJson(value: HostAttr): Json {
  if (typeof value === 'object' && 'dtype' in value) return { tensor: tensorToJson(value) };
  return value;
}

/** Numbers that JSON lacks, and integers beyond 2^53, are written as texts. */
function tensorToJson({ dtype, shape, data }: Tensor): JsonObject {
  if (dtype === 'string') return { dtype, shape, data: data as readonly string[] };
  if (isBig(dtype)) return { dtype, shape, data: Array.from(data as BigInt64Array, String) };
  const numbers = [...toNumbers({ dtype, shape, data })];
  const written = numbers.map((value) =>
    Number.isFinite(value) && !Object.is(value, -0)
      ? value
      : Object.is(value, -0)
        ? '-0'
        : String(value),
  );
  return { dtype, shape, data: written };
}

export function parseHost(field: Field): HostProgram {
  const host: HostProgram = {
    inputs: list(member(field, 'inputs')).map(parseSpec),
    outputs: list(member(field, 'outputs')).map(parseSpec),
    steps: list(member(field, 'steps')).map(parseStep),
    ...(hasMember(field, 'extents')
      ? { extents: list(member(field, 'extents')).map(parseExtent) }
      : {}),
  };
  const runs = host.steps.flatMap((step) => (step.kind === 'native' ? [step] : []));
  if (runs.length > 1 && runs.some(({ phase }, p) => phase?.number !== p)) {
    broken(field.path, 'runs the compiled part twice');
  }
  return host;
}

function parseExtent(field: Field): HostExtent {
  return {
    output: text(member(field, 'output')),
    axis: count(member(field, 'axis')),
    from: text(member(field, 'from')),
  };
}

function parseSpec(field: Field): HostSpec {
  const dtype = text(member(field, 'dtype'));
  if (!isDType(dtype)) return broken(field.path, `has the unknown dtype "${dtype}"`);
  return {
    name: text(member(field, 'name')),
    dtype,
    shape: list(member(field, 'shape')).map(count),
    bytes: count(member(field, 'bytes')),
    ...parseKeys(field),
    ...(hasMember(field, 'bounded') ? { bounded: list(member(field, 'bounded')).map(count) } : {}),
  };
}

function parsePhase(field: Field): NativePhase {
  const keeps = member(field, 'keeps');
  return {
    input: text(member(field, 'input')),
    number: count(member(field, 'number')),
    gives: list(member(field, 'gives')).map(text),
    keeps: Object.fromEntries(
      Object.keys(object(keeps)).map((name) => [name, text(member(keeps, name))]),
    ),
  };
}

function parseStep(field: Field): HostStep {
  const kind = text(member(field, 'kind'));
  if (kind === 'native') {
    return hasMember(field, 'phase')
      ? { kind, phase: parsePhase(member(field, 'phase')) }
      : { kind };
  }
  if (kind === 'constant') {
    return {
      kind,
      name: text(member(field, 'name')),
      tensor: parseTensor(member(field, 'tensor')),
    };
  }
  if (kind !== 'routine') return broken(field.path, `is of the unknown kind "${kind}"`);
  const routine = text(member(field, 'routine'));
  if (!hasRoutine(routine)) broken(field.path, `needs the routine "${routine}"`);
  const attrs = member(field, 'attrs');
  return {
    kind,
    node: text(member(field, 'node')),
    routine,
    attrs: Object.fromEntries(
      Object.keys(object(attrs)).map((name) => [name, parseAttr(member(attrs, name))]),
    ),
    inputs: list(member(field, 'inputs')).map((item) => (item.value === null ? null : text(item))),
    outputs: list(member(field, 'outputs')).map(parseSpec),
  };
}

function parseAttr(field: Field): HostAttr {
  const { value } = field;
  if (typeof value === 'number' || typeof value === 'string') return value;
  if (!Array.isArray(value)) return parseTensor(member(field, 'tensor'));
  const items = value as readonly unknown[];
  if (items.every((item) => typeof item === 'number')) return items;
  if (items.every((item) => typeof item === 'string')) return items;
  return broken(field.path, 'is neither a list of numbers nor of texts');
}

function parseTensor(field: Field): Tensor {
  const dtype = text(member(field, 'dtype'));
  if (!isDType(dtype)) return broken(field.path, `has the unknown dtype "${dtype}"`);
  const shape = list(member(field, 'shape')).map(count);
  const data = list(member(field, 'data'));
  if (data.length !== elementCount(shape)) broken(field.path, 'has another number of elements');
  if (dtype === 'string') return { dtype, shape, data: data.map(text) };
  if (isBig(dtype)) {
    const values = data.map((item) => {
      const digits = text(item);
      return /^-?\d{1,20}$/.test(digits) ? BigInt(digits) : broken(item.path, 'is no integer');
    });
    return {
      dtype,
      shape,
      data: dtype === 'i64' ? BigInt64Array.from(values) : BigUint64Array.from(values),
    };
  }
  return fromNumbers(
    dtype,
    shape,
    data.map(({ value }) => Number(value)),
  );
}
