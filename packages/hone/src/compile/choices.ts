/**
 * choices.json: what measurements and samples decided. It is an input of a rebuild, so it is
 * complete: the samples are not needed again.
 */
import {
  type Field,
  hasMember,
  type Json,
  type JsonObject,
  list,
  member,
  object,
  parseJson,
  text,
} from 'hone-runtime/artifact/json';
import { type Artifact, readVerified } from 'hone-runtime/artifact/read';
import { fail } from 'hone-runtime/base/diagnostics';
import type {
  ContractionPrecision,
  PrecisionPlan,
  ValuePrecision,
} from '../passes/precision-plan.ts';
import type { CompileOptions } from './options.ts';

type Choices = Pick<CompileOptions, 'plan' | 'reasons' | 'biases' | 'channels'>;

const CHOICES_FILE = 'choices.json';

export function choicesJson({ plan, reasons, biases, channels }: Choices): JsonObject {
  if (plan === undefined) return {};
  const values = [...plan.values].map(([name, precision]): Json => [name, valueJson(precision)]);
  const contractions = [...plan.contractions].map(([name, precision]): Json => [name, precision]);
  const why = reasons === undefined ? {} : { reasons: [...reasons].map((pair): Json => pair) };
  const shifts = biases === undefined ? {} : { biases: [...biases].map((pair): Json => pair) };
  const powers =
    channels === undefined ? {} : { channels: [...channels].map((pair): Json => pair) };
  const { weightBits } = plan;
  return { precision: { values, contractions, weightBits, ...why, ...shifts, ...powers } };
}

export function readChoices(artifact: Artifact): Choices {
  const content = new TextDecoder().decode(readVerified(artifact, CHOICES_FILE));
  const root = parseJson(content, CHOICES_FILE);
  if (!hasMember(root, 'precision')) return {};
  const precision = member(root, 'precision');
  const plan = readPlan(precision);
  return {
    plan,
    ...(hasMember(precision, 'reasons')
      ? {
          reasons: new Map(
            pairs(member(precision, 'reasons')).map(([name, why]) => [name, text(why)]),
          ),
        }
      : {}),
    ...(hasMember(precision, 'biases') ? { biases: numbers(member(precision, 'biases')) } : {}),
    ...(hasMember(precision, 'channels')
      ? { channels: numbers(member(precision, 'channels')) }
      : {}),
  };
}

function valueJson(precision: ValuePrecision): Json {
  switch (precision.kind) {
    case 'f32':
      return 'f32';
    case 'half':
      return precision.dtype;
    case 'u8':
      return { scale: precision.scale, zeroPoint: precision.zeroPoint };
    default:
      return precision satisfies never;
  }
}

function readPlan(field: Field): PrecisionPlan {
  const bits = number(member(field, 'weightBits'));
  return {
    values: new Map(pairs(member(field, 'values')).map(([name, item]) => [name, readValue(item)])),
    contractions: new Map(
      pairs(member(field, 'contractions')).map(([name, item]) => [name, readContraction(item)]),
    ),
    weightBits: bits === 7 ? 7 : 8,
  };
}

function numbers(field: Field): ReadonlyMap<string, readonly number[]> {
  return new Map(pairs(field).map(([name, all]) => [name, list(all).map(number)]));
}

function pairs(field: Field): readonly (readonly [string, Field])[] {
  return list(field).map((item) => {
    const [name, value] = list(item);
    if (name === undefined || value === undefined) bad(item);
    return [text(name), value];
  });
}

function readValue(field: Field): ValuePrecision {
  if (typeof field.value === 'string') {
    const kind = field.value;
    if (kind === 'f32') return { kind };
    if (kind === 'bf16' || kind === 'f16') return { kind: 'half', dtype: kind };
    return bad(field);
  }
  object(field);
  return {
    kind: 'u8',
    scale: number(member(field, 'scale')),
    zeroPoint: number(member(field, 'zeroPoint')),
  };
}

const CONTRACTION_KINDS: readonly ContractionPrecision[] = ['f32', 'bf16', 'f16', 'int8'];

function readContraction(field: Field): ContractionPrecision {
  const kind = text(field);
  return CONTRACTION_KINDS.find((known) => known === kind) ?? bad(field);
}

function number(field: Field): number {
  return typeof field.value === 'number' && Number.isFinite(field.value) ? field.value : bad(field);
}

function bad(field: Field): never {
  fail(
    'HONE-ARTIFACT-043',
    `${field.path} in choices.json is not what this version of hone writes`,
    field.path,
    'use the version of hone that compiled the artifact',
  );
}
