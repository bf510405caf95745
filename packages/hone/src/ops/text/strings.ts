/**
 * Operators on texts. They have no compiled form: the Node runtime runs them as steps before or after the
 * compiled part. What they compute is defined once, in hone-runtime's `host`.
 */
import { elementCount, type Tensor } from 'hone-runtime/base/tensor';
import { runRoutine } from 'hone-runtime/host/routines';
import { splitText } from 'hone-runtime/host/texts';
import type { Attrs, ValueType } from '../../graph/types.ts';
import {
  broadcastShapes,
  constantInput,
  inputType,
  int,
  requireDType,
  shapeError,
  text,
  textAttr,
} from '../checks.ts';
import {
  defineOp,
  type HostCall,
  type InferContext,
  type OpDef,
  type ReferenceContext,
  type TestCase,
} from '../define-op.ts';

const REASON = 'texts are steps of the Node runtime';

export function texts(shape: readonly number[], data: readonly string[]): Tensor {
  return { dtype: 'string', shape, data };
}

/** An operator whose reference is its host routine. */
export function defineText(spec: {
  readonly name: string;
  readonly domain?: string;
  readonly doc: string;
  readonly since: number;
  readonly attrs: OpDef['attrs'];
  readonly infer: (ctx: InferContext) => readonly ValueType[];
  readonly call: (attrs: Attrs) => HostCall;
  readonly cases: () => readonly TestCase[];
}): OpDef {
  return defineOp({
    kind: 'host',
    name: spec.name,
    ...(spec.domain === undefined ? {} : { domain: spec.domain }),
    doc: spec.doc,
    since: spec.since,
    attrs: spec.attrs,
    reason: REASON,
    infer: spec.infer,
    hostCall: ({ attrs }) => spec.call(attrs),
    reference: (inputs, attrs, ctx) => viaHost(spec.call(attrs), inputs, ctx),
    cases: spec.cases,
  });
}

function viaHost(
  call: HostCall,
  inputs: readonly (Tensor | null)[],
  ctx: ReferenceContext,
): readonly Tensor[] {
  const { node, outputTypes } = ctx;
  return runRoutine(call.routine, { node, attrs: call.attrs, inputs, outputs: outputTypes });
}

/** The type of an input that has to be texts. */
export function textInput(ctx: InferContext, k: number): ValueType {
  const type = inputType(ctx, k);
  requireDType(ctx, type, ['string'], `input ${k}`);
  return type;
}

const regexFullMatch = defineText({
  name: 'RegexFullMatch',
  doc: 'Does a regular expression match the whole text?',
  since: 20,
  attrs: { pattern: { type: 'string', required: true } },
  infer: (ctx) => [{ dtype: 'bool', shape: textInput(ctx, 0).shape }],
  call: (attrs) => ({ routine: 'full_match', attrs: { pattern: textAttr(attrs, 'pattern') } }),
  cases: () => [
    { inputs: [texts([3], ['abc', 'abcd', 'ABC'])], attrs: { pattern: '[a-c]+' } },
    { note: 'ignoring case', inputs: [texts([1], ['ABC'])], attrs: { pattern: '(?i)a.c' } },
  ],
});

interface Splitting {
  readonly delimiter: string;
  readonly most: number;
}

/** How StringSplit splits. */
export function splitting(attrs: Attrs): Splitting {
  const most = attrs['maxsplit'];
  return {
    delimiter: textAttr(attrs, 'delimiter'),
    most: typeof most === 'number' ? most : -1,
  };
}

const stringSplit = defineText({
  name: 'StringSplit',
  doc: 'The pieces of each text between delimiters, and how many they are.',
  since: 20,
  attrs: { delimiter: text(''), maxsplit: { type: 'int' } },
  infer(ctx) {
    const { shape } = textInput(ctx, 0);
    const { delimiter, most } = splitting(ctx.attrs);
    const data = constantInput(ctx, 0, 'the number of pieces').data as readonly string[];
    const width = data.reduce((n, item) => Math.max(n, splitText(item, delimiter, most).length), 0);
    return [
      { dtype: 'string', shape: [...shape, width] },
      { dtype: 'i64', shape },
    ];
  },
  call: (attrs) => ({ routine: 'split', attrs: { ...splitting(attrs) } }),
  cases: () => [
    { inputs: [texts([2], ['a.b', 'c'])], attrs: { delimiter: '.' }, outputs: 2 },
    { note: 'spaces', inputs: [texts([2], ['  a  b ', ''])], outputs: 2 },
    { note: 'a limit', inputs: [texts([1], ['a b  c'])], attrs: { maxsplit: 1 }, outputs: 2 },
  ],
});

/** Attributes of StringNormalizer. */
export const NORMALIZING: OpDef['attrs'] = {
  case_change_action: text('NONE'),
  is_case_sensitive: int(0),
  locale: { type: 'string' },
  stopwords: { type: 'strings' },
};

const stringNormalizer = defineText({
  name: 'StringNormalizer',
  doc: 'Texts in one case, without stop words.',
  since: 10,
  attrs: NORMALIZING,
  infer(ctx) {
    const { shape } = textInput(ctx, 0);
    if (shape.length > 2 || (shape.length === 2 && shape[0] !== 1)) {
      shapeError(ctx, `it takes [C] or [1,C], not [${shape.join(',')}]`);
    }
    const count = elementCount(shape);
    const stops = (ctx.attrs['stopwords'] ?? []) as readonly string[];
    const kept =
      stops.length === 0 && count > 0
        ? count
        : normalized(ctx.attrs, constantInput(ctx, 0, 'the number of texts that stay')).length;
    return [{ dtype: 'string', shape: [...shape.slice(0, -1), kept] }];
  },
  call: normalizeCall,
  cases: () => [
    { inputs: [texts([1, 2], ['Mon', 'tue'])], attrs: { case_change_action: 'UPPER' } },
    {
      note: 'stop words',
      inputs: [texts([3], ['Mon', 'tue', 'mon'])],
      attrs: { stopwords: ['mon'], case_change_action: 'LOWER' },
    },
    {
      note: 'nothing is left',
      inputs: [texts([2], ['a', 'a'])],
      attrs: { stopwords: ['a'], is_case_sensitive: 1 },
    },
  ],
});

/** StringNormalizer as a step. */
export function normalizeCall(attrs: Attrs): HostCall {
  return {
    routine: 'normalize',
    attrs: {
      change: textAttr(attrs, 'case_change_action'),
      is_case_sensitive: attrs['is_case_sensitive'] as number,
      stopwords: (attrs['stopwords'] ?? []) as readonly string[],
    },
  };
}

function normalized(attrs: Attrs, x: Tensor): readonly string[] {
  const outputs = [{ dtype: 'string', shape: [] }] as const;
  const { routine, attrs: own } = normalizeCall(attrs);
  const [made] = runRoutine(routine, { node: '', attrs: own, inputs: [x], outputs });
  return (made?.data ?? []) as readonly string[];
}

const stringConcat = defineText({
  name: 'StringConcat',
  doc: 'Two texts in one.',
  since: 20,
  attrs: {},
  infer: (ctx) => [
    {
      dtype: 'string',
      shape: broadcastShapes(ctx, textInput(ctx, 0).shape, textInput(ctx, 1).shape),
    },
  ],
  call: () => ({ routine: 'concat_texts', attrs: {} }),
  cases: () => [
    { inputs: [texts([2, 1], ['a', 'b']), texts([2], ['x', 'ß'])] },
    { note: 'scalars', inputs: [texts([], ['a']), texts([], ['b'])] },
  ],
});

export const STRINGS: readonly OpDef[] = [
  regexFullMatch,
  stringConcat,
  stringNormalizer,
  stringSplit,
];
