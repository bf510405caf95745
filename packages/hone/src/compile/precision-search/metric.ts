/**
 * What a mixed precision may cost: a number from 0 (nothing lost) that has to stay within a budget.
 * `agreement`: share of answers that change; `kl`: mean divergence in nats; `snr`: noise as a share of
 * the signal's amplitude; or what a user's module computes.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { at, fail, HoneError } from 'hone-runtime/base/diagnostics';
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { classesOf, compareAnswers } from '../answers.ts';

export const METRICS = ['agreement', 'kl', 'snr'] as const;
export type MetricName = (typeof METRICS)[number];

/** Outputs of a run, by name. */
export type Outputs = Readonly<Record<string, Tensor>>;

/** What is lost from the outputs of the model in fp32 to others on the same samples, 0 or more. */
export type Metric = (reference: readonly Outputs[], outputs: readonly Outputs[]) => number;

export const BUILT_IN: Readonly<Record<MetricName, Metric>> = {
  agreement: (a, b) => 1 - firstOutput(a, b).agreement,
  kl: (a, b) => firstOutput(a, b).meanKl,
  snr: (a, b) => 10 ** (-firstOutput(a, b).snr / 20),
};

/** Compares the first output of every run. */
export function firstOutput(reference: readonly Outputs[], outputs: readonly Outputs[]) {
  const [name = ''] = Object.keys(at(reference, 0));
  const numbers = (all: readonly Outputs[]) => all.map((one) => toNumbers(one[name] as Tensor));
  const classes = classesOf(at(reference, 0)[name]?.shape ?? []);
  return compareAnswers(numbers(reference), numbers(outputs), classes);
}

/** A metric by name, or of a module that exports `drop(reference, outputs)`. */
export async function findMetric(name: string): Promise<Metric> {
  const known = METRICS.find((metric) => metric === name);
  if (known !== undefined) return BUILT_IN[known];
  if (!existsSync(name)) {
    fail(
      'HONE-CALIBRATE-012',
      `there is no metric ${name}, and no file of that name`,
      name,
      `give one of ${METRICS.join(', ')}, or a JavaScript module that exports drop(reference, outputs)`,
    );
  }
  let loaded: Readonly<Record<string, unknown>>;
  try {
    loaded = (await import(pathToFileURL(path.resolve(name)).href)) as typeof loaded;
  } catch (cause) {
    return broken(name, 'cannot be loaded', cause);
  }
  const { drop } = loaded;
  if (typeof drop !== 'function') return broken(name, 'exports no function "drop"');
  return (reference, outputs) => {
    let value: unknown;
    try {
      value = drop(reference, outputs);
    } catch (cause) {
      return broken(name, 'fails', cause);
    }
    if (typeof value === 'number' && value >= 0) return value;
    return broken(name, `gives ${String(value)}, which is no number from 0 up`);
  };
}

function broken(name: string, problem: string, cause?: unknown): never {
  const why = cause instanceof Error ? `: ${cause.message}` : '';
  throw new HoneError({
    code: 'HONE-CALIBRATE-012',
    message: `the metric ${name} ${problem}${why}`,
    subject: name,
    cure: 'export a function drop(reference, outputs) that gives 0 where nothing is lost; both are lists of {output: {dtype, shape, data}}, one per sample',
    cause,
  });
}
