/**
 * Advice with what is known from measurements: those in the results file, and those that --measure
 * and --agent ask for. What the first search finds best is measured; then the search is done again.
 */
import type { Advice, AdviceMeasurement } from '../../advisor/advice-types.ts';
import type { Catalogue } from '../../advisor/catalogue-types.ts';
import type { FittedModel } from '../../advisor/fitted-model.ts';
import { learnFrom, type MeasuredUse, predictedMs } from '../../advisor/measured-candidates.ts';
import type { MeasuredResult } from '../../advisor/measured-result.ts';
import { readResults } from '../../advisor/results-file.ts';
import { describeSource } from '../../compile/compile-model.ts';
import { type AdviceMeasure, measureAdvice } from './measure-advice.ts';
import type { MeasureFailure } from './measure-model.ts';
import type { MeasureOptions } from './measure-options.ts';

export interface AdviseMeasuredInput extends Omit<AdviceMeasure, 'predicted'> {
  readonly catalogue: Catalogue;
  readonly model: FittedModel;
  /** Searches, with or without measurements. */
  readonly search: (measured: MeasuredUse | undefined) => Advice;
}

export interface MeasuredAdvice {
  readonly advice: Advice;
  /** Of this model, on all machines. */
  readonly measurements: readonly AdviceMeasurement[];
  readonly failures: readonly MeasureFailure[];
}

export async function adviseMeasured(
  options: MeasureOptions,
  input: AdviseMeasuredInput,
): Promise<MeasuredAdvice> {
  const before = readResults(options.resultsFile);
  const asked = options.places.length > 0;
  if (before.results.length === 0 && !asked) {
    return {
      advice: withNotes(input.search(undefined), before.problems),
      measurements: [],
      failures: [],
    };
  }
  const { sha256 } = describeSource(input.path);
  const use = (results: readonly MeasuredResult[]): MeasuredUse => ({
    learned: learnFrom(results, input.catalogue, input.model),
    modelSha256: sha256,
  });
  const first = input.search(use(before.results));
  if (!asked) return conclude(first, before, use(before.results), input, []);
  const predicted = [...first.rows, ...first.alternatives];
  const { failures } = await measureAdvice(options, { ...input, predicted });
  const after = readResults(options.resultsFile);
  return conclude(input.search(use(after.results)), after, use(after.results), input, failures);
}

function conclude(
  advice: Advice,
  { problems }: ReturnType<typeof readResults>,
  { learned, modelSha256 }: MeasuredUse,
  { catalogue, model }: AdviseMeasuredInput,
  failures: readonly MeasureFailure[],
): MeasuredAdvice {
  const notes = [...problems];
  for (const { name } of catalogue.instances) {
    const { measurements } = learned.fit(name);
    if (measurements > 0 && advice.rows.some(({ instance }) => instance === name)) {
      notes.push(
        `${name}: the model is fitted to ${measurements} measurement${measurements === 1 ? '' : 's'} of this machine`,
      );
    }
  }
  const found = learned.resultsOf(modelSha256);
  for (const { machine, conditions } of found) {
    const busy = `${machine.name} was busy while it was measured: measure again`;
    if (conditions.disturbed && !notes.includes(busy)) notes.push(busy);
  }
  return {
    advice: withNotes(advice, notes),
    measurements: found.map((result) => ({
      machine: result.machine.name,
      by: result.by,
      measured_at: result.measured_at,
      precision: result.setting.precision,
      batch: result.setting.batch,
      lanes: result.setting.concurrency,
      threads: result.setting.threads,
      p50_ms: result.p50_ms,
      p99_ms: result.p99_ms,
      throughput_per_s: result.throughput_per_s,
      predicted_ms: predictedMs(result, catalogue, model) ?? null,
      disturbed: result.conditions.disturbed,
    })),
    failures,
  };
}

function withNotes(advice: Advice, notes: readonly string[]): Advice {
  return { ...advice, notes: [...advice.notes, ...notes] };
}

/** Measurements as lines below the table. */
export function measurementLines(measurements: readonly AdviceMeasurement[]): string[] {
  if (measurements.length === 0) return [];
  const lines = measurements.map((one) => {
    const lanes = one.lanes === 1 ? '' : `, ${one.lanes} in flight`;
    const predicted =
      one.predicted_ms === null ? '' : `; predicted ${one.predicted_ms.toFixed(2)} ms`;
    const busy = one.disturbed ? '; the machine was busy' : '';
    return `  ${one.machine}: ${one.precision}, batch ${one.batch}${lanes}: p50 ${one.p50_ms.toFixed(2)} ms, p99 ${one.p99_ms.toFixed(2)} ms, ${one.throughput_per_s.toFixed(1)} items/s${predicted}${busy}`;
  });
  return ['', 'measured:', ...lines];
}
