/** PP-OCR's models compiled for one shape of their input, and opened. */
import { join } from 'node:path';
import { compileModel, writeArtifact } from 'hone/compile/index';
import { load } from 'hone-runtime';
import { npmModel } from '../npm-files.ts';
import type { RunModel } from './read-page.ts';

export interface OpenModel {
  readonly run: RunModel;
  close(): void;
}

export async function openModel(
  model: 'ppocr-det' | 'ppocr-cls' | 'ppocr-rec',
  shape: readonly number[],
  folder: string,
): Promise<OpenModel> {
  const artifact = join(folder, `${model}-${shape.slice(2).join('x')}.hone`);
  await writeArtifact(await compileModel(npmModel(model), { shapes: { x: shape } }), artifact);
  const session = load(artifact);
  const output = session.signature.outputs[0]?.name ?? '';
  return {
    async run(x) {
      const found = (await session.run({ x }))[output];
      if (found === undefined) throw new RangeError(`${model} has no output`);
      return found;
    },
    close: () => session.close(),
  };
}
