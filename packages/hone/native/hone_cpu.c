/*
 * Whether this processor (and its system, which has to save the registers) has what the kernels
 * were compiled for. Compiled for the baseline of the architecture.
 */
#include "hone_program.h"

#if defined(__x86_64__)

#include <cpuid.h>

#define BIT(word, n) (((word) >> (n)) & 1u)

/* The register sets the system saves on a switch of threads. */
static uint64_t saved_state(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return ((uint64_t)high << 32) | low;
}

static uint64_t available(void) {
  uint32_t a, b, c1, d1, b7 = 0, c7 = 0, d7 = 0, a71 = 0, ce = 0, d, c;
  uint64_t found = 0;
  if (!__get_cpuid(1, &a, &b, &c1, &d1)) return 0;
  const uint32_t leaf7 = __get_cpuid_count(7, 0, &a, &b7, &c7, &d7) ? a : 0;
  if (leaf7 >= 1) __get_cpuid_count(7, 1, &a71, &b, &c, &d);
  __get_cpuid(0x80000001, &a, &b, &ce, &d);
  /* cx16, lahf, popcnt, sse3, ssse3, sse4.1, sse4.2 */
  if (BIT(c1, 13) && BIT(ce, 0) && BIT(c1, 23) && BIT(c1, 0) && BIT(c1, 9) && BIT(c1, 19) &&
      BIT(c1, 20))
    found |= HONE_CPU_X86_V2;
  if (!found || !BIT(c1, 27)) return found;
  const uint64_t state = saved_state();
  if ((state & 0x6) != 0x6) return found;
  /* avx, f16c, fma, movbe, avx2, bmi1, bmi2, lzcnt */
  if (BIT(c1, 28) && BIT(c1, 29) && BIT(c1, 12) && BIT(c1, 22) && BIT(b7, 5) && BIT(b7, 3) &&
      BIT(b7, 8) && BIT(ce, 5))
    found |= HONE_CPU_X86_V3;
  else
    return found;
  if (BIT(a71, 4)) found |= HONE_CPU_AVX_VNNI;
  if ((state & 0xe0) != 0xe0) return found;
  /* avx512 f, bw, cd, dq, vl */
  if (BIT(b7, 16) && BIT(b7, 30) && BIT(b7, 28) && BIT(b7, 17) && BIT(b7, 31))
    found |= HONE_CPU_X86_V4;
  else
    return found;
  if (BIT(c7, 11)) found |= HONE_CPU_AVX512_VNNI;
  if (BIT(a71, 5)) found |= HONE_CPU_AVX512_BF16;
  if (BIT(c7, 1)) found |= HONE_CPU_AVX512_VBMI;
  if (BIT(d7, 23)) found |= HONE_CPU_AVX512_FP16;
  return found;
}

#elif defined(__aarch64__) && defined(__linux__)

#include <sys/auxv.h>

static uint64_t available(void) {
  const unsigned long first = getauxval(16), second = getauxval(26);
  uint64_t found = 0;
  if ((first >> 20) & 1) found |= HONE_CPU_ARM_DOTPROD;
  if ((first >> 10) & 1) found |= HONE_CPU_ARM_FP16;
  if ((second >> 13) & 1) found |= HONE_CPU_ARM_I8MM;
  if ((second >> 14) & 1) found |= HONE_CPU_ARM_BF16;
  return found;
}

#elif defined(__aarch64__) && defined(__APPLE__)

/* Every Apple processor for macOS has these two. */
static uint64_t available(void) { return HONE_CPU_ARM_DOTPROD | HONE_CPU_ARM_FP16; }

#else

static uint64_t available(void) { return 0; }

#endif

const char *hone_cpu_missing(uint64_t needed) {
  static const struct {
    uint64_t bit;
    const char *name;
  } names[] = {
      {HONE_CPU_X86_V2, "SSE4.2 (x86-64-v2)"},
      {HONE_CPU_X86_V3, "AVX2 and FMA (x86-64-v3)"},
      {HONE_CPU_X86_V4, "AVX-512 (x86-64-v4)"},
      {HONE_CPU_AVX512_VNNI, "AVX-512 VNNI"},
      {HONE_CPU_AVX512_BF16, "AVX-512 BF16"},
      {HONE_CPU_AVX512_VBMI, "AVX-512 VBMI"},
      {HONE_CPU_AVX512_FP16, "AVX-512 FP16"},
      {HONE_CPU_AVX_VNNI, "AVX-VNNI"},
      {HONE_CPU_ARM_DOTPROD, "dot products (dotprod)"},
      {HONE_CPU_ARM_I8MM, "8-bit matrix products (i8mm)"},
      {HONE_CPU_ARM_BF16, "bfloat16 (bf16)"},
      {HONE_CPU_ARM_FP16, "half precision (fp16)"},
  };
  const uint64_t missing = needed & ~available();
  for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
    if (missing & names[i].bit) return names[i].name;
  return 0;
}
