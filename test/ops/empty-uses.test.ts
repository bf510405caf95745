/**
 * The cases of every record with an extent of 0 in place of each of theirs in turn, alone and
 * wherever the same extent is: what inference takes, passes and compiled code answer as the reference.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OpDef, TestCase } from 'hone/ops/define-op';
import { standardRegistry } from 'hone/ops/registry';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { isFloat } from 'hone-runtime/base/dtype';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { checkCases } from '../fuzz/operators/check-cases.ts';
import { graphOf, type OpCase, printCase } from '../fuzz/operators/op-case.ts';
import { operatorsLeftOut } from '../fuzz/operators/random-case.ts';

/** Uses in one library. */
const TOGETHER = 250;
const LARGE = 4000;

/** New shapes for the inputs, one of their extents 0. */
function emptied({ inputs }: TestCase): readonly (readonly (readonly number[])[])[] {
  const shapes = inputs.map((tensor) => tensor?.shape ?? []);
  const all = [...new Set(shapes.flat())].map((extent) =>
    shapes.map((shape) => shape.map((old) => (old === extent ? 0 : old))),
  );
  const single = shapes.flatMap((shape, i) =>
    shape.map((_, k) => shapes.with(i, shape.with(k, 0))),
  );
  return [...all, ...single];
}

function resized(tensor: Tensor, shape: readonly number[]): Tensor {
  if (shape.join() === tensor.shape.join()) return tensor;
  return fromNumbers(tensor.dtype, shape, toNumbers(tensor).slice(0, elementCount(shape)));
}

/** Integers are constants, or all inputs but the first: what the operator takes. */
function accepted(op: OpDef, item: TestCase, inputs: OpCase['inputs']): readonly OpCase[] {
  const styles = [
    inputs.map((tensor) => tensor !== null && !isFloat(tensor.dtype)),
    inputs.map((_, i) => i > 0),
  ];
  const uses = styles.map(
    (constant): OpCase => ({
      op,
      inputs,
      constant,
      attrs: item.attrs ?? {},
      outputs: item.outputs ?? 1,
    }),
  );
  const use = uses.find((each) => {
    try {
      const { graph } = graphOf(each);
      return graph.values.every(({ type }) => type.dtype !== 'string');
    } catch (error) {
      if (error instanceof HoneError && !error.code.startsWith('HONE-INTERNAL')) return false;
      throw error;
    }
  });
  return use === undefined ? [] : [use];
}

function usesOf(op: OpDef): readonly OpCase[] {
  const seen = new Set<string>();
  return (op.cases?.() ?? []).flatMap((item) => {
    const isPlain = item.inputs.every(
      (t) => t?.dtype !== 'string' && (t?.data.length ?? 0) < LARGE,
    );
    if (!isPlain) return [];
    return emptied(item).flatMap((shapes) => {
      const inputs = item.inputs.map((t, i) => t && resized(t, shapes[i] ?? []));
      const key = JSON.stringify([
        Object.keys(item.attrs ?? {}),
        inputs.map((t) => t && [t.dtype, t.shape]),
      ]);
      if (seen.has(key)) return [];
      seen.add(key);
      return accepted(op, item, inputs);
    });
  });
}

test('tensors without elements: compiled as by the reference', async (t) => {
  const left = new Set(operatorsLeftOut().map(({ name }) => name));
  const uses = standardRegistry
    .all()
    .filter(({ name, domain }) => !left.has(domain ? `${domain}:${name}` : name))
    .flatMap(usesOf);
  assert.ok(uses.length > 1000, `${uses.length} uses`);
  t.diagnostic(`${uses.length} uses`);
  for (let from = 0; from < uses.length; from += TOGETHER) {
    const part = uses.slice(from, from + TOGETHER);
    const seeds = part.map((_, i) => i);
    const options = { target: 'native', quick: true } as const;
    const { problems } = await checkCases(part, seeds, 'compiled', options);
    const wrong = part.flatMap((use, i) =>
      problems[i] === undefined ? [] : [`${problems[i].text}\n${printCase(use)}`],
    );
    assert.deepEqual(wrong, []);
  }
});
