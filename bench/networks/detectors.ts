/** Detectors without their post-processing: a YOLOv5-small-like network and SSD on MobileNetV2. */
import type { Graph, ValueId } from 'hone/graph/types';
import { invertedResidual, MOBILENET_V2 } from './classifiers.ts';
import { Net } from './net.ts';

/** CSP backbone, SPPF, path aggregation, three heads of 85 × 3 channels; 320 × 320. */
export function yolo(): Graph {
  const net = new Net('yolo');
  const cbs = (x: ValueId, c: number, k: number, stride = 1): ValueId =>
    net.silu(net.conv(x, c, k, { stride }));
  const c3 = (x: ValueId, c: number, repeats: number, shortcut = true): ValueId => {
    let a = cbs(x, c / 2, 1);
    for (let i = 0; i < repeats; i++) {
      const y = cbs(cbs(a, c / 2, 1), c / 2, 3);
      a = shortcut ? net.add(a, y) : y;
    }
    return cbs(net.concat([a, cbs(x, c / 2, 1)]), c, 1);
  };
  const sppf = (x: ValueId, c: number): ValueId => {
    const y = cbs(x, c / 2, 1);
    const p1 = net.maxPool(y, 5, 1, 2);
    const p2 = net.maxPool(p1, 5, 1, 2);
    return cbs(net.concat([y, p1, p2, net.maxPool(p2, 5, 1, 2)]), c, 1);
  };
  const up = (x: ValueId): ValueId =>
    net.op(
      'Resize',
      [x, null, net.b.constant({ dtype: 'f32', shape: [4], data: new Float32Array([1, 1, 2, 2]) })],
      {
        mode: 'nearest',
        coordinate_transformation_mode: 'asymmetric',
        nearest_mode: 'floor',
      },
    );
  const image = net.input('images', [1, 3, 320, 320]);
  let x = cbs(net.silu(net.conv(image, 32, 6, { stride: 2, pad: 2 })), 64, 3, 2);
  x = cbs(c3(x, 64, 1), 128, 3, 2);
  const s8 = c3(x, 128, 2);
  const s16 = c3(cbs(s8, 256, 3, 2), 256, 3);
  const s32 = sppf(c3(cbs(s16, 512, 3, 2), 512, 1), 512);
  const t32 = cbs(s32, 256, 1);
  const t16 = cbs(c3(net.concat([up(t32), s16]), 256, 1, false), 128, 1);
  const o8 = c3(net.concat([up(t16), s8]), 128, 1, false);
  const o16 = c3(net.concat([cbs(o8, 128, 3, 2), t16]), 256, 1, false);
  const o32 = c3(net.concat([cbs(o16, 256, 3, 2), t32]), 512, 1, false);
  const heads = [o8, o16, o32].map((o) => {
    const [, , h = 1, w = 1] = net.shape(o);
    const head = net.reshape(net.conv(o, 255, 1), [1, 3, 85, h * w]);
    return net.reshape(net.op('Sigmoid', [net.transpose(head, [0, 1, 3, 2])]), [1, 3 * h * w, 85]);
  });
  return net.finish([net.concat(heads, 1)]);
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
