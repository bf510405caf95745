/**
 * Measures what an advice would choose: on each machine the settings that were predicted best for
 * it, and fp32 at batch 1 where nothing was predicted. One machine after the other; one that fails
 * is reported, and the others go on.
 */
import type { MeasuredResult } from '../../advisor/measured-result.ts';
import type { Workload } from '../../advisor/model-types.ts';
import { PRECISIONS } from '../../compile/options.ts';
import { openOnnx, takesBatch } from '../../frontends/onnx/index.ts';
import type { CompileRequest } from '../compile-request.ts';
import { failureOf, type MeasureFailure, measureModel, type Variant } from './measure-model.ts';
import type { MeasureOptions } from './measure-options.ts';
import type { MeasuringPlace } from './place.ts';

/** A setting that was predicted, best first; the part of an advice's row that matters here. */
export interface PredictedSetting {
  readonly instance: string;
  readonly precision: string;
  readonly batch: number;
  readonly station: { readonly lanes: number };
}

export interface AdviceMeasure {
  readonly path: string;
  readonly label: string;
  readonly request: CompileRequest;
  readonly predicted: readonly PredictedSetting[];
  readonly workload: Workload | null;
  readonly log: (text: string) => void;
  readonly progress: (text: string) => void;
}

export interface AdviceMeasured {
  readonly results: readonly MeasuredResult[];
  readonly failures: readonly MeasureFailure[];
  /** Machines that measured something, by the name that results have. */
  readonly machines: readonly string[];
}

const MOST_VARIANTS = 3;
const SESSIONS = 2;
/** Speed does not depend on the samples; what int8 answers does, and is not judged here. */
const RANDOM_CALIBRATION = { files: [], calibrator: 'mse', image: '' } as const;

export async function measureAdvice(
  { places, key, resultsFile, durationMs }: MeasureOptions,
  what: AdviceMeasure,
): Promise<AdviceMeasured> {
  const { path, label, request, workload, log, progress } = what;
  const results: MeasuredResult[] = [];
  const failures: MeasureFailure[] = [];
  const isOpen = hasOpenBatch(path, request);
  const predicted = what.predicted.filter(({ batch }) => batch === 1 || isOpen);
  for (const { text, open } of places) {
    let place: MeasuringPlace;
    try {
      progress(`asking ${text}`);
      place = await open();
    } catch (error) {
      failures.push(failureOf(text, error));
      continue;
    }
    const outcome = await measureModel(place, {
      path,
      label,
      request: { ...request, calibrate: request.calibrate ?? RANDOM_CALIBRATION },
      variants: variantsFor(place.name, predicted),
      durationMs,
      sessions: SESSIONS,
      ...(key === undefined ? {} : { key }),
      workload,
      resultsFile,
      progress,
    });
    results.push(...outcome.results);
    failures.push(...outcome.failures);
    const busy = outcome.results.some(({ conditions }) => conditions.disturbed);
    const remark = busy ? '; it was busy, so measure again' : '';
    if (outcome.results.length > 0) log(`measured on ${place.name} (${text})${remark}`);
  }
  for (const { machine, code, message, cure } of failures) {
    log(`not measured on ${machine}: ${code}: ${message}`);
    if (cure !== null) log(`  cure: ${cure}`);
  }
  return { results, failures, machines: [...new Set(results.map(({ machine }) => machine.name))] };
}

/** A model of fixed sizes is measured as it is, whatever batch was predicted to be best. */
function hasOpenBatch(path: string, request: CompileRequest): boolean {
  const model = openOnnx(path);
  try {
    return takesBatch(model.graph, request);
  } finally {
    model.close();
  }
}

/** The best settings of a machine that Hone compiles. */
export function variantsFor(
  machine: string,
  predicted: readonly PredictedSetting[],
): readonly Variant[] {
  const variants: Variant[] = [];
  for (const { instance, precision: name, batch, station } of predicted) {
    const precision = PRECISIONS.find((known) => known === name);
    if (instance !== machine || precision === undefined) continue;
    const variant = { precision, batch, lanes: station.lanes };
    const known = variants.some((one) => JSON.stringify(one) === JSON.stringify(variant));
    if (!known) variants.push(variant);
    if (variants.length === MOST_VARIANTS) break;
  }
  return variants.length === 0 ? [{ precision: 'fp32', batch: 1, lanes: 1 }] : variants;
}
