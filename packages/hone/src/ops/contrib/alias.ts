/**
 * An operator of com.microsoft that is one of ai.onnx under another name, or with attributes in other
 * words. Inference and reference are the other operator's own.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { Tensor } from 'hone-runtime/base/tensor';
import type { Attrs } from '../../graph/types.ts';
import {
  type AttrSpec,
  type CompositeOp,
  defineOp,
  type InferContext,
  type OpDef,
  type OpInput,
  type TestCase,
} from '../define-op.ts';
import { attrsOf } from '../quant/real-form.ts';

export const MICROSOFT = 'com.microsoft';

/** Inputs that an alias gives to the other operator: its own by position, or tensors known at once. */
export type AliasInputs = (ctx: InferContext) => readonly (number | Tensor | null)[];

export interface Alias {
  readonly name: string;
  readonly doc: string;
  readonly real: OpDef;
  /** Absent: those of the other operator. */
  readonly attrs?: Readonly<Record<string, AttrSpec>>;
  readonly realAttrs?: (attrs: Attrs) => Attrs;
  /** Absent: the same inputs. */
  readonly inputs?: AliasInputs;
  /** Which outputs of the other operator are its own, where they are not the first. */
  readonly outputs?: readonly number[];
  readonly cases: () => readonly TestCase[];
}

export function defineAlias(alias: Alias): CompositeOp {
  const { real, realAttrs = (attrs: Attrs): Attrs => attrs } = alias;
  const moved = (ctx: InferContext): readonly (number | Tensor | null)[] =>
    alias.inputs?.(ctx) ?? ctx.inputs.map((_, i) => i);
  /** How many outputs the other operator gives for `count` of this one, and those of them. */
  const lastOf = (count: number): number =>
    Math.max(0, ...(alias.outputs ?? []).slice(0, count)) + 1;
  const countOf = (count: number): number => (alias.outputs === undefined ? count : lastOf(count));
  const pick = <T>(all: readonly T[], count: number): readonly T[] =>
    alias.outputs === undefined ? all : alias.outputs.slice(0, count).map((k) => at(all, k));
  const inner = (ctx: InferContext): InferContext => ({
    ...ctx,
    outputCount: countOf(ctx.outputCount),
    op: real.name,
    attrs: attrsOf(real, realAttrs(ctx.attrs)),
    inputs: moved(ctx).map((item): OpInput | null => {
      if (item === null) return null;
      if (typeof item === 'number') return ctx.inputs[item] ?? null;
      return { type: { dtype: item.dtype, shape: item.shape }, constant: () => item };
    }),
  });
  return defineOp({
    kind: 'composite',
    name: alias.name,
    domain: MICROSOFT,
    doc: alias.doc,
    since: 1,
    attrs: alias.attrs ?? real.attrs,
    infer: (ctx) => pick(real.infer(inner(ctx)), ctx.outputCount),
    decompose: (b, inputs, ctx) => {
      const ids = moved(ctx).map((item) => {
        if (item === null) return null;
        return typeof item === 'number' ? (inputs[item] ?? null) : b.constant(item);
      });
      const count = ctx.outputs.length;
      const options = { domain: real.domain ?? '', outputs: countOf(count) };
      return pick(b.ops(real.name, ids, realAttrs(ctx.attrs), options), count);
    },
    reference: (inputs, attrs, ctx) => {
      const all = inputs.map((tensor): OpInput | null =>
        tensor === null
          ? null
          : { type: { dtype: tensor.dtype, shape: tensor.shape }, constant: () => tensor },
      );
      const outputCount = ctx.outputTypes.length;
      const own: InferContext = { node: ctx.node, op: alias.name, inputs: all, attrs, outputCount };
      const tensors = moved(own).map((item) =>
        typeof item === 'number' ? (inputs[item] ?? null) : item,
      );
      const full = attrsOf(real, realAttrs(attrs));
      const outputTypes = alias.outputs === undefined ? ctx.outputTypes : real.infer(inner(own));
      return pick(real.reference(tensors, full, { ...ctx, outputTypes }), outputCount);
    },
    cases: alias.cases,
  });
}

/** A record of a list by its name. */
export function named(list: readonly OpDef[], name: string): OpDef {
  return at(
    list.filter((op) => op.name === name),
    0,
  );
}
