/** How a convolution's groups meet the channel blocks of a layout. */
import { binary, imul, index } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { ConvSpec } from '../../stages/types.ts';

export interface ConvChannels {
  /** Input channels one output vector sums over (block-diagonal groups: a whole block). */
  readonly reduction: number;
  /** Most output vectors a tile may take together: they must share their input channels. */
  readonly maxQ: number;
  /** Vectors that share input channels; a tile's vectors divide them. Absent: all. */
  readonly divisor?: number;
  /** First input channel of output group `og` (of q vectors). */
  readonly firstChannel: (og: Expr, q: number) => Expr;
}

const MAX_Q = 6;

/** Why groups cannot be blocked, or null. */
export function whyNotGrouped(spec: ConvSpec, lanes: number): string | null {
  if (spec.group === 1) return null;
  const ic = spec.ic / spec.group;
  const oc = spec.oc / spec.group;
  if (ic % lanes === 0 && oc % lanes === 0) return null;
  // A block of such groups is summed whole: lanes past the last channel would be read, too.
  if (ic === oc && lanes % ic === 0 && spec.ic % lanes === 0) return null;
  return `${spec.group} groups of ${ic} to ${oc} channels do not fill blocks of ${lanes}`;
}

export function convChannels(spec: ConvSpec, lanes: number, planar: boolean): ConvChannels {
  const none = (): Expr => index(0);
  if (spec.group === 1) {
    return { reduction: spec.ic, maxQ: MAX_Q, firstChannel: none };
  }
  const ic = spec.ic / spec.group;
  const oc = spec.oc / spec.group;
  if (!planar && ic % lanes === 0 && oc % lanes === 0) {
    const perGroup = oc / lanes;
    return {
      reduction: ic,
      maxQ: MAX_Q,
      divisor: perGroup,
      firstChannel: (og, q) => imul(binary('floordiv', og, index(Math.max(1, perGroup / q))), ic),
    };
  }
  return { reduction: lanes, maxQ: 1, firstChannel: (og) => imul(og, lanes) };
}
