/**
 * IEEE 754 binary16 (f16) and bfloat16 (bf16) bit patterns, rounded to nearest even.
 */

const f32 = new Float32Array(1);
const u32 = new Uint32Array(f32.buffer);

function bitsOf(value: number): number {
  f32[0] = value;
  return u32[0] as number;
}

/** Value of a bf16 bit pattern. */
export function bf16ToNumber(bits: number): number {
  u32[0] = bits << 16;
  return f32[0] as number;
}

/** Nearest bf16 bit pattern of a double (rounded through f32); NaN stays NaN. */
export function numberToBf16(value: number): number {
  const bits = bitsOf(value);
  if (Number.isNaN(value)) return (bits >>> 16) | 0x40;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** Value of an f16 bit pattern. */
export function f16ToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const mantissa = bits & 0x3ff;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

/** Nearest f16 bit pattern of a double; overflow gives infinity, underflow subnormals. */
export function numberToF16(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude >= 65520) return sign | 0x7c00;
  if (magnitude < 2 ** -14) return sign | roundHalfEven(magnitude * 2 ** 24);
  const exponent = Math.floor(Math.log2(magnitude));
  // log2 may round up to the next integer just below a power of two.
  const exact = magnitude < 2 ** exponent ? exponent - 1 : exponent;
  const mantissa = roundHalfEven((magnitude / 2 ** exact - 1) * 1024);
  return sign | (((exact + 15) << 10) + mantissa);
}

/** The nearest whole number of a non-negative one, ties to even. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest > 0.5 || (rest === 0.5 && floor % 2 === 1)) return floor + 1;
  return floor;
}
