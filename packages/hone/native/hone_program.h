/*
 * The compiled program as tables. The compiler writes them as hone_program.c; the runner reads them.
 */
#ifndef HONE_PROGRAM_H
#define HONE_PROGRAM_H

#include "hone.h"
#include "hone_kernel.h"

enum { HONE_ARENA = 0, HONE_WEIGHTS = 1, HONE_INPUT = 2, HONE_OUTPUT = 3 };

/* A buffer of a step: `offset` bytes into arena or weights, or the input or output `offset`. */
typedef struct {
  uint64_t offset;
  uint64_t space;
} hone_ref;

typedef struct {
  hone_kernel *kernel;
  const char *label;
  uint32_t first_ref;
  uint32_t first_dim;
  uint32_t parts; /* most parts worth cutting it into; 0: one for every worker, as it has barriers */
} hone_step;

typedef struct {
  const char *name;
  uint64_t bytes;
  int64_t shape[HONE_MAX_RANK];
  int32_t dtype;
  int32_t rank;
} hone_spec;

typedef struct {
  const char *describe;
  const char *weights_file; /* inside the model's directory */
  uint64_t arena_bytes;
  uint64_t weights_bytes;
  uint64_t cpu; /* HONE_CPU_… that the kernels need */
  const hone_spec *inputs;
  const hone_spec *outputs;
  const hone_step *steps;
  const hone_ref *refs;
  const int64_t *dims;
  uint32_t input_count;
  uint32_t output_count;
  uint32_t step_count;
  uint32_t ref_count;
  uint32_t texts; /* 1: steps on texts belong around the compiled part */
  uint32_t worker_limit; /* more would wait more than they work; 0: no limit */
} hone_program;

extern const hone_program hone_compiled;

/* Groups of processor features that libraries may need. */
enum {
  HONE_CPU_X86_V2 = 1 << 0,
  HONE_CPU_X86_V3 = 1 << 1,
  HONE_CPU_X86_V4 = 1 << 2,
  HONE_CPU_AVX512_VNNI = 1 << 3,
  HONE_CPU_AVX512_BF16 = 1 << 4,
  HONE_CPU_AVX512_VBMI = 1 << 5,
  HONE_CPU_AVX512_FP16 = 1 << 6,
  HONE_CPU_AVX_VNNI = 1 << 7,
  HONE_CPU_ARM_DOTPROD = 1 << 8,
  HONE_CPU_ARM_I8MM = 1 << 9,
  HONE_CPU_ARM_BF16 = 1 << 10,
  HONE_CPU_ARM_FP16 = 1 << 11
};

/* The name of a feature that is needed and missing, or NULL. */
const char *hone_cpu_missing(uint64_t needed);

#endif
