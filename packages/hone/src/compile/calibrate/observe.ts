/**
 * The operator that watches a value while samples run through a model, and graphs that carry it.
 * Compiled, it is the routine `observe_f32` of native/routines.h: one pass for least and largest,
 * one for a histogram whose bins are powers of two wide, so that histograms of any samples merge
 * exactly.
 */
import { at, invariant } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Graph, ValueId } from '../../graph/types.ts';
import { withOutputs } from '../../graph/extents.ts';
import { valueById } from '../../graph/walk.ts';
import { inputType, requireDType } from '../../ops/checks.ts';
import { defineOp, type OpDef } from '../../ops/define-op.ts';
import type { Channels } from './bias.ts';
import type { BodySum } from './body-sums.ts';

const DOMAIN = 'hone.calibration';

/** Bins on each side of zero; the wider side uses more than half of them. */
export const HALF = 2048;

/** Parts that workers take; each has facts and counts of its own. */
export const SLICES = 4;

/** Numbers in the facts of a slice: least, largest, exponent of the bins, elements not finite. */
export const FACTS = 4;

const OUTPUTS = [
  { dtype: 'f32', shape: [SLICES, FACTS] },
  { dtype: 'i32', shape: [SLICES, 2 * HALF] },
] as const;

export const observe: OpDef = defineOp({
  kind: 'core',
  name: 'Observe',
  domain: DOMAIN,
  doc: 'Least, largest and a histogram of a value, in slices.',
  since: 1,
  attrs: {},
  infer(ctx) {
    requireDType(ctx, inputType(ctx, 0), ['f32']);
    return OUTPUTS;
  },
  lower(ctx) {
    const dims = [elementCount(inputType(ctx, 0).shape), SLICES, HALF];
    return [{ kind: 'routine', routine: 'observe_f32', dims, scalars: [] }];
  },
  reference: ([x]) => {
    const values = toNumbers(x as Tensor);
    const facts: number[] = [];
    const counts = new Float64Array(SLICES * 2 * HALF);
    for (let slice = 0; slice < SLICES; slice++) {
      const part = values.subarray(
        Math.floor((values.length * slice) / SLICES),
        Math.floor((values.length * (slice + 1)) / SLICES),
      );
      const finite = part.filter(Number.isFinite);
      const least = finite.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
      const largest = finite.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
      let exponent = -100;
      while (exponent < 116 && Math.max(largest, -least) / 2 ** exponent >= HALF) exponent++;
      for (const value of finite) {
        const bin = slice * 2 * HALF + Math.floor(value / 2 ** exponent) + HALF;
        counts[bin] = (counts[bin] as number) + 1;
      }
      facts.push(least, largest, exponent, part.length - finite.length);
    }
    return [
      fromNumbers('f32', OUTPUTS[0].shape, facts),
      fromNumbers('i32', OUTPUTS[1].shape, counts),
    ];
  },
});

const SEEN = [
  { dtype: 'f32', shape: [1, FACTS] },
  { dtype: 'i32', shape: [1, 2 * HALF] },
] as const;

/** What is known of a value that nothing was seen of. */
export const NOTHING_SEEN: readonly Tensor[] = [
  fromNumbers('f32', SEEN[0].shape, [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -100, 0]),
  fromNumbers('i32', SEEN[1].shape, new Float64Array(2 * HALF)),
];

/** The same for a value of a body, which is observed again and again: it goes on from what was seen. */
export const observeMore: OpDef = defineOp({
  kind: 'core',
  name: 'ObserveMore',
  domain: DOMAIN,
  doc: 'What was seen of a value before, and now.',
  since: 1,
  attrs: {},
  infer(ctx) {
    requireDType(ctx, inputType(ctx, 0), ['f32']);
    return SEEN;
  },
  lower(ctx) {
    const dims = [elementCount(inputType(ctx, 0).shape), HALF];
    return [{ kind: 'routine', routine: 'observe_more_f32', dims, scalars: [] }];
  },
  reference: ([x, facts, counts]) => {
    const values = toNumbers(x as Tensor);
    const [least0 = 0, largest0 = 0, exponent0 = 0, odd = 0] = toNumbers(facts as Tensor);
    const finite = values.filter(Number.isFinite);
    const least = finite.reduce((a, b) => Math.min(a, b), least0);
    const largest = finite.reduce((a, b) => Math.max(a, b), largest0);
    let exponent = exponent0;
    while (exponent < 116 && Math.max(largest, -least) / 2 ** exponent >= HALF) exponent++;
    const all = new Float64Array(2 * HALF);
    const count = (bin: number, more: number): void => {
      all[bin] = Math.min((all[bin] as number) + more, 2 ** 31 - 1);
    };
    toNumbers(counts as Tensor).forEach((more, bin) => {
      if (more > 0) count(Math.floor((bin - HALF) / 2 ** (exponent - exponent0)) + HALF, more);
    });
    for (const value of finite) count(Math.floor(value / 2 ** exponent) + HALF, 1);
    return [
      fromNumbers('f32', SEEN[0].shape, [
        least,
        largest,
        exponent,
        odd + values.length - finite.length,
      ]),
      fromNumbers('i32', SEEN[1].shape, all),
    ];
  },
});

/** Goes on observing a value of a body. */
export function watchMore(id: ValueId, label: string): BodySum {
  return {
    initial: NOTHING_SEEN,
    next(to, before) {
      const outputs = SEEN.map((type, k) => to.add({ name: `seen of ${label}, ${k}`, type }));
      const name = `observe ${label}`;
      const inputs = [id, ...before];
      to.nodes.push({ op: 'ObserveMore', domain: DOMAIN, name, inputs, outputs, attrs: {} });
      return outputs;
    },
  };
}

export interface WatchedGraph {
  readonly graph: Graph;
  /** Per watched value, in order: names of the outputs with its facts and its counts. */
  readonly outputs: readonly { readonly facts: string; readonly counts: string }[];
  /** Names of the outputs with means per channel. */
  readonly means: ReadonlyMap<ValueId, string>;
}

/**
 * The graph with observations of the values as its only outputs, but for those in `kept`. `channels`:
 * values whose means per channel are wanted too; `more`: other outputs.
 */
export function watchValues(
  graph: Graph,
  values: readonly ValueId[],
  channels: readonly Channels[] = [],
  kept: ReadonlySet<string> = new Set(),
  more: readonly ValueId[] = [],
): WatchedGraph {
  const nodes = [...graph.nodes];
  const all = [...graph.values];
  const outputs = graph.outputs.filter((id) => kept.has(valueById(graph, id).name));
  const names = values.map((id, i) => {
    const { type } = valueById(graph, id);
    invariant(type.dtype === 'f32', 'only f32 values are observed');
    const made = OUTPUTS.map((output, k) => {
      const name = `${k === 0 ? 'facts' : 'counts'} of ${i}`;
      all.push({ id: all.length, name, type: output });
      return all.length - 1;
    });
    outputs.push(...made);
    const name = `observe ${i}`;
    nodes.push({ op: 'Observe', domain: DOMAIN, name, inputs: [id], outputs: made, attrs: {} });
    return { facts: at(all, at(made, 0)).name, counts: at(all, at(made, 1)).name };
  });
  const means = new Map<ValueId, string>();
  for (const { value: id, axis: kind } of channels) {
    if (means.has(id)) continue;
    const { type } = valueById(graph, id);
    const axes = type.shape.map((_, axis) => axis).filter((axis) => axis !== kind);
    const tensor = fromNumbers('i64', [axes.length], axes);
    const listed: ValueId = all.length;
    const constant = { kind: 'inline', tensor } as const;
    const typed = { dtype: 'i64', shape: tensor.shape } as const;
    all.push({ id: listed, name: `axes of ${id}`, type: typed, constant });
    const name = `means of ${id}`;
    const shape = [at(type.shape, kind)];
    all.push({ id: all.length, name, type: { dtype: 'f32', shape } });
    const made = all.length - 1;
    outputs.push(made);
    means.set(id, name);
    const attrs = { keepdims: 0, noop_with_empty_axes: 0 };
    nodes.push({
      op: 'ReduceMean',
      domain: '',
      name,
      inputs: [id, listed],
      outputs: [made],
      attrs,
    });
  }
  const watched = withOutputs({ ...graph, nodes, values: all }, [...outputs, ...more]);
  return { graph: watched, outputs: names, means };
}
