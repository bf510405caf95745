/** Reads TensorProto and SparseTensorProto messages: everything but the elements. */
import { fail } from 'hone-runtime/base/diagnostics';
import { ENTRY, SPARSE, TENSOR, TENSOR_ELEMENT_WIRES } from './proto.ts';
import type { OnnxPayload, OnnxSparseTensor, OnnxTensor, Run } from './types.ts';
import type { WireReader } from './wire-reader.ts';

const EXPORT_AGAIN = 'the model is not valid ONNX: export it again';

export function readTensor(r: WireReader, end: number): OnnxTensor {
  const dims: number[] = [];
  const runs = new Map<number, Run[]>();
  const entries = new Map<string, string>();
  let name = '';
  let dataType = 0;
  let raw: { readonly offset: number; readonly length: number } | undefined;
  let isExternal = false;
  const start = r.position;
  while (r.next(end)) {
    const wire = TENSOR_ELEMENT_WIRES[r.field];
    if (wire !== undefined) {
      const list = runs.get(r.field) ?? [];
      runs.set(r.field, list);
      r.run(list, wire);
      continue;
    }
    switch (r.field) {
      case TENSOR.dims:
        r.ints(dims);
        break;
      case TENSOR.dataType:
        dataType = r.int();
        break;
      case TENSOR.name:
        name = r.string();
        break;
      case TENSOR.rawData:
        raw = r.range();
        break;
      case TENSOR.externalData: {
        const [key, value] = r.nested((inner) => readEntry(r, inner));
        entries.set(key, value);
        break;
      }
      case TENSOR.dataLocation:
        isExternal = r.int() === 1;
        break;
      default:
        r.skip();
    }
  }
  const subject = name === '' ? `the tensor at byte ${start}` : `tensor ${name}`;
  const bad = dims.find((dim) => dim < 0 || !Number.isSafeInteger(dim));
  if (bad !== undefined) {
    const message = `${r.source.name}: ${subject} has a dimension of ${bad}`;
    fail('HONE-ONNX-010', message, name, EXPORT_AGAIN);
  }
  const payload = isExternal ? externalPayload(r, subject, entries) : payloadOf(raw, runs);
  return { name, dataType, dims, payload, source: r.source };
}

export function readSparse(r: WireReader, end: number): OnnxSparseTensor {
  let values: OnnxTensor | undefined;
  let indices: OnnxTensor | undefined;
  const dims: number[] = [];
  const start = r.position;
  while (r.next(end)) {
    if (r.field === SPARSE.values) values = r.nested((inner) => readTensor(r, inner));
    else if (r.field === SPARSE.indices) indices = r.nested((inner) => readTensor(r, inner));
    else if (r.field === SPARSE.dims) r.ints(dims);
    else r.skip();
  }
  if (values === undefined || indices === undefined) {
    const message = `${r.source.name}: the sparse tensor at byte ${start} lacks values or indices`;
    fail('HONE-ONNX-010', message, r.source.name, EXPORT_AGAIN);
  }
  return { values, indices, dims };
}

/** A StringStringEntryProto. */
export function readEntry(r: WireReader, end: number): [string, string] {
  let key = '';
  let value = '';
  while (r.next(end)) {
    if (r.field === ENTRY.key) key = r.string();
    else if (r.field === ENTRY.value) value = r.string();
    else r.skip();
  }
  return [key, value];
}

function payloadOf(
  raw: { readonly offset: number; readonly length: number } | undefined,
  runs: ReadonlyMap<number, Run[]>,
): OnnxPayload {
  if (raw !== undefined) return { kind: 'raw', ...raw };
  for (const [field, list] of runs) return { kind: 'typed', field, runs: list };
  return { kind: 'none' };
}

function externalPayload(
  r: WireReader,
  subject: string,
  entries: ReadonlyMap<string, string>,
): OnnxPayload {
  const number = (key: string): number | undefined => {
    const text = entries.get(key);
    if (text === undefined || text === '') return undefined;
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(value)) {
      const message = `${r.source.name}: ${subject} gives "${text.slice(0, 40)}" as its external ${key}`;
      fail('HONE-ONNX-011', message, subject, EXPORT_AGAIN);
    }
    return value;
  };
  return {
    kind: 'external',
    location: entries.get('location') ?? '',
    offset: number('offset') ?? 0,
    length: number('length'),
  };
}
