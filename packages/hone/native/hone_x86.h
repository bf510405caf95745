// Dot products of x86: 32 bits of neighbouring elements at `a`, the same for all lanes, against
// 64 bytes of weights at `b`, added to 16 accumulators. Memory needs no alignment.
#ifndef HONE_X86_H
#define HONE_X86_H

// clang's builtins are called directly: reading immintrin.h takes four times as long as the rest.
#ifndef __clang__
#include <immintrin.h>
#endif

typedef struct { uint8_t bytes[4]; } hone_bytes_4;

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
// One piece of assembly: a compiler that sees two instructions broadcasts for a whole tile first, and
// spills. (The instruction takes its signed operand from memory only, and the broadcast is unsigned.)
HONE_INLINE hone_i32x16 hone_vpdpbusd(hone_i32x16 acc, const uint8_t *a, const int8_t *b) {
  const hone_i32x16 y = hone_load_i32x16((const int32_t *)b);
  hone_i32x16 x;
  __asm__("vpbroadcastd %[a], %[x]\n\tvpdpbusd %[y], %[x], %[acc]"
          : [acc] "+v"(acc), [x] "=&v"(x)
          : [a] "m"(*(const hone_bytes_4 *)a), [y] "v"(y));
  return acc;
}
#endif

#if defined(__AVX512VNNI__) && defined(__AVX512VBMI__)
// Four neighbouring pixels of 16 channels at a; each lane takes its own channel of them.
HONE_INLINE hone_i32x16 hone_vpermb_dot(hone_i32x16 acc, const uint8_t *a, const int8_t *b) {
  typedef char bytes __attribute__((vector_size(64)));
  typedef bytes at_bytes __attribute__((aligned(1), may_alias));
#define HONE_TAPS(c) c, c + 16, c + 32, c + 48
#define HONE_TAPS_4(c) HONE_TAPS(c), HONE_TAPS(c + 1), HONE_TAPS(c + 2), HONE_TAPS(c + 3)
  const bytes order = {HONE_TAPS_4(0), HONE_TAPS_4(4), HONE_TAPS_4(8), HONE_TAPS_4(12)};
#undef HONE_TAPS_4
#undef HONE_TAPS
  const hone_i32x16 y = hone_load_i32x16((const int32_t *)b);
#ifdef __clang__
  const bytes x = __builtin_ia32_permvarqi512(*(const at_bytes *)a, order);
  return __builtin_ia32_vpdpbusd512(acc, (hone_i32x16)x, y);
#else
  const __m512i x = _mm512_permutexvar_epi8((__m512i)order, (__m512i) * (const at_bytes *)a);
  return (hone_i32x16)_mm512_dpbusd_epi32((__m512i)acc, x, (__m512i)y);
#endif
}
#endif

#endif
