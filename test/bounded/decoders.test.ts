/**
 * Decoders with a cache in one artifact: what onnxruntime gives at every number of words and of keys before
 * them, and when a cache grows from call to call.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { load } from 'hone-runtime';
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { rawModel } from '../onnx/raw-model.ts';
import { noise } from './cases.ts';
import {
  DECODER_CASES,
  HEADS,
  JOINED,
  KV_HEADS,
  LENGTHS_DIFFER,
  maskOf,
  PACKED,
  SIZE,
  WIDTH,
} from './decoder-cases.ts';
import { LANGUAGE_CASES } from './language-cases.ts';
import { check, onnxruntimeOn } from './peer.ts';
import { checkSizes, compiledIn } from './range-checks.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-decoders-'));
after(() => rmSync(folder, { recursive: true }));

for (const item of [...DECODER_CASES, ...LANGUAGE_CASES]) {
  test(`${item.name}: as onnxruntime at each size`, async () => {
    await checkSizes(folder, item);
  });
}

for (const { item, heads, width } of [
  { item: PACKED, heads: KV_HEADS, width: SIZE },
  { item: JOINED, heads: HEADS, width: WIDTH },
]) {
  test(`${item.name}: a cache grows from call to call`, async () => {
    const session = load(await compiledIn(folder, item), { poison: true });
    const bytes = rawModel(item.model);
    const outputs = item.model.outputs.map(({ name }) => name);
    const hasMask = item.model.inputs?.some(({ name }) => name === 'mask') === true;
    const none = fromNumbers('f32', [1, heads, 0, SIZE], []);
    let [mine, theirs]: Caches[] = [
      [none, none],
      [none, none],
    ] as const;
    let keys = 0;
    for (const [call, words] of [3, 1, 1, 4, 1, 1].entries()) {
      keys += words;
      const x = noise([1, words, width], 50 + call);
      const given = ([past_key, past_value]: Caches) => ({
        ...{ x, past_key, past_value },
        ...(hasMask ? { mask: maskOf(keys, keys) } : {}),
      });
      const [wanted = []] = await onnxruntimeOn(bytes, [given(theirs)], outputs);
      const results = session.runSync(given(mine));
      const got = outputs.map((name) => results[name] as Tensor);
      check(`call ${call}`, got, wanted);
      mine = cachesOf(got);
      theirs = cachesOf(wanted);
      assert.deepEqual([...mine[0].shape], [1, heads, keys, SIZE]);
    }
    const x = noise([1, 1, width], 1);
    const mask = hasMask ? { mask: maskOf(keys + 1, keys + 1) } : {};
    assert.throws(() => session.runSync({ x, past_key: mine[0], past_value: mine[1], ...mask }), {
      code: 'HONE-INPUT-005',
      message: /"past_key" has 11 elements along axis 2, the model takes 0 to 10/,
    });
    session.close();
  });
}

type Caches = readonly [Tensor, Tensor];

const cachesOf = ([, key, value]: readonly Tensor[]): Caches => [key as Tensor, value as Tensor];

test('lengths and totals that cannot be are errors of the run', async () => {
  const session = load(await compiledIn(folder, LENGTHS_DIFFER));
  const [run] = LENGTHS_DIFFER.runs;
  const refused = (changed: Readonly<Record<string, Tensor>>): void => {
    assert.throws(() => session.runSync({ ...run, ...changed }), { code: 'HONE-RUN-010' });
  };
  refused({ total: fromNumbers('i32', [1], [0]) });
  refused({ total: fromNumbers('i32', [1], [12]) });
  refused({ seqlens: fromNumbers('i32', [2], [11, 3]) });
  refused({ seqlens: fromNumbers('i32', [2], [-1, 3]) });
  assert.equal(session.runSync(run ?? {})['y']?.shape[0], 2);
  session.close();
});
