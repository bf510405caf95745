/** Cases of GroupQueryAttention: first calls and later ones, with what language models ask for. */
import type { Tensor } from 'hone-runtime/base/tensor';
import type { TestCase } from '../define-op.ts';
import { i64, tensor } from '../math/samples.ts';
import { sample } from '../nn/samples.ts';

const total = (count: number): Tensor => tensor('i32', [1], [count]);
const lengths = (...counts: number[]): Tensor => tensor('i32', [counts.length], counts);

export function groupQueryCases(): readonly TestCase[] {
  const caches = [sample([8, 8], 8), sample([8, 8], 9)];
  const grouped = { num_heads: 4, kv_num_heads: 2 };
  const later = [
    ...[sample([2, 1, 64], 1), sample([2, 1, 32], 2), sample([2, 1, 32], 3)],
    ...[sample([2, 2, 5, 16], 4), sample([2, 2, 5, 16], 5)],
  ];
  return [
    {
      note: 'first call, rotary',
      inputs: [
        ...[sample([1, 3, 64], 1), sample([1, 3, 32], 2), sample([1, 3, 32], 3), null, null],
        ...[lengths(2), total(3), ...caches],
      ],
      attrs: { ...grouped, do_rotary: 1 },
      outputs: 3,
    },
    {
      note: 'first call of a packed batch, window',
      inputs: [sample([2, 4, 128], 1), null, null, null, null, lengths(3, 2), total(4)],
      attrs: { ...grouped, local_window_size: 2 },
      outputs: 3,
    },
    {
      note: 'later call, lengths differ, rotary',
      inputs: [...later, lengths(5, 3), total(6), ...caches],
      attrs: { ...grouped, do_rotary: 1, rotary_interleaved: 1 },
      outputs: 3,
    },
    {
      note: 'cache with room, softcap, sinks, positions',
      inputs: [
        ...[...later, lengths(3, 2), total(4), ...caches, i64([2, 1], [3, 1]), null],
        sample([4], 7),
      ],
      attrs: { ...grouped, do_rotary: 1, softcap: 2, scale: 0.3 },
      outputs: 3,
    },
    {
      note: 'first call, the first position counts',
      inputs: [
        ...[sample([2, 3, 64], 1), sample([2, 3, 32], 2), sample([2, 3, 32], 3), null, null],
        ...[lengths(2, 2), total(3), ...caches, i64([2, 3], [4, 0, 1, 2, 3, 7])],
      ],
      attrs: { ...grouped, do_rotary: 1 },
      outputs: 3,
    },
    {
      note: 'scores biased, smooth softmax',
      inputs: [...later, lengths(5, 5), total(6), null, null, null, sample([1, 4, 1, 6], 6)],
      attrs: { ...grouped, smooth_softmax: 1 },
      outputs: 3,
    },
    {
      note: 'window of a later call',
      inputs: [...later, lengths(5, 5), total(6)],
      attrs: { ...grouped, local_window_size: 3 },
      outputs: 3,
    },
  ];
}
