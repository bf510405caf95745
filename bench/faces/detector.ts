/**
 * SSD on MobileNet v1 with the trained weights of @vladmandic/face-api: finds faces. A picture comes in
 * as [1, 512, 512, 3], values from -1 to 1, channels last; 5,118 boxes (top, left, bottom, right, in
 * parts of the side) and their scores come out.
 */
import type { Graph, ValueId } from 'hone/graph/types';
import { Trained } from './trained.ts';

export const DETECTOR_SIDE = 512;

const EPSILON = 0.001;
/** Layers of MobileNet that halve the picture. */
const HALVING: ReadonlySet<number> = new Set([2, 4, 6, 12]);
/** What the exporter divided encoded boxes by: places, sizes. */
const SCALES = { place: 10, size: 5 } as const;

export function faceDetector(): Graph {
  const net = new Trained('detector', 'ssd_mobilenetv1');
  const nhwc = net.input('picture', [1, DETECTOR_SIDE, DETECTOR_SIDE, 3]);
  let x = pointwise(net, net.transpose(nhwc, [0, 3, 1, 2]), 'MobilenetV1/Conv2d_0_pointwise', 2);
  const seen: ValueId[] = [];
  for (let layer = 1; layer <= 13; layer++) {
    x = depthwise(net, x, `MobilenetV1/Conv2d_${layer}_depthwise`, HALVING.has(layer) ? 2 : 1);
    x = pointwise(net, x, `MobilenetV1/Conv2d_${layer}_pointwise`, 1);
    if (layer === 11 || layer === 13) seen.push(x);
  }
  for (let layer = 0; layer < 8; layer++) {
    x = pointwise(net, x, `Prediction/Conv2d_${layer}_pointwise`, layer % 2 === 0 ? 1 : 2);
    if (layer % 2 === 1) seen.push(x);
  }
  const predicted = (part: string, values: number): ValueId =>
    net.concat(
      seen.map((map, i) => {
        const name = `Prediction/BoxPredictor_${i}/${part}`;
        const maps = net.op('Conv', [map, filters(net, name), net.stored(`${name}/biases`)]);
        const last = net.transpose(maps, [0, 2, 3, 1]);
        return net.reshape(last, [-1, values]);
      }),
      0,
    );
  const boxes = decoded(net, predicted('BoxEncodingPredictor', 4));
  const classes = predicted('ClassPredictor', 3);
  const face = net.op('Gather', [classes, net.b.scalar(1, 'i64')], { axis: 1 });
  return net.finish([boxes, net.op('Sigmoid', [face])]);
}

function filters(net: Trained, name: string): ValueId {
  return net.stored(`${name}/weights`, [3, 2, 0, 1]);
}

function pointwise(net: Trained, x: ValueId, name: string, stride: number): ValueId {
  const offset = net.stored(`${name}/convolution_bn_offset`);
  return net.relu6(
    net.op('Conv', [x, filters(net, name), offset], {
      strides: [stride, stride],
      auto_pad: 'SAME_UPPER',
    }),
  );
}

function depthwise(net: Trained, x: ValueId, name: string, stride: number): ValueId {
  const weights = net.stored(`${name}/depthwise_weights`, [2, 3, 0, 1]);
  const y = net.op('Conv', [x, weights], {
    strides: [stride, stride],
    auto_pad: 'SAME_UPPER',
    group: net.channels(x),
  });
  const parameters = ['gamma', 'beta', 'moving_mean', 'moving_variance'].map((part) =>
    net.stored(`${name}/BatchNorm/${part}`),
  );
  return net.relu6(net.op('BatchNormalization', [y, ...parameters], { epsilon: EPSILON }));
}

/** Boxes from their encoding relative to the anchors: place (y, x) and size (height, width). */
function decoded(net: Trained, encoded: ValueId): ValueId {
  const anchors = net.reshape(net.stored('Output/extra_dim'), [-1, 4]);
  const half = (boxes: ValueId, from: number): ValueId =>
    net.op('Slice', [boxes, net.b.ints([from]), net.b.ints([from + 2]), net.b.ints([1])]);
  const scalar = (value: number): ValueId => net.b.scalar(value);
  const [begin, end] = [half(anchors, 0), half(anchors, 2)];
  const size = net.op('Sub', [end, begin]);
  const centre = net.add(begin, net.op('Div', [size, scalar(2)]));
  const moved = net.op('Mul', [net.op('Div', [half(encoded, 0), scalar(SCALES.place)]), size]);
  const grown = net.op('Exp', [net.op('Div', [half(encoded, 2), scalar(SCALES.size)])]);
  const middle = net.add(moved, centre);
  const radius = net.op('Div', [net.op('Mul', [grown, size]), scalar(2)]);
  return net.concat([net.op('Sub', [middle, radius]), net.add(middle, radius)], 1);
}
