// Arithmetic of compiled kernels: what C leaves undefined or rounds otherwise is defined here.
//
// Nothing calls libc. Every function is inlined; those without a loop are free of branches, so
// that loops over them become vector code. Half types (f16, bf16) are computed as float and
// rounded after each operation.
#ifndef HONE_MATH_H
#define HONE_MATH_H

#include <stdint.h>

#define HONE_INLINE static inline __attribute__((always_inline, unused))
#define HONE_ALIGNED __attribute__((aligned(64)))
#define HONE_INF __builtin_inff()
#define HONE_NAN __builtin_nanf("")

// What we want of a loop. Register tiles need their loops unrolled completely, and the loops
// around them left alone: a second copy of the body would not fit into the registers.
#define HONE_PRAGMA(text) _Pragma(#text)
#ifdef __clang__
#pragma clang diagnostic ignored "-Wpass-failed"
#pragma clang diagnostic ignored "-Wpsabi"
#define HONE_UNROLL(n) HONE_PRAGMA(clang loop unroll(full))
#define HONE_ROLLED HONE_PRAGMA(clang loop unroll(disable))
#define HONE_VECTORIZE HONE_PRAGMA(clang loop vectorize(enable) interleave(enable) unroll(disable))
#define HONE_REASSOCIATE HONE_PRAGMA(clang fp reassociate(on))
#else
#pragma GCC diagnostic ignored "-Wpsabi"
#define HONE_UNROLL(n) HONE_PRAGMA(GCC unroll n)
#define HONE_ROLLED HONE_PRAGMA(GCC unroll 1)
#define HONE_VECTORIZE
#define HONE_REASSOCIATE
#endif

// --- loops and indices ------------------------------------------------------------------------

// Iterations of for (i = lo; i < hi; i += step).
HONE_INLINE int64_t hone_trips(int64_t lo, int64_t hi, int64_t step) {
  return hi > lo ? (hi - lo + step - 1) / step : 0;
}

// A checked index taken from data: negative values count from the end. Outside, the run fails
// with a fault and the index is 0.
HONE_INLINE int64_t hone_bound(int64_t x, int64_t extent, const hone_worker *worker) {
  const int64_t index = x < 0 ? (int64_t)((uint64_t)x + (uint64_t)extent) : x;
  if (index >= 0 && index < extent) return index;
  hone_fault(worker, HONE_FAULT_INDEX);
  return 0;
}

// A lane number that compares with lanes 0 … 15 as x does, and fits into 32 bits.
HONE_INLINE int32_t hone_lane_limit(int64_t x) {
  return x > 64 ? 64 : x < -64 ? -64 : (int32_t)x;
}

// --- integers ---------------------------------------------------------------------------------
// Arithmetic wraps. Division by zero gives 0; floordiv and mod round toward minus infinity;
// shifts by the width or more give 0 (-1 for a negative number shifted right).

#define HONE_INT_COMMON(N, T, U, W, BITS)                                                          \
  HONE_INLINE T hone_add_##N(T a, T b) { return (T)((U)a + (U)b); }                                \
  HONE_INLINE T hone_sub_##N(T a, T b) { return (T)((U)a - (U)b); }                                \
  HONE_INLINE T hone_mul_##N(T a, T b) { return (T)((W)a * (W)b); }                                \
  HONE_INLINE T hone_neg_##N(T a) { return (T)((U)0 - (U)a); }                                     \
  HONE_INLINE T hone_min_##N(T a, T b) { return a < b ? a : b; }                                   \
  HONE_INLINE T hone_max_##N(T a, T b) { return a > b ? a : b; }                                   \
  HONE_INLINE T hone_shl_##N(T a, T b) {                                                           \
    return (U)b >= BITS ? (T)0 : (T)((W)(U)a << ((U)b & (BITS - 1)));                              \
  }                                                                                                \
  HONE_INLINE T hone_shr_##N(T a, T b) {                                                           \
    return (T)((U)b >= BITS ? (a < 0 ? -1 : 0) : a >> ((U)b & (BITS - 1)));                        \
  }                                                                                                \
  HONE_INLINE T hone_pow_##N(T a, T b) {                                                           \
    T result = 1;                                                                                  \
    if (b < 0) return a == 1 ? (T)1 : a == (T)-1 ? ((b & 1) != 0 ? (T)-1 : (T)1) : (T)0;           \
    for (U n = (U)b; n != 0; n >>= 1) {                                                            \
      if ((n & 1) != 0) result = hone_mul_##N(result, a);                                          \
      a = hone_mul_##N(a, a);                                                                      \
    }                                                                                              \
    return result;                                                                                 \
  }

#define HONE_INT_SIGNED(N, T, U, W, BITS)                                                          \
  HONE_INT_COMMON(N, T, U, W, BITS)                                                                \
  HONE_INLINE T hone_abs_##N(T a) { return a < 0 ? hone_neg_##N(a) : a; }                          \
  HONE_INLINE T hone_sign_##N(T a) { return (T)((a > 0) - (a < 0)); }                              \
  HONE_INLINE T hone_div_##N(T a, T b) {                                                           \
    return b == 0 ? (T)0 : b == -1 ? hone_neg_##N(a) : (T)(a / b);                                 \
  }                                                                                                \
  HONE_INLINE T hone_fmod_##N(T a, T b) { return b == 0 || b == -1 ? (T)0 : (T)(a % b); }          \
  HONE_INLINE T hone_mod_##N(T a, T b) {                                                           \
    const T rest = hone_fmod_##N(a, b);                                                            \
    return rest != 0 && (rest < 0) != (b < 0) ? (T)(rest + b) : rest;                              \
  }                                                                                                \
  HONE_INLINE T hone_floordiv_##N(T a, T b) {                                                      \
    return (T)(hone_div_##N(a, b) - (hone_fmod_##N(a, b) != 0 && (a < 0) != (b < 0)));             \
  }

#define HONE_INT_UNSIGNED(N, T, W, BITS)                                                           \
  HONE_INT_COMMON(N, T, T, W, BITS)                                                                \
  HONE_INLINE T hone_abs_##N(T a) { return a; }                                                    \
  HONE_INLINE T hone_sign_##N(T a) { return a != 0; }                                              \
  HONE_INLINE T hone_div_##N(T a, T b) { return b == 0 ? (T)0 : (T)(a / b); }                      \
  HONE_INLINE T hone_floordiv_##N(T a, T b) { return hone_div_##N(a, b); }                         \
  HONE_INLINE T hone_fmod_##N(T a, T b) { return b == 0 ? (T)0 : (T)(a % b); }                     \
  HONE_INLINE T hone_mod_##N(T a, T b) { return hone_fmod_##N(a, b); }

// W: the unsigned type in which products do not overflow.
HONE_INT_SIGNED(i8, int8_t, uint8_t, uint32_t, 8)
HONE_INT_SIGNED(i16, int16_t, uint16_t, uint32_t, 16)
HONE_INT_SIGNED(i32, int32_t, uint32_t, uint32_t, 32)
HONE_INT_SIGNED(i64, int64_t, uint64_t, uint64_t, 64)
HONE_INT_UNSIGNED(u8, uint8_t, uint32_t, 8)
HONE_INT_UNSIGNED(u16, uint16_t, uint32_t, 16)
HONE_INT_UNSIGNED(u32, uint32_t, uint32_t, 32)
HONE_INT_UNSIGNED(u64, uint64_t, uint64_t, 64)

// --- float to integer: toward zero, saturating, NaN gives 0 ------------------------------------
// `ABOVE` is the first value past the range (exact in float and double), `LOW` the lowest inside.

#define HONE_CVT(F, FT, N, T, LOW, ABOVE, MIN, MAX)                                                \
  HONE_INLINE T hone_cvt_##F##_##N(FT x) {                                                         \
    return x >= (FT)(ABOVE) ? (T)(MAX) : x > (FT)(LOW) ? (T)x : x != x ? (T)0 : (T)(MIN);          \
  }
#define HONE_CVT_ALL(F, FT)                                                                        \
  HONE_CVT(F, FT, i8, int8_t, -128, 128, -128, 127)                                                \
  HONE_CVT(F, FT, u8, uint8_t, 0, 256, 0, 255)                                                     \
  HONE_CVT(F, FT, i16, int16_t, -32768, 32768, -32768, 32767)                                      \
  HONE_CVT(F, FT, u16, uint16_t, 0, 65536, 0, 65535)                                               \
  HONE_CVT(F, FT, i32, int32_t, -2147483648.0, 2147483648.0, INT32_MIN, INT32_MAX)                 \
  HONE_CVT(F, FT, u32, uint32_t, 0, 4294967296.0, 0, UINT32_MAX)                                   \
  HONE_CVT(F, FT, i64, int64_t, -9223372036854775808.0, 9223372036854775808.0, INT64_MIN,          \
           INT64_MAX)                                                                              \
  HONE_CVT(F, FT, u64, uint64_t, 0, 18446744073709551616.0, 0, UINT64_MAX)
HONE_CVT_ALL(f32, float)
HONE_CVT_ALL(f64, double)

// --- floats -----------------------------------------------------------------------------------

// min and max give NaN when either side is NaN. With a constant on one side (never NaN) a single
// compare does: it must be the constant that is taken only when the comparison holds.
#define HONE_FLOAT_COMMON(N, T)                                                                    \
  HONE_INLINE T hone_min_##N(T a, T b) { return ((a < b) | (a != a)) ? a : b; }                    \
  HONE_INLINE T hone_max_##N(T a, T b) { return ((a > b) | (a != a)) ? a : b; }                    \
  HONE_INLINE T hone_min_const_##N(T x, T c) { return c < x ? c : x; }                             \
  HONE_INLINE T hone_max_const_##N(T x, T c) { return c > x ? c : x; }                             \
  HONE_INLINE int hone_isnan_##N(T x) { return x != x; }                                           \
  HONE_INLINE int hone_isinf_##N(T x) { return (x == (T)HONE_INF) | (x == (T)-HONE_INF); }         \
  HONE_INLINE T hone_sign_##N(T x) {                                                               \
    return x != x ? x : (T)((x > 0) - (x < 0));                                                    \
  }                                                                                                \
  HONE_INLINE T hone_add_##N(T a, T b) { return a + b; }                                           \
  HONE_INLINE T hone_mul_##N(T a, T b) { return a * b; }
HONE_FLOAT_COMMON(f32, float)
HONE_FLOAT_COMMON(f64, double)

// The same in a form that the compiler recognises as the step of a reduction.
#ifdef __has_builtin
#if __has_builtin(__builtin_elementwise_maximum)
#define HONE_FOLD(N, T)                                                                            \
  HONE_INLINE T hone_fold_min_##N(T a, T b) { return __builtin_elementwise_minimum(a, b); }        \
  HONE_INLINE T hone_fold_max_##N(T a, T b) { return __builtin_elementwise_maximum(a, b); }
#endif
#endif
#ifndef HONE_FOLD
#define HONE_FOLD(N, T)                                                                            \
  HONE_INLINE T hone_fold_min_##N(T a, T b) { return hone_min_##N(a, b); }                         \
  HONE_INLINE T hone_fold_max_##N(T a, T b) { return hone_max_##N(a, b); }
#endif
HONE_FOLD(f32, float)
HONE_FOLD(f64, double)

HONE_INLINE uint32_t hone_bits_f32(float x) {
  union { float f; uint32_t u; } v = {x};
  return v.u;
}
HONE_INLINE float hone_from_bits_f32(uint32_t x) {
  union { uint32_t u; float f; } v = {x};
  return v.f;
}
HONE_INLINE uint64_t hone_bits_f64(double x) {
  union { double f; uint64_t u; } v = {x};
  return v.u;
}
HONE_INLINE double hone_from_bits_f64(uint64_t x) {
  union { uint64_t u; double f; } v = {x};
  return v.f;
}

// --- bf16 and f16 -----------------------------------------------------------------------------

HONE_INLINE float hone_bf16_to_f32(uint16_t x) { return hone_from_bits_f32((uint32_t)x << 16); }

HONE_INLINE uint16_t hone_f32_to_bf16(float x) {
  const uint32_t bits = hone_bits_f32(x);
  const uint32_t up = bits + 0x7fff + ((bits >> 16) & 1);
  return (uint16_t)((x != x ? bits | 0x400000 : up) >> 16);
}

#if defined(__F16C__) || defined(__aarch64__)
HONE_INLINE float hone_f16_to_f32(uint16_t x) {
  union { uint16_t u; _Float16 f; } v = {x};
  return (float)v.f;
}
HONE_INLINE uint16_t hone_f32_to_f16(float x) {
  union { _Float16 f; uint16_t u; } v = {(_Float16)x};
  return v.u;
}
#else
HONE_INLINE float hone_f16_to_f32(uint16_t x) {
  const uint32_t sign = (uint32_t)(x & 0x8000) << 16;
  const uint32_t body = (uint32_t)(x & 0x7fff) << 13;
  // Multiplying by 2^112 moves the exponent to float's bias and normalises subnormals.
  const float scaled = hone_from_bits_f32(body) * 0x1p112f;
  const uint32_t bits = body >= 0x0f800000 ? body | 0x7f800000 : hone_bits_f32(scaled);
  return hone_from_bits_f32(bits | sign);
}
HONE_INLINE uint16_t hone_f32_to_f16(float x) {
  const uint32_t bits = hone_bits_f32(x);
  const uint32_t sign = (bits >> 16) & 0x8000;
  const uint32_t body = bits & 0x7fffffff;
  // Adding 0.5 leaves a subnormal's rounded mantissa in the low bits.
  const uint32_t tiny = hone_bits_f32(hone_from_bits_f32(body) + 0.5f) - 0x3f000000;
  const uint32_t normal = (body - 0x38000000 + 0xfff + ((body >> 13) & 1)) >> 13;
  const uint32_t huge = body > 0x7f800000 ? 0x7e00 : 0x7c00;
  return (uint16_t)(sign | (body >= 0x477ff000 ? huge : body < 0x38800000 ? tiny : normal));
}
#endif

HONE_INLINE float hone_load_bf16(const uint16_t *p) { return hone_bf16_to_f32(*p); }
HONE_INLINE float hone_load_f16(const uint16_t *p) { return hone_f16_to_f32(*p); }
HONE_INLINE void hone_store_bf16(uint16_t *p, float x) { *p = hone_f32_to_bf16(x); }
HONE_INLINE void hone_store_f16(uint16_t *p, float x) { *p = hone_f32_to_f16(x); }
HONE_INLINE float hone_round_bf16(float x) { return hone_bf16_to_f32(hone_f32_to_bf16(x)); }
HONE_INLINE float hone_round_f16(float x) { return hone_f16_to_f32(hone_f32_to_f16(x)); }

#include "hone_small.h"

// --- rounding, square root, remainders ----------------------------------------------------------

#if defined(__SSE4_1__) || defined(__aarch64__) || defined(__wasm__)
#define HONE_ROUND_BUILTIN 1
#define HONE_ROUNDING(N, T, S, LIMIT)                                                              \
  HONE_INLINE T hone_round_##N(T x) { return __builtin_rint##S(x); }                               \
  HONE_INLINE T hone_floor_##N(T x) { return __builtin_floor##S(x); }                              \
  HONE_INLINE T hone_ceil_##N(T x) { return __builtin_ceil##S(x); }                                \
  HONE_INLINE T hone_trunc_##N(T x) { return __builtin_trunc##S(x); }
#else
// Adding and subtracting 2^(mantissa bits) rounds to nearest even; larger values are whole.
#define HONE_ROUNDING(N, T, S, LIMIT)                                                              \
  HONE_INLINE T hone_round_##N(T x) {                                                              \
    const T a = x < 0 ? -x : x;                                                                    \
    const T r = a < (T)LIMIT ? (a + (T)LIMIT) - (T)LIMIT : a;                                      \
    return __builtin_copysign##S(r, x);                                                            \
  }                                                                                                \
  HONE_INLINE T hone_floor_##N(T x) {                                                              \
    const T r = hone_round_##N(x);                                                                 \
    return r > x ? r - 1 : r;                                                                      \
  }                                                                                                \
  HONE_INLINE T hone_ceil_##N(T x) {                                                               \
    const T r = hone_round_##N(x);                                                                 \
    return __builtin_copysign##S(r < x ? r + 1 : r, x);                                            \
  }                                                                                                \
  HONE_INLINE T hone_trunc_##N(T x) {                                                              \
    const T a = x < 0 ? -x : x;                                                                    \
    return __builtin_copysign##S(hone_floor_##N(a), x);                                            \
  }
#endif
HONE_ROUNDING(f32, float, f, 0x1p23)
HONE_ROUNDING(f64, double, , 0x1p52)

HONE_INLINE float hone_sqrt_f32(float x) { return __builtin_sqrtf(x); }
HONE_INLINE double hone_sqrt_f64(double x) { return __builtin_sqrt(x); }

HONE_INLINE float hone_floordiv_f32(float a, float b) { return hone_floor_f32(a / b); }
HONE_INLINE double hone_floordiv_f64(double a, double b) { return hone_floor_f64(a / b); }

// The exact remainder with the sign of a: by subtracting b·2^k, largest k first.
HONE_INLINE double hone_fmod_f64(double a, double b) {
  double rest = a < 0 ? -a : a;
  const double size = b < 0 ? -b : b;
  if (!(size > 0) || !(rest < (double)HONE_INF)) return (double)HONE_NAN;
  if (rest < size) return a;
  double part = size;
  while (part <= rest * 0.5) part += part;
  for (; part >= size; part *= 0.5) {
    if (rest >= part) rest -= part;
  }
  return __builtin_copysign(rest, a);
}
HONE_INLINE double hone_mod_f64(double a, double b) {
  const double rest = hone_fmod_f64(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}
HONE_INLINE float hone_fmod_f32(float a, float b) { return (float)hone_fmod_f64(a, b); }
HONE_INLINE float hone_mod_f32(float a, float b) {
  const float rest = hone_fmod_f32(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

// --- elementary functions of scalars -------------------------------------------------------------

HONE_INLINE int32_t hone_as_i32(float x) { return (int32_t)hone_bits_f32(x); }
HONE_INLINE float hone_as_f32(int32_t x) { return hone_from_bits_f32((uint32_t)x); }
HONE_INLINE int64_t hone_as_i64(double x) { return (int64_t)hone_bits_f64(x); }
HONE_INLINE double hone_as_f64(int64_t x) { return hone_from_bits_f64((uint64_t)x); }
HONE_INLINE float hone_splat_f32(float x) { return x; }
HONE_INLINE double hone_splat_f64(double x) { return x; }
HONE_INLINE float hone_select_f32(int m, float a, float b) { return m ? a : b; }
HONE_INLINE double hone_select_f64(int64_t m, double a, double b) { return m ? a : b; }
HONE_INLINE double hone_cvt_f32_f64(float x) { return x; }
HONE_INLINE float hone_cvt_f64_f32(double x) { return (float)x; }

#define HONE_N(name) hone_##name
#define D double
#define L int64_t
#define UL uint64_t
#define F float
#define I int32_t
#define U uint32_t
#include "hone_math_f64.h"
#include "hone_math_f32.h"
#undef HONE_N
#undef D
#undef L
#undef UL
#undef F
#undef I
#undef U

#endif
