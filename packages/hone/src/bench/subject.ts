/** What is measured: an artifact, with the ONNX file it was made of where there is a baseline. */
import { count, type JsonObject, list, member, parseJson, text } from 'hone-runtime/artifact/json';
import { openArtifact, readVerified } from 'hone-runtime/artifact/read';
import type { DType } from 'hone-runtime/base/dtype';
import { readCalibrationRecord } from '../compile/calibrate/request.ts';
import { openOnnx, signatureOf } from '../frontends/onnx/index.ts';
import type { InputPlan, InputValues } from './engine-protocol.ts';

export interface BenchSubject {
  /** How the report calls it. */
  readonly model: string;
  /** Artifact folder. */
  readonly artifact: string;
  /** For the baseline and the check of outputs. */
  readonly onnx?: string;
  /** Artifact of the same model and target in fp32, for the baseline hone-fp32. */
  readonly wideArtifact?: string;
  readonly compileSeconds?: number;
  /** Values of inputs, where the defaults make no sense for the model. */
  readonly values?: Readonly<Record<string, InputValues>>;
}

/** What the artifact says about itself. */
export interface SubjectFacts {
  readonly inputs: readonly InputPlan[];
  readonly batch: number;
  readonly precision: 'fp32' | 'fp16' | 'bf16' | 'int8' | 'auto';
  /** int8: the calibrator, or "random" where the samples were made up; else null. */
  readonly calibration: string | null;
  /** What the model itself is in; the baseline runs that. */
  readonly modelPrecision: SubjectFacts['precision'];
  readonly flops: number;
  readonly arenaBytes: number;
  readonly weightsBytes: number;
  /** Named dimensions of the ONNX file, with the sizes that were compiled. */
  readonly dims: Readonly<Record<string, number>>;
}

export function readFacts(subject: BenchSubject): SubjectFacts {
  const artifact = openArtifact(subject.artifact);
  const { manifest } = artifact;
  const inputs = manifest.inputs.map(({ name, dtype, shape }) => ({
    name,
    dtype,
    shape,
    ...subject.values?.[name],
  }));
  const report = parseJson(
    new TextDecoder().decode(readVerified(artifact, 'report.json')),
    'report.json',
  );
  const ops = list(member(report, 'stages')).flatMap((stage) =>
    list(member(stage, 'ops')).map(text),
  );
  const dtypes = manifest.inputs.map((input) => input.dtype);
  const asked = recordedPrecision(manifest.compiler.options);
  const modelPrecision = precisionOf(dtypes, asked === undefined ? ops : []);
  return {
    inputs,
    batch: batchOf([...manifest.inputs, ...manifest.outputs]),
    precision: asked ?? modelPrecision,
    modelPrecision,
    calibration: calibrationOf(manifest.compiler.options),
    flops: count(member(report, 'flops')),
    arenaBytes: count(member(report, 'arenaBytes')),
    weightsBytes: count(member(report, 'weightsBytes')),
    dims: subject.onnx === undefined ? {} : namedDims(subject.onnx, inputs),
  };
}

/** The leading extent, where all inputs and outputs have the same. */
function batchOf(values: readonly { readonly shape: readonly number[] }[]): number {
  const leading = new Set(values.map((value) => value.shape[0]));
  const [first] = leading;
  return leading.size === 1 && first !== undefined && first > 0 ? first : 1;
}

function recordedPrecision(options: JsonObject): SubjectFacts['precision'] | undefined {
  const { precision } = options;
  return (['fp16', 'bf16', 'int8', 'auto'] as const).find((name) => name === precision);
}

function calibrationOf(options: JsonObject): string | null {
  const { calibrated } = options;
  if (calibrated === undefined) return null;
  const record = readCalibrationRecord({ value: calibrated, path: 'calibrated' });
  return record.origin === 'random' ? 'random' : record.calibrator;
}

function precisionOf(dtypes: readonly DType[], ops: readonly string[]): SubjectFacts['precision'] {
  if (ops.some((op) => /^(QLinear|QGemm|ConvInteger|MatMulInteger|QuantizeLinear)/.test(op))) {
    return 'int8';
  }
  if (dtypes.includes('f16')) return 'fp16';
  return dtypes.includes('bf16') ? 'bf16' : 'fp32';
}

function namedDims(onnx: string, inputs: readonly InputPlan[]): Record<string, number> {
  const model = openOnnx(onnx);
  try {
    const dims: Record<string, number> = {};
    for (const { name, shape } of signatureOf(model).inputs) {
      const compiled = inputs.find((input) => input.name === name)?.shape;
      shape?.forEach((dim, axis) => {
        const size = compiled?.[axis];
        if (typeof dim === 'string' && size !== undefined) dims[dim] = size;
      });
    }
    return dims;
  } finally {
    model.close();
  }
}
