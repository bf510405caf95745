/** --calibrate, --calibrator and --image of commands that compile. */
import { statSync } from 'node:fs';
import type { CarriedRequest } from '../compile/calibrate/carried.ts';
import { CALIBRATORS, type Calibrator } from '../compile/calibrate/calibrators.ts';
import type { CalibrationRequest } from '../compile/calibrate/request.ts';
import type { Precision } from '../compile/options.ts';
import { DEFAULT_SEARCH, type SearchSettings } from '../compile/precision-search/types.ts';
import type { Uncalibrated } from './compile-request.ts';
import { randomSamples, readSamples, sampleFiles } from './input/samples.ts';
import { badValue, type OptionReader } from './option-reader.ts';

/** As plain data: it is part of the key of the cache. */
export interface CalibrateRequest {
  /** Folder or file; absent: seeded random samples. */
  readonly source?: string;
  /** Path, size and time of each file: other samples are another compilation. */
  readonly files: readonly string[];
  readonly calibrator: Calibrator;
  /** Value of --image. */
  readonly image: string;
  readonly correctBias?: boolean;
  readonly equalize?: boolean;
  /** In dB. */
  readonly leastSnr?: number;
  readonly carried?: CarriedRequest;
}

const RANDOM_SAMPLES = 4;

/** undefined where nothing is calibrated, and for int8 without samples where that is refused. */
export function readCalibrate(
  options: OptionReader,
  precision: Precision | undefined,
  uncalibrated: Uncalibrated,
): CalibrateRequest | undefined {
  const source = options.text('calibrate');
  const named = options.text('calibrator');
  const leastSnr = options.text('least-snr');
  if (leastSnr !== undefined && precision !== 'int8') {
    badValue(
      'least-snr',
      leastSnr,
      'only --precision int8 has such a bound: add it, or leave this out',
    );
  }
  const calibrator = named === undefined ? 'entropy' : CALIBRATORS.find((known) => known === named);
  if (calibrator === undefined) {
    badValue('calibrator', named ?? '', `give one of ${CALIBRATORS.join(', ')}`);
  }
  if (precision !== 'int8' && precision !== 'auto') {
    const cure = 'only --precision int8 and auto are calibrated: add one, or leave this out';
    if (source !== undefined) badValue('calibrate', source, cure);
    if (named !== undefined) badValue('calibrator', named, cure);
    const carry = options.text('carry');
    if (carry !== undefined) badValue('carry', carry, cure);
    return undefined;
  }
  const image = options.text('image') ?? '';
  const carry = options.text('carry');
  const settings = {
    ...(carry === undefined ? {} : { carried: parseCarry(carry) }),
    ...(options.flag('correct-bias') ? { correctBias: true } : {}),
    ...(options.flag('equalize') ? { equalize: true } : {}),
    ...(leastSnr === undefined ? {} : { leastSnr: parseDecibels(leastSnr) }),
  };
  if (source === undefined) {
    return uncalibrated === 'random' ? { files: [], calibrator, image, ...settings } : undefined;
  }
  const files = sampleFiles(source).map((file) => {
    const stat = statSync(file);
    return `${file} ${stat.size} ${stat.mtimeMs}`;
  });
  return { source, files, calibrator, image, ...settings };
}

function parseDecibels(value: string): number {
  if (!/^\d+(?:\.\d+)?$/.test(value) || Number(value) > 100) {
    badValue('least-snr', value, 'give decibels from 0 to 100, e.g. 30');
  }
  return Number(value);
}

function parseCarry(value: string): CarriedRequest {
  if (value === 'none') return {};
  const pairs = value.split(',').map((pair) => {
    const [input = '', output = '', ...more] = pair.split('=');
    if (input === '' || output === '' || more.length > 0) {
      badValue('carry', value, 'give pairs INPUT=OUTPUT with commas between, e.g. h=hn,c=cn');
    }
    return [input, output] as const;
  });
  return Object.fromEntries(pairs);
}

export function calibrationOf(request: CalibrateRequest): CalibrationRequest {
  const { source, files: _files, image, ...settings } = request;
  return source === undefined
    ? {
        ...settings,
        samples: (inputs) => randomSamples(inputs, RANDOM_SAMPLES),
        origin: 'random',
      }
    : { ...settings, samples: (inputs) => readSamples(source, inputs, image) };
}

/** --max-drop and --metric; undefined where precision is not searched. */
export function readSearch(
  options: OptionReader,
  precision: Precision | undefined,
): SearchSettings | undefined {
  const drop = options.text('max-drop');
  const metric = options.text('metric');
  if (precision !== 'auto') {
    const cure = 'only --precision auto searches: add it, or leave this out';
    if (drop !== undefined) badValue('max-drop', drop, cure);
    if (metric !== undefined) badValue('metric', metric, cure);
    return undefined;
  }
  const maxDrop = drop === undefined ? DEFAULT_SEARCH.maxDrop : parseShare(drop);
  return { metric: metric ?? DEFAULT_SEARCH.metric, maxDrop };
}

function parseShare(value: string): number {
  const match = /^(\d+(?:\.\d+)?|\.\d+)(%?)$/.exec(value);
  if (match === null) badValue('max-drop', value, 'give a share like 1% or 0.01');
  return Number(match[1]) / (match[2] === '%' ? 100 : 1);
}
