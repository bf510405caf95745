/** NonMaxSuppression. */
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs } from '../../graph/types.ts';
import {
  constantInput,
  inputType,
  int,
  intAttr,
  optionalType,
  requireDType,
  requiredInt,
  shapeError,
} from '../checks.ts';
import { defineOp, type InferContext } from '../define-op.ts';
import { typesOf } from './data-sized.ts';
import { HONE_DOMAIN } from './positions.ts';

interface Box {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

function boxAt(boxes: Float64Array, at: number, center: boolean): Box {
  const [a, b, c, d] = boxes.subarray(4 * at, 4 * at + 4) as unknown as [
    number,
    number,
    number,
    number,
  ];
  if (center) return { left: a - c / 2, right: a + c / 2, top: b - d / 2, bottom: b + d / 2 };
  return {
    top: Math.min(a, c),
    bottom: Math.max(a, c),
    left: Math.min(b, d),
    right: Math.max(b, d),
  };
}

/** Area shared by two boxes over the area they cover together. */
function overlap(a: Box, b: Box): number {
  const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  if (height <= 0 || width <= 0) return 0;
  const area = (box: Box): number => (box.bottom - box.top) * (box.right - box.left);
  const shared = height * width;
  return shared / (area(a) + area(b) - shared);
}

function suppress(inputs: readonly (Tensor | null)[], attrs: Attrs): Tensor {
  const [boxes, scores] = inputs as [Tensor, Tensor];
  const scalar = (position: number): number | undefined => {
    const tensor = inputs[position];
    return tensor && tensor.data.length > 0 ? toNumbers(tensor)[0] : undefined;
  };
  const most = scalar(2) ?? 0;
  const limit = scalar(3) ?? 0;
  const least = scalar(4) ?? Number.NEGATIVE_INFINITY;
  const [batches, count] = boxes.shape as [number, number];
  const classes = scores.shape[1] as number;
  const center = intAttr(attrs, 'center_point_box') !== 0;
  const corners = toNumbers(boxes);
  const values = toNumbers(scores);
  const found: number[] = [];
  for (let batch = 0; batch < batches; batch++) {
    for (let kind = 0; kind < classes; kind++) {
      const score = (i: number): number => values[(batch * classes + kind) * count + i] as number;
      const order = Array.from({ length: count }, (_, i) => i)
        .filter((i) => score(i) > least)
        .sort((i, j) => score(j) - score(i) || i - j);
      const kept: Box[] = [];
      for (const i of order) {
        if (kept.length >= most) break;
        const box = boxAt(corners, batch * count + i, center);
        if (kept.some((other) => overlap(box, other) > limit)) continue;
        kept.push(box);
        found.push(batch, kind, i);
      }
    }
  }
  return fromNumbers('i64', [found.length / 3, 3], found);
}

function checkInputs(ctx: InferContext): void {
  const [boxes, scores] = [inputType(ctx, 0), inputType(ctx, 1)];
  const fits =
    boxes.shape.length === 3 &&
    scores.shape.length === 3 &&
    boxes.shape[2] === 4 &&
    boxes.shape[0] === scores.shape[0] &&
    boxes.shape[1] === scores.shape[2];
  if (!fits) {
    shapeError(ctx, `boxes [${boxes.shape.join(',')}], scores [${scores.shape.join(',')}]`);
  }
  requireDType(ctx, boxes, ['f32'], 'the boxes');
  requireDType(ctx, scores, ['f32'], 'the scores');
  for (const k of [2, 3, 4]) {
    const type = optionalType(ctx, k);
    if (type === undefined) continue;
    requireDType(ctx, type, [k === 2 ? 'i64' : 'f32'], `input ${k}`);
    if (elementCount(type.shape) > 1) shapeError(ctx, `input ${k} is one number at most`);
  }
}

export const NonMaxSuppression = defineOp({
  kind: 'host',
  name: 'NonMaxSuppression',
  doc: 'Chooses boxes by score, leaving out those that overlap a chosen one too much.',
  since: 11,
  attrs: { center_point_box: int(0) },
  reason: 'output size depends on data',
  isPlanned: true,
  infer: (ctx) => {
    checkInputs(ctx);
    const inputs = ctx.inputs.map((input, i) =>
      input === null ? null : constantInput(ctx, i, 'the number of boxes'),
    );
    return typesOf([suppress(inputs, ctx.attrs)]);
  },
  reference: (inputs, attrs) => [suppress(inputs, attrs)],
  cases: () => {
    const boxes = fromNumbers(
      'f32',
      [1, 4, 4],
      [0, 0, 1, 1, 0, 0.1, 1, 1.1, 0, 10, 1, 11, 0, 100, 1, 101],
    );
    const scores = fromNumbers('f32', [1, 1, 4], [0.9, 0.75, 0.6, 0.3]);
    const one = (value: number): Tensor => fromNumbers('f32', [1], [value]);
    const most = fromNumbers('i64', [1], [3]);
    return [
      { inputs: [boxes, scores, most, one(0.5), one(0.4)] },
      { note: 'no limits', inputs: [boxes, scores] },
      { note: 'centers', inputs: [boxes, scores, most, one(0.5)], attrs: { center_point_box: 1 } },
    ];
  },
});

/**
 * The same with room for as many boxes as there can be: zeros behind the chosen ones, and how many those
 * are. No model has this operator: the importer makes it where boxes are data.
 */
export const PaddedNonMaxSuppression = defineOp({
  kind: 'core',
  name: 'PaddedNonMaxSuppression',
  domain: HONE_DOMAIN,
  doc: 'As NonMaxSuppression, with room for `room` boxes of each class, and how many were chosen.',
  since: 1,
  attrs: { center_point_box: int(0), room: requiredInt },
  infer: (ctx) => {
    checkInputs(ctx);
    for (const k of [2, 3, 4]) {
      if (elementCount(inputType(ctx, k).shape) !== 1) shapeError(ctx, `input ${k} is one number`);
    }
    if (intAttr(ctx.attrs, 'room') < 0) shapeError(ctx, 'there is less than no room');
    const [batches = 0] = inputType(ctx, 0).shape;
    const classes = inputType(ctx, 1).shape[1] ?? 0;
    return [
      { dtype: 'i64', shape: [batches * classes * intAttr(ctx.attrs, 'room'), 3] },
      { dtype: 'i64', shape: [] },
    ];
  },
  lower: (ctx) => {
    const [batches, classes, count] = inputType(ctx, 1).shape as [number, number, number];
    if (count >= 2 ** 31) return 'more boxes than 32-bit numbers count';
    const [room, center] = [intAttr(ctx.attrs, 'room'), intAttr(ctx.attrs, 'center_point_box')];
    const dims = [batches, classes, count, room, center];
    const workspaceBytes = batches * classes * (count + 1) * 4;
    return [{ kind: 'routine', routine: 'suppress', dims, scalars: [], workspaceBytes }];
  },
  reference: (inputs, attrs, ctx) => {
    const room = intAttr(attrs, 'room');
    const [most] = toNumbers(inputs[2] as Tensor);
    const limited = fromNumbers('i64', [], [Math.min(most ?? 0, room)]);
    const chosen = suppress([...inputs.slice(0, 2), limited, ...inputs.slice(3)], attrs);
    const shape = ctx.outputTypes[0]?.shape ?? [0, 3];
    const padded = new Float64Array(elementCount(shape));
    padded.set(toNumbers(chosen));
    const count = chosen.shape[0] ?? 0;
    return [fromNumbers('i64', shape, padded), fromNumbers('i64', [], [count])];
  },
  cases: () => {
    const boxes = fromNumbers(
      'f32',
      [1, 4, 4],
      [0, 0, 1, 1, 0, 0.1, 1, 1.1, 0, 10, 1, 11, 0, 100, 1, 101],
    );
    const scores = fromNumbers('f32', [1, 2, 4], [0.9, 0.75, 0.6, 0.3, 0.1, 0.9, 0.9, 0.2]);
    const one = (value: number): Tensor => fromNumbers('f32', [], [value]);
    const most = (value: number): Tensor => fromNumbers('i64', [], [value]);
    return [
      { inputs: [boxes, scores, most(3), one(0.5), one(0.4)], attrs: { room: 3 }, outputs: 2 },
      {
        note: 'none',
        inputs: [boxes, scores, most(3), one(0), one(2)],
        attrs: { room: 4 },
        outputs: 2,
      },
      {
        note: 'centers, fewer than asked for',
        inputs: [boxes, scores, most(9), one(0.5), one(-1)],
        attrs: { center_point_box: 1, room: 2 },
        outputs: 2,
      },
    ];
  },
});
