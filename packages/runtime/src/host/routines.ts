/**
 * The routines of host steps by name. Each takes tensors and attributes and gives one tensor per output;
 * the compiler checked shapes and dtypes, and an artifact's attributes are checked here again as they are
 * read.
 */
import { fail } from '../base/diagnostics.ts';
import { type DType, isBig, isInteger } from '../base/dtype.ts';
import { elementCount, fromNumbers, type Tensor, toBigInts, toNumbers } from '../base/tensor.ts';
import { spreadTexts } from './broadcast.ts';
import { lookUpAll } from './lookup.ts';
import { countGrams, type NGrams } from './n-grams.ts';
import { numberToText, textToNumber } from './number-text.ts';
import type { HostAttrs, HostSpec } from './program.ts';
import { concatTexts, fullMatcher, normalizeTexts, splitText } from './texts.ts';

export interface RoutineCall {
  readonly node: string;
  readonly attrs: HostAttrs;
  readonly inputs: readonly (Tensor | null)[];
  readonly outputs: readonly Pick<HostSpec, 'dtype' | 'shape'>[];
}

type Routine = (call: RoutineCall) => readonly Tensor[];

const ROUTINES: Readonly<Record<string, Routine>> = {
  pick: (call) => [pick(call)],
  pass: (call) => [tensorIn(call, 0)],
  gather_texts: (call) => [gather(call)],
  choose_texts: (call) => {
    const shape = shapeOf(call, 0);
    const condition = tensorIn(call, 0);
    const flags = spreadTexts(
      { dtype: 'string', shape: condition.shape, data: Array.from(toNumbers(condition), String) },
      shape,
    );
    const [yes = [], no = []] = [1, 2].map((k) => {
      textsOf(call, k);
      return spreadTexts(tensorIn(call, k), shape);
    });
    const chosen = flags.map((flag, i) => (flag === '0' ? no[i] : yes[i]) ?? '');
    return [textTensor(call, 0, chosen)];
  },
  concat_texts: (call) => {
    const [a = [], b = []] = sidesOf(call);
    return [textTensor(call, 0, concatTexts(a, b))];
  },
  equal_texts: (call) => {
    const [a = [], b = []] = sidesOf(call);
    const equal = a.map((item, i) => (item === b[i] ? 1 : 0));
    return [fromNumbers('bool', shapeOf(call, 0), equal)];
  },
  full_match: (call) => {
    const matches = fullMatcher(text(call, 'pattern'), call.node);
    return [
      fromNumbers(
        'bool',
        shapeOf(call, 0),
        textsOf(call, 0).map((item) => (matches(item) ? 1 : 0)),
      ),
    ];
  },
  normalize: (call) => {
    const texts = normalizeTexts(textsOf(call, 0), {
      change: text(call, 'change'),
      isCaseSensitive: number(call, 'is_case_sensitive') !== 0,
      stopwords: textList(call, 'stopwords'),
    });
    // With room for all of them, where how many stay is data: their number too.
    if (call.outputs.length < 2) return [textTensor(call, 0, texts)];
    const missing = elementCount(shapeOf(call, 0)) - texts.length;
    const padded = [...texts, ...new Array<string>(Math.max(0, missing)).fill('')];
    return [textTensor(call, 0, padded), fromNumbers('i64', [], [texts.length])];
  },
  split: (call) => {
    const rows = textsOf(call, 0).map((item) =>
      splitText(item, text(call, 'delimiter'), number(call, 'most')),
    );
    const width = shapeOf(call, 0).at(-1) ?? 0;
    const padded = rows.flatMap((row) => Array.from({ length: width }, (_, i) => row[i] ?? ''));
    const counts = rows.map((row) => row.length);
    const most = counts.reduce((a, b) => Math.max(a, b), 0);
    if (most > width) {
      const { rule = '' } = call.attrs;
      fail(
        'HONE-RUN-010',
        `node ${call.node} (StringSplit): a text has ${most} pieces, there is room for ${width}${rule === '' ? '' : ` (${String(rule)})`}`,
        call.node,
        'give shorter texts, or compile with another --bound',
      );
    }
    return [
      textTensor(call, 0, padded),
      fromNumbers('i64', shapeOf(call, 1), counts),
      ...(call.outputs.length > 2 ? [fromNumbers('i64', [], [most])] : []),
    ];
  },
  n_grams: (call) => {
    const texts = textsOf(call, 0);
    const { dtype, shape } = outputOf(call, 0);
    const width = shape.at(-1) ?? 0;
    const rows = elementCount(shape.slice(0, -1));
    const length = texts.length / Math.max(1, rows);
    const grams: NGrams<string> = {
      pool: textList(call, 'pool'),
      starts: numbers(call, 'starts'),
      columns: numbers(call, 'columns'),
      ...(call.attrs['weights'] === undefined ? {} : { weights: numbers(call, 'weights') }),
      shortest: number(call, 'shortest'),
      longest: number(call, 'longest'),
      skips: number(call, 'skips'),
      mode: text(call, 'mode'),
    };
    const all = Array.from({ length: rows }, (_, row) => [
      ...countGrams(texts.slice(row * length, (row + 1) * length), grams, width),
    ]);
    return [fromNumbers(dtype, shape, all.flat())];
  },
  look_up: (call) => [
    lookUpAll(
      tensorIn(call, 0),
      tensor(call, 'keys'),
      tensor(call, 'values'),
      tensor(call, 'otherwise'),
    ),
  ],
  one_hot: (call) => {
    const categories = textList(call, 'categories');
    const hits = textsOf(call, 0).flatMap((item) => categories.map((c) => (c === item ? 1 : 0)));
    return [fromNumbers('f32', shapeOf(call, 0), hits)];
  },
  to_text: (call) => {
    const x = tensorIn(call, 0);
    return [textTensor(call, 0, textsFrom(x))];
  },
  from_text: (call) => {
    const { dtype, shape } = outputOf(call, 0);
    return [fromTexts(textsOf(call, 0), dtype, shape, call.node)];
  },
};

/** Does this runtime have the routine? */
export function hasRoutine(name: string): boolean {
  return Object.hasOwn(ROUTINES, name);
}

/** Runs a routine; throws coded errors that name the node. */
export function runRoutine(name: string, call: RoutineCall): readonly Tensor[] {
  const routine = Object.hasOwn(ROUTINES, name) ? ROUTINES[name] : undefined;
  if (routine !== undefined) return routine(call);
  return fail(
    'HONE-ARTIFACT-050',
    `node ${call.node}: this runtime has no routine "${name}"`,
    call.node,
    'use a runtime as new as the compiler',
  );
}

/** Elements of all inputs, one after the other, at chosen positions. */
function pick(call: RoutineCall): Tensor {
  const all = call.inputs.flatMap((input) => (input === null ? [] : [...(input.data as string[])]));
  const chosen = numbers(call, 'positions').map((position) => all[position] ?? '');
  return textTensor(call, 0, chosen);
}

/** Texts at positions along an axis that a run computed. */
function gather(call: RoutineCall): Tensor {
  const x = tensorIn(call, 0);
  const texts = textsOf(call, 0);
  const axis = number(call, 'axis');
  const extent = x.shape[axis] ?? damaged(call, 'has no such axis');
  const inner = elementCount(x.shape.slice(axis + 1));
  const outer = elementCount(x.shape.slice(0, axis));
  const places = Array.from(toNumbers(tensorIn(call, 1)), (position) => {
    const place = position < 0 ? position + extent : position;
    if (place >= 0 && place < extent) return place;
    return fail(
      'HONE-RUN-010',
      `node ${call.node} (Gather): index ${position} is outside [-${extent}, ${extent})`,
      call.node,
      'check the values of the inputs',
    );
  });
  const chosen: string[] = [];
  for (let block = 0; block < outer; block++) {
    for (const place of places) {
      const start = (block * extent + place) * inner;
      for (let i = 0; i < inner; i++) chosen.push(texts[start + i] ?? '');
    }
  }
  return textTensor(call, 0, chosen);
}

/** Numbers as ONNX writes them. */
export function textsFrom(x: Tensor): string[] {
  const { dtype } = x;
  if (isInteger(dtype)) return Array.from(toBigInts(x), String);
  if (dtype === 'bool')
    return Array.from(toNumbers(x), (value) => (value === 0 ? 'False' : 'True'));
  return Array.from(toNumbers(x), (value) => numberToText(value, dtype));
}

export function fromTexts(
  texts: readonly string[],
  dtype: DType,
  shape: readonly number[],
  node: string,
): Tensor {
  if (!isBig(dtype)) return fromNumbers(dtype, shape, texts.map(textToNumber));
  const values = texts.map((item) => {
    if (/^\s*[+-]?\d+\s*$/.test(item)) return BigInt(item.trim().replace(/^\+/, ''));
    return fail(
      'HONE-RUN-013',
      `node ${node} (Cast): ${JSON.stringify(item.slice(0, 40))} is not an integer`,
      node,
      'give texts that are numbers',
    );
  });
  const data = dtype === 'i64' ? BigInt64Array.from(values) : BigUint64Array.from(values);
  return { dtype, shape, data };
}

function damaged(call: RoutineCall, what: string): never {
  return fail(
    'HONE-ARTIFACT-003',
    `the step of node ${call.node} ${what}`,
    call.node,
    'the artifact is damaged or of another version: compile it again',
  );
}

function tensorIn(call: RoutineCall, k: number): Tensor {
  return call.inputs[k] ?? damaged(call, `lacks input ${k}`);
}

function textsOf(call: RoutineCall, k: number): readonly string[] {
  const { dtype, data } = tensorIn(call, k);
  return dtype === 'string'
    ? (data as readonly string[])
    : damaged(call, `has no texts as input ${k}`);
}

/** Both inputs spread over the output's shape. */
function sidesOf(call: RoutineCall): readonly (readonly string[])[] {
  const shape = shapeOf(call, 0);
  return [0, 1].map((k) => {
    textsOf(call, k);
    return spreadTexts(tensorIn(call, k), shape);
  });
}

function outputOf(call: RoutineCall, k: number): Pick<HostSpec, 'dtype' | 'shape'> {
  return call.outputs[k] ?? damaged(call, `lacks output ${k}`);
}

function shapeOf(call: RoutineCall, k: number): readonly number[] {
  return outputOf(call, k).shape;
}

function textTensor(call: RoutineCall, k: number, data: readonly string[]): Tensor {
  return { dtype: 'string', shape: shapeOf(call, k), data };
}

function number(call: RoutineCall, name: string): number {
  const value = call.attrs[name];
  return typeof value === 'number' ? value : damaged(call, `has no number "${name}"`);
}

function text(call: RoutineCall, name: string): string {
  const value = call.attrs[name];
  return typeof value === 'string' ? value : damaged(call, `has no text "${name}"`);
}

function numbers(call: RoutineCall, name: string): readonly number[] {
  const value = call.attrs[name];
  return Array.isArray(value) ? (value as number[]) : damaged(call, `has no list "${name}"`);
}

function textList(call: RoutineCall, name: string): readonly string[] {
  const value = call.attrs[name];
  return Array.isArray(value) ? (value as string[]) : damaged(call, `has no list "${name}"`);
}

function tensor(call: RoutineCall, name: string): Tensor {
  const value = call.attrs[name];
  return typeof value === 'object' && 'dtype' in value
    ? value
    : damaged(call, `has no tensor "${name}"`);
}
