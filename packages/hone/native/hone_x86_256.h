// Dot products of x86 on 8 lanes: neighbouring bytes at `a`, the same for all lanes, against each
// lane's own weights at `b`. Memory needs no alignment.
#ifndef HONE_X86_256_H
#define HONE_X86_256_H

// As in hone_x86.h, clang's builtins are called directly.
#ifndef __clang__
#include <immintrin.h>
#endif

#ifdef __AVX2__
typedef int16_t hone_i16x16 __attribute__((vector_size(32)));
typedef int8_t hone_i8x32 __attribute__((vector_size(32)));

HONE_INLINE hone_i32x8 hone_broadcast_4_bytes_x8(const void *p) {
  int32_t word;
  __builtin_memcpy(&word, p, sizeof word);
  return hone_splat_i32x8(word);
}

// Products of bytes added in pairs of 16 bits, then of 32. Pairs saturate: weights of -64 to 64 only.
HONE_INLINE hone_i32x8 hone_vpmaddubsw(hone_i32x8 acc, const uint8_t *a, const int8_t *b) {
  const hone_i32x8 x = hone_broadcast_4_bytes_x8(a);
  const hone_i32x8 y = hone_load_i32x8((const int32_t *)b);
  const hone_i16x16 ones = (hone_i16x16){0} + 1;
#ifdef __clang__
  const hone_i16x16 pairs = __builtin_ia32_pmaddubsw256((hone_i8x32)x, (hone_i8x32)y);
  return acc + (hone_i32x8)__builtin_ia32_pmaddwd256(pairs, ones);
#else
  const __m256i pairs = _mm256_maddubs_epi16((__m256i)x, (__m256i)y);
  return acc + (hone_i32x8)_mm256_madd_epi16(pairs, (__m256i)ones);
#endif
}

// Two bytes of data widened to 16 bits, and two weights of each lane: exact for all weights.
HONE_INLINE hone_i32x8 hone_vpmaddwd(hone_i32x8 acc, const uint8_t *a, const int8_t *b) {
  typedef int8_t bytes __attribute__((vector_size(16), aligned(1), may_alias));
  const hone_i32x8 x = hone_splat_i32x8(a[0] | a[1] << 16);
  const hone_i16x16 y = __builtin_convertvector(*(const bytes *)b, hone_i16x16);
#ifdef __clang__
  return acc + (hone_i32x8)__builtin_ia32_pmaddwd256((hone_i16x16)x, y);
#else
  return acc + (hone_i32x8)_mm256_madd_epi16((__m256i)x, (__m256i)y);
#endif
}
#endif

#ifdef __AVXVNNI__
HONE_INLINE hone_i32x8 hone_vpdpbusd256(hone_i32x8 acc, const uint8_t *a, const int8_t *b) {
  const hone_i32x8 x = hone_broadcast_4_bytes_x8(a);
  const hone_i32x8 y = hone_load_i32x8((const int32_t *)b);
#ifdef __clang__
  return __builtin_ia32_vpdpbusd256(acc, x, y);
#else
  return (hone_i32x8)_mm256_dpbusd_avx_epi32((__m256i)acc, (__m256i)x, (__m256i)y);
#endif
}
#endif

#endif
