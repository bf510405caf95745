/** Image classifiers: ResNet-18 to -152, ResNeXt-50, MobileNetV2, VGG-11/16, SqueezeNet 1.1, DenseNet-121. */
import type { Graph, ValueId } from 'hone/graph/types';
import { Net } from './net.ts';

function classify(net: Net, x: ValueId, classes = 1000): Graph {
  return net.finish([net.gemm(net.flatten(net.globalPool(x)), classes)]);
}

function stem(net: Net): ValueId {
  const x = net.input('input', [1, 3, 224, 224]);
  return net.maxPool(net.relu(net.conv(x, 64, 7, { stride: 2 })), 3, 2, 1);
}

/** He et al. 2015, table 1: basic blocks. */
function basic(name: string, repeats: readonly number[]): Graph {
  const net = new Net(name);
  let x = stem(net);
  [64, 128, 256, 512].forEach((width, stage) => {
    for (let block = 0; block < (repeats[stage] ?? 0); block++) {
      const stride = stage > 0 && block === 0 ? 2 : 1;
      const inner = net.relu(net.conv(x, width, 3, { stride }));
      const out = net.conv(inner, width, 3, { gain: 0.5 });
      const skip = stride === 2 ? net.conv(x, width, 1, { stride, pad: 0 }) : x;
      x = net.relu(net.add(out, skip));
    }
  });
  return classify(net, x);
}

export const resnet18 = (): Graph => basic('resnet18', [2, 2, 2, 2]);
export const resnet34 = (): Graph => basic('resnet34', [3, 4, 6, 3]);

/** Bottleneck network: ResNet-50 and deeper (stride on the 3×3, as torchvision), ResNeXt-50 32×4d. */
function bottleneck(
  name: string,
  groups: number,
  baseWidth: number,
  repeats: readonly number[] = [3, 4, 6, 3],
): Graph {
  const net = new Net(name);
  let x = stem(net);
  repeats.forEach((blocks, stage) => {
    const planes = 64 * 2 ** stage;
    const width = Math.floor((planes * baseWidth) / 64) * groups;
    for (let block = 0; block < blocks; block++) {
      const stride = stage > 0 && block === 0 ? 2 : 1;
      let y = net.relu(net.conv(x, width, 1));
      y = net.relu(net.conv(y, width, 3, { stride, groups }));
      y = net.conv(y, planes * 4, 1, { gain: 0.5 });
      const skip = block === 0 ? net.conv(x, planes * 4, 1, { stride, gain: 0.7 }) : x;
      x = net.relu(net.add(y, skip));
    }
  });
  return classify(net, x);
}

export const resnet50 = (): Graph => bottleneck('resnet50', 1, 64);
export const resnet101 = (): Graph => bottleneck('resnet101', 1, 64, [3, 4, 23, 3]);
export const resnet152 = (): Graph => bottleneck('resnet152', 1, 64, [3, 8, 36, 3]);
export const resnext50 = (): Graph => bottleneck('resnext50', 32, 4);

/** [expansion, channels, repeats, stride] of Sandler et al. 2018, table 2. */
export const MOBILENET_V2 = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
] as const;

/** One inverted residual block. */
export function invertedResidual(
  net: Net,
  x: ValueId,
  expansion: number,
  channels: number,
  stride: number,
): ValueId {
  const input = net.channels(x);
  const hidden = input * expansion;
  let y = expansion === 1 ? x : net.relu6(net.conv(x, hidden, 1));
  y = net.relu6(net.conv(y, hidden, 3, { stride, groups: hidden }));
  y = net.conv(y, channels, 1, { gain: 0.7 });
  return stride === 1 && input === channels ? net.add(x, y) : y;
}

export function mobilenetv2(): Graph {
  const net = new Net('mobilenetv2');
  let x = net.relu6(net.conv(net.input('input', [1, 3, 224, 224]), 32, 3, { stride: 2 }));
  for (const [expansion, channels, repeats, stride] of MOBILENET_V2) {
    for (let i = 0; i < repeats; i++) {
      x = invertedResidual(net, x, expansion, channels, i === 0 ? stride : 1);
    }
  }
  return classify(net, net.relu6(net.conv(x, 1280, 1)));
}

/** Simonyan and Zisserman 2014: convolutions of each of the five sizes. */
function vgg(name: string, repeats: readonly number[]): Graph {
  const net = new Net(name);
  let x = net.input('input', [1, 3, 224, 224]);
  [64, 128, 256, 512, 512].forEach((width, stage) => {
    for (let i = 0; i < (repeats[stage] ?? 0); i++) x = net.relu(net.conv(x, width, 3));
    x = net.maxPool(x, 2, 2);
  });
  x = net.relu(net.gemm(net.flatten(x), 4096));
  x = net.relu(net.gemm(x, 4096));
  return net.finish([net.gemm(x, 1000)]);
}

/** Configurations A and D. */
export const vgg11 = (): Graph => vgg('vgg11', [1, 1, 2, 2, 2]);
export const vgg16 = (): Graph => vgg('vgg16', [2, 2, 3, 3, 3]);

/** Iandola et al. 2016, version 1.1. */
export function squeezenet(): Graph {
  const net = new Net('squeezenet');
  const fire = (x: ValueId, squeeze: number, expand: number): ValueId => {
    const s = net.relu(net.conv(x, squeeze, 1));
    return net.concat([net.relu(net.conv(s, expand, 1)), net.relu(net.conv(s, expand, 3))]);
  };
  let x = net.input('input', [1, 3, 224, 224]);
  x = net.maxPool(net.relu(net.conv(x, 64, 3, { stride: 2, pad: 0 })), 3, 2);
  x = net.maxPool(fire(fire(x, 16, 64), 16, 64), 3, 2);
  x = net.maxPool(fire(fire(x, 32, 128), 32, 128), 3, 2);
  x = fire(fire(fire(fire(x, 48, 192), 48, 192), 64, 256), 64, 256);
  x = net.globalPool(net.relu(net.conv(x, 1000, 1)));
  return net.finish([net.flatten(x)]);
}

/** Huang et al. 2016, growth 32; normalisation before convolution stays in the graph. */
export function densenet121(): Graph {
  const net = new Net('densenet121');
  let x = stem(net);
  [6, 12, 24, 16].forEach((layers, stage) => {
    for (let i = 0; i < layers; i++) {
      const narrow = net.relu(net.conv(net.relu(net.batchNorm(x)), 128, 1));
      x = net.concat([x, net.conv(narrow, 32, 3, { bias: false })]);
    }
    if (stage < 3) {
      const half = net.channels(x) / 2;
      x = net.averagePool(net.conv(net.relu(net.batchNorm(x)), half, 1, { bias: false }), 2, 2);
    }
  });
  return classify(net, net.relu(net.batchNorm(x)));
}
