/**
 * The ONNX backend suite on disk: a folder per test with `model.onnx` and `test_data_set_N`, in
 * folders by kind (node, simple, …). Says which tests have an answer that can be asked for.
 */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';

/** "node/test_add" for every folder of the suite that has a model, sorted. */
export function suiteTests(suite: string): readonly string[] {
  return readdirSync(suite, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name: kind }) =>
      readdirSync(path.join(suite, kind))
        .filter((test) => existsSync(path.join(suite, kind, test, 'model.onnx')))
        .map((test) => `${kind}/${test}`),
    )
    .sort();
}

const WITHOUT_ANSWER: readonly { readonly pattern: RegExp; readonly reason: string }[] = [
  { pattern: /^test_gradient_of_/, reason: 'training: asks for a gradient' },
  { pattern: /^test_image_decoder_/, reason: 'decodes compressed pictures' },
];

const RANDOM = /^test_(bernoulli|training_dropout(_default)?(_mask)?$)/;

/** Is the output random? Then shape, dtype and distribution are judged, not elements. */
export function isRandom(test: string): boolean {
  return RANDOM.test(path.basename(test));
}

/** Why a test asks for nothing that an inference compiler should give; undefined when it does. */
export function withoutAnswer(test: string): string | undefined {
  const name = path.basename(test);
  return WITHOUT_ANSWER.find(({ pattern }) => pattern.test(name))?.reason;
}

export interface LooseTolerance {
  readonly pattern: RegExp;
  readonly absolute: number;
  readonly reason: string;
}

/** Tests whose expected output is itself off by more than the suite's tolerance. */
export const LOOSE: readonly LooseTolerance[] = [
  {
    pattern: /^test_dft_inverse/,
    absolute: 1e-6,
    reason: 'expects the rounding noise of a transform in f32 where the answer is 0',
  },
];

/** `limit` tests, spread evenly over the list. */
export function spread(tests: readonly string[], limit: number): readonly string[] {
  if (limit >= tests.length) return tests;
  const step = tests.length / limit;
  return Array.from({ length: limit }, (_, i) => tests[Math.floor(i * step)] as string);
}
