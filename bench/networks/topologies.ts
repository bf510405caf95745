/**
 * Public topologies that others have published measurements of, rebuilt so that the performance
 * model can be fitted to them (`npm run bench:topologies`), and the bench's own networks. The
 * former are not part of the bench's lists.
 */
import { fail } from 'hone-runtime/base/diagnostics';
import type { Graph } from 'hone/graph/types';
import * as classifiers from './classifiers.ts';
import { efficientnet } from './efficientnet.ts';
import { ssd300, ssdMobilenet, yolo, yolov5, yolov8 } from './detectors.ts';
import { unet } from './segmenters.ts';
import { type BertSizes, bert, vit, vitSmall } from './transformers.ts';

const BERT_BASE = { layers: 12, width: 768, heads: 12, inner: 3072 };
const BERT_LARGE = { layers: 24, width: 1024, heads: 16, inner: 4096 };

const spans = (name: string, sizes: BertSizes): Graph => bert(name, { ...sizes, spans: true });

export const TOPOLOGIES: Readonly<Record<string, () => Graph>> = {
  'bert-base-128': () => spans('bert-base-128', { ...BERT_BASE, sequence: 128 }),
  'bert-base-384': () => spans('bert-base-384', { ...BERT_BASE, sequence: 384 }),
  'bert-large-128': () => spans('bert-large-128', { ...BERT_LARGE, sequence: 128 }),
  'bert-large-384': () => spans('bert-large-384', { ...BERT_LARGE, sequence: 384 }),
  // Mean length of SQuAD where padding to 384 is removed.
  'bert-large-180': () => spans('bert-large-180', { ...BERT_LARGE, sequence: 180 }),
  'bert-6l-384': () => spans('bert-6l-384', { ...BERT_BASE, layers: 6, sequence: 384 }),
  'bert-6l-128': () => spans('bert-6l-128', { ...BERT_BASE, layers: 6, sequence: 128 }),
  // Distilled to 4 layers of width 288: heads as in BERT-base, inner width four times.
  'bert-4l-384': () =>
    spans('bert-4l-384', { layers: 4, width: 288, heads: 12, inner: 1152, sequence: 384 }),
  resnet18: classifiers.resnet18,
  resnet34: classifiers.resnet34,
  resnet50: classifiers.resnet50,
  resnet101: classifiers.resnet101,
  resnet152: classifiers.resnet152,
  vgg11: classifiers.vgg11,
  vgg16: classifiers.vgg16,
  'efficientnet-b0': () => efficientnet('efficientnet-b0', 1, 1, 224),
  'efficientnet-b4': () => efficientnet('efficientnet-b4', 1.4, 1.8, 380),
  ssd300,
  yolov5n: () => yolov5('yolov5n', 0.33, 0.25, 640),
  yolov5s: () => yolov5('yolov5s', 0.33, 0.5, 640),
  yolov5m: () => yolov5('yolov5m', 0.67, 0.75, 640),
  yolov5l: () => yolov5('yolov5l', 1, 1, 640),
  yolov5x: () => yolov5('yolov5x', 1.33, 1.25, 640),
  yolov8s: () => yolov8('yolov8s', 0.33, 0.5, 1024),
  yolov8m: () => yolov8('yolov8m', 0.67, 0.75, 768),
  yolov8l: () => yolov8('yolov8l', 1, 1, 512),
  yolov8x: () => yolov8('yolov8x', 1, 1.25, 512),
  'unet-224': () => unet('unet-224', 224),
  'vit-b-16': () => vit('vit-b-16', { layers: 12, width: 768, heads: 12, patch: 16 }),
  mobilenetv2: classifiers.mobilenetv2,
  resnext50: classifiers.resnext50,
  squeezenet: classifiers.squeezenet,
  densenet121: classifiers.densenet121,
  'vit-small': vitSmall,
  yolo,
  'ssd-mobilenet': ssdMobilenet,
};

/** Builds a public topology; throws HONE-BENCH-001 for a name that is not there. */
export function buildTopology(name: string): Graph {
  const make = TOPOLOGIES[name];
  if (make === undefined) {
    fail(
      'HONE-BENCH-001',
      `no public topology ${name}`,
      name,
      `choose from ${Object.keys(TOPOLOGIES).join(', ')}`,
    );
  }
  return make();
}
