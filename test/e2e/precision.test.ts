/** Trained models in narrow precisions keep their answers, on inputs they were not calibrated with. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { readReport } from 'hone/cli/stored-report';
import { type Answers, classesOf, compareAnswers, highest } from 'hone/compile/answers';
import { watchStages } from 'hone/compile/compare/watch';
import { type CompileOptions, compileModel, writeArtifact } from 'hone/compile/index';
import { load } from 'hone-runtime';
import { openArtifact } from 'hone-runtime/artifact/read';
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { NEEDS, type Subject, SUBJECTS } from '../../bench/accuracy/subjects.ts';
import { dataPath, missingData } from '../support/data.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-precision-'));
after(() => rmSync(folder, { recursive: true }));

async function subject(name: string): Promise<Subject> {
  const make = SUBJECTS[name];
  assert.ok(make !== undefined);
  return await make(dataPath(''));
}

interface Judged {
  readonly outputs: readonly Tensor[];
  readonly artifact: string;
}

async function run(
  { onnx, judged }: Subject,
  name: string,
  options: CompileOptions,
): Promise<Judged> {
  const artifact = path.join(folder, `${name}.hone`);
  await writeArtifact(await compileModel(onnx, options), artifact);
  const session = load(artifact);
  const [output] = session.signature.outputs;
  const outputs = judged.map(({ inputs }) => session.runSync(inputs)[output?.name ?? ''] as Tensor);
  session.close();
  return { outputs, artifact };
}

function compare(wide: Judged, narrow: Judged): Answers {
  const [first] = wide.outputs;
  const numbers = (judged: Judged) => judged.outputs.map(toNumbers);
  return compareAnswers(numbers(wide), numbers(narrow), classesOf(first?.shape ?? []));
}

/** Every layer of the artifact has values that differ: a dead network would agree with itself. */
function assertAlive({ artifact }: Judged, { judged }: Subject): void {
  const { stages } = readReport(openArtifact(artifact));
  const session = load(artifact);
  const { written } = watchStages(session, stages)(judged[0]?.inputs ?? {});
  session.close();
  assert.ok(written.length >= 3);
  for (const { stage, values } of written) {
    assert.ok(
      values.some((value) => value !== values[0]),
      `${stage.label} is the same everywhere`,
    );
  }
}

test('MNIST in int8 loses at most 0.1 points', {
  skip: missingData(NEEDS['mnist'] ?? ''),
}, async () => {
  const digits = await subject('mnist');
  const right = ({ outputs }: Judged): number =>
    outputs.filter((output, i) => highest(toNumbers(output)) === digits.labels?.[i]).length;
  const wide = await run(digits, 'mnist', {});
  const narrow = await run(digits, 'mnist-int8', {
    precision: 'int8',
    calibration: { samples: digits.calibration },
  });
  assertAlive(narrow, digits);
  assert.ok(right(wide) > 9800);
  assert.ok(right(narrow) >= right(wide) - 10, `${right(narrow)} instead of ${right(wide)}`);
});

test('SqueezeNet on photos: bf16 and int8', {
  skip: missingData(NEEDS['squeezenet'] ?? ''),
}, async () => {
  const photos = await subject('squeezenet');
  assert.equal(photos.judged.length, 100);
  const wide = await run(photos, 'squeezenet', {});
  const half = await run(photos, 'squeezenet-bf16', { precision: 'bf16' });
  const bf16 = compare(wide, half);
  assertAlive(half, photos);
  assert.ok(bf16.agreement >= 0.98, `bf16 changes ${1 - bf16.agreement}`);
  const narrow = await run(photos, 'squeezenet-int8', {
    precision: 'int8',
    calibration: { samples: photos.calibration },
  });
  assertAlive(narrow, photos);
  const int8 = compare(wide, narrow);
  assert.ok(int8.agreement >= 0.95, `int8 changes ${1 - int8.agreement}`);
  assert.ok(int8.meanKl < 0.02 && int8.snr > 20, `mean KL ${int8.meanKl}, SNR ${int8.snr}`);
});
