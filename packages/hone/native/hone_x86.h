// Dot products of x86: 32 bits of neighbouring elements at `a`, the same for all lanes, against
// 64 bytes of weights at `b`, added to 16 accumulators. Memory needs no alignment.
#ifndef HONE_X86_H
#define HONE_X86_H

// clang's builtins are called directly: reading immintrin.h takes four times as long as the rest.
#ifndef __clang__
#include <immintrin.h>
#endif

// The four bytes at p in every lane.
HONE_INLINE hone_i32x16 hone_broadcast_4_bytes(const void *p) {
  int32_t word;
  __builtin_memcpy(&word, p, sizeof word);
  return hone_splat_i32x16(word);
}

#ifdef __AVX512BF16__
HONE_INLINE hone_f32x16 hone_vdpbf16ps(hone_f32x16 acc, const uint16_t *a, const uint16_t *b) {
  const hone_i32x16 x = hone_broadcast_4_bytes(a);
  const hone_i32x16 y = hone_load_i32x16((const int32_t *)b);
#ifdef __clang__
  typedef __bf16 pairs __attribute__((vector_size(64)));
  // The broadcast last: it can be the instruction's memory operand there.
  return __builtin_ia32_dpbf16ps_512(acc, (pairs)y, (pairs)x);
#else
  return (hone_f32x16)_mm512_dpbf16_ps((__m512)acc, (__m512bh)y, (__m512bh)x);
#endif
}
#endif

#ifdef __AVX512VNNI__
HONE_INLINE hone_i32x16 hone_vpdpbusd(hone_i32x16 acc, const uint8_t *a, const int8_t *b) {
  const hone_i32x16 x = hone_broadcast_4_bytes(a);
  const hone_i32x16 y = hone_load_i32x16((const int32_t *)b);
#ifdef __clang__
  return __builtin_ia32_vpdpbusd512(acc, x, y);
#else
  return (hone_i32x16)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)x, (__m512i)y);
#endif
}
#endif

#endif
