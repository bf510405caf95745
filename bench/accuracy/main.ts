/**
 * `npm run bench -- accuracy [NAME…] [--save]`: what precisions cost in answers, on trained models
 * and real inputs. With --save docs/precision.md is written. Needs HONE_TEST_DATA.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type Answers, classesOf, compareAnswers, highest } from 'hone/compile/answers';
import { CALIBRATORS } from 'hone/compile/calibrate/calibrators';
import { type CompileOptions, compileModel, writeArtifact } from 'hone/compile/index';
import { load } from 'hone-runtime';
import { at, fail, HoneError } from 'hone-runtime/base/diagnostics';
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { SURE_TEXT } from '../ocr/read-page.ts';
import { accuracyPage } from './page.ts';
import { type ComparedTexts, compareTexts } from './texts.ts';
import { availableSubjects, type Subject, SUBJECTS } from './subjects.ts';

export interface AccuracyRow {
  /** e.g. "int8, mse". */
  readonly precision: string;
  readonly answers: Answers;
  /** Rows whose highest entry is another one than in fp32. */
  readonly changed: number;
  /** Judged samples whose class is right; null without labels. */
  readonly right: number | null;
  /** Texts beside those of fp32; null where nothing is read. */
  readonly texts: ComparedTexts | null;
  /** Bound of the mean KL that the search stated. */
  readonly klBound: number | null;
}

export interface SubjectReport {
  readonly subject: Pick<Subject, 'name' | 'about'>;
  readonly judged: number;
  readonly calibration: number;
  readonly rows: readonly AccuracyRow[];
  readonly notes: readonly string[];
}

export async function runAccuracy(names: readonly string[], save: boolean): Promise<number> {
  const data = process.env['HONE_TEST_DATA'] ?? '';
  const { here, missing } = availableSubjects(data);
  const wanted = names.length === 0 ? here : names;
  const reports: SubjectReport[] = [];
  for (const name of wanted) {
    const make = SUBJECTS[name];
    if (make === undefined || !here.includes(name)) {
      const known = make === undefined ? 'no such model' : 'its data is not under HONE_TEST_DATA';
      fail('HONE-BENCH-009', `${name}: ${known}`, name, `there are: ${here.join(', ') || 'none'}`);
    }
    reports.push(await judge(await make(data)));
  }
  const page = accuracyPage(reports);
  process.stdout.write(page);
  for (const name of missing) say(`${name} is left out: its data is not under HONE_TEST_DATA`);
  if (save) writeFileSync(path.join('docs', 'precision.md'), page);
  return 0;
}

async function judge(given: Subject): Promise<SubjectReport> {
  const all = await answersOf(given, 'fp32', {});
  const { subject, wide } = withText(given, all);
  const notes: string[] = [];
  const rows: AccuracyRow[] = [rowOf(subject, 'fp32', wide.outputs, wide.outputs, null)];
  const settings: [string, CompileOptions][] = [
    ['bf16', { precision: 'bf16' }],
    ...CALIBRATORS.map((calibrator): [string, CompileOptions] => [
      `int8, ${calibrator}`,
      { precision: 'int8', calibration: { samples: subject.calibration, calibrator } },
    ]),
    ['auto, 1 %', { precision: 'auto', calibration: { samples: subject.calibration } }],
  ];
  for (const [name, options] of settings) {
    try {
      const outputs = await answersOf(subject, name, options);
      rows.push(rowOf(subject, name, wide.outputs, outputs.outputs, outputs.klBound));
    } catch (error) {
      if (!(error instanceof HoneError) || error.code !== 'HONE-CALIBRATE-011') throw error;
      notes.push(`${name}: ${error.message}.`);
    }
  }
  const { name, about } = subject;
  const { judged, calibration } = subject;
  return {
    subject: { name, about },
    judged: judged.length,
    calibration: calibration.length,
    rows,
    notes,
  };
}

/** Without the samples that fp32 finds no text in. */
function withText(subject: Subject, wide: ModelAnswers): { subject: Subject; wide: ModelAnswers } {
  const { read } = subject;
  if (read === undefined) return { subject, wide };
  const isText = wide.outputs.map((output) => read(output).sure >= SURE_TEXT);
  const kept = <T>(list: readonly T[]): T[] => list.filter((_, i) => isText[i]);
  return {
    subject: { ...subject, judged: kept(subject.judged) },
    wide: { ...wide, outputs: kept(wide.outputs) },
  };
}

interface ModelAnswers {
  readonly outputs: readonly Tensor[];
  readonly klBound: number | null;
}

/** The first output for every judged sample. */
async function answersOf(
  subject: Subject,
  what: string,
  options: CompileOptions,
): Promise<ModelAnswers> {
  say(`${subject.name}: ${what}`);
  const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-accuracy-'));
  try {
    const { shapes } = subject;
    const model = await compileModel(subject.onnx, {
      ...options,
      ...(shapes === undefined ? {} : { shapes }),
    });
    const artifact = path.join(folder, 'model.hone');
    await writeArtifact(model, artifact);
    const session = load(artifact);
    const { name } = at(session.signature.outputs, 0);
    const outputs = subject.judged.map(({ inputs }) => session.runSync(inputs)[name] as Tensor);
    session.close();
    return { outputs, klBound: model.searched?.klBound ?? null };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function rowOf(
  { labels, read, judged }: Subject,
  precision: string,
  wide: readonly Tensor[],
  outputs: readonly Tensor[],
  klBound: number | null,
): AccuracyRow {
  const numbers = outputs.map(toNumbers);
  const classes = classesOf(at(outputs, 0).shape);
  const answers = compareAnswers(wide.map(toNumbers), numbers, classes);
  return {
    precision,
    klBound,
    answers,
    changed: Math.round(answers.rows * (1 - answers.agreement)),
    right:
      labels === undefined ? null : numbers.filter((row, i) => highest(row) === labels[i]).length,
    texts: read === undefined ? null : compareTexts(wide.map(read), outputs.map(read), judged),
  };
}

function say(message: string): void {
  process.stderr.write(`${message}\n`);
}
