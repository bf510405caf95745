/** The activation that com.microsoft's fused operators apply to their result, named by an attribute. */
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { typeError } from '../checks.ts';
import { logistic } from '../ml/post-transform.ts';

const NAMES = ['', 'Relu', 'Sigmoid', 'Tanh', 'LeakyRelu', 'Clip', 'HardSigmoid'] as const;

export interface Activation {
  /** '': none. */
  readonly name: (typeof NAMES)[number];
  /** Its parameters in order; which they are depends on the name. */
  readonly parameters: readonly number[];
}

/** What the operators of ai.onnx take where a parameter is absent. */
const DEFAULTS: Partial<Record<Activation['name'], readonly number[]>> = {
  LeakyRelu: [0.01],
  Clip: [-3.4028234663852886e38, 3.4028234663852886e38],
  HardSigmoid: [0.2, 0.5],
};

export function activationOf(
  ctx: { readonly node: string; readonly op: string },
  attrs: Attrs,
  parameters: readonly (number | undefined)[],
): Activation {
  const asked = attrs['activation'] ?? '';
  const name = NAMES.find((known) => known === asked);
  if (name === undefined) return typeError(ctx, `activation ${String(asked)} is not known`);
  const defaults = DEFAULTS[name] ?? [];
  return { name, parameters: defaults.map((value, i) => parameters[i] ?? value) };
}

export function activationNodes(b: OpBuilder, x: ValueId, activation: Activation): ValueId {
  const [alpha = 0, beta = 0] = activation.parameters;
  const { dtype } = b.typeOf(x);
  switch (activation.name) {
    case '':
      return x;
    case 'LeakyRelu':
      return b.op('LeakyRelu', [x], { alpha });
    case 'HardSigmoid':
      return b.op('HardSigmoid', [x], { alpha, beta });
    case 'Clip':
      return b.op('Clip', [x, b.scalar(alpha, dtype), b.scalar(beta, dtype)]);
    default:
      return b.op(activation.name, [x]);
  }
}

export function activated(x: Tensor, { name, parameters }: Activation): Tensor {
  const [alpha = 0, beta = 0] = parameters;
  const functions: Record<Activation['name'], (x: number) => number> = {
    '': (x) => x,
    Relu: (x) => Math.max(x, 0),
    Sigmoid: logistic,
    Tanh: Math.tanh,
    LeakyRelu: (x) => (x < 0 ? alpha * x : x),
    Clip: (x) => Math.min(Math.max(x, alpha), beta),
    HardSigmoid: (x) => Math.max(0, Math.min(1, alpha * x + beta)),
  };
  return fromNumbers(x.dtype, x.shape, toNumbers(x).map(functions[name]));
}

/** The elements of an attribute that is a list of numbers. */
export function listOf(attrs: Attrs, name: string): readonly number[] {
  const value = attrs[name];
  return Array.isArray(value) ? (value as readonly number[]) : [];
}
