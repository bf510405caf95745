/** --calibrate, --calibrator and --image of commands that compile. */
import { statSync } from 'node:fs';
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
  const calibrator = named === undefined ? 'mse' : CALIBRATORS.find((known) => known === named);
  if (calibrator === undefined) {
    badValue('calibrator', named ?? '', `give one of ${CALIBRATORS.join(', ')}`);
  }
  if (precision !== 'int8' && precision !== 'auto') {
    const cure = 'only --precision int8 and auto are calibrated: add one, or leave this out';
    if (source !== undefined) badValue('calibrate', source, cure);
    if (named !== undefined) badValue('calibrator', named, cure);
    return undefined;
  }
  const image = options.text('image') ?? '';
  const bias = options.flag('correct-bias') ? { correctBias: true } : {};
  if (source === undefined) {
    return uncalibrated === 'random' ? { files: [], calibrator, image, ...bias } : undefined;
  }
  const files = sampleFiles(source).map((file) => {
    const stat = statSync(file);
    return `${file} ${stat.size} ${stat.mtimeMs}`;
  });
  return { source, files, calibrator, image, ...bias };
}

export function calibrationOf({
  source,
  calibrator,
  image,
  correctBias,
}: CalibrateRequest): CalibrationRequest {
  return source === undefined
    ? {
        samples: (inputs) => randomSamples(inputs, RANDOM_SAMPLES),
        calibrator,
        origin: 'random',
        ...(correctBias === undefined ? {} : { correctBias }),
      }
    : {
        samples: (inputs) => readSamples(source, inputs, image),
        calibrator,
        ...(correctBias === undefined ? {} : { correctBias }),
      };
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
