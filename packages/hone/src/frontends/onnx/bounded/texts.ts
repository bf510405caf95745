/**
 * Operators on texts, and tables from or to them. Steps of the Node runtime work on all of the room that texts
 * have: where it would count it holds a text that does not.
 */
import { elementCount } from 'hone-runtime/base/tensor';
import { HONE_DOMAIN } from '../../../ops/tensor/positions.ts';
import type { BoundSource } from './bounds.ts';
import { align } from './elementwise.ts';
import { leastOf, mostOf, unknown } from './ints.ts';
import { given, intOf, type Rule, type Use } from './rule.ts';
import { boundsOf, type Sized } from './sized.ts';

const ML = 'ai.onnx.ml';

/** A text is assumed to have so many pieces, where the model does not say how many there are at most. */
const ASSUMED_PIECES = 256;
/** What a text takes in memory, about. */
const TEXT_BYTES = 16;

/** Texts with others behind the end of what is meant. */
function withText({ s }: Use, x: Sized, text: string): Sized {
  const valid = s.valid(x);
  if (valid === undefined) return x;
  const other = s.b.constant({ dtype: 'string', shape: [], data: [text] });
  return { ...x, id: s.b.op('Where', [valid, x.id, other]) };
}

const idsOf = (use: Use) => use.inputs.map((input) => input?.id ?? null);

/** Element by element. */
const elementwise =
  (domain: string): Rule =>
  (use) => {
    const x = given(use, 0);
    const [id = -1] = use.s.ops(use.op, idsOf(use), use.attrs, { domain });
    return [use.s.made(id, x.sizes)];
  };

/** A new last axis of categories. */
const oneHot: Rule = (use) => {
  const [id = -1] = use.s.ops(use.op, idsOf(use), use.attrs, { domain: ML });
  const categories = use.s.b.typeOf(id).shape.at(-1) ?? 0;
  return [use.s.made(id, [...given(use, 0).sizes, categories])];
};

const concatTexts: Rule = (use) => {
  const { operands, sizes } = align(use, [given(use, 0), given(use, 1)]);
  const ids = operands.map(({ id }) => id);
  return [use.s.made(use.s.op(use.op, ids, use.attrs), sizes)];
};

const normalizer: Rule = (use) => {
  const { s } = use;
  const x = given(use, 0);
  const stops = textsOf(use, 'stopwords');
  const [first] = stops;
  const length = x.sizes.at(-1) ?? 0;
  if (first === undefined && mostOf(length) > 0) {
    if (leastOf(length) > 0) return elementwise('')(use);
    // Of no text, one that is empty is made.
    const id = s.op(use.op, [withText(use, x, '').id], use.attrs);
    return [s.made(id, [...x.sizes.slice(0, -1), use.ints.max(length, 1)])];
  }
  if (x.sizes.length > 2 || x.sizes.length === 0) s.cannot('it takes a list of texts');
  // Room holds what is left out.
  const { id } = first === undefined ? x : withText(use, x, first);
  const options = { domain: HONE_DOMAIN, outputs: 2 };
  const [kept = -1, count = -1] = s.ops('KeepTexts', [id], use.attrs, options);
  const most = Math.max(1, elementCount(s.b.typeOf(id).shape));
  return [s.made(kept, [...x.sizes.slice(0, -1), unknown(count, 1, most)])];
};

const split: Rule = (use) => {
  const { s } = use;
  const x = withText(use, given(use, 0), '');
  const { most: room, ...source } = piecesOf(use, x);
  s.room([...x.sizes, room]);
  const options = { domain: HONE_DOMAIN, outputs: 3 };
  const [pieces = -1, counts = -1, most = -1] = s.ops(
    'SplitTexts',
    [x.id],
    { ...use.attrs, ...source, node: s.node, room },
    options,
  );
  return [s.made(pieces, [...x.sizes, unknown(most, 0, room)]), s.made(counts, x.sizes)];
};

/** How many pieces of a text there is room for, and why; a run checks it. */
function piecesOf(use: Use, { sizes }: Sized): BoundSource & { readonly most: number } {
  const { names, bounds } = use.s.plan;
  const [tensor = ''] = names;
  const axis = sizes.length;
  const cuts = intOf(use, 'maxsplit', -1);
  const own = cuts >= 0 ? cuts + 1 : Infinity;
  const asked = tensor === '' ? undefined : bounds.size(tensor, axis, axis + 1);
  if (asked !== undefined && asked.max < own) {
    const option = `${tensor}=${asked.max}`;
    return { most: asked.max, tensor, axis, origin: 'asked', option };
  }
  if (own < Infinity) return { most: own, tensor, axis, origin: '', option: '' };
  const start = Math.min(ASSUMED_PIECES, bounds.extent);
  const room = bounds.assumed((cap) => [...boundsOf(sizes), cap], TEXT_BYTES, start);
  const option = `${tensor}=${room.join('x')}`;
  return { most: room.at(-1) ?? 0, tensor, axis, origin: 'assumed', option };
}

const tfIdf: Rule = (use) => {
  const { s } = use;
  const x = given(use, 0);
  const pool = textsOf(use, 'pool_strings');
  // What is in no pool makes no n-gram.
  const masked = pool.length > 0 ? withText(use, x, unlike(pool)) : masksNumber(use, x);
  const id = s.op(use.op, [masked.id], use.attrs);
  const width = s.b.typeOf(id).shape.at(-1) ?? 0;
  return [s.made(id, [...x.sizes.slice(0, -1), width])];
};

function unlike(pool: readonly string[]): string {
  let text = '\u0000';
  while (pool.includes(text)) text += '\u0000';
  return text;
}

function masksNumber(use: Use, x: Sized): Sized {
  const pool = use.attrs['pool_int64s'];
  const taken = new Set(Array.isArray(pool) ? (pool as readonly number[]) : []);
  let number = 0;
  while (taken.has(number)) number++;
  return use.s.masked(x, number);
}

function textsOf({ attrs }: Use, name: string): readonly string[] {
  const value = attrs[name];
  return Array.isArray(value) ? (value as readonly string[]) : [];
}

/** Texts that are no numbers would be a fault: room holds some that are. */
const cast: Rule = (use) => {
  const x = given(use, 0);
  const isText = use.s.dtype(x) === 'string';
  const input = isText ? withText(use, x, '0') : x;
  return [use.s.made(use.s.op('Cast', [input.id], use.attrs), x.sizes)];
};

export const TEXTS: ReadonlyMap<string, Rule> = new Map([
  ['Cast', cast],
  ['RegexFullMatch', elementwise('')],
  ['StringConcat', concatTexts],
  ['StringNormalizer', normalizer],
  ['StringSplit', split],
  ['TfIdfVectorizer', tfIdf],
  ...['LabelEncoder', 'CategoryMapper'].map((op) => [`${ML}:${op}`, elementwise(ML)] as const),
  [`${ML}:OneHotEncoder`, oneHot],
]);
