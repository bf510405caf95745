/**
 * int8 in the bodies of control flow: what it touches there, and the plan of what was seen over all that ran. A
 * contraction that reads a value of which nothing is known (its branch was never taken, it never changed, it was
 * not finite) stays wide.
 */
import type { Graph, ValueId } from '../../graph/types.ts';
import type { Registry } from '../../ops/registry.ts';
import { bodiesWithin, type PlannedBody, type PrecisionPlan } from '../../passes/precision-plan.ts';
import type { Calibrator } from './calibrators.ts';
import type { Histogram } from './histogram.ts';
import { hasSpread, type Int8Scope, int8Plan, int8Scope } from './int8-plan.ts';

export interface BodyScope extends PlannedBody {
  readonly scope: Int8Scope;
}

export interface BodyPlan extends BodyScope {
  /** Under the names of the body. */
  readonly plan: PrecisionPlan;
}

/** Bodies with contractions that can be int8. */
export function bodyScopes(graph: Graph, registry: Registry): readonly BodyScope[] {
  return bodiesWithin(graph).flatMap((body) => {
    const scope = int8Scope(body.graph, registry);
    return scope.contractions.length === 0 ? [] : [{ ...body, scope }];
  });
}

/** Values of a scope that have to be observed. */
export function observedOf({ values, shared }: Int8Scope): readonly ValueId[] {
  return values.filter((id) => !shared.has(id));
}

export function bodyPlan(
  body: BodyScope,
  histograms: ReadonlyMap<ValueId, Histogram>,
  calibrator: Calibrator,
  weightBits: 8 | 7,
  registry: Registry,
): BodyPlan {
  const { graph, scope } = body;
  const isKnown = (id: ValueId): boolean => {
    const histogram = histograms.get(scope.shared.get(id) ?? id);
    return histogram !== undefined && histogram.notFinite === 0 && hasSpread(histogram);
  };
  const wanted = new Set(scope.contractions);
  const usable = graph.nodes.flatMap(({ name, inputs }) => {
    const [data] = inputs;
    return wanted.has(name) && data != null && isKnown(data) ? [name] : [];
  });
  const narrow = int8Scope(graph, registry, new Set(usable));
  const known = { ...narrow, values: narrow.values.filter(isKnown) };
  return {
    ...body,
    scope: known,
    plan: int8Plan(graph, known, histograms, calibrator, weightBits),
  };
}
