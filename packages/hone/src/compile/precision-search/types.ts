/** What a precision search is asked for, and what an artifact keeps of it. */
import { count, type Field, hasMember, member, text } from 'hone-runtime/artifact/json';

export interface SearchSettings {
  /** agreement, kl, snr, or the path of a module. */
  readonly metric: string;
  /** What the metric may come to, e.g. 0.01. */
  readonly maxDrop: number;
}

export interface SearchRecord extends SearchSettings {
  /** The metric on the samples. */
  readonly drop: number;
  /** Divergence from fp32 on the samples, in nats. */
  readonly meanKl: number;
  /**
   * What the mean divergence of other samples like them is to be below: that of the worst one seen or
   * held out, at least a quarter of the budget.
   */
  readonly klBound: number;
  /** Samples judged. */
  readonly judged: number;
  /** The same on samples that neither calibrated nor were judged by; absent where there are too few. */
  readonly heldOut?: HeldOut;
}

export interface HeldOut {
  readonly samples: number;
  readonly drop: number;
  readonly meanKl: number;
}

export const DEFAULT_SEARCH: SearchSettings = { metric: 'agreement', maxDrop: 0.01 };

export function readSearchRecord(field: Field): SearchRecord {
  const number = (key: string): number => Number(member(field, key).value);
  return {
    metric: text(member(field, 'metric')),
    maxDrop: number('maxDrop'),
    drop: number('drop'),
    meanKl: number('meanKl'),
    klBound: number('klBound'),
    judged: count(member(field, 'judged')),
    ...(hasMember(field, 'heldOut') ? { heldOut: readHeldOut(member(field, 'heldOut')) } : {}),
  };
}

function readHeldOut(field: Field): HeldOut {
  const number = (key: string): number => Number(member(field, key).value);
  return {
    samples: count(member(field, 'samples')),
    drop: number('drop'),
    meanKl: number('meanKl'),
  };
}
