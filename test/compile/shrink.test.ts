/** Delta debugging on lists whose answer is known. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shrinkList } from 'hone/compile/reduce/shrink';

const items = Array.from({ length: 60 }, (_unused, i) => i);

const CASES: readonly (readonly number[])[] = [
  [0],
  [59],
  [17, 18],
  [3, 31, 58],
  [1, 2, 40, 41, 57],
];

for (const needed of CASES) {
  test(`what is left of 60 items is ${needed.join(', ')}`, async () => {
    let asked = 0;
    const left = await shrinkList(items, async (some) => {
      asked++;
      assert.ok(some.length > 0 && some.length < items.length);
      return needed.every((item) => some.includes(item));
    });
    assert.deepEqual(left, needed);
    assert.ok(asked < 250, `${asked} questions`);
  });
}

test('any three of some items: a list of which nothing can go', async () => {
  const even = (some: readonly number[]): number => some.filter((item) => item % 2 === 0).length;
  const left = await shrinkList(items, async (some) => even(some) >= 3);
  assert.equal(left.length, 3);
  assert.equal(even(left), 3);
});

test('the time is over: what was found so far', async () => {
  let asked = 0;
  const left = await shrinkList(
    items,
    async (some) => {
      asked++;
      return some.includes(7);
    },
    () => asked >= 2,
  );
  assert.equal(left.length, 15);
  assert.ok(left.includes(7));
});
