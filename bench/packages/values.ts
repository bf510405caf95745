/** Values and sizes of inputs that several models share. */
import type { InputValues } from 'hone/bench/engine-protocol';
import type { ExpectedMiss, PackageModel } from './entry.ts';

/** One number and no other. */
export function exactly(value: number): InputValues {
  return { low: value, high: value + 1 };
}

/** Indices of so many rows of a table. */
export function rows(count: number): InputValues {
  return { low: 0, high: count };
}

/** A page in lines: on noise, models that find or read text see nothing. */
export const PAGE: InputValues = { low: -1, high: 1, content: 'page' };

export const BRIGHTNESS: InputValues = { low: 0, high: 1 };
export const BYTES: InputValues = { low: 0, high: 255 };
export const VOICE: InputValues = { low: -0.3, high: 0.3 };

/** PaddleOCR's models, which call their input x. */
export function paddle(path: string, shape: readonly number[]): PackageModel {
  return { path, shapes: { x: shape }, values: { x: PAGE } };
}

/** onnxruntime rounds what these nodes multiply to 8 bits; Hone does not (docs/status.md). */
export const LSTM_OF_8_BITS: ExpectedMiss = {
  verdict: 'differs',
  why: 'DynamicQuantizeLSTM: onnxruntime rounds its data to 8 bits, Hone multiplies in f32',
};
