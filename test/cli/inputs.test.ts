/** Inputs and outputs of a run: .npy, names and shapes, random values, labels, top-k. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { assembleInputs, type InputRequest } from 'hone/cli/input/assemble';
import { formatNpy, parseNpy } from 'hone/cli/input/npy';
import type { InputSpec } from 'hone/cli/input/picture-tensor';
import { parseLabels, topEntries } from 'hone/cli/input/top';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { DTYPES, isBitPattern, isSmallInt } from 'hone-runtime/base/dtype';
import { fromNumbers, toNumbers } from 'hone-runtime/base/tensor';

const folder = mkdtempSync(join(tmpdir(), 'hone-inputs-'));
after(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const code = (expected: string) => (error: unknown) =>
  error instanceof HoneError && error.code === expected && error.cure !== undefined;

const request = (given: string[], more: Partial<InputRequest> = {}): InputRequest => ({
  given,
  random: false,
  seed: 0,
  image: '',
  ...more,
});

test('.npy: every dtype and rank comes back', () => {
  for (const dtype of DTYPES.filter((name) => name !== 'string')) {
    for (const shape of [[], [0], [5], [2, 3]]) {
      const count = shape.reduce((product, extent) => product * extent, 1);
      const values = Array.from({ length: count }, (_v, i) => i % 2);
      const tensor = fromNumbers(dtype, shape, values);
      const back = parseNpy(formatNpy(tensor), 'x.npy');
      const foreign = isBitPattern(dtype) && dtype !== 'f16';
      const small = isSmallInt(dtype) ? (dtype.startsWith('u') ? 'u8' : 'i8') : dtype;
      assert.equal(back.dtype, foreign ? 'f32' : small);
      assert.deepEqual(back.shape, shape);
      assert.deepEqual(toNumbers(back), toNumbers(tensor));
    }
  }
});

test('.npy: the data begins at a multiple of 64, as NumPy writes it', () => {
  const bytes = formatNpy(fromNumbers('f32', [3], [1, 2, 3]));
  assert.equal(bytes.length % 64, 12);
  assert.equal(bytes[bytes.length - 13], '\n'.charCodeAt(0));
});

test('.npy: column order, big endian and version 2', () => {
  const make = (version: number, header: string, data: Uint8Array): Uint8Array => {
    const text = `${header}\n`;
    const size = version === 1 ? [text.length, 0] : [text.length, 0, 0, 0];
    return Buffer.concat([
      Buffer.from([0x93, 78, 85, 77, 80, 89, version, 0, ...size]),
      Buffer.from(text),
      data,
    ]);
  };
  const columns = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }";
  const tensor = parseNpy(make(1, columns, Uint8Array.of(1, 4, 2, 5, 3, 6)), 'x.npy');
  assert.deepEqual([...toNumbers(tensor)], [1, 2, 3, 4, 5, 6]);
  const big = "{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }";
  assert.deepEqual(
    [...toNumbers(parseNpy(make(2, big, Uint8Array.of(0, 7, 1, 0)), 'x'))],
    [7, 256],
  );
});

test('.npy: damaged files are coded errors', () => {
  const bytes = formatNpy(fromNumbers('f32', [4], [1, 2, 3, 4]));
  for (let end = 0; end < bytes.length; end += 3) {
    assert.throws(() => parseNpy(bytes.subarray(0, end), 'x.npy'), code('HONE-INPUT-010'));
  }
});

const ONE: InputSpec[] = [{ name: 'x', dtype: 'f32', shape: [1, 4] }];
const TWO: InputSpec[] = [...ONE, { name: 'ids', dtype: 'i64', shape: [3] }];

test('inputs by name, or alone', async () => {
  const path = file('x.npy', formatNpy(fromNumbers('f32', [1, 4], [1, 2, 3, 4])));
  for (const item of [path, `x=${path}`]) {
    const { tensors, sources, image } = await assembleInputs(ONE, request([item]));
    assert.deepEqual([...toNumbers(tensors['x'] as never)], [1, 2, 3, 4]);
    assert.equal(sources['x'], path);
    assert.equal(image, null);
  }
});

test('inputs that do not fit are coded errors that name the input', async () => {
  const npy = (name: string, dtype: 'f32' | 'f64', shape: number[]): string => {
    const count = shape.reduce((product, extent) => product * extent, 1);
    return file(name, formatNpy(fromNumbers(dtype, shape, new Array(count).fill(1))));
  };
  const good = npy('good.npy', 'f32', [1, 4]);
  const cases: [string[], string][] = [
    [[], 'HONE-INPUT-001'],
    [[`y=${good}`], 'HONE-INPUT-002'],
    [[`x=${npy('f64.npy', 'f64', [1, 4])}`], 'HONE-INPUT-003'],
    [[`x=${npy('rank.npy', 'f32', [4])}`], 'HONE-INPUT-004'],
    [[`x=${npy('size.npy', 'f32', [1, 5])}`], 'HONE-INPUT-005'],
    [[`x=${join(folder, 'none.npy')}`], 'HONE-IO-001'],
    [[`x=${file('empty.npy', '')}`], 'HONE-INPUT-017'],
    [[`x=${file('words.txt', 'words')}`], 'HONE-INPUT-017'],
    [[`x=${good}`, `x=${good}`], 'HONE-INPUT-017'],
  ];
  for (const [given, expected] of cases) {
    await assert.rejects(assembleInputs(ONE, request(given)), code(expected), expected);
  }
  await assert.rejects(assembleInputs(TWO, request([good])), code('HONE-INPUT-002'));
});

test('--random fills what is not given, the same for the same seed', async () => {
  const draw = async (seed: number) =>
    (await assembleInputs(TWO, request([], { random: true, seed }))).tensors;
  assert.deepEqual(await draw(1), await draw(1));
  assert.notDeepEqual(await draw(1), await draw(2));
  const { x, ids } = await draw(3);
  assert.ok(x !== undefined && toNumbers(x).every((value) => value >= 0 && value < 1));
  assert.ok(ids !== undefined && toNumbers(ids).every((value) => value === 0 || value === 1));
});

test('labels: array, object, pairs and lines', () => {
  assert.deepEqual(parseLabels('["a", "b"]', 'l'), ['a', 'b']);
  assert.deepEqual(parseLabels('{"1": "b", "0": "a"}', 'l'), ['a', 'b']);
  assert.deepEqual(parseLabels('{"0": ["n01", "a"]}', 'l'), ['a']);
  assert.deepEqual(parseLabels('a\r\nb\n', 'l'), ['a', 'b']);
  assert.throws(() => parseLabels('["a"', 'l'), code('HONE-INPUT-016'));
  assert.throws(() => parseLabels('{"a": "b"}', 'l'), code('HONE-INPUT-016'));
});

test('top: a distribution keeps its probabilities, scores get their softmax', () => {
  const even = topEntries(fromNumbers('f32', [1, 4, 1, 1], [0.1, 0.6, 0.2, 0.1]), 2, ['a', 'b']);
  assert.deepEqual(
    even.map((entry) => [entry.index, entry.label]),
    [
      [1, 'b'],
      [2, null],
    ],
  );
  assert.equal(even[0]?.probability, even[0]?.score);
  const scores = topEntries(fromNumbers('f64', [2, 2], [0, Math.log(3), 5, 5]), 1, undefined);
  assert.ok(Math.abs((scores[0]?.probability ?? 0) - 0.75) < 1e-12);
  assert.deepEqual(
    scores.map((entry) => [entry.item, entry.index]),
    [
      [0, 1],
      [1, 0],
    ],
  );
});
