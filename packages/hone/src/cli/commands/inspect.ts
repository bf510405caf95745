/** `hone inspect`: inputs, outputs and contents of a model or an artifact. */
import { shortId } from 'hone-runtime/artifact/keys';
import { openArtifact } from 'hone-runtime/artifact/read';
import { openOnnx, signatureOf } from '../../frontends/onnx/index.ts';
import type { Invocation, Outcome } from '../command.ts';
import { detectModel } from '../model-path.ts';
import { boundLines, boundsJson, fileSpec, specJson, specLine } from '../specs.ts';
import { formatBytes, formatCount } from '../table.ts';

export async function run({ args }: Invocation): Promise<Outcome> {
  const path = args[0] ?? '';
  return detectModel(path) === 'artifact' ? inspectArtifact(path) : inspectModel(path);
}

function inspectModel(path: string): Outcome {
  const model = openOnnx(path);
  try {
    const signature = signatureOf(model);
    const inputs = signature.inputs.map(fileSpec);
    const outputs = signature.outputs.map(fileSpec);
    const { name, opsets } = signature;
    const producer = [signature.producer, signature.producerVersion]
      .filter((part) => part !== '')
      .join(' ');
    const size = model.source.size;
    return {
      json: {
        kind: 'model',
        path,
        inputs,
        outputs,
        model: {
          name,
          producer,
          ir_version: model.irVersion,
          opsets,
          nodes: signature.nodeCount,
          parameters: signature.parameterCount,
          parameter_bytes: signature.parameterBytes,
          size_bytes: size,
        },
      },
      text: [
        `${path}: ONNX model "${name}", ${signature.nodeCount} nodes, ${formatCount(signature.parameterCount)} parameters, ${formatBytes(size)}`,
        `  written by ${producer || 'an unnamed program'}; ${Object.entries(opsets)
          .map(([domain, version]) => `${domain} opset ${version}`)
          .join(', ')}`,
        ...inputs.map((spec) => `  input   ${specLine(spec)}`),
        ...outputs.map((spec) => `  output  ${specLine(spec)}`),
      ],
    };
  } finally {
    model.close();
  }
}

function inspectArtifact(path: string): Outcome {
  const { manifest, signedBy } = openArtifact(path);
  const weightsBytes = manifest.files
    .filter((file) => file.path.startsWith('weights/'))
    .reduce((sum, file) => sum + file.bytes, 0);
  const arenaBytes = Math.max(0, ...manifest.libraries.map((library) => library.arenaBytes));
  const { source, compiler } = manifest;
  return {
    json: {
      kind: 'artifact',
      path,
      inputs: manifest.inputs.map(specJson),
      outputs: manifest.outputs.map(specJson),
      artifact: {
        name: manifest.name,
        targets: manifest.libraries.map((library) => library.target),
        arena_bytes: arenaBytes,
        weights_bytes: weightsBytes,
        bounds: boundsJson(manifest.bounds),
        files: manifest.files.map(({ path: file, bytes, sha256 }) => ({
          path: file,
          bytes,
          sha256,
        })),
        compiler,
        model: source,
        signed_by: signedBy ?? null,
      },
    },
    text: [
      `${path}: artifact of "${source.name}", for ${manifest.libraries.map((library) => library.target).join(', ')}`,
      `  ${formatBytes(weightsBytes)} of weights, ${formatBytes(arenaBytes)} of working memory; compiled by hone ${compiler.hone} with ${compiler.toolchain}`,
      ...(signedBy === undefined
        ? []
        : [`  said to be signed with key ${shortId(signedBy)}: \`hone verify --key\` checks it`]),
      ...manifest.inputs.map((spec) => `  input   ${specLine(spec)}`),
      ...manifest.outputs.map((spec) => `  output  ${specLine(spec)}`),
      ...boundLines(manifest.bounds).map((line) => `  ${line}`),
      ...manifest.files.map((file) => `  file    ${file.path}  ${formatBytes(file.bytes)}`),
    ],
  };
}
