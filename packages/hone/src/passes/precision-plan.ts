/**
 * In which precision each value of a graph is kept and each contraction computed: plain data, made
 * by a policy (bf16, f16) or by calibration (int8), carried out by `applyPrecision`.
 */
import type { Graph, Node } from '../graph/types.ts';
import { subgraphs } from '../graph/verify.ts';

/** How a value lies in memory. */
export type ValuePrecision =
  | { readonly kind: 'f32' }
  | { readonly kind: 'half'; readonly dtype: 'bf16' | 'f16' }
  /** real = (stored - zeroPoint) · scale, stored in 0…255. */
  | { readonly kind: 'u8'; readonly scale: number; readonly zeroPoint: number };

/** What a contraction (Conv, MatMul, Gemm with constant weights) multiplies; it sums in 32 bits. */
export type ContractionPrecision = 'f32' | 'bf16' | 'f16' | 'int8';

export interface PrecisionPlan {
  /**
   * By name of the value; absent: f32. A value of the graph's signature keeps its dtype outside. What lies in a
   * body of control flow has the body's prefix in front of its name (`bodiesWithin`), below as well.
   */
  readonly values: ReadonlyMap<string, ValuePrecision>;
  /**
   * By name of the node; absent: f32. `int8` needs the first input kept as u8. A half contraction
   * may read a value kept in f32: it is narrowed for such readers alone.
   */
  readonly contractions: ReadonlyMap<string, ContractionPrecision>;
  /** Magnitudes of quantised weights: 8 bits are -127…127, 7 bits -63…63. */
  readonly weightBits: 8 | 7;
}

/** A body of control flow, and what its names have in front of them in plans and reports. */
export interface PlannedBody {
  readonly prefix: string;
  readonly graph: Graph;
}

/** The bodies of a graph and of those inside them, in order. */
export function bodiesWithin(graph: Graph, prefix = ''): readonly PlannedBody[] {
  return graph.nodes.flatMap((node) =>
    Object.entries(node.attrs).flatMap(([attribute, value]) => {
      const [body] = subgraphs(value);
      if (body === undefined) return [];
      const own = `${prefix}${bodyPrefix(node, attribute)}`;
      return [{ prefix: own, graph: body }, ...bodiesWithin(body, own)];
    }),
  );
}

/** What names in the sub-graph of an attribute have in front of them. */
export function bodyPrefix({ name }: Node, attribute: string): string {
  return `${name}/${attribute.replace('_branch', '')}: `;
}

/** The part of a plan that speaks of a body, under the names that the body has for it. */
export function planWithin(plan: PrecisionPlan, prefix: string): PrecisionPlan {
  const within = <T>(all: ReadonlyMap<string, T>): ReadonlyMap<string, T> =>
    new Map(
      [...all].flatMap(([name, kept]) =>
        name.startsWith(prefix) ? [[name.slice(prefix.length), kept] as const] : [],
      ),
    );
  return { ...plan, values: within(plan.values), contractions: within(plan.contractions) };
}

/** A plan and those of bodies, which have their prefixes in front of them. */
export function withBodyPlans(
  plan: PrecisionPlan,
  bodies: readonly { readonly prefix: string; readonly plan: PrecisionPlan }[],
): PrecisionPlan {
  const joined = <T>(of: (plan: PrecisionPlan) => ReadonlyMap<string, T>): ReadonlyMap<string, T> =>
    new Map([
      ...of(plan),
      ...bodies.flatMap(({ prefix, plan: inner }) =>
        [...of(inner)].map(([name, kept]) => [`${prefix}${name}`, kept] as const),
      ),
    ]);
  return {
    ...plan,
    values: joined(({ values }) => values),
    contractions: joined(({ contractions }) => contractions),
  };
}

/** Operators that a plan's `contractions` speaks of, all of ai.onnx. */
export const CONTRACTIONS: ReadonlySet<string> = new Set(['Conv', 'MatMul', 'Gemm']);
