/** The activation functions of recurrent operators: as numbers and as nodes. */
import type { Attrs, ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { typeError } from '../checks.ts';

/** One activation with its parameters bound. */
export interface Activation {
  readonly plain: (x: number) => number;
  readonly node: (b: OpBuilder, x: ValueId) => ValueId;
}

interface Kind {
  /** Parameters it takes, with their defaults. */
  readonly alpha?: number;
  readonly beta?: number;
  readonly plain: (x: number, alpha: number, beta: number) => number;
  readonly node: (b: OpBuilder, x: ValueId, alpha: number, beta: number) => ValueId;
}

/** x · factor with a scalar of x's dtype. */
function scaled(b: OpBuilder, x: ValueId, factor: number): ValueId {
  return b.op('Mul', [x, b.scalar(factor, b.typeOf(x).dtype)]);
}

function alone(op: string): Kind['node'] {
  return (b, x) => b.op(op, [x]);
}

function withAlpha(op: string): Kind['node'] {
  return (b, x, alpha) => b.op(op, [x], { alpha });
}

const KINDS: Readonly<Record<string, Kind>> = {
  relu: { plain: (x) => Math.max(0, x), node: alone('Relu') },
  tanh: { plain: (x) => Math.tanh(x), node: alone('Tanh') },
  sigmoid: { plain: (x) => 1 / (1 + Math.exp(-x)), node: alone('Sigmoid') },
  softsign: { plain: (x) => x / (1 + Math.abs(x)), node: alone('Softsign') },
  softplus: {
    plain: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
    node: alone('Softplus'),
  },
  leakyrelu: {
    alpha: 0.01,
    plain: (x, alpha) => (x < 0 ? alpha * x : x),
    node: withAlpha('LeakyRelu'),
  },
  thresholdedrelu: {
    alpha: 1,
    plain: (x, alpha) => (x > alpha ? x : 0),
    node: withAlpha('ThresholdedRelu'),
  },
  elu: {
    alpha: 1,
    plain: (x, alpha) => (x < 0 ? alpha * Math.expm1(x) : x),
    node: withAlpha('Elu'),
  },
  hardsigmoid: {
    alpha: 0.2,
    beta: 0.5,
    plain: (x, alpha, beta) => Math.min(1, Math.max(0, alpha * x + beta)),
    node: (b, x, alpha, beta) => b.op('HardSigmoid', [x], { alpha, beta }),
  },
  affine: {
    alpha: 1,
    beta: 0,
    plain: (x, alpha, beta) => alpha * x + beta,
    node: (b, x, alpha, beta) =>
      b.op('Add', [scaled(b, x, alpha), b.scalar(beta, b.typeOf(x).dtype)]),
  },
  scaledtanh: {
    alpha: 1,
    beta: 1,
    plain: (x, alpha, beta) => alpha * Math.tanh(beta * x),
    node: (b, x, alpha, beta) => scaled(b, b.op('Tanh', [scaled(b, x, beta)]), alpha),
  },
};

function list<T>(attrs: Attrs, name: string): readonly T[] {
  const value = attrs[name];
  return Array.isArray(value) ? (value as readonly T[]) : [];
}

/**
 * The activations of each direction, in order. alphas and betas are consumed from left to right by
 * the functions that take them.
 */
export function activationsOf(
  ctx: { readonly node: string; readonly op: string },
  attrs: Attrs,
  defaults: readonly string[],
  directions: number,
): readonly (readonly Activation[])[] {
  const given = list<string>(attrs, 'activations');
  const names =
    given.length > 0 ? given : Array.from({ length: directions }, () => defaults).flat();
  if (names.length !== defaults.length * directions) {
    typeError(
      ctx,
      `${names.length} activations are named, but it takes ${defaults.length * directions}`,
    );
  }
  const alphas = [...list<number>(attrs, 'activation_alpha')];
  const betas = [...list<number>(attrs, 'activation_beta')];
  const bound = names.map((name): Activation => {
    const kind = KINDS[name.toLowerCase()];
    if (kind === undefined) typeError(ctx, `activation ${name} is not known`);
    const alpha = kind.alpha === undefined ? 0 : (alphas.shift() ?? kind.alpha);
    const beta = kind.beta === undefined ? 0 : (betas.shift() ?? kind.beta);
    return {
      plain: (x) => kind.plain(x, alpha, beta),
      node: (b, x) => kind.node(b, x, alpha, beta),
    };
  });
  return Array.from({ length: directions }, (_, d) =>
    bound.slice(d * defaults.length, (d + 1) * defaults.length),
  );
}
