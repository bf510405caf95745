/** A table from keys to values, of numbers or texts: the meaning of LabelEncoder and CategoryMapper. */
import { type DType, isBig } from '../base/dtype.ts';
import { fromNumbers, type Tensor, toNumbers } from '../base/tensor.ts';

type Key = number | bigint | string;

/** Elements that can be compared: NaN as one key, -0 as 0. */
function keysOf(tensor: Tensor): readonly Key[] {
  if (tensor.dtype === 'string') return tensor.data as readonly string[];
  if (isBig(tensor.dtype)) return Array.from(tensor.data as BigInt64Array);
  return Array.from(toNumbers(tensor), (value) => value + 0);
}

/** The value of each element's key; `otherwise` has one element, for keys that are not there. */
export function lookUpAll(x: Tensor, keys: Tensor, values: Tensor, otherwise: Tensor): Tensor {
  // A Map finds NaN, and the last of equal keys counts.
  const rows = new Map(keysOf(keys).map((key, i) => [key, i]));
  const found = keysOf(x).map((key) => rows.get(key));
  return pickRows(values, otherwise, found, x.shape);
}

function pickRows(
  values: Tensor,
  otherwise: Tensor,
  rows: readonly (number | undefined)[],
  shape: readonly number[],
): Tensor {
  const dtype: DType = values.dtype;
  const pick = (row: number | undefined): Tensor['data'][number] =>
    row === undefined
      ? (otherwise.data[0] as Tensor['data'][number])
      : (values.data[row] as Tensor['data'][number]);
  const list = rows.map(pick);
  if (dtype === 'string') return { dtype, shape, data: list as string[] };
  if (isBig(dtype)) return { dtype, shape, data: BigInt64Array.from(list as bigint[]) };
  return fromNumbers(dtype, shape, list as number[]);
}
