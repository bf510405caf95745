/** The bench's networks by name. Weights are seeded; the topology is what is measured. */
import { fail } from 'hone-runtime/base/diagnostics';
import type { Graph } from 'hone/graph/types';
import * as classifiers from './classifiers.ts';
import { DECODE } from './decode.ts';
import { ssdMobilenet, yolo } from './detectors.ts';
import { TRANSLATOR, translator } from './seq2seq.ts';
import { bertBase128, vitSmall } from './transformers.ts';

export const NETWORKS: Readonly<Record<string, () => Graph>> = {
  resnet18: classifiers.resnet18,
  resnet50: classifiers.resnet50,
  resnext50: classifiers.resnext50,
  mobilenetv2: classifiers.mobilenetv2,
  vgg16: classifiers.vgg16,
  squeezenet: classifiers.squeezenet,
  densenet121: classifiers.densenet121,
  'bert-base-128': bertBase128,
  'vit-small': vitSmall,
  yolo,
  'ssd-mobilenet': ssdMobilenet,
};

export { DECODE } from './decode.ts';

/** Models that call themselves until they are done. */
export const GENERATORS: Readonly<Record<string, () => Graph>> = {
  'seq2seq-greedy': () => translator('seq2seq-greedy'),
  'seq2seq-carried': () => translator('seq2seq-carried', { ...TRANSLATOR, tokens: 'carried' }),
};

/** Builds a network; throws HONE-BENCH-001 for a name that is not there. */
export function buildNetwork(name: string): Graph {
  const make = NETWORKS[name] ?? DECODE[name] ?? GENERATORS[name];
  if (make === undefined) {
    fail(
      'HONE-BENCH-001',
      `no benchmark network ${name}`,
      name,
      `choose from ${Object.keys(NETWORKS).join(', ')}`,
    );
  }
  return make();
}
