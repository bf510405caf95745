/** The fitted performance model as it is stored: parameters with their errors, and how it was judged. */
import { fail } from 'hone-runtime/base/diagnostics';
import { type Parameters, unseenEffect } from './performance.ts';

/** Absolute relative errors of a set of predictions. */
export interface ErrorSummary {
  readonly count: number;
  readonly median: number;
  readonly p90: number;
  /** Signed median: above 0 the prediction is too high. */
  readonly bias: number;
  /** Of the roofline with one constant efficiency, judged the same way. */
  readonly baselineMedian: number;
  readonly baselineP90: number;
}

/** Errors of one left-out group, by what was timed; null: the source has no such figure. */
export interface GroupErrors {
  readonly group: string;
  /** Observations that were left out. */
  readonly rows: number;
  readonly kernelLatency: ErrorSummary | null;
  readonly wholeThroughput: ErrorSummary | null;
  readonly wholeLatency: ErrorSummary | null;
}

export interface Validation {
  readonly groups: readonly GroupErrors[];
  /** All left-out predictions of the groups that are judged. */
  readonly all: GroupErrors;
}

/** Pairs of accelerators with public figures for one setting, more than 10 % apart. */
export interface OrderCheck {
  readonly pairs: number;
  readonly right: number;
}

export interface FittedModel {
  /** Day of the fit. */
  readonly date: string;
  readonly rows: number;
  readonly used: number;
  /** [value, standard error] by name. */
  readonly parameters: Readonly<Record<string, readonly [number, number]>>;
  /** 80 % of the absolute logarithms of predicted over measured lie below. */
  readonly spread: {
    /** A chip with public figures, a model without. */
    readonly known: { readonly latency: number; readonly throughput: number };
    /** A chip without public figures. */
    readonly unknown: { readonly latency: number; readonly throughput: number };
    /** Hone on a processor. */
    readonly processor: { readonly latency: number; readonly throughput: number };
  };
  /** 99th percentile of the latency over its median, by scope. */
  readonly tail: Readonly<Record<string, number>>;
  readonly byAccelerator: Validation;
  readonly byFamily: Validation;
  /** Hone on the machine of its bench, each network predicted without its family. */
  readonly own: ErrorSummary | null;
  readonly order: { readonly throughput: OrderCheck; readonly cost: OrderCheck };
  /** Chips with measurements. */
  readonly chips: readonly string[];
}

/** Throws HONE-ADVISE-001 for text that is not a fitted model. */
export function parseModel(text: string, file: string): FittedModel {
  try {
    return JSON.parse(text) as FittedModel;
  } catch (error) {
    const cure = 'fit it again: npm run fit';
    return fail('HONE-ADVISE-001', `${file}: ${(error as Error).message}`, file, cure);
  }
}

export function parametersOf(model: FittedModel): Parameters {
  return (name) => model.parameters[name]?.[0] ?? unseenEffect(name);
}
