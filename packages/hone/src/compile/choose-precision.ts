/**
 * Decides the precision of a compilation where that needs more than the graph: int8 runs samples
 * first. What comes out is a plan that needs no samples any more.
 */
import { fail } from 'hone-runtime/base/diagnostics';
import type { Target } from 'hone-runtime/target/types';
import type { Graph } from '../graph/types.ts';
import { valueById } from '../graph/walk.ts';
import { standardRegistry } from '../ops/registry.ts';
import { int8Plan, int8Scope } from './calibrate/int8-plan.ts';
import type { InputSpec } from './calibrate/request.ts';
import { calibrate } from './calibrate/run.ts';
import type { CompileOptions } from './options.ts';
import { optimizeGraph, targetsOf } from './pipeline.ts';
import { uncalibrated } from './precision.ts';

/** Options with the plan for `precision: 'int8'`; others as they are. */
export async function choosePrecision(
  source: Graph,
  options: CompileOptions,
): Promise<CompileOptions> {
  const { calibration, precision, plan } = options;
  if (precision !== 'int8' || plan !== undefined) return options;
  if (calibration === undefined) return uncalibrated();
  const graph = optimizeGraph(source, options);
  const scope = int8Scope(graph, options.registry ?? standardRegistry);
  if (scope.contractions.length === 0) {
    fail(
      'HONE-CALIBRATE-008',
      'the model has no convolution or matrix product with constant weights: nothing becomes int8',
      graph.name,
      'compile it with --precision fp32',
    );
  }
  const { samples, calibrator = 'mse', origin = 'samples' } = calibration;
  const given = typeof samples === 'function' ? samples(inputsOf(graph)) : samples;
  const observed = scope.values.filter((id) => !scope.shared.has(id));
  const { timeoutMs, onProgress } = options;
  const found = await calibrate(graph, observed, given, {
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(calibration.threads === undefined ? {} : { threads: calibration.threads }),
  });
  const bits = weightBits(targetsOf(options));
  return {
    ...options,
    plan: int8Plan(graph, scope, found.histograms, calibrator, bits),
    calibrated: { calibrator, origin, samples: found.samples, sha256: found.digest },
  };
}

/**
 * Without VNNI, AVX2 adds pairs of 8-bit products in 16 bits: 7-bit weights cannot overflow them.
 * All targets of an artifact answer alike, so one such target decides.
 */
export function weightBits(targets: readonly Target[]): 8 | 7 {
  const narrow = ({ arch, level, features }: Target): boolean =>
    arch === 'x86-64' && level >= 3 && !features.some((name) => name.includes('vnni'));
  return targets.some(narrow) ? 7 : 8;
}

function inputsOf(graph: Graph): readonly InputSpec[] {
  return graph.inputs.map((id) => {
    const { name, type } = valueById(graph, id);
    return { name, ...type };
  });
}
