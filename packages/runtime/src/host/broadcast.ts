/** Broadcasting of texts, as ONNX's other operators broadcast numbers. */
import { elementCount, stridesOf, type Tensor } from '../base/tensor.ts';

/** The texts of `x` spread over `shape`, which its own shape broadcasts to. */
export function spreadTexts(x: Tensor, shape: readonly number[]): readonly string[] {
  const texts = x.data as readonly string[];
  const skip = shape.length - x.shape.length;
  const own = stridesOf(x.shape);
  const strides = shape.map((_, axis) =>
    axis < skip || x.shape[axis - skip] === 1 ? 0 : (own[axis - skip] as number),
  );
  const outer = stridesOf(shape);
  return Array.from({ length: elementCount(shape) }, (_, i) => {
    let at = 0;
    shape.forEach((extent, axis) => {
      at += (Math.floor(i / (outer[axis] as number)) % extent) * (strides[axis] as number);
    });
    return texts[at] ?? '';
  });
}
