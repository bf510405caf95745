/**
 * Quantised data padded by its zero point: the border that convolutions see as real zeros, made in
 * memory where the zero point is known at run time only.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { Attrs, ValueId } from '../graph/types.ts';
import { type Window, windowOf } from '../ops/nn/window.ts';
import type { Rebuild } from './pass.ts';

/** The data with its border, and the attributes of the convolution over it. */
export interface Bordered {
  readonly data: ValueId;
  readonly attrs: Attrs;
}

/**
 * `data` [batch, channels, spatial…] with the padding that a convolution of these attributes and of
 * weights [channels, channels of a group, spatial…] gives it; `zero` is one number of the data's
 * dtype, without axes. Data that is not padded stays as it is.
 */
export function padByZero(
  r: Rebuild,
  data: ValueId,
  zero: ValueId,
  weights: ValueId,
  attrs: Attrs,
): Bordered {
  const { shape } = r.b.typeOf(data);
  const kernel = r.b.typeOf(weights).shape.slice(2);
  const place = { node: 'border', op: 'Conv' };
  const window = windowOf(place, attrs, shape.slice(2), kernel);
  const begin = window.padBegin.map((width) => Math.max(0, width));
  const end = window.input.map((_, i) => beyond(window, i));
  if ([...begin, ...end].every((width) => width === 0)) return { data, attrs };
  const amounts = r.b.ints([0, 0, ...begin, 0, 0, ...end]);
  const padded = r.b.op('Pad', [data, amounts, zero], { mode: 'constant' });
  const none = new Array<number>(2 * kernel.length).fill(0);
  return { data: padded, attrs: { ...attrs, auto_pad: 'NOTSET', pads: none } };
}

/** Elements that the last position of the kernel reads behind the data. */
function beyond({ output, stride, kernel, dilation, padBegin, input }: Window, i: number): number {
  const last = (at(output, i) - 1) * at(stride, i) + (at(kernel, i) - 1) * at(dilation, i);
  return Math.max(0, last - at(padBegin, i) - (at(input, i) - 1));
}
