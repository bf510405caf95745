/** What a file that may be a picture is, by its first bytes; decoders are loaded only for pictures. */
import { isFloat } from 'hone-runtime/base/dtype';
import type { InputSpec } from './picture-tensor.ts';

export type PictureFormat = 'png' | 'jpeg';

/** The format of a file's first bytes; undefined when it is no picture we read. */
export function pictureFormat(bytes: Uint8Array): PictureFormat | undefined {
  if (bytes[0] === 0x89 && bytes[1] === 0x50 && bytes[2] === 0x4e && bytes[3] === 0x47)
    return 'png';
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return 'jpeg';
  return undefined;
}

/** The range that suits an input when --image does not say: integers hold the bytes themselves. */
export function defaultRange(spec: InputSpec): 1 | 255 {
  return isFloat(spec.dtype) ? 1 : 255;
}
