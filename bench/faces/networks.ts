/**
 * Trained networks of @vladmandic/face-api as graphs: their topologies with the weights that the
 * package carries. Faces come in as [1, side, side, 3], values 0 to 255, channels last.
 *
 * landmarks   112: x and y of 68 points in parts of the side
 * expression  112: probabilities of 7 expressions
 * recognition 150: 128 numbers; those of one person are near to each other
 */
import type { Graph, ValueId } from 'hone/graph/types';
import { Trained } from './trained.ts';

export type FaceNetwork = 'landmarks' | 'expression' | 'recognition';

export const FACE_SIDES: Readonly<Record<FaceNetwork, number>> = {
  landmarks: 112,
  expression: 112,
  recognition: 150,
};

/** Builds a network with its trained weights. */
export function faceNetwork(name: FaceNetwork): Graph {
  switch (name) {
    case 'landmarks':
      return features(new Trained(name, 'face_landmark_68'), false);
    case 'expression':
      return features(new Trained(name, 'face_expression'), true);
    case 'recognition':
      return recognition(new Trained(name, 'face_recognition'));
    default:
      throw name satisfies never;
  }
}

/** Four blocks of separable convolutions whose results are summed up, and a dense layer. */
function features(net: Trained, probabilities: boolean): Graph {
  let x = net.face(112);
  for (let block = 0; block < 4; block++) {
    const name = (layer: number): string => `dense${block}/conv${layer}`;
    const first =
      block === 0 ? net.convolve(x, name(0), 2, 'SAME_UPPER') : net.separable(x, name(0), 2);
    x = net.relu(first);
    let sum = x;
    for (let layer = 1; layer < 4; layer++) {
      sum = net.add(sum, net.separable(x, name(layer), 1));
      x = net.relu(sum);
    }
  }
  const pooled = net.flatten(net.averagePool(x, 7, 2));
  const scores = net.add(
    net.op('MatMul', [pooled, net.stored('fc/weights')]),
    net.stored('fc/bias'),
  );
  return net.finish([probabilities ? net.op('Softmax', [scores], { axis: -1 }) : scores]);
}

/** dlib's ResNet: residual blocks that halve the picture by averaging, new channels begin as zeros. */
function recognition(net: Trained): Graph {
  let x = net.maxPool(net.relu(scaled(net, net.face(150), 'conv32_down', 2, 'VALID')), 3, 2);
  for (const [channels, blocks] of [
    [32, 3],
    [64, 3],
    [128, 2],
    [256, 2],
  ] as const) {
    if (channels > 32) x = halved(net, x, `conv${channels}_down`);
    for (let block = 1; block <= blocks; block++) x = residual(net, x, `conv${channels}_${block}`);
  }
  x = halved(net, x, 'conv256_down_out');
  return net.finish([net.op('MatMul', [net.flatten(net.globalPool(x)), net.stored('fc')])]);
}

function residual(net: Trained, x: ValueId, name: string): ValueId {
  const inner = net.relu(scaled(net, x, `${name}/conv1`, 1, 'SAME_UPPER'));
  return net.relu(net.add(scaled(net, inner, `${name}/conv2`, 1, 'SAME_UPPER'), x));
}

function halved(net: Trained, x: ValueId, name: string): ValueId {
  const inner = net.relu(scaled(net, x, `${name}/conv1`, 2, 'VALID'));
  const y = scaled(net, inner, `${name}/conv2`, 1, 'SAME_UPPER');
  const pooled = net.averagePool(x, 2, 2);
  const [, channels = 1, height = 1, width = 1] = net.shape(pooled);
  const [, more = 1, rows = 1, columns = 1] = net.shape(y);
  // Behind the channels, or the last row and column, of the smaller one come zeros.
  const short = net.op('Pad', [y, net.b.ints([0, 0, 0, 0, 0, 0, height - rows, width - columns])]);
  const deep = net.op('Pad', [pooled, net.b.ints([0, 0, 0, 0, 0, more - channels, 0, 0])]);
  return net.relu(net.add(deep, short));
}

/** A convolution and a factor and summand per channel. */
function scaled(
  net: Trained,
  x: ValueId,
  name: string,
  stride: number,
  pad: 'SAME_UPPER' | 'VALID',
): ValueId {
  const y = net.convolve(x, `${name}/conv`, stride, pad);
  const perChannel = (part: string): ValueId => {
    const weights = net.stored(`${name}/scale/${part}`);
    return net.reshape(weights, [1, net.channels(y), 1, 1]);
  };
  return net.add(net.op('Mul', [y, perChannel('weights')]), perChannel('biases'));
}
