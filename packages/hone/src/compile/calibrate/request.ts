/** What a user says about a calibration, and what an artifact keeps of it. */
import {
  count,
  type Field,
  hasMember,
  member,
  members,
  type Json,
  text,
} from 'hone-runtime/artifact/json';
import type { TensorSpec } from 'hone-runtime/artifact/program';
import { fail } from 'hone-runtime/base/diagnostics';
import type { CarriedRequest } from './carried.ts';
import { CALIBRATORS, type Calibrator } from './calibrators.ts';
import type { Samples } from './run.ts';

export type InputSpec = Pick<TensorSpec, 'name' | 'dtype' | 'shape'>;

/** An input that samples are made for; optional ones they may leave out. */
export interface SampleSpec extends InputSpec {
  readonly optional?: boolean;
}

export interface CalibrationRequest {
  /** Samples, or what makes them once the inputs are known. */
  readonly samples: Samples | ((inputs: readonly SampleSpec[]) => Samples);
  /** Default entropy. */
  readonly calibrator?: Calibrator;
  /** "random": the samples are made up, so that only speed means something. Default "samples". */
  readonly origin?: 'samples' | 'random';
  /** Biases take back what rounded weights shift; int8 only. Default false. */
  readonly correctBias?: boolean;
  /** Channels between convolutions are brought to like ranges first. Default false. */
  readonly equalize?: boolean;
  /**
   * int8 only, in dB: a contraction whose own result has less signal to noise on the samples stays
   * wide. Default 30; 0 narrows everything. Random samples measure nothing.
   */
  readonly leastSnr?: number;
  /**
   * State that runs hand on: name of an input → name of the output the next run takes there. Default:
   * found by names and types, as h and hn; {} where there is none. Samples may leave such inputs out.
   */
  readonly carried?: CarriedRequest;
  readonly threads?: number;
}

export const DEFAULT_LEAST_SNR = 30;

/** Part of the options that a manifest records. */
export interface CalibrationRecord {
  readonly calibrator: Calibrator;
  readonly origin: 'samples' | 'random';
  readonly samples: number;
  /** SHA-256 of the samples in order, as they entered the model. */
  readonly sha256: string;
  /** Present: biases were corrected. */
  readonly correctBias?: true;
  /** Present: channels were equalised. */
  readonly equalize?: true;
  /** Present: what contractions had to reach, in dB. */
  readonly leastSnr?: number;
  /** Present: inputs whose state was fed back, and the outputs it came from. */
  readonly carried?: CarriedRequest;
  /** With carried state, in int8: what the answers kept over so many samples, in dB. */
  readonly answers?: { readonly snr: number; readonly samples: number };
}

export function readCalibrationRecord(field: Field): CalibrationRecord {
  const named = text(member(field, 'calibrator'));
  const calibrator = CALIBRATORS.find((known) => known === named);
  if (calibrator === undefined) {
    fail(
      'HONE-ARTIFACT-041',
      `${field.path}: this version of hone has no calibrator ${named}`,
      named,
      'use the version of hone that compiled it',
    );
  }
  const origin: Json = text(member(field, 'origin'));
  return {
    calibrator,
    origin: origin === 'random' ? 'random' : 'samples',
    samples: count(member(field, 'samples')),
    sha256: text(member(field, 'sha256')),
    ...(hasMember(field, 'correctBias') ? { correctBias: true } : {}),
    ...(hasMember(field, 'equalize') ? { equalize: true } : {}),
    ...(hasMember(field, 'leastSnr') ? { leastSnr: Number(member(field, 'leastSnr').value) } : {}),
    ...(hasMember(field, 'carried') ? { carried: readCarried(member(field, 'carried')) } : {}),
    ...(hasMember(field, 'answers') ? { answers: readAnswers(member(field, 'answers')) } : {}),
  };
}

function readAnswers(field: Field): { readonly snr: number; readonly samples: number } {
  return { snr: Number(member(field, 'snr').value), samples: count(member(field, 'samples')) };
}

function readCarried(field: Field): CarriedRequest {
  return Object.fromEntries(members(field).map(({ name, field: output }) => [name, text(output)]));
}
