/**
 * Elements that are stored as bit patterns, by dtype: f16, bf16 and the floats of 4 and 8 bits, and the
 * wrapping of integers of 2 and 4 bits.
 *
 * Rounding is to nearest, ties to even. Beyond the largest value the encoders give infinity where
 * the format has one, else NaN, else (f4e2m1, whose NaN becomes -0) the largest value: saturation is the
 * caller's. f8e8m0 has
 * no sign and no zero; its ties go up. Formats: the OCP 8-bit and microscaling specifications, and ONNX's
 * "float stored in 8 bits" for the FNUZ kinds (no infinities, one zero, NaN is the negative zero).
 */
import type { DType, SmallFloat, SmallInt } from './dtype.ts';
import { bf16ToNumber, f16ToNumber, numberToBf16, numberToF16, roundHalfEven } from './half.ts';

type Encode = (value: number) => number;
type Decode = (bits: number) => number;

interface Format {
  readonly mantissaBits: number;
  readonly bias: number;
  /** Largest finite magnitude's pattern; larger ones are special. */
  readonly largest: number;
  readonly nan: number;
  /** The pattern of a magnitude beyond the largest. */
  readonly overflow: number;
  readonly sign: number;
  readonly hasNegativeZero: boolean;
}

const FORMATS: Readonly<Record<Exclude<SmallFloat, 'f8e8m0'>, Format>> = {
  f8e4m3fn: {
    mantissaBits: 3,
    bias: 7,
    largest: 0x7e,
    nan: 0x7f,
    overflow: 0x7f,
    sign: 0x80,
    hasNegativeZero: true,
  },
  f8e4m3fnuz: {
    mantissaBits: 3,
    bias: 8,
    largest: 0x7f,
    nan: 0x80,
    overflow: 0x80,
    sign: 0x80,
    hasNegativeZero: false,
  },
  f8e5m2: {
    mantissaBits: 2,
    bias: 15,
    largest: 0x7b,
    nan: 0x7f,
    overflow: 0x7c,
    sign: 0x80,
    hasNegativeZero: true,
  },
  f8e5m2fnuz: {
    mantissaBits: 2,
    bias: 16,
    largest: 0x7f,
    nan: 0x80,
    overflow: 0x80,
    sign: 0x80,
    hasNegativeZero: false,
  },
  f4e2m1: {
    mantissaBits: 1,
    bias: 1,
    largest: 0x7,
    nan: 0x8,
    overflow: 0x7,
    sign: 0x8,
    hasNegativeZero: true,
  },
};

function decode(format: Format, bits: number): number {
  const { mantissaBits, bias, largest, sign } = format;
  const body = bits & (sign - 1);
  const isNegative = (bits & sign) !== 0;
  if (isNegative && body === 0 && !format.hasNegativeZero) return Number.NaN;
  const signed = (value: number): number => (isNegative ? -value : value);
  if (body > largest) {
    return body === format.overflow && format.overflow !== format.nan
      ? signed(Number.POSITIVE_INFINITY)
      : Number.NaN;
  }
  const exponent = body >> mantissaBits;
  const mantissa = body & ((1 << mantissaBits) - 1);
  const one = 1 << mantissaBits;
  return exponent === 0
    ? signed(mantissa * 2 ** (1 - bias - mantissaBits))
    : signed((one + mantissa) * 2 ** (exponent - bias - mantissaBits));
}

function encode(format: Format, value: number): number {
  const { mantissaBits, bias, largest } = format;
  if (Number.isNaN(value)) return format.nan;
  const sign = value < 0 || Object.is(value, -0) ? format.sign : 0;
  const magnitude = Math.abs(value);
  if (magnitude === Number.POSITIVE_INFINITY) return signedBits(format, sign, format.overflow);
  const rough = magnitude === 0 ? 1 - bias : Math.floor(Math.log2(magnitude));
  // log2 may round up to the next integer just below a power of two.
  const exponent = Math.max(magnitude < 2 ** rough ? rough - 1 : rough, 1 - bias);
  const steps = roundHalfEven(magnitude * 2 ** (mantissaBits - exponent));
  const body = ((exponent + bias - 1) << mantissaBits) + steps;
  return signedBits(format, sign, body > largest ? format.overflow : body);
}

function signedBits(format: Format, sign: number, body: number): number {
  if (body === format.nan && format.nan === format.sign) return body;
  return body === 0 && !format.hasNegativeZero ? 0 : sign | body;
}

/** 2^(bits - 127); 0xff is NaN. */
function decodeScale(bits: number): number {
  return bits === 0xff ? Number.NaN : 2 ** (bits - 127);
}

function encodeScale(value: number): number {
  const magnitude = Math.abs(value);
  if (!Number.isFinite(magnitude)) return 0xff;
  if (magnitude <= 2 ** -127) return 0;
  const rough = Math.floor(Math.log2(magnitude));
  const exponent = magnitude < 2 ** rough ? rough - 1 : rough;
  const up = exponent === -127 ? magnitude > 2 ** -127 : magnitude >= 1.5 * 2 ** exponent;
  return Math.min(Math.max(exponent + 127, 0) + (up ? 1 : 0), 0xff);
}

const DECODERS: Partial<Record<DType, Decode>> = {
  f16: f16ToNumber,
  bf16: bf16ToNumber,
  f8e8m0: decodeScale,
  ...Object.fromEntries(
    Object.entries(FORMATS).map(([name, format]) => [
      name,
      (bits: number): number => decode(format, bits),
    ]),
  ),
};

const ENCODERS: Partial<Record<DType, Encode>> = {
  f16: numberToF16,
  bf16: numberToBf16,
  f8e8m0: encodeScale,
  ...Object.fromEntries(
    Object.entries(FORMATS).map(([name, format]) => [
      name,
      (value: number): number => encode(format, value),
    ]),
  ),
};

/** From a stored pattern to its value; undefined for dtypes whose elements are numbers already. */
export function decoderOf(dtype: DType): Decode | undefined {
  return DECODERS[dtype];
}

/** From a value to the nearest pattern; undefined for dtypes whose elements are numbers already. */
export function encoderOf(dtype: DType): Encode | undefined {
  return ENCODERS[dtype];
}

/** The largest finite value of a float that is stored as a pattern; undefined for others. */
export function largestOf(dtype: DType): number | undefined {
  if (dtype === 'f8e8m0') return 2 ** 127;
  if (!Object.hasOwn(FORMATS, dtype)) return undefined;
  const format = FORMATS[dtype as keyof typeof FORMATS];
  return decode(format, format.largest);
}

/** The low bits of a whole number, as two's complement where the dtype has a sign. */
export function wrapSmallInt(dtype: SmallInt, value: number): number {
  const unused = 32 - (dtype.endsWith('4') ? 4 : 2);
  return dtype.startsWith('u') ? (value << unused) >>> unused : (value << unused) >> unused;
}
