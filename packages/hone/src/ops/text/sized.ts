/**
 * Operators on texts that give as many as their data says, with room for the most there can be. No model
 * has them: the importer makes them (ADR 10).
 */
import { elementCount } from 'hone-runtime/base/tensor';
import type { ValueType } from '../../graph/types.ts';
import { int, intAttr, requiredInt, text } from '../checks.ts';
import type { OpDef } from '../define-op.ts';
import { HONE_DOMAIN } from '../tensor/positions.ts';
import { BOUND_ATTRS, boundText } from '../tensor/within.ts';
import { defineText, NORMALIZING, normalizeCall, splitting, textInput, texts } from './strings.ts';

const COUNT: ValueType = { dtype: 'i64', shape: [] };

const keepTexts = defineText({
  name: 'KeepTexts',
  domain: HONE_DOMAIN,
  doc: 'StringNormalizer with room for all texts; how many stay.',
  since: 1,
  attrs: NORMALIZING,
  infer(ctx) {
    const { shape } = textInput(ctx, 0);
    const most = Math.max(1, elementCount(shape));
    return [{ dtype: 'string', shape: [...shape.slice(0, -1), most] }, COUNT];
  },
  call: normalizeCall,
  cases: () => [
    {
      inputs: [texts([3], ['Mon', 'tue', 'mon'])],
      attrs: { stopwords: ['mon'], case_change_action: 'LOWER' },
      outputs: 2,
    },
    {
      note: 'nothing is left',
      inputs: [texts([1, 2], ['a', 'a'])],
      attrs: { stopwords: ['a'], is_case_sensitive: 1 },
      outputs: 2,
    },
  ],
});

const splitTexts = defineText({
  name: 'SplitTexts',
  domain: HONE_DOMAIN,
  doc: 'StringSplit with room for a number of pieces; the number of pieces of each text, and the most.',
  since: 1,
  attrs: {
    ...BOUND_ATTRS,
    delimiter: text(''),
    maxsplit: { type: 'int' },
    room: requiredInt,
    /** Along which there are pieces. */
    axis: int(-1),
    /** The model's node that asks for it. */
    node: text(''),
  },
  infer(ctx) {
    const { shape } = textInput(ctx, 0);
    const room = intAttr(ctx.attrs, 'room');
    return [{ dtype: 'string', shape: [...shape, room] }, { dtype: 'i64', shape }, COUNT];
  },
  call: (attrs) => ({
    routine: 'split',
    attrs: { ...splitting(attrs), rule: boundText(attrs, `${intAttr(attrs, 'room')}`) },
  }),
  cases: () => [
    {
      inputs: [texts([2], ['a.b', 'c'])],
      attrs: { delimiter: '.', room: 4 },
      outputs: 3,
    },
  ],
});

export const SIZED_TEXTS: readonly OpDef[] = [keepTexts, splitTexts];
