/**
 * Golden tests of passes: `test/golden/passes/<pass>/<case>.txt` holds a graph, `----`, and the
 * graph the pass makes of it. Types of the first graph may be left out. `UPDATE_GOLDEN=1` writes
 * what comes out; a missing second part is written once and fails.
 *
 * Every case is also validated by running both graphs on seeded random inputs, and by running the
 * pass on its own result, which must stay the same object. Comment lines set options:
 * `; tolerance: 1e-4`, `; inputs: positive`.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseGraph } from 'hone/graph/parse';
import { printGraph } from 'hone/graph/print';
import type { Graph } from 'hone/graph/types';
import { valueById } from 'hone/graph/walk';
import { interpret } from 'hone/ops/interpret';
import { standardRegistry } from 'hone/ops/registry';
import { inferUntyped, verifyOps } from 'hone/ops/verify';
import type { Pass } from 'hone/passes/pass';
import { type DType, isFloat } from 'hone-runtime/base/dtype';
import { seededRandom } from 'hone-runtime/base/random';
import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { assertClose, usualTolerance } from './compare.js';

const ROOT = fileURLToPath(new URL('../../../test/golden/passes/', import.meta.url));
const SEPARATOR = '\n----\n';

/** One test per file in the pass's folder; fails when there is none. */
export function goldenTests(pass: Pass): void {
  const folder = `${ROOT}${pass.name}/`;
  const files = existsSync(folder)
    ? readdirSync(folder).filter((name) => name.endsWith('.txt'))
    : [];
  assert.ok(files.length > 0, `no golden cases in ${folder}`);
  for (const file of files.sort()) {
    test(`${pass.name}/${file.replace(/\.txt$/, '')}`, () => runCase(pass, `${folder}${file}`));
  }
}

function runCase(pass: Pass, path: string): void {
  const text = readFileSync(path, 'utf8');
  const [before = '', expected] = text.split(SEPARATOR);
  const option = (name: string): string | undefined =>
    new RegExp(`^; ${name}: (.*)$`, 'm').exec(before)?.[1];
  const graph = verifyOps(parseGraph(before, { infer: inferUntyped() }));
  const ctx = { registry: standardRegistry };
  const result = pass.run(graph, ctx);
  verifyOps(result);
  const printed = printGraph(result, { constants: 'full' });
  assert.deepEqual(parseGraph(printed), result, 'the text reads back equal');
  assert.equal(pass.run(result, ctx), result, 'the pass leaves its own result alone');
  validate(graph, result, {
    tolerance: Number(option('tolerance') ?? 0),
    positive: option('inputs') === 'positive',
  });
  if (printed === expected) return;
  const update = process.env['UPDATE_GOLDEN'] === '1';
  if (update || expected === undefined) writeFileSync(path, before.trimEnd() + SEPARATOR + printed);
  if (!update) assert.equal(printed, expected ?? '(written: review it, then run again)');
}

interface Validation {
  /** Relative and absolute; 0: the dtype's usual one. */
  readonly tolerance?: number;
  readonly positive?: boolean;
  readonly seed?: number;
}

/** Both graphs give the same outputs, under the same names, on the same random inputs. */
export function validate(before: Graph, after: Graph, options: Validation = {}): void {
  const signature = (graph: Graph): string[] =>
    [...graph.inputs, ...graph.outputs].map((id) => valueById(graph, id).name);
  assert.deepEqual(signature(after), signature(before), 'names of inputs and outputs');
  const inputs = randomInputs(before, options);
  const wanted = interpret(before, inputs);
  const got = interpret(after, inputs);
  wanted.forEach((tensor, i) => {
    const { tolerance = 0 } = options;
    const usual = usualTolerance(tensor.dtype);
    const what = valueById(before, before.outputs[i] ?? 0).name;
    const limits = { relative: tolerance, absolute: tolerance };
    assertClose(got[i] as Tensor, tensor, what, tolerance > 0 ? limits : usual);
  });
}

export function randomInputs(
  graph: Graph,
  { positive = false, seed = 1 }: Validation = {},
): Tensor[] {
  const random = seededRandom(seed);
  const element = (dtype: DType): number => {
    if (dtype === 'bool') return random.integer(2);
    if (!isFloat(dtype)) return random.integer(20);
    return positive ? random.next() + 0.1 : random.normal();
  };
  return graph.inputs.map((id) => {
    const { dtype, shape } = valueById(graph, id).type;
    const values = Array.from({ length: elementCount(shape) }, () => element(dtype));
    return fromNumbers(dtype, shape, values);
  });
}
