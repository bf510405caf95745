/** com.microsoft's FusedConv and FusedGemm, as onnxruntime's optimiser saves them. */
import { at } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs } from '../../graph/types.ts';
import { inputType, optionalType, requireDType, shapeError } from '../checks.ts';
import { type CompositeOp, defineOp, type InferContext } from '../define-op.ts';
import { FLOATS } from '../math/dtypes.ts';
import { conv } from '../nn/conv.ts';
import { gemm } from '../nn/gemm.ts';
import { sample } from '../nn/samples.ts';
import { activated, type Activation, activationNodes, activationOf, listOf } from './activation.ts';
import { MICROSOFT } from './alias.ts';

type NodeRef = { readonly node: string; readonly op: string };

function convActivation(ctx: NodeRef, attrs: Attrs): Activation {
  return activationOf(ctx, attrs, listOf(attrs, 'activation_params'));
}

function gemmActivation(ctx: NodeRef, attrs: Attrs): Activation {
  const number = (name: string): number | undefined => {
    const value = attrs[name];
    return typeof value === 'number' ? value : undefined;
  };
  return activationOf(ctx, attrs, [number('activation_alpha'), number('activation_beta')]);
}

function convAttrs({ activation: _a, activation_params: _p, ...rest }: Attrs): Attrs {
  return rest;
}

function gemmAttrs(attrs: Attrs): Attrs {
  return Object.fromEntries(
    Object.entries(attrs).filter(([name]) => Object.hasOwn(gemm.attrs, name)),
  );
}

export const fusedConv: CompositeOp = defineOp({
  kind: 'composite',
  name: 'FusedConv',
  domain: MICROSOFT,
  doc: 'Convolution, plus an optional tensor, with an activation behind it.',
  since: 1,
  attrs: { ...conv.attrs, activation: { type: 'string' }, activation_params: { type: 'floats' } },
  infer: (ctx: InferContext) => {
    convActivation(ctx, ctx.attrs);
    const [type] = conv.infer({
      ...ctx,
      inputs: ctx.inputs.slice(0, 3),
      attrs: convAttrs(ctx.attrs),
    });
    const sum = optionalType(ctx, 3);
    if (sum !== undefined && sum.shape.join() !== type?.shape.join()) {
      shapeError(ctx, `Z [${sum.shape.join(',')}] is not of the result's shape`);
    }
    if (sum !== undefined) requireDType(ctx, sum, type === undefined ? [] : [type.dtype], 'Z');
    return type === undefined ? [] : [type];
  },
  decompose: (b, inputs, ctx) => {
    const product = b.op('Conv', inputs.slice(0, 3), convAttrs(ctx.attrs));
    const addend = inputs[3] ?? null;
    const sum = addend === null ? product : b.op('Add', [product, addend]);
    return [activationNodes(b, sum, convActivation(ctx, ctx.attrs))];
  },
  reference: (inputs, attrs, ctx) => {
    const product = at(conv.reference(inputs.slice(0, 3), convAttrs(attrs), ctx), 0);
    const sum = plus(product, inputs[3] ?? null);
    return [activated(sum, convActivation({ node: ctx.node, op: 'FusedConv' }, attrs))];
  },
  cases: () => [
    {
      note: 'relu',
      inputs: [sample([1, 2, 5, 5], 1), sample([3, 2, 3, 3], 2), sample([3], 3)],
      attrs: { activation: 'Relu', pads: [1, 1, 1, 1] },
    },
    {
      note: 'sum, clip',
      inputs: [sample([1, 2, 4, 4], 1), sample([2, 1, 3, 3], 2), null, sample([1, 2, 2, 2], 4)],
      attrs: { activation: 'Clip', activation_params: [-0.5, 2], group: 2 },
    },
    {
      note: 'hard sigmoid',
      inputs: [sample([1, 1, 3, 3], 1), sample([1, 1, 2, 2], 2)],
      attrs: { activation: 'HardSigmoid', activation_params: [0.25, 0.5] },
    },
  ],
});

function plus(x: Tensor, addend: Tensor | null): Tensor {
  if (addend === null) return x;
  const other = toNumbers(addend);
  return fromNumbers(
    x.dtype,
    x.shape,
    toNumbers(x).map((value, i) => value + (other[i] as number)),
  );
}

export const fusedGemm: CompositeOp = defineOp({
  kind: 'composite',
  name: 'FusedGemm',
  domain: MICROSOFT,
  doc: 'Gemm with an activation behind it.',
  since: 1,
  attrs: {
    ...gemm.attrs,
    activation: { type: 'string' },
    activation_alpha: { type: 'float' },
    activation_beta: { type: 'float' },
    activation_gamma: { type: 'float' },
  },
  infer: (ctx: InferContext) => {
    requireDType(ctx, inputType(ctx, 0), FLOATS);
    gemmActivation(ctx, ctx.attrs);
    return gemm.infer({ ...ctx, attrs: gemmAttrs(ctx.attrs) });
  },
  decompose: (b, inputs, ctx) => {
    const product = b.op('Gemm', inputs, gemmAttrs(ctx.attrs));
    return [activationNodes(b, product, gemmActivation(ctx, ctx.attrs))];
  },
  reference: (inputs, attrs, ctx) => {
    const product = at(gemm.reference(inputs, gemmAttrs(attrs), ctx), 0);
    return [activated(product, gemmActivation({ node: ctx.node, op: 'FusedGemm' }, attrs))];
  },
  cases: () => [
    {
      note: 'leaky',
      inputs: [sample([3, 4], 1), sample([4, 2], 2), sample([2], 3)],
      attrs: { activation: 'LeakyRelu', activation_alpha: 0.125 },
    },
    {
      note: 'tanh',
      inputs: [sample([4, 3], 1), sample([2, 4], 2)],
      attrs: { activation: 'Tanh', transA: 1, transB: 1, alpha: 0.25 },
    },
  ],
});
