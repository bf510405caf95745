// The arithmetic of hone_math.h on vectors of HONE_LANES lanes (4, 8 or 16); included once per
// width. A function NAME of scalars is called NAMEx16 here.
//
// Lanes are held as f32 (f32, f16, bf16), i32 (i8, u8, i16, u16, i32), u32, or as a mask of i32
// lanes, all ones or zeros (bool). Loads and stores convert from and to memory and need no
// alignment. Double lanes (f64) are loaded, stored, converted and used with C's own operators.

#define HONE_PASTE2(name, lanes) hone_##name##x##lanes
#define HONE_PASTE1(name, lanes) HONE_PASTE2(name, lanes)
#define HONE_N(name) HONE_PASTE1(name, HONE_LANES)
#define HONE_VECTOR_TYPE(T, name) typedef T HONE_N(name) __attribute__((vector_size(HONE_LANES * sizeof(T))))
// As it lies in memory: unaligned, and of any declared type.
#define HONE_MEMORY_TYPE(T, name)                                                                  \
  typedef T HONE_N(name)                                                                           \
      __attribute__((vector_size(HONE_LANES * sizeof(T)), aligned(sizeof(T)), may_alias))

HONE_VECTOR_TYPE(float, f32);
HONE_VECTOR_TYPE(double, f64);
HONE_VECTOR_TYPE(int32_t, i32);
HONE_VECTOR_TYPE(uint32_t, u32);
HONE_VECTOR_TYPE(int64_t, i64);
HONE_VECTOR_TYPE(uint64_t, u64);
HONE_MEMORY_TYPE(float, at_f32);
HONE_MEMORY_TYPE(double, at_f64);
HONE_MEMORY_TYPE(int32_t, at_i32);
HONE_MEMORY_TYPE(uint32_t, at_u32);
HONE_MEMORY_TYPE(int16_t, at_i16);
HONE_MEMORY_TYPE(uint16_t, at_u16);
HONE_MEMORY_TYPE(int8_t, at_i8);
HONE_MEMORY_TYPE(uint8_t, at_u8);

#define F HONE_N(f32)
#define D HONE_N(f64)
#define I HONE_N(i32)
#define U HONE_N(u32)
#define L HONE_N(i64)
#define UL HONE_N(u64)
#define HONE_EACH for (int lane = 0; lane < HONE_LANES; lane++)

// --- forms ------------------------------------------------------------------------------------

HONE_INLINE I HONE_N(as_i32)(F x) { return (I)x; }
HONE_INLINE F HONE_N(as_f32)(I x) { return (F)x; }
HONE_INLINE L HONE_N(as_i64)(D x) { return (L)x; }
HONE_INLINE D HONE_N(as_f64)(L x) { return (D)x; }
HONE_INLINE F HONE_N(splat_f32)(float x) { return x - (F){0}; }
HONE_INLINE D HONE_N(splat_f64)(double x) { return x - (D){0}; }
HONE_INLINE I HONE_N(splat_i32)(int32_t x) { return x | (I){0}; }
HONE_INLINE U HONE_N(splat_u32)(uint32_t x) { return x | (U){0}; }
// 0, 1, 2, …
HONE_INLINE I HONE_N(iota_i32)(void) {
  I x;
  HONE_EACH x[lane] = lane;
  return x;
}
HONE_INLINE F HONE_N(select_f32)(I m, F a, F b) { return (F)((m & (I)a) | (~m & (I)b)); }
HONE_INLINE D HONE_N(select_f64)(L m, D a, D b) { return (D)((m & (L)a) | (~m & (L)b)); }
HONE_INLINE I HONE_N(select_i32)(I m, I a, I b) { return (m & a) | (~m & b); }
HONE_INLINE U HONE_N(select_u32)(I m, U a, U b) { return ((U)m & a) | (~(U)m & b); }
HONE_INLINE int HONE_N(any_i32)(I m) {
  int32_t any = 0;
  HONE_EACH any |= m[lane];
  return any != 0;
}

// --- memory -----------------------------------------------------------------------------------

HONE_INLINE F HONE_N(load_f32)(const float *p) { return *(const HONE_N(at_f32) *)p; }
HONE_INLINE D HONE_N(load_f64)(const double *p) { return *(const HONE_N(at_f64) *)p; }
HONE_INLINE I HONE_N(load_i32)(const int32_t *p) { return *(const HONE_N(at_i32) *)p; }
HONE_INLINE U HONE_N(load_u32)(const uint32_t *p) { return *(const HONE_N(at_u32) *)p; }
HONE_INLINE void HONE_N(store_f32)(float *p, F x) { *(HONE_N(at_f32) *)p = x; }
HONE_INLINE void HONE_N(store_f64)(double *p, D x) { *(HONE_N(at_f64) *)p = x; }
HONE_INLINE void HONE_N(store_i32)(int32_t *p, I x) { *(HONE_N(at_i32) *)p = x; }
HONE_INLINE void HONE_N(store_u32)(uint32_t *p, U x) { *(HONE_N(at_u32) *)p = x; }

#define HONE_SMALL_MEMORY(N, T)                                                                    \
  HONE_INLINE I HONE_N(load_##N)(const T *p) {                                                     \
    return __builtin_convertvector(*(const HONE_N(at_##N) *)p, I);                                 \
  }                                                                                                \
  HONE_INLINE void HONE_N(store_##N)(T *p, I x) {                                                  \
    *(HONE_N(at_##N) *)p = __builtin_convertvector(x, HONE_N(at_##N));                             \
  }                                                                                                \
  HONE_INLINE I HONE_N(wrap_##N)(I x) {                                                            \
    return __builtin_convertvector(__builtin_convertvector(x, HONE_N(at_##N)), I);                 \
  }
HONE_SMALL_MEMORY(i8, int8_t)
HONE_SMALL_MEMORY(u8, uint8_t)
HONE_SMALL_MEMORY(i16, int16_t)
HONE_SMALL_MEMORY(u16, uint16_t)
#undef HONE_SMALL_MEMORY

HONE_INLINE I HONE_N(load_bool)(const uint8_t *p) { return HONE_N(load_u8)(p) != 0; }
HONE_INLINE void HONE_N(store_bool)(uint8_t *p, I m) { HONE_N(store_u8)(p, m & 1); }

HONE_INLINE F HONE_N(load_bf16)(const uint16_t *p) {
  return (F)((U)HONE_N(load_u16)(p) << 16);
}
HONE_INLINE U HONE_N(bf16_bits)(F x) {
  const U bits = (U)x;
  const U up = bits + 0x7fff + ((bits >> 16) & 1);
  return HONE_N(select_u32)(x != x, bits | 0x400000, up) >> 16;
}
#if defined(__AVX512BF16__) && defined(__clang__) && HONE_LANES == 16
HONE_INLINE void HONE_N(store_bf16)(uint16_t *p, F x) {
  typedef __bf16 narrow __attribute__((vector_size(32)));
  typedef narrow at_narrow __attribute__((aligned(2), may_alias));
  *(at_narrow *)p = __builtin_ia32_cvtneps2bf16_512_mask(x, (narrow){0}, (unsigned short)-1);
}
#else
HONE_INLINE void HONE_N(store_bf16)(uint16_t *p, F x) { HONE_N(store_u16)(p, (I)HONE_N(bf16_bits)(x)); }
#endif
HONE_INLINE F HONE_N(round_bf16)(F x) { return (F)(HONE_N(bf16_bits)(x) << 16); }

#if defined(__F16C__) || defined(__aarch64__)
typedef _Float16 HONE_N(f16) __attribute__((vector_size(HONE_LANES * 2)));
typedef _Float16 HONE_N(at_f16) __attribute__((vector_size(HONE_LANES * 2), aligned(2), may_alias));
HONE_INLINE F HONE_N(load_f16)(const uint16_t *p) {
  return __builtin_convertvector(*(const HONE_N(at_f16) *)p, F);
}
HONE_INLINE void HONE_N(store_f16)(uint16_t *p, F x) {
  *(HONE_N(at_f16) *)p = __builtin_convertvector(x, HONE_N(at_f16));
}
HONE_INLINE F HONE_N(round_f16)(F x) {
  return __builtin_convertvector(__builtin_convertvector(x, HONE_N(f16)), F);
}
#else
// As hone_f16_to_f32 and hone_f32_to_f16.
HONE_INLINE F HONE_N(load_f16)(const uint16_t *p) {
  const U x = (U)HONE_N(load_u16)(p);
  const U body = (x & 0x7fff) << 13;
  const U scaled = (U)((F)body * 0x1p112f);
  return (F)(HONE_N(select_u32)(body >= 0x0f800000, body | 0x7f800000, scaled) | ((x & 0x8000) << 16));
}
HONE_INLINE U HONE_N(f16_bits)(F x) {
  const U bits = (U)x;
  const U body = bits & 0x7fffffff;
  const U tiny = (U)((F)body + 0.5f) - 0x3f000000;
  const U normal = (body - 0x38000000 + 0xfff + ((body >> 13) & 1)) >> 13;
  const U huge = HONE_N(select_u32)(body > 0x7f800000, HONE_N(splat_u32)(0x7e00), HONE_N(splat_u32)(0x7c00));
  const U finite = HONE_N(select_u32)(body < 0x38800000, tiny, normal);
  return HONE_N(select_u32)(body >= 0x477ff000, huge, finite) | ((bits >> 16) & 0x8000);
}
HONE_INLINE void HONE_N(store_f16)(uint16_t *p, F x) { HONE_N(store_u16)(p, (I)HONE_N(f16_bits)(x)); }
HONE_INLINE F HONE_N(round_f16)(F x) {
  uint16_t lanes[HONE_LANES];
  HONE_N(store_f16)(lanes, x);
  return HONE_N(load_f16)(lanes);
}
#endif

// Reads only the lanes whose mask is set; the others are 0.
#define HONE_MASKED(N, T, V)                                                                       \
  HONE_INLINE V HONE_N(load_masked_##N)(const T *p, I m) {                                         \
    T lanes[HONE_LANES] = {0};                                                                     \
    HONE_EACH if (m[lane]) lanes[lane] = p[lane];                                                  \
    return HONE_N(load_##N)(lanes);                                                                \
  }
#if defined(__AVX512DQ__) && HONE_LANES == 16
HONE_INLINE F HONE_N(load_masked_f32)(const float *p, I m) {
  return __builtin_ia32_loadups512_mask(p, (F){0},
                                        (unsigned short)__builtin_ia32_cvtd2mask512(m));
}
#elif defined(__AVX__) && HONE_LANES == 8
HONE_INLINE F HONE_N(load_masked_f32)(const float *p, I m) {
  return __builtin_ia32_maskloadps256((const F *)p, m);
}
#else
HONE_MASKED(f32, float, F)
#endif
HONE_MASKED(i32, int32_t, I)
HONE_MASKED(u32, uint32_t, U)
HONE_MASKED(i16, int16_t, I)
HONE_MASKED(u16, uint16_t, I)
HONE_MASKED(i8, int8_t, I)
HONE_MASKED(u8, uint8_t, I)
HONE_MASKED(bool, uint8_t, I)
HONE_MASKED(bf16, uint16_t, F)
HONE_MASKED(f16, uint16_t, F)
#undef HONE_MASKED

// --- conversions ------------------------------------------------------------------------------

HONE_INLINE D HONE_N(cvt_f32_f64)(F x) { return __builtin_convertvector(x, D); }
HONE_INLINE F HONE_N(cvt_f64_f32)(D x) { return __builtin_convertvector(x, F); }
HONE_INLINE F HONE_N(cvt_i32_f32)(I x) { return __builtin_convertvector(x, F); }
HONE_INLINE F HONE_N(cvt_u32_f32)(U x) { return __builtin_convertvector(x, F); }
HONE_INLINE F HONE_N(cvt_bool_f32)(I m) { return (F)(m & 0x3f800000); }
HONE_INLINE I HONE_N(cvt_bool_i32)(I m) { return m & 1; }
HONE_INLINE U HONE_N(cvt_bool_u32)(I m) { return (U)(m & 1); }

// Toward zero, saturating, NaN gives 0. What is converted is in range in every lane; where float
// has no number just below the limit the integer limit is selected afterwards.
HONE_INLINE F HONE_N(clamped)(F x, float low, float high) {
  F c = HONE_N(select_f32)(x == x, x, HONE_N(splat_f32)(0.0f));
  c = HONE_N(select_f32)(c > low, c, HONE_N(splat_f32)(low));
  return HONE_N(select_f32)(c < high, c, HONE_N(splat_f32)(high));
}
#define HONE_SMALL_CVT(N, LOW, HIGH)                                                               \
  HONE_INLINE I HONE_N(cvt_f32_##N)(F x) {                                                         \
    return __builtin_convertvector(HONE_N(clamped)(x, LOW, HIGH), I);                              \
  }
HONE_SMALL_CVT(i8, -128.0f, 127.0f)
HONE_SMALL_CVT(u8, 0.0f, 255.0f)
HONE_SMALL_CVT(i16, -32768.0f, 32767.0f)
HONE_SMALL_CVT(u16, 0.0f, 65535.0f)
#undef HONE_SMALL_CVT
HONE_INLINE I HONE_N(cvt_f32_i32)(F x) {
  const I y = __builtin_convertvector(HONE_N(clamped)(x, -2147483648.0f, 2147483520.0f), I);
  return HONE_N(select_i32)(x >= 2147483648.0f, HONE_N(splat_i32)(INT32_MAX), y);
}
HONE_INLINE U HONE_N(cvt_f32_u32)(F x) {
  const U y = __builtin_convertvector(HONE_N(clamped)(x, 0.0f, 4294967040.0f), U);
  return HONE_N(select_u32)(x >= 4294967296.0f, HONE_N(splat_u32)(UINT32_MAX), y);
}

// To nearest even, for numbers below 2^22.
HONE_INLINE I HONE_N(nearest_i32)(F x) {
#if defined(__clang__) && HONE_LANES == 16 && defined(__AVX512F__)
  return __builtin_ia32_cvtps2dq512_mask(x, (I){0}, (unsigned short)-1, 4);
#elif defined(__clang__) && HONE_LANES == 8 && defined(__AVX__)
  return __builtin_ia32_cvtps2dq256(x);
#else
  // Adding 1.5 · 2^23 leaves the whole number in the low bits.
  return (I)(x + 12582912.0f) - 0x4b400000;
#endif
}
// To nearest even, plus the zero point, saturating; NaN gives 0.
HONE_INLINE I HONE_N(quantize_u8)(F x, int32_t zero) {
  const float low = -zero, high = 255 - zero;
  const F above = HONE_N(select_f32)(x > low, x, HONE_N(splat_f32)(low));
  return HONE_N(nearest_i32)(HONE_N(select_f32)(above < high, above, HONE_N(splat_f32)(high))) + zero;
}

// --- integers ---------------------------------------------------------------------------------

HONE_INLINE I HONE_N(add_i32)(I a, I b) { return (I)((U)a + (U)b); }
HONE_INLINE I HONE_N(sub_i32)(I a, I b) { return (I)((U)a - (U)b); }
HONE_INLINE I HONE_N(mul_i32)(I a, I b) { return (I)((U)a * (U)b); }
HONE_INLINE I HONE_N(neg_i32)(I a) { return (I)(0 - (U)a); }
HONE_INLINE I HONE_N(min_i32)(I a, I b) { return HONE_N(select_i32)(a < b, a, b); }
HONE_INLINE I HONE_N(max_i32)(I a, I b) { return HONE_N(select_i32)(a > b, a, b); }
HONE_INLINE I HONE_N(abs_i32)(I a) { return HONE_N(select_i32)(a < 0, HONE_N(neg_i32)(a), a); }
HONE_INLINE I HONE_N(sign_i32)(I a) { return (a < 0) - (a > 0); }
HONE_INLINE U HONE_N(add_u32)(U a, U b) { return a + b; }
HONE_INLINE U HONE_N(sub_u32)(U a, U b) { return a - b; }
HONE_INLINE U HONE_N(mul_u32)(U a, U b) { return a * b; }
HONE_INLINE U HONE_N(neg_u32)(U a) { return 0 - a; }
HONE_INLINE U HONE_N(min_u32)(U a, U b) { return HONE_N(select_u32)(a < b, a, b); }
HONE_INLINE U HONE_N(max_u32)(U a, U b) { return HONE_N(select_u32)(a > b, a, b); }
HONE_INLINE U HONE_N(abs_u32)(U a) { return a; }
HONE_INLINE U HONE_N(sign_u32)(U a) { return (U)((I)(a != 0) & 1); }

// Shifts by the width or more give 0 (-1 for a negative number shifted right).
#define HONE_SHIFTS(N, V, BITS)                                                                    \
  HONE_INLINE V HONE_N(shl_##N)(V a, V b) {                                                        \
    const U by = (U)b & (BITS - 1);                                                                \
    return (V)HONE_N(select_u32)((U)b < BITS, (U)a << by, HONE_N(splat_u32)(0));                   \
  }                                                                                                \
  HONE_INLINE V HONE_N(shr_##N)(V a, V b) {                                                        \
    const V by = (V)((U)b & (BITS - 1));                                                           \
    return (V)HONE_N(select_i32)((U)b < BITS, (I)(a >> by), (I)(a < 0));                           \
  }
HONE_SHIFTS(i8, I, 8)
HONE_SHIFTS(u8, I, 8)
HONE_SHIFTS(i16, I, 16)
HONE_SHIFTS(u16, I, 16)
HONE_SHIFTS(i32, I, 32)
HONE_SHIFTS(u32, U, 32)
#undef HONE_SHIFTS

// --- floats -----------------------------------------------------------------------------------

// As for scalars: NaN when either side is NaN; with a constant a single comparison.
HONE_INLINE F HONE_N(min_f32)(F a, F b) { return HONE_N(select_f32)((a < b) | (a != a), a, b); }
HONE_INLINE F HONE_N(max_f32)(F a, F b) { return HONE_N(select_f32)((a > b) | (a != a), a, b); }
HONE_INLINE F HONE_N(min_const_f32)(F x, F c) { return HONE_N(select_f32)(c < x, c, x); }
HONE_INLINE F HONE_N(max_const_f32)(F x, F c) { return HONE_N(select_f32)(c > x, c, x); }
HONE_INLINE I HONE_N(isnan_f32)(F x) { return x != x; }
HONE_INLINE I HONE_N(isinf_f32)(F x) { return (x == HONE_INF) | (x == -HONE_INF); }
HONE_INLINE F HONE_N(sign_f32)(F x) {
  const F one = HONE_N(splat_f32)(1.0f);
  return HONE_N(select_f32)(x > 0.0f, one, HONE_N(select_f32)(x < 0.0f, -one, x));
}

#if defined(HONE_ROUND_BUILTIN) && defined(__clang__)
#define HONE_EACH_LANE(name, V, T) return __builtin_elementwise_##name(x);
#else
#define HONE_EACH_LANE(name, V, T)                                                                 \
  V y;                                                                                             \
  HONE_EACH y[lane] = hone_##name##_##T(x[lane]);                                                  \
  return y;
#endif
#define hone_rint_f32 hone_round_f32
#define hone_rint_f64 hone_round_f64
HONE_INLINE F HONE_N(round_f32)(F x) { HONE_EACH_LANE(rint, F, f32) }
HONE_INLINE F HONE_N(floor_f32)(F x) { HONE_EACH_LANE(floor, F, f32) }
HONE_INLINE F HONE_N(ceil_f32)(F x) { HONE_EACH_LANE(ceil, F, f32) }
HONE_INLINE F HONE_N(trunc_f32)(F x) { HONE_EACH_LANE(trunc, F, f32) }
HONE_INLINE F HONE_N(sqrt_f32)(F x) { HONE_EACH_LANE(sqrt, F, f32) }
HONE_INLINE D HONE_N(round_f64)(D x) { HONE_EACH_LANE(rint, D, f64) }
HONE_INLINE D HONE_N(floor_f64)(D x) { HONE_EACH_LANE(floor, D, f64) }
HONE_INLINE D HONE_N(sqrt_f64)(D x) { HONE_EACH_LANE(sqrt, D, f64) }
#undef hone_rint_f32
#undef hone_rint_f64
#undef HONE_EACH_LANE

HONE_INLINE F HONE_N(floordiv_f32)(F a, F b) { return HONE_N(floor_f32)(a / b); }

#include "hone_math_f64.h"
#include "hone_math_f32.h"

// --- all lanes into one -----------------------------------------------------------------------
// Halves are combined until one lane is left, so the order is the same on every machine.

#define HONE_REDUCE(name, T, V, START)                                                             \
  HONE_INLINE T HONE_N(reduce_##name)(V x) {                                                       \
    T part[HONE_LANES];                                                                            \
    HONE_EACH part[lane] = x[lane];                                                                \
    for (int half = HONE_LANES / 2; half > 0; half /= 2) {                                         \
      for (int i = 0; i < half; i++) part[i] = hone_##name(part[i], part[i + half]);               \
    }                                                                                              \
    return part[0];                                                                                \
  }
HONE_REDUCE(add_f32, float, F, 0)
HONE_REDUCE(mul_f32, float, F, 1)
HONE_REDUCE(min_f32, float, F, 0)
HONE_REDUCE(max_f32, float, F, 0)
HONE_REDUCE(add_i32, int32_t, I, 0)
HONE_REDUCE(mul_i32, int32_t, I, 1)
HONE_REDUCE(min_i32, int32_t, I, 0)
HONE_REDUCE(max_i32, int32_t, I, 0)
#undef HONE_REDUCE

#undef F
#undef D
#undef I
#undef U
#undef L
#undef UL
#undef HONE_EACH
#undef HONE_N
#undef HONE_PASTE1
#undef HONE_PASTE2
#undef HONE_VECTOR_TYPE
#undef HONE_MEMORY_TYPE
#undef HONE_LANES
