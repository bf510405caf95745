/** Numbers as texts and back, as ONNX's Cast has them. */
import type { DType } from '../base/dtype.ts';
import { fromNumbers, toNumbers } from '../base/tensor.ts';

/** The shortest decimal that reads back as the same value of the dtype. */
export function numberToText(value: number, dtype: DType): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'INF' : '-INF';
  if (dtype === 'f64') return String(value);
  const same = (candidate: number): boolean =>
    toNumbers(fromNumbers(dtype, [1], [candidate]))[0] === value;
  for (let digits = 1; digits <= 9; digits++) {
    const candidate = Number(value.toPrecision(digits));
    if (same(candidate)) return String(candidate);
  }
  return String(value);
}

export function textToNumber(value: string): number {
  const word = value.trim().toLowerCase();
  if (/^[+-]?(nan)$/.test(word)) return Number.NaN;
  if (/^[+-]?inf(inity)?$/.test(word)) {
    return word.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  }
  return Number(word);
}
