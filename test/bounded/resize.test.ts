/**
 * Resize of pictures of unknown extents: interpreted and compiled, on room that is no number, at every size
 * what it gives where the size is known, and where they agree what onnxruntime gives.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileGraph } from 'hone/compile/index';
import { importOnnx, readOnnx } from 'hone/frontends/onnx/index';
import type { Graph } from 'hone/graph/types';
import { verifyGraph } from 'hone/graph/verify';
import { interpret } from 'hone/ops/interpret';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { isFloat } from 'hone-runtime/base/dtype';
import { memorySource } from 'hone-runtime/base/io';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { type RawNode, rawModel, type RawValue } from '../onnx/raw-model.ts';
import { mergedLibrary } from '../support/merged-library.ts';
import { i64, node, noise } from './cases.ts';
import { check, onnxruntimeOn } from './peer.ts';
import { type ListName, RESIZE_CASES, type ResizeCase } from './resize-cases.ts';

const ROOM = 7;
const LENGTHS = [7, 6, 5, 4, 3, 2, 1, 0] as const;
const LISTS: readonly ListName[] = ['roi', 'scales', 'sizes'];

/** The case on pictures of `n` rows and columns, or of as many as the input `length` says. */
function modelOf(item: ResizeCase, n?: number): Uint8Array {
  const { dtype = 'f32', lists, data = [] } = item;
  const extent = n ?? ROOM;
  const inputs: RawValue[] = [{ name: 'x', dtype, shape: [1, 2, extent, extent] }];
  const initializers: Record<string, Tensor> = {};
  for (const name of LISTS) {
    const list = lists[name];
    if (list === undefined) continue;
    if (n === undefined && data.includes(name))
      inputs.push({ name, dtype: list.dtype, shape: list.shape });
    else initializers[name] = list;
  }
  const nodes: RawNode[] = [];
  if (n === undefined) {
    inputs.push({ name: 'length', dtype: 'i64', shape: [1] });
    Object.assign(initializers, { zero: i64(0), rows: i64(2), columns: i64(3) });
    nodes.push(node('Slice', ['x', 'zero', 'length', 'rows'], ['part']));
    nodes.push(node('Slice', ['part', 'zero', 'length', 'columns'], ['picture']));
  }
  const names = LISTS.map((name) => (lists[name] === undefined ? '' : name));
  nodes.push(node('Resize', [n === undefined ? 'picture' : 'x', ...names], ['y'], item.attrs));
  return rawModel({ opset: 19, inputs, outputs: [{ name: 'y', dtype }], initializers, nodes });
}

function imported(bytes: Uint8Array, bounds = {}): Graph {
  return verifyGraph(importOnnx(readOnnx(memorySource(bytes, 'resize.onnx')), { bounds }).graph);
}

/** A picture of some rows and columns, in room that is no number. */
function pictureOf({ dtype = 'f32' }: ResizeCase, n: number, room: number): Tensor {
  const values = toNumbers(noise([1, 2, ROOM, ROOM], 3));
  const scale = dtype === 'u8' || dtype === 'i8' || dtype === 'i32' ? 120 : 1;
  const shown = Array.from({ length: 2 * room * room }, (_, p) => {
    const [plane, row, column] = [Math.floor(p / room ** 2), Math.floor(p / room) % room, p % room];
    if (row >= n || column >= n) return scale === 1 ? Number.NaN : 99;
    const value = values[(plane * ROOM + row) * ROOM + column] ?? 0;
    return scale === 1 ? value : Math.floor((value + (dtype === 'u8' ? 1 : 0)) * scale);
  });
  return fromNumbers(dtype, [1, 2, room, room], shown);
}

/** The result at a known size; undefined: Resize does not take it. */
function exact(item: ResizeCase, n: number): Tensor | undefined {
  try {
    return interpret(imported(modelOf(item, n)), [pictureOf(item, n, n)])[0];
  } catch (error) {
    if (error instanceof HoneError) return undefined;
    throw error;
  }
}

/** As it is at the exact size; whole numbers are cut off there, so that rounding may make one less or more. */
function compare(what: string, got: Tensor, wanted: Tensor): void {
  if (isFloat(wanted.dtype)) {
    check(what, [got], [wanted]);
    return;
  }
  assert.deepEqual(got.shape, wanted.shape, what);
  const [a, b] = [toNumbers(got), toNumbers(wanted)];
  assert.ok(
    b.every((value, i) => Math.abs((a[i] ?? Number.NaN) - value) <= 1),
    `${what}: [${a}], not [${b}]`,
  );
}

interface Run {
  readonly n: number;
  readonly inputs: readonly Tensor[];
  readonly wanted: Tensor;
}

function runsOf(item: ResizeCase): readonly Run[] {
  const lists = LISTS.flatMap((name) => (item.data?.includes(name) ? [item.lists[name]] : []));
  return LENGTHS.flatMap((n) => {
    const wanted = exact(item, n);
    if (wanted === undefined) return [];
    const inputs = [pictureOf(item, n, ROOM), ...lists, i64(n)] as readonly Tensor[];
    return [{ n, inputs, wanted }];
  });
}

const made: { item: ResizeCase; graph: Graph; runs: readonly Run[] }[] = [];
for (const item of RESIZE_CASES) {
  test(`${item.note}: interpreted as at the exact size`, async () => {
    const graph = imported(modelOf(item), item.bounds);
    const runs = runsOf(item);
    assert.ok(runs.length >= 6, `${runs.length} sizes`);
    for (const { n, inputs, wanted } of runs) {
      compare(`${n} rows`, interpret(graph, inputs)[0] as Tensor, wanted);
      if (item.hasPeer !== true || n === 0) continue;
      const [peer] = await onnxruntimeOn(modelOf(item, n), [{ x: pictureOf(item, n, n) }], ['y']);
      check(`${n} rows, onnxruntime`, [wanted], peer ?? []);
    }
    made.push({ item, graph, runs });
  });
}

test('compiled: the same, on poisoned memory', async () => {
  const library = await mergedLibrary(
    made.map(({ graph }) => compileGraph(graph)),
    { quick: true },
  );
  try {
    for (const r of LENGTHS.keys()) {
      const runs = made.map((item) => item.runs[r % item.runs.length] as Run);
      const results = library.run(
        runs.map(({ inputs }) => inputs),
        { threads: 2, poison: true },
      );
      results.forEach(({ outputs, damage }, g) => {
        const what = `${made[g]?.item.note}, ${runs[g]?.n} rows`;
        assert.equal(damage, undefined, what);
        compare(what, outputs[0] as Tensor, runs[g]?.wanted as Tensor);
      });
    }
  } finally {
    library.close();
  }
});
