/**
 * One artifact, three runtimes: Node, Python and C give the same bytes, for every target that this
 * machine runs and any number of workers; and different targets agree within rounding.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { load } from 'hone-runtime';
import { bytesOf, type Tensor } from 'hone-runtime/base/tensor';
import { writeCompiler } from '../support/c-compiler.ts';
import { relativeError, runnableTargets } from '../support/compiled-graph.ts';
import { ROOT, shell } from '../support/doc-examples.ts';
import { missingPython } from '../support/python.ts';
import {
  BOUNDED,
  CONTROL,
  compileTo,
  DIRECTION,
  GENERATOR,
  inputsFor,
  RANDOM,
  type RuntimeModel,
  SMALL,
  TYPES,
} from './models.ts';
import { runInPython } from './run-in-python.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-agree-'));
after(() => rmSync(folder, { recursive: true }));
const targets = runnableTargets();

for (const model of [SMALL, TYPES, BOUNDED, CONTROL, RANDOM, DIRECTION, GENERATOR]) {
  describe(model.name, { skip: targets.length === 0 && 'no x86-64 here' }, () => checks(model));
}

function checks(model: RuntimeModel): void {
  let artifact = '';
  let inputs: Record<string, Tensor> = {};
  let names: string[] = [];
  let files: string[] = [];
  /** What Node answers, by target. */
  const answers = new Map<string, Tensor[]>();

  const hex = (tensors: readonly Tensor[]): string[] =>
    tensors.map((tensor) => Buffer.from(bytesOf(tensor)).toString('hex'));
  const wanted = (target: string): string[] => hex(answers.get(target) ?? []);

  before(async () => {
    artifact = await compileTo(folder, model, { target: targets, static: true });
    const { manifest } = load(artifact);
    inputs = { ...(model.inputs ?? inputsFor(manifest)) };
    names = manifest.outputs.map((spec) => spec.name);
    files = manifest.inputs.map(({ name }, i) => {
      const file = path.join(folder, `${model.name}-${i}.bin`);
      writeFileSync(file, bytesOf(inputs[name] as Tensor));
      return file;
    });
  });

  test('Node: any number of workers', () => {
    for (const target of targets) {
      for (const threads of [1, 2, 3]) {
        const session = load(artifact, { target, threads, poison: true });
        const outputs = session.runSync(inputs);
        session.close();
        const tensors = names.map((name) => outputs[name] as Tensor);
        if (threads === 1) answers.set(target, tensors);
        assert.deepEqual(hex(tensors), wanted(target), `${threads} workers on ${target}`);
      }
    }
  });

  test('the targets agree within rounding', () => {
    const [first, ...others] = targets.map((target) => answers.get(target) ?? []);
    for (const tensors of others) {
      tensors.forEach((tensor, i) => {
        const error = relativeError(tensor, first?.[i] as Tensor);
        assert.ok(error < 1e-5, `${names[i]}: ${error}`);
      });
    }
  });

  test('Python', { skip: missingPython }, () => {
    const requests = targets.flatMap((target) =>
      [1, 2].map((threads) => ({ artifact, inputs: files, target, threads })),
    );
    runInPython(requests).forEach((answer, i) => {
      const target = requests[i]?.target ?? '';
      assert.deepEqual(answer, { target, outputs: wanted(target) });
    });
  });

  test('C, against the shared library and into the program', () => {
    const cc = writeCompiler(path.join(folder, 'bin'));
    const source = path.join(ROOT, 'docs', 'examples', 'run_model.c');
    const include = path.join(artifact, 'include');
    for (const target of targets) {
      for (const ending of ['so', 'a']) {
        const program = path.join(folder, `${model.name}-${target}-${ending}`);
        const library = path.join(artifact, 'lib', `${target}.${ending}`);
        shell(
          `'${cc}' -I '${include}' '${source}' '${library}' -pthread -o '${program}'`,
          folder,
          {},
        );
        const { status, stdout, stderr } = spawnSync(program, [artifact, ...files]);
        assert.equal(status, 0, stderr.toString());
        assert.equal(stdout.toString('hex'), wanted(target).join(''), `${ending} for ${target}`);
      }
    }
  });

  test('the archive is deterministic: no owner, no time', () => {
    for (const target of targets) {
      const bytes = readFileSync(path.join(artifact, 'lib', `${target}.a`));
      const members = bytes
        .toString('latin1')
        .match(/[^\n]{16}[\d ]{12}[\d ]{6}[\d ]{6}[\d ]{8}[\d ]{10}`\n/g);
      assert.ok(members !== null && members.length > 5);
      for (const header of members) {
        assert.match(header.slice(16, 34), /^[0 ]+$/, header);
      }
    }
  });
}
