// Floats of 4 and 8 bits and integers of 2 and 4 bits: loads, stores, rounding and wrapping. Elements lie
// in a byte each. Included by hone_math.h, which states what conversions mean; formats are those of
// hone-runtime's base/bit-patterns.ts.

// M: bits of the mantissa. LARGEST: pattern of the largest finite magnitude. OVER: of what is beyond it.
// NAN_BITS: the pattern of NaN. SIGN: the sign bit. ZERO: whether -0 has a pattern of its own.
#define HONE_SMALL_FLOAT(N, M, BIAS, LARGEST, OVER, NAN_BITS, SIGN, ZERO)                          \
  HONE_INLINE float hone_##N##_to_f32(uint8_t x) {                                                 \
    const uint32_t body = x & ((SIGN) - 1);                                                        \
    const uint32_t sign = x & (SIGN) ? 0x80000000u : 0;                                            \
    const float tiny = (float)body * hone_from_bits_f32((uint32_t)(127 + 1 - (BIAS) - (M)) << 23); \
    const uint32_t normal = (body + ((uint32_t)(127 - (BIAS)) << (M))) << (23 - (M));              \
    const uint32_t bits = body >> (M) ? normal : hone_bits_f32(tiny);                              \
    const uint32_t huge = body == (OVER) && (OVER) != (NAN_BITS) ? 0x7f800000u : 0x7fc00000u;      \
    if (!(ZERO) && x == (SIGN)) return HONE_NAN;                                                   \
    return hone_from_bits_f32((body > (LARGEST) ? huge : bits) | sign);                            \
  }                                                                                                \
  HONE_INLINE uint8_t hone_f32_to_##N(float x) {                                                   \
    const uint32_t all = hone_bits_f32(x);                                                         \
    const uint32_t size = all & 0x7fffffffu;                                                       \
    const uint32_t sign = all >> 31 ? (SIGN) : 0;                                                  \
    const uint32_t lowest = (uint32_t)(128 - (BIAS)) << 23;                                        \
    const float scale = hone_from_bits_f32((uint32_t)(127 + (BIAS) - 1 + (M)) << 23);              \
    uint32_t body;                                                                                 \
    if (size > 0x7f800000u) return (uint8_t)(NAN_BITS);                                            \
    if (size < lowest) {                                                                           \
      /* Adding 2^23 leaves the rounded number of steps in the low bits. */                        \
      body = hone_bits_f32(hone_from_bits_f32(size) * scale + 8388608.0f) - 0x4b000000u;           \
    } else {                                                                                       \
      const uint32_t even = (size >> (23 - (M))) & 1;                                              \
      const uint32_t up = size + (((uint32_t)1 << (22 - (M))) - 1) + even;                         \
      body = (up >> (23 - (M))) - ((uint32_t)(127 - (BIAS)) << (M));                               \
    }                                                                                              \
    if (body > (LARGEST)) body = (OVER);                                                           \
    if (!(ZERO) && (body == 0 || body == (NAN_BITS))) return (uint8_t)body;                        \
    return (uint8_t)(sign | body);                                                                 \
  }

HONE_SMALL_FLOAT(f8e4m3fn, 3, 7, 0x7e, 0x7f, 0x7f, 0x80, 1)
HONE_SMALL_FLOAT(f8e4m3fnuz, 3, 8, 0x7f, 0x80, 0x80, 0x80, 0)
HONE_SMALL_FLOAT(f8e5m2, 2, 15, 0x7b, 0x7c, 0x7f, 0x80, 1)
HONE_SMALL_FLOAT(f8e5m2fnuz, 2, 16, 0x7f, 0x80, 0x80, 0x80, 0)
HONE_SMALL_FLOAT(f4e2m1, 1, 1, 0x7, 0x7, 0x8, 0x8, 1)

// Powers of two alone: 2^(x - 127), and 0xff is NaN. The smallest is a subnormal float.
HONE_INLINE float hone_f8e8m0_to_f32(uint8_t x) {
  return x == 0xff ? HONE_NAN : hone_from_bits_f32(x == 0 ? 0x400000u : (uint32_t)x << 23);
}
HONE_INLINE uint8_t hone_f32_to_f8e8m0(float x) {
  const uint32_t size = hone_bits_f32(x) & 0x7fffffffu;
  const uint32_t up = (size >> 22) & 1 & (size > 0x400000u);
  return (uint8_t)(size >= 0x7f800000u ? 0xff : (size >> 23) + up);
}

#define HONE_SMALL_ACCESS(N)                                                                       \
  HONE_INLINE float hone_load_##N(const uint8_t *p) { return hone_##N##_to_f32(*p); }              \
  HONE_INLINE void hone_store_##N(uint8_t *p, float x) { *p = hone_f32_to_##N(x); }                \
  HONE_INLINE float hone_round_##N(float x) { return hone_##N##_to_f32(hone_f32_to_##N(x)); }
HONE_SMALL_ACCESS(f8e4m3fn)
HONE_SMALL_ACCESS(f8e4m3fnuz)
HONE_SMALL_ACCESS(f8e5m2)
HONE_SMALL_ACCESS(f8e5m2fnuz)
HONE_SMALL_ACCESS(f4e2m1)
HONE_SMALL_ACCESS(f8e8m0)

// A float is made an i32 first; then the low bits count.
#define HONE_SMALL_INT(N, T, WRAP)                                                      \
  HONE_INLINE T hone_wrap_##N(int32_t x) { return (T)(WRAP); }                                     \
  HONE_INLINE T hone_cvt_f32_##N(float x) { return hone_wrap_##N(hone_cvt_f32_i32(x)); }           \
  HONE_INLINE T hone_cvt_f64_##N(double x) { return hone_wrap_##N(hone_cvt_f64_i32(x)); }
HONE_SMALL_INT(i4, int8_t, ((x & 15) ^ 8) - 8)
HONE_SMALL_INT(u4, uint8_t, x & 15)
HONE_SMALL_INT(i2, int8_t, ((x & 3) ^ 2) - 2)
HONE_SMALL_INT(u2, uint8_t, x & 3)
