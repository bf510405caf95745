/** An artifact that needs no compiler: its library is never loaded. */
import { type ArtifactContents, writeArtifact } from 'hone-runtime/artifact/write';
import { seededRandom } from 'hone-runtime/base/random';

export const WEIGHTS_FILE = 'weights/w.bin';

/** Contents with weights of two chunks and a bit; `name` and `value` tell versions apart. */
export function plainContents(
  name = 'plain',
  value = 7,
  weightsBytes = (2 << 20) + 100,
): ArtifactContents {
  const random = seededRandom(value);
  const library = Uint8Array.from({ length: 3000 }, () => random.integer(256));
  return {
    name,
    inputs: [{ name: 'x', dtype: 'f32', shape: [2, 3], bytes: 24 }],
    outputs: [],
    source: { name: `${name}.onnx`, bytes: 0, sha256: '0'.repeat(64) },
    compiler: { hone: '0.1.0', toolchain: 'none', options: {} },
    libraries: [
      {
        target: 'x86-64-v3-linux-gnu',
        library,
        extension: '.so',
        weights: WEIGHTS_FILE,
        arenaBytes: 0,
      },
    ],
    weights: [{ path: WEIGHTS_FILE, pieces: [new Uint8Array(weightsBytes).fill(value)] }],
    header: '/* header */\n',
    sources: [{ name: 'k.c', text: `int k = ${value};\n` }],
    graph: '',
    report: null,
    choices: {},
    evidence: [{ name: 'times.json', text: `{"at": ${value}}\n` }],
  };
}

export function writePlainArtifact(target: string, name?: string, value?: number): void {
  writeArtifact(target, plainContents(name, value));
}
