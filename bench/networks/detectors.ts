/** Detectors without their post-processing: YOLOv5 and v8, SSD on MobileNetV2 and on VGG-16. */
import type { Graph, ValueId } from 'hone/graph/types';
import { invertedResidual, MOBILENET_V2 } from './classifiers.ts';
import { Net } from './net.ts';

/** YOLOv5-small at 320 × 320. */
export const yolo = (): Graph => yolov5('yolo', 0.33, 0.5, 320);

const cbs = (net: Net, x: ValueId, c: number, k: number, stride = 1): ValueId =>
  net.silu(net.conv(x, c, k, k === 6 ? { stride, pad: 2 } : { stride }));

/** Spatial pyramid pooling, the quick form. */
function sppf(net: Net, x: ValueId, c: number): ValueId {
  const y = cbs(net, x, net.channels(x) / 2, 1);
  const p1 = net.maxPool(y, 5, 1, 2);
  const p2 = net.maxPool(p1, 5, 1, 2);
  return cbs(net, net.concat([y, p1, p2, net.maxPool(p2, 5, 1, 2)]), c, 1);
}

function c3(net: Net, x: ValueId, c: number, repeats: number, shortcut = true): ValueId {
  let a = cbs(net, x, c / 2, 1);
  for (let i = 0; i < repeats; i++) {
    const y = cbs(net, cbs(net, a, c / 2, 1), c / 2, 3);
    a = shortcut ? net.add(a, y) : y;
  }
  return cbs(net, net.concat([a, cbs(net, x, c / 2, 1)]), c, 1);
}

/** CSP backbone, SPPF, path aggregation, three heads of 85 × 3 channels; depth and width scaled. */
export function yolov5(name: string, depth: number, width: number, size: number): Graph {
  const net = new Net(name);
  const wide = (c: number): number => Math.ceil((c * width) / 8) * 8;
  const deep = (n: number): number => Math.max(1, Math.round(n * depth));
  const image = net.input('images', [1, 3, size, size]);
  const down = (y: ValueId, c: number): ValueId => cbs(net, y, wide(c), 3, 2);
  const csp = (y: ValueId, c: number, n: number, shortcut = true): ValueId =>
    c3(net, y, wide(c), deep(n), shortcut);
  const x = csp(down(cbs(net, image, wide(64), 6, 2), 128), 128, 3);
  const s8 = csp(down(x, 256), 256, 6);
  const s16 = csp(down(s8, 512), 512, 9);
  const s32 = sppf(net, csp(down(s16, 1024), 1024, 3), wide(1024));
  const t32 = cbs(net, s32, wide(512), 1);
  const t16 = cbs(net, csp(net.concat([net.upsample(t32), s16]), 512, 3, false), wide(256), 1);
  const o8 = csp(net.concat([net.upsample(t16), s8]), 256, 3, false);
  const o16 = csp(net.concat([down(o8, 256), t16]), 512, 3, false);
  const o32 = csp(net.concat([down(o16, 512), t32]), 1024, 3, false);
  const heads = [o8, o16, o32].map((o) => {
    const [, , h = 1, w = 1] = net.shape(o);
    const head = net.reshape(net.conv(o, 255, 1), [1, 3, 85, h * w]);
    return net.reshape(net.op('Sigmoid', [net.transpose(head, [0, 1, 3, 2])]), [1, 3 * h * w, 85]);
  });
  return net.finish([net.concat(heads, 1)]);
}

/** A CSP block that keeps every intermediate. */
function c2f(net: Net, x: ValueId, c: number, repeats: number, shortcut = true): ValueId {
  const parts = [cbs(net, x, c / 2, 1), cbs(net, x, c / 2, 1)];
  for (let i = 0; i < repeats; i++) {
    const last = parts.at(-1) as ValueId;
    const y = cbs(net, cbs(net, last, c / 2, 3), c / 2, 3);
    parts.push(shortcut ? net.add(last, y) : y);
  }
  return cbs(net, net.concat(parts), c, 1);
}

/** YOLOv8 at 640 × 640: C2f blocks, heads without anchors apart for boxes and 80 classes. */
export function yolov8(name: string, depth: number, width: number, most: number): Graph {
  const net = new Net(name);
  const wide = (c: number): number => Math.ceil((Math.min(c, most) * width) / 8) * 8;
  const deep = (n: number): number => Math.max(1, Math.round(n * depth));
  const down = (y: ValueId, c: number): ValueId => cbs(net, y, wide(c), 3, 2);
  const csp = (y: ValueId, c: number, n: number, shortcut = true): ValueId =>
    c2f(net, y, wide(c), deep(n), shortcut);
  const image = net.input('images', [1, 3, 640, 640]);
  const x = csp(down(down(image, 64), 128), 128, 3);
  const s8 = csp(down(x, 256), 256, 6);
  const s16 = csp(down(s8, 512), 512, 6);
  const s32 = sppf(net, csp(down(s16, 1024), 1024, 3), wide(1024));
  const t16 = csp(net.concat([net.upsample(s32), s16]), 512, 3, false);
  const o8 = csp(net.concat([net.upsample(t16), s8]), 256, 3, false);
  const o16 = csp(net.concat([down(o8, 256), t16]), 512, 3, false);
  const o32 = csp(net.concat([down(o16, 512), s32]), 1024, 3, false);
  const boxWidth = Math.max(16, wide(256) / 4, 64);
  const classWidth = Math.max(wide(256), 80);
  const heads = [o8, o16, o32].map((o) => {
    const [, , h = 1, w = 1] = net.shape(o);
    const branch = (c: number, out: number): ValueId =>
      net.conv(cbs(net, cbs(net, o, c, 3), c, 3), out, 1);
    const both = net.concat([branch(boxWidth, 64), net.op('Sigmoid', [branch(classWidth, 80)])]);
    return net.reshape(both, [1, 144, h * w]);
  });
  return net.finish([net.concat(heads, 2)]);
}

/** Liu et al. 2016 on VGG-16: 300 × 300, 21 classes, 8,732 boxes. */
export function ssd300(): Graph {
  const net = new Net('ssd300');
  const classes = 21;
  const stack = (x: ValueId, c: number, n: number): ValueId => {
    let y = x;
    for (let i = 0; i < n; i++) y = net.relu(net.conv(y, c, 3));
    return y;
  };
  let x = net.maxPool(stack(net.input('image', [1, 3, 300, 300]), 64, 2), 2, 2);
  x = net.maxPool(stack(x, 128, 2), 2, 2);
  x = net.maxPool(stack(x, 256, 3), 2, 2, 1);
  const conv4 = stack(x, 512, 3);
  x = net.maxPool(stack(net.maxPool(conv4, 2, 2), 512, 3), 3, 1, 1);
  x = net.relu(net.conv(x, 1024, 3, { pad: 6, dilation: 6 }));
  x = net.relu(net.conv(x, 1024, 1));
  const features = [conv4, x];
  for (const [narrow, out, stride, pad] of [
    [256, 512, 2, 1],
    [128, 256, 2, 1],
    [128, 256, 1, 0],
    [128, 256, 1, 0],
  ] as const) {
    x = net.relu(net.conv(net.relu(net.conv(x, narrow, 1)), out, 3, { stride, pad }));
    features.push(x);
  }
  const boxes = [4, 6, 6, 6, 4, 4];
  const flat = (y: ValueId, width: number): ValueId => {
    const moved = net.transpose(y, [0, 2, 3, 1]);
    const [, h = 1, w = 1, c = 1] = net.shape(moved);
    return net.reshape(moved, [1, (h * w * c) / width, width]);
  };
  const heads = (width: number): ValueId[] =>
    features.map((f, i) => flat(net.conv(f, (boxes[i] ?? 4) * width, 3), width));
  const scores = net.op('Softmax', [net.concat(heads(classes), 1)], { axis: -1 });
  return net.finish([scores, net.concat(heads(4), 1)]);
}

/** Liu et al. 2016 heads on MobileNetV2 features; 300 × 300, 21 classes. */
export function ssdMobilenet(): Graph {
  const net = new Net('ssd-mobilenet');
  const classes = 21;
  let x = net.relu6(net.conv(net.input('image', [1, 3, 300, 300]), 32, 3, { stride: 2 }));
  const features: ValueId[] = [];
  for (const [expansion, channels, repeats, stride] of MOBILENET_V2) {
    for (let i = 0; i < repeats; i++) {
      x = invertedResidual(net, x, expansion, channels, i === 0 ? stride : 1);
    }
    if (channels === 96) features.push(x);
  }
  x = net.relu6(net.conv(x, 1280, 1));
  features.push(x);
  for (const c of [512, 256, 256, 64]) {
    x = net.relu6(net.conv(x, c / 2, 1));
    x = net.relu6(net.conv(x, c / 2, 3, { stride: 2, groups: c / 2 }));
    x = net.relu6(net.conv(x, c, 1));
    features.push(x);
  }
  const flat = (y: ValueId, width: number): ValueId => {
    const moved = net.transpose(y, [0, 2, 3, 1]);
    const [, h = 1, w = 1, c = 1] = net.shape(moved);
    return net.reshape(moved, [1, (h * w * c) / width, width]);
  };
  const scores = features.map((f) => flat(net.conv(f, 6 * classes, 3), classes));
  const boxes = features.map((f) => flat(net.conv(f, 6 * 4, 3), 4));
  const classesOut = net.op('Softmax', [net.concat(scores, 1)], { axis: -1 });
  return net.finish([classesOut, net.concat(boxes, 1)]);
}
