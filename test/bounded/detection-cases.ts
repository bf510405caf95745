/** What detectors have behind their networks, as exporters write it. */
import { seededRandom } from 'hone-runtime/base/random';
import type { Tensor } from 'hone-runtime/base/tensor';
import { type BoundedCase, f32, i64, node, noise, scalar } from './cases.ts';

const BOXES = 60;
const CLASSES = 4;
const MOST = 20;

/** Boxes that overlap here and there, with scores of which about a share is above one half. */
function detections(seed: number, high: number): readonly Tensor[] {
  const random = seededRandom(seed);
  const boxes = Array.from({ length: BOXES }, () => {
    const [left, top] = [random.next() * 10, random.next() * 10];
    return [left, top, left + 1 + random.next() * 3, top + 1 + random.next() * 3];
  });
  const scores = Float64Array.from({ length: CLASSES * BOXES }, () =>
    random.next() < high ? 0.5 + random.next() / 2 : random.next() / 2,
  );
  return [f32([1, BOXES, 4], boxes.flat()), f32([1, CLASSES, BOXES], scores)];
}

const post: BoundedCase = {
  name: 'NonMaxSuppression, columns, GatherND, Concat and the best of them',
  model: {
    opset: 17,
    inputs: [
      { name: 'boxes', shape: [1, BOXES, 4] },
      { name: 'scores', shape: [1, CLASSES, BOXES] },
    ],
    outputs: [
      { name: 'found', shape: [null, 6] },
      { name: 'classes', dtype: 'i64', shape: [null] },
      { name: 'number', dtype: 'i64', shape: [1] },
    ],
    initializers: {
      per: i64(MOST),
      overlap: f32([], [0.5]),
      least: f32([], [0.5]),
      batch: i64(0),
      axis1: i64(1),
      from: i64(1),
      to: i64(2),
      columns: scalar(2),
      hundred: i64(30),
      last: i64(-1),
    },
    nodes: [
      node('NonMaxSuppression', ['boxes', 'scores', 'per', 'overlap', 'least'], ['sel']),
      node('Slice', ['sel', 'from', 'to', 'axis1'], ['kinds']),
      node('Squeeze', ['kinds', 'axis1'], ['kind']),
      node('Gather', ['sel', 'columns'], ['which'], { axis: { int: 1 } }),
      node('Squeeze', ['boxes', 'batch'], ['flat']),
      node('Gather', ['flat', 'which'], ['at'], { axis: { int: 0 } }),
      node('GatherND', ['scores', 'sel'], ['score']),
      node('Unsqueeze', ['score', 'axis1'], ['scoreColumn']),
      node('Cast', ['kind'], ['kindReal'], { to: { int: 1 } }),
      node('Unsqueeze', ['kindReal', 'axis1'], ['kindColumn']),
      node('Concat', ['at', 'scoreColumn', 'kindColumn'], ['rows'], { axis: { int: 1 } }),
      node('Shape', ['score'], ['n']),
      node('Min', ['n', 'hundred'], ['k']),
      node('TopK', ['score', 'k'], ['best', 'order'], { axis: { int: 0 } }),
      node('Gather', ['rows', 'order'], ['found'], { axis: { int: 0 } }),
      node('Gather', ['kind', 'order'], ['classes'], { axis: { int: 0 } }),
      node('Shape', ['classes'], ['number']),
    ],
  },
  runs: [0, 0.1, 0.5, 1].map((high, i) => detections(i + 1, high)),
};

/** As torchvision filters proposals: by score, then by size, class by class in one suppression. */
const filtered: BoundedCase = {
  name: 'proposals filtered by score and size, suppressed with an offset per class',
  model: {
    opset: 17,
    inputs: [
      { name: 'boxes', shape: [1, BOXES, 4] },
      { name: 'scores', shape: [1, CLASSES, BOXES] },
    ],
    outputs: [
      { name: 'kept', shape: [null, 4] },
      { name: 'score', shape: [null] },
    ],
    initializers: {
      axis0: i64(0),
      axis1: i64(1),
      one: scalar(1),
      least: f32([], [0.6]),
      small: f32([], [1.5]),
      flatShape: i64(-1),
      per: i64(1000),
      overlap: f32([], [0.3]),
      spread: f32([], [100]),
      i2: scalar(2),
      i3: scalar(3),
      i0: scalar(0),
      three: i64(3),
      ten: i64(10),
    },
    nodes: [
      node('ReduceMax', ['scores'], ['top'], { axes: { ints: [1] }, keepdims: { int: 0 } }),
      node('ArgMax', ['scores'], ['label'], { axis: { int: 1 }, keepdims: { int: 0 } }),
      node('Reshape', ['top', 'flatShape'], ['topFlat']),
      node('Reshape', ['label', 'flatShape'], ['labelFlat']),
      node('Squeeze', ['boxes', 'axis0'], ['b0']),
      node('Greater', ['topFlat', 'least'], ['isHigh']),
      node('NonZero', ['isHigh'], ['p']),
      node('Squeeze', ['p', 'axis0'], ['q']),
      node('Gather', ['b0', 'q'], ['b1']),
      node('Gather', ['topFlat', 'q'], ['s1']),
      node('Gather', ['labelFlat', 'q'], ['l1']),
      node('Gather', ['b1', 'i2'], ['right'], { axis: { int: 1 } }),
      node('Gather', ['b1', 'i0'], ['left'], { axis: { int: 1 } }),
      node('Sub', ['right', 'left'], ['width']),
      node('Greater', ['width', 'small'], ['isWide']),
      node('NonZero', ['isWide'], ['p2']),
      node('Squeeze', ['p2', 'axis0'], ['q2']),
      node('Gather', ['b1', 'q2'], ['b2']),
      node('Gather', ['s1', 'q2'], ['s2']),
      node('Gather', ['l1', 'q2'], ['l2']),
      node('Cast', ['l2'], ['lr'], { to: { int: 1 } }),
      node('Mul', ['lr', 'spread'], ['offset']),
      node('Unsqueeze', ['offset', 'axis1'], ['offsets']),
      node('Add', ['b2', 'offsets'], ['apart']),
      node('Unsqueeze', ['apart', 'axis0'], ['b3']),
      node('Unsqueeze', ['s2', 'axis0'], ['s3']),
      node('Unsqueeze', ['s3', 'axis0'], ['s4']),
      node('NonMaxSuppression', ['b3', 's4', 'per', 'overlap'], ['sel']),
      node('Gather', ['sel', 'i2'], ['which'], { axis: { int: 1 } }),
      node('Slice', ['which', 'axis0', 'ten', 'axis0'], ['first']),
      node('Gather', ['b2', 'first'], ['kept']),
      node('Gather', ['s2', 'first'], ['score']),
    ],
  },
  runs: [0, 0.02, 0.2, 1].map((high, i) => detections(i + 11, high)),
};

/** As torch writes x[mask] = f(x[mask]) and unique with counts. */
const masked: BoundedCase = {
  name: 'boolean indexing',
  model: {
    opset: 17,
    inputs: [
      { name: 'x', shape: [6, 5] },
      { name: 'level', shape: [] },
    ],
    outputs: [
      { name: 'y', shape: [6, 5] },
      { name: 'sum', shape: [] },
      { name: 'rows', dtype: 'i64', shape: [null] },
      { name: 'counts', dtype: 'i64', shape: [null] },
    ],
    initializers: { two: f32([], [2]), axis: i64(0), columns: scalar(0) },
    nodes: [
      node('Greater', ['x', 'level'], ['mask']),
      node('NonZero', ['mask'], ['p']),
      node('Transpose', ['p'], ['t'], { perm: { ints: [1, 0] } }),
      node('GatherND', ['x', 't'], ['picked']),
      node('Mul', ['picked', 'two'], ['doubled']),
      node('ScatterND', ['x', 't', 'doubled'], ['y']),
      node('ReduceSum', ['doubled'], ['sum'], { keepdims: { int: 0 } }),
      node('Gather', ['t', 'columns'], ['r'], { axis: { int: 1 } }),
      node('Unique', ['r'], ['rows', '', '', 'counts'], { sorted: { int: 1 } }),
    ],
  },
  runs: [-1, 0, 0.5, 0.95].map((level, i) => [noise([6, 5], i), scalar(level, 'f32')]),
};

export const DETECTION_CASES: readonly BoundedCase[] = [post, filtered, masked];
