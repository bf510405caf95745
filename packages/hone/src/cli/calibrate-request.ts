/** --calibrate, --calibrator and --image of commands that compile. */
import { statSync } from 'node:fs';
import { CALIBRATORS, type Calibrator } from '../compile/calibrate/calibrators.ts';
import type { CalibrationRequest } from '../compile/calibrate/request.ts';
import type { Precision } from '../compile/options.ts';
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
  if (precision !== 'int8') {
    const cure = 'only --precision int8 is calibrated: add it, or leave this out';
    if (source !== undefined) badValue('calibrate', source, cure);
    if (named !== undefined) badValue('calibrator', named, cure);
    return undefined;
  }
  const image = options.text('image') ?? '';
  if (source === undefined) {
    return uncalibrated === 'random' ? { files: [], calibrator, image } : undefined;
  }
  const files = sampleFiles(source).map((file) => {
    const stat = statSync(file);
    return `${file} ${stat.size} ${stat.mtimeMs}`;
  });
  return { source, files, calibrator, image };
}

export function calibrationOf({ source, calibrator, image }: CalibrateRequest): CalibrationRequest {
  return source === undefined
    ? {
        samples: (inputs) => randomSamples(inputs, RANDOM_SAMPLES),
        calibrator,
        origin: 'random',
      }
    : { samples: (inputs) => readSamples(source, inputs, image), calibrator };
}
