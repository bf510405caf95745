/** The options that compile, from the command line to `CompileOptions`. */
import { openOnnx } from '../frontends/onnx/index.ts';
import {
  type CustomOperators,
  loadOperators,
  type OperatorsRecord,
} from '../compile/load-operators.ts';
import { type CompileOptions, PRECISIONS, type Precision } from '../compile/options.ts';
import {
  type CalibrateRequest,
  calibrationOf,
  readCalibrate,
  readSearch,
} from './calibrate-request.ts';
import type { BoundOption, BoundOptions } from '../frontends/onnx/bounded/bounds.ts';
import { AUTOCAST_POLICIES, type AutocastPolicy } from '../passes/autocast.ts';
import type { SearchSettings } from '../compile/precision-search/types.ts';
import { badValue, type OptionReader, parseShape } from './option-reader.ts';

/** What was asked for, without callbacks: also the key of the cache. */
export interface CompileRequest {
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
  readonly dims?: Readonly<Record<string, number>>;
  readonly least?: Readonly<Record<string, number>>;
  readonly batch?: number;
  readonly bounds?: BoundOptions;
  readonly target?: string | readonly string[];
  readonly static?: boolean;
  readonly prefix?: string;
  readonly maxFallback?: number;
  readonly precision?: Precision;
  readonly autocast?: AutocastPolicy;
  readonly memoryBytes?: number;
  readonly calibrate?: CalibrateRequest;
  readonly search?: SearchSettings;
  /** Files of --ops, which `readOperators` loads. */
  readonly operators?: readonly OperatorsRecord[];
}

/** What a command may do about int8 without --calibrate. */
export type Uncalibrated = 'refused' | 'random';

/**
 * Reads --shape, --batch, --bound, --target and the options of `hone compile` alone. The model tells inputs
 * from named dimensions.
 */
export function readCompileRequest(
  path: string,
  options: OptionReader,
  uncalibrated: Uncalibrated = 'refused',
): CompileRequest {
  const shapes: Record<string, readonly number[]> = {};
  const dims: Record<string, number> = {};
  const least: Record<string, number> = {};
  const pairs = options.pairs('shape');
  const inputs = pairs.length === 0 ? new Set<string>() : inputNames(path);
  for (const { key, value } of pairs) {
    const sizes = parseSizes(value);
    if (sizes === undefined) {
      badValue(
        'shape',
        `${key}=${value}`,
        'write NAME=1x3x224x224, DIMENSION=224, or LEAST..MOST for a size that varies: NAME=1x3x48x32..1088',
      );
    }
    const shape = sizes.map(({ max }) => max);
    const [size] = shape;
    // x.0 is the first tensor of a sequence x.
    const isInput = inputs.has(key) || inputs.has(key.replace(/(\.\d+)+$/, ''));
    const isDimension = shape.length === 1 && size !== undefined && !isInput;
    if (isDimension) dims[key] = size;
    else shapes[key] = shape;
    for (const [axis, { min }] of sizes.entries()) {
      if (min !== undefined) least[isDimension ? key : `${key}[${axis}]`] = min;
    }
  }
  const batch = options.integer('batch', 1);
  const bounds = Object.fromEntries(
    options.pairs('bound').map(({ key, value }) => [key, parseBound(key, value)]),
  );
  const targets = options.text('target')?.split(',');
  const target = targets?.length === 1 ? targets[0] : targets;
  const prefix = options.text('prefix');
  const maxFallback = options.integer('max-fallback', 0);
  const memoryBytes = options.bytes('memory');
  const precision = readPrecision(options);
  const autocast = readAutocast(options, precision);
  const calibrate = readCalibrate(options, precision, uncalibrated);
  const search = readSearch(options, precision);
  return {
    ...(Object.keys(shapes).length === 0 ? {} : { shapes }),
    ...(Object.keys(dims).length === 0 ? {} : { dims }),
    ...(Object.keys(least).length === 0 ? {} : { least }),
    ...(batch === undefined ? {} : { batch }),
    ...(Object.keys(bounds).length === 0 ? {} : { bounds }),
    ...(target === undefined ? {} : { target }),
    ...(options.flag('static') ? { static: true } : {}),
    ...(prefix === undefined ? {} : { prefix }),
    ...(maxFallback === undefined ? {} : { maxFallback }),
    ...(precision === undefined ? {} : { precision }),
    ...(autocast === undefined ? {} : { autocast }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
    ...(calibrate === undefined ? {} : { calibrate }),
    ...(search === undefined ? {} : { search }),
  };
}

interface Size {
  readonly max: number;
  /** The least, where it varies from run to run. */
  readonly min?: number;
}

/** A shape written `1x3x48x32..1088`; undefined when it is not one. */
function parseSizes(text: string): readonly Size[] | undefined {
  if (!/^\d+(\.\.\d+)?(x\d+(\.\.\d+)?)*$/.test(text)) return undefined;
  return text.split('x').map((size): Size => {
    const [min = 0, max] = size.split('..').map(Number);
    return max === undefined ? { max: min } : { min, max };
  });
}

/** N, LO..HI, or 1x80x200: one for each element or axis. */
function parseBound(key: string, text: string): BoundOption {
  const ends = /^(-?\d+)\.\.(-?\d+)$/.exec(text);
  if (ends !== null) return { min: Number(ends[1]), max: Number(ends[2]) };
  if (/^-?\d+$/.test(text)) return Number(text);
  return (
    parseShape(text) ??
    badValue(
      'bound',
      `${key}=${text}`,
      'write NAME=N, NAME=LO..HI, NAME=1x80x200 (one for each element or axis) or NAME[AXIS]=N',
    )
  );
}

/** The operators of --ops, beside the standard ones; undefined without it. */
export async function readOperators(options: OptionReader): Promise<CustomOperators | undefined> {
  const files = options.list('ops');
  return files.length === 0 ? undefined : loadOperators(files);
}

/** The request with a place for progress. */
export function toCompileOptions(
  request: CompileRequest,
  onProgress: (message: string) => void,
): CompileOptions {
  const { calibrate, ...rest } = request;
  const calibration = calibrate === undefined ? {} : { calibration: calibrationOf(calibrate) };
  return { ...rest, ...calibration, onProgress };
}

function readPrecision(options: OptionReader): Precision | undefined {
  const name = options.text('precision');
  if (name === undefined) return undefined;
  const found = PRECISIONS.find((known) => known === name);
  return found ?? badValue('precision', name, `give one of ${PRECISIONS.join(', ')}`);
}

function inputNames(path: string): Set<string> {
  const model = openOnnx(path);
  try {
    return new Set(model.graph.inputs.map((input) => input.name));
  } finally {
    model.close();
  }
}

function readAutocast(
  options: OptionReader,
  precision: Precision | undefined,
): AutocastPolicy | undefined {
  const name = options.text('autocast');
  if (name === undefined) return undefined;
  if (precision !== 'bf16' && precision !== 'fp16') {
    badValue('autocast', name, 'only --precision bf16 and fp16 cast: add one, or leave this out');
  }
  const found = AUTOCAST_POLICIES.find((known) => known === name);
  return found ?? badValue('autocast', name, `give one of ${AUTOCAST_POLICIES.join(', ')}`);
}
