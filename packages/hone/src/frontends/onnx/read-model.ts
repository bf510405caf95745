/**
 * Opens ONNX models: the structure is read, payloads of tensors stay in the file.
 *
 * Whatever the bytes are, the outcome is a model or a coded error, in time and memory bounded by
 * the size of the file's structure.
 */
import { fail } from 'hone-runtime/base/diagnostics';
import { type ByteSource, openFile } from 'hone-runtime/base/io';
import { externalFilesBeside, externalFilesFrom } from './external-files.ts';
import { MODEL } from './proto.ts';
import { readFunction, readGraph, readOpset } from './read-graph.ts';
import { readEntry } from './read-tensor.ts';
import type { ExternalFiles, OnnxFunction, OnnxGraph, OnnxModel } from './types.ts';
import { WireReader } from './wire-reader.ts';

/** The newest opset of the default domain whose meaning Hone knows. */
export const NEWEST_OPSET = 27;

/** Opens the model in a file. Close the model when its constants are no longer needed. */
export function openOnnx(path: string): OnnxModel {
  const source = openFile(path);
  try {
    return readOnnx(source, externalFilesBeside(path));
  } catch (error) {
    source.close();
    throw error;
  }
}

/** Reads a model from any source; `external` says where its external data is, if it has any. */
export function readOnnx(
  source: ByteSource,
  external: ExternalFiles | Readonly<Record<string, ByteSource>> = {},
): OnnxModel {
  const files = isFiles(external) ? external : externalFilesFrom(external, source.name);
  const r = new WireReader(source);
  let irVersion = 0;
  let producer = '';
  let producerVersion = '';
  let domain = '';
  let modelVersion = 0;
  let graph: OnnxGraph | undefined;
  const opsets = new Map<string, number>();
  const metadata = new Map<string, string>();
  const functions: OnnxFunction[] = [];
  while (r.next(source.size)) {
    switch (r.field) {
      case MODEL.irVersion:
        irVersion = r.int();
        break;
      case MODEL.producerName:
        producer = r.string();
        break;
      case MODEL.producerVersion:
        producerVersion = r.string();
        break;
      case MODEL.domain:
        domain = r.string();
        break;
      case MODEL.modelVersion:
        modelVersion = r.int();
        break;
      case MODEL.graph:
        graph = r.nested((end) => readGraph(r, end));
        break;
      case MODEL.opsetImport:
        opsets.set(...r.nested((end) => readOpset(r, end)));
        break;
      case MODEL.metadata:
        metadata.set(...r.nested((end) => readEntry(r, end)));
        break;
      case MODEL.functions:
        functions.push(r.nested((end) => readFunction(r, end)));
        break;
      default:
        r.skip();
    }
  }
  if (graph === undefined || irVersion < 1) {
    fail(
      'HONE-ONNX-001',
      `${source.name} is not an ONNX model: it has no ${graph === undefined ? 'graph' : 'IR version'}`,
      source.name,
      'give the path of an .onnx file; other formats have to be exported to ONNX first',
    );
  }
  checkOpsets(source.name, irVersion, opsets);
  return {
    irVersion,
    producer,
    producerVersion,
    domain,
    modelVersion,
    graph,
    opsets,
    metadata,
    functions,
    source,
    external: files,
    close() {
      source.close();
      files.close();
    },
  };
}

function checkOpsets(name: string, irVersion: number, opsets: Map<string, number>): void {
  if (opsets.size === 0) {
    // Models of IR versions 1 and 2 state no opset and mean the first.
    if (irVersion < 3) opsets.set('', 1);
    else {
      fail(
        'HONE-ONNX-008',
        `${name} does not say which opset it uses`,
        name,
        'the file is truncated or damaged: fetch or export it again',
      );
    }
  }
  const opset = opsets.get('');
  if (opset === undefined || (Number.isInteger(opset) && opset >= 1 && opset <= NEWEST_OPSET)) {
    return;
  }
  fail(
    'HONE-ONNX-009',
    `${name} uses opset ${opset}; Hone knows 1 to ${NEWEST_OPSET}`,
    name,
    `export the model with an opset of at most ${NEWEST_OPSET}`,
  );
}

function isFiles(
  external: ExternalFiles | Readonly<Record<string, ByteSource>>,
): external is ExternalFiles {
  return typeof external['open'] === 'function';
}
