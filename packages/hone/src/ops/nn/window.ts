/**
 * Sliding windows of convolutions and pools: extents, paddings, positions, bounds.
 *
 * The one place that knows ONNX's auto_pad and ceil_mode. Output position o and kernel tap k read
 * input position o·stride + k·dilation − padBegin along each spatial axis.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { axis, binary, iadd, imul, index } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { Attrs } from '../../graph/types.ts';
import { ints, intsAttr, shapeError, text, textAttr } from '../checks.ts';
import type { AttrSpec } from '../define-op.ts';
import { forEachIndex } from './index-loop.ts';

/** One entry per spatial axis in every list. */
export interface Window {
  readonly input: readonly number[];
  readonly output: readonly number[];
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  readonly padBegin: readonly number[];
  /** As asked for; with ceil_mode the last window may reach further. */
  readonly padEnd: readonly number[];
}

export interface NodeRef {
  readonly node: string;
  readonly op: string;
}

/** Attributes every windowed operator has (kernel_shape is added by each). */
export const WINDOW_ATTRS: Readonly<Record<string, AttrSpec>> = {
  auto_pad: text('NOTSET'),
  dilations: ints(),
  pads: ints(),
  strides: ints(),
};

/** A list attribute with one positive entry per spatial axis; 1s where it is absent. */
export function spatialAttr(ctx: NodeRef, attrs: Attrs, name: string, rank: number): number[] {
  const value = intsAttr(attrs, name) ?? new Array<number>(rank).fill(1);
  if (value.length !== rank) {
    shapeError(ctx, `${name} has ${value.length} entries, but there are ${rank} spatial axes`);
  }
  if (value.some((entry) => entry < 1)) {
    shapeError(ctx, `${name} [${value.join(',')}] has entries below 1`);
  }
  return [...value];
}

/** The explicit `pads` attribute as begins and ends; zeros where it is absent. */
export function explicitPads(
  ctx: NodeRef,
  attrs: Attrs,
  rank: number,
): { readonly begin: number[]; readonly end: number[] } {
  const pads = intsAttr(attrs, 'pads') ?? new Array<number>(2 * rank).fill(0);
  if (pads.length !== 2 * rank) {
    shapeError(ctx, `pads has ${pads.length} entries, but ${rank} spatial axes need ${2 * rank}`);
  }
  if (pads.some((pad) => pad < 0)) shapeError(ctx, `pads [${pads.join(',')}] has negative entries`);
  return { begin: pads.slice(0, rank), end: pads.slice(rank) };
}

/** The windows of a node over spatial extents `input`. Refuses attributes that do not fit. */
export function windowOf(
  ctx: NodeRef,
  attrs: Attrs,
  input: readonly number[],
  kernel: readonly number[],
): Window {
  const rank = input.length;
  const stride = spatialAttr(ctx, attrs, 'strides', rank);
  const dilation = spatialAttr(ctx, attrs, 'dilations', rank);
  const mode = textAttr(attrs, 'auto_pad');
  const ceil = attrs['ceil_mode'] === 1;
  const reach = kernel.map((k, i) => (k - 1) * at(dilation, i) + 1);
  const explicit = explicitPads(ctx, attrs, rank);
  const output: number[] = [];
  const padBegin: number[] = [];
  const padEnd: number[] = [];
  for (let i = 0; i < rank; i++) {
    const [extent, span, step] = [at(input, i), at(reach, i), at(stride, i)];
    if (mode === 'SAME_UPPER' || mode === 'SAME_LOWER') {
      const count = Math.ceil(extent / step);
      const total = Math.max(0, (count - 1) * step + span - extent);
      const less = Math.floor(total / 2);
      output.push(count);
      padBegin.push(mode === 'SAME_UPPER' ? less : total - less);
      padEnd.push(mode === 'SAME_UPPER' ? total - less : less);
      continue;
    }
    if (mode !== 'NOTSET' && mode !== 'VALID') shapeError(ctx, `auto_pad ${mode} is not known`);
    const begin = mode === 'VALID' ? 0 : at(explicit.begin, i);
    const end = mode === 'VALID' ? 0 : at(explicit.end, i);
    const room = extent + begin + end - span;
    if (room < 0) {
      shapeError(
        ctx,
        `the window covers ${span} positions of spatial axis ${i}, but the padded input has ${extent + begin + end}`,
      );
    }
    let count = (ceil ? Math.ceil(room / step) : Math.floor(room / step)) + 1;
    // A window that would start in the end padding is dropped.
    if (ceil && (count - 1) * step >= extent + begin) count--;
    output.push(count);
    padBegin.push(begin);
    padEnd.push(end);
  }
  return { input: [...input], output, kernel: [...kernel], stride, dilation, padBegin, padEnd };
}

/** A window that covers the whole input once, as global pools do. */
export function globalWindow(input: readonly number[]): Window {
  const ones = input.map(() => 1);
  const zeros = input.map(() => 0);
  return {
    input: [...input],
    output: ones,
    kernel: [...input],
    stride: ones,
    dilation: ones,
    padBegin: zeros,
    padEnd: zeros,
  };
}

/** Input positions read at output positions `out` and kernel taps `tap`. */
export function windowPositions(
  win: Window,
  out: readonly Expr[],
  tap: readonly Expr[],
): readonly Expr[] {
  return win.input.map((_, i) =>
    iadd(
      iadd(imul(at(out, i), at(win.stride, i)), imul(at(tap, i), at(win.dilation, i))),
      -at(win.padBegin, i),
    ),
  );
}

/** "These positions lie inside the input", or undefined where they always do. */
export function insideWindow(win: Window, positions: readonly Expr[]): Expr | undefined {
  const tests: Expr[] = [];
  win.input.forEach((extent, i) => {
    const position = at(positions, i);
    const last =
      (at(win.output, i) - 1) * at(win.stride, i) +
      (at(win.kernel, i) - 1) * at(win.dilation, i) -
      at(win.padBegin, i);
    if (at(win.padBegin, i) > 0) tests.push(binary('ge', position, index(0)));
    if (last >= extent) tests.push(binary('lt', position, index(extent)));
  });
  return allOf(tests);
}

/** Conjunction; undefined for none. */
export function allOf(tests: readonly Expr[]): Expr | undefined {
  return tests.reduce<Expr | undefined>(
    (sum, test) => (sum === undefined ? test : binary('and', sum, test)),
    undefined,
  );
}

/** Axes `${letter}${from}` … for `count` dimensions. */
export function axesFrom(letter: 'i' | 'r', from: number, count: number): Expr[] {
  return Array.from({ length: count }, (_, i) => axis(`${letter}${from + i}`));
}

/** What one window reads, for references: flat offsets into the input image and the kernel. */
export interface Taps {
  readonly input: readonly number[];
  readonly kernel: readonly number[];
  /** Taps inside the input and its padding, which count_include_pad counts. */
  readonly padded: number;
}

/** The in-bounds taps of every output position, in row-major order of positions. */
export function windowTaps(win: Window): readonly Taps[] {
  const all: Taps[] = [];
  forEachIndex(win.output, (out) => {
    const input: number[] = [];
    const kernel: number[] = [];
    let padded = 0;
    forEachIndex(win.kernel, (tap, tapFlat) => {
      let flat = 0;
      let inside = true;
      let inPadding = true;
      for (let i = 0; i < out.length; i++) {
        const extent = at(win.input, i);
        const position =
          at(out, i) * at(win.stride, i) + at(tap, i) * at(win.dilation, i) - at(win.padBegin, i);
        if (position < 0 || position >= extent) inside = false;
        if (position >= extent + at(win.padEnd, i)) inPadding = false;
        flat = flat * extent + position;
      }
      if (inPadding) padded++;
      if (!inside) return;
      input.push(flat);
      kernel.push(tapFlat);
    });
    all.push({ input, kernel, padded });
  });
  return all;
}
