// Dot products of 64-bit ARM on 4 lanes: four bytes at `a`, the same for all lanes, against 16 bytes
// of weights at `b`. Memory needs no alignment.
#ifndef HONE_ARM_H
#define HONE_ARM_H

#include <arm_neon.h>

HONE_INLINE uint8x16_t hone_broadcast_4_bytes_x4(const void *p) {
  uint32_t word;
  __builtin_memcpy(&word, p, sizeof word);
  return vreinterpretq_u8_u32(vdupq_n_u32(word));
}

#ifdef __ARM_FEATURE_MATMUL_INT8
HONE_INLINE hone_i32x4 hone_usdot(hone_i32x4 acc, const uint8_t *a, const int8_t *b) {
  return (hone_i32x4)vusdotq_s32((int32x4_t)acc, hone_broadcast_4_bytes_x4(a), vld1q_s8(b));
}
#endif

#ifdef __ARM_FEATURE_DOTPROD
// a · b = (a - 128) · b + 128 · sum of b; the second part is the same for all data of a step.
HONE_INLINE hone_i32x4 hone_sdot(hone_i32x4 acc, const uint8_t *a, const int8_t *b) {
  const int8x16_t y = vld1q_s8(b);
  const int8x16_t x = vreinterpretq_s8_u8(veorq_u8(hone_broadcast_4_bytes_x4(a), vdupq_n_u8(0x80)));
  const int32x4_t shift = vdotq_s32(vdupq_n_s32(0), y, vdupq_n_s8(-128));
  return (hone_i32x4)vsubq_s32(vdotq_s32((int32x4_t)acc, x, y), shift);
}
#endif

#endif
