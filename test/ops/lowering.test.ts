/**
 * Every operator in the registry against itself: a core operator's stages, evaluated directly,
 * give what its reference gives; a composite's parts, interpreted, do too.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CompositeOp, ControlOp, CoreOp, OpDef, TestCase } from 'hone/ops/define-op';
import { interpret } from 'hone/ops/interpret';
import { opBuilder, standardRegistry } from 'hone/ops/registry';
import { HoneError } from 'hone-runtime/base/diagnostics';
import type { Tensor } from 'hone-runtime/base/tensor';
import type { ValueId } from 'hone/graph/types';
import { assertClose } from '../support/compare.ts';
import { evaluateBody } from '../support/eval-body.ts';
import { type Knowledge, opTitle, type RunCase, runCase } from '../support/op-cases.ts';

function compare(op: OpDef, run: RunCase, got: readonly Tensor[]): void {
  run.types.forEach((type, i) => {
    const [mine, wanted] = [got[i], run.outputs[i]];
    assert.ok(wanted, `${run.title}: reference output ${i} is missing`);
    if (mine === undefined) return;
    assertClose(mine, wanted, `${run.title}, output ${i}`, op.tolerance?.[type.dtype]);
  });
}

/** Gives the reason where this case has no compiled form. */
function checkCore(op: CoreOp, item: TestCase, run: RunCase): string | undefined {
  const bodies = op.lower({ ...run.context, outputs: run.types });
  if (typeof bodies === 'string') return bodies;
  if (bodies.length === 1 && bodies[0]?.kind === 'routine') return `routine ${bodies[0].routine}`;
  assert.equal(bodies.length, run.types.length, `${run.title}: one body per output`);
  const got = bodies.map((body, i) => {
    try {
      return evaluateBody(body, item.inputs, run.types[i] as RunCase['types'][number]);
    } catch (cause) {
      throw new Error(`${run.title}, output ${i}: ${(cause as Error).message}`, { cause });
    }
  });
  compare(op, run, got as readonly Tensor[]);
  return undefined;
}

/** `first`: which input is the graph's first value. Its number is 0, which is not an absent input. */
function checkParts(
  op: CompositeOp | ControlOp,
  item: TestCase,
  run: RunCase,
  first = 0,
): string | undefined {
  const b = opBuilder('decomposed');
  const args: Tensor[] = [];
  const ids: (ValueId | null)[] = item.inputs.map(() => null);
  const order = [...item.inputs.keys()].sort((i, j) => Number(j === first) - Number(i === first));
  for (const k of order) {
    const tensor = item.inputs[k];
    if (tensor === null || tensor === undefined) continue;
    if (run.context.inputs[k]?.constant) {
      ids[k] = b.constant(tensor, `c${k}`);
      continue;
    }
    args.push(tensor);
    ids[k] = b.graph.input(`x${k}`, { dtype: tensor.dtype, shape: tensor.shape });
  }
  const outputs = op.decompose(b, ids, { ...run.context, outputs: run.types });
  if (outputs === undefined) return 'its bodies are compiled';
  if (typeof outputs === 'string') return outputs;
  outputs.forEach((id, i) => {
    assert.deepEqual(b.typeOf(id), run.types[i], `${run.title}: type of output ${i}`);
  });
  compare(op, run, interpret(b.graph.finish(outputs), args));
  return undefined;
}

function check(op: OpDef, item: TestCase, knowledge: Knowledge): string | undefined {
  let run: RunCase;
  try {
    run = runCase(op, item, knowledge);
  } catch (error) {
    // Some inputs decide shapes and must be constants.
    if (knowledge !== 'all' && error instanceof HoneError && error.code === 'HONE-SHAPE-002') {
      return error.message;
    }
    throw error;
  }
  if (op.kind === 'core') return checkCore(op, item, run);
  if (op.kind === 'host') return op.reason;
  if (knowledge === 'all' && op.kind === 'composite') {
    for (let k = 1; k < item.inputs.length; k++) checkParts(op, item, run, k);
  }
  return checkParts(op, item, run);
}

for (const op of standardRegistry.all()) {
  if (op.kind === 'host') continue;
  test(`${opTitle(op)}: ${op.kind === 'core' ? 'stages' : 'parts'} agree with the reference`, (t) => {
    const cases = op.cases?.() ?? [];
    assert.ok(cases.length > 0, `${opTitle(op)} has no test cases`);
    const reasons = new Set<string>();
    for (const item of cases) {
      for (const knowledge of ['all', 'integers'] as const) {
        const reason = check(op, item, knowledge);
        if (reason !== undefined) reasons.add(reason);
      }
    }
    for (const reason of reasons) t.diagnostic(`not compared: ${reason}`);
  });
}
