/*
 * The compiled program as tables. The compiler writes them as hone_program.c; the runner reads them.
 */
#ifndef HONE_PROGRAM_H
#define HONE_PROGRAM_H

#include "hone.h"
#include "hone_kernel.h"

enum { HONE_ARENA = 0, HONE_WEIGHTS = 1, HONE_INPUT = 2, HONE_OUTPUT = 3, HONE_MOVED = 4 };

/*
 * A buffer of a step: `offset` bytes into arena or weights, or the input, output or move `offset`; inputs
 * from input_count on, and outputs from output_count on, are the hidden ones.
 */
typedef struct {
  uint64_t offset;
  uint64_t space;
} hone_ref;

/* Steps without a kernel say which step is next. */
enum {
  HONE_KERNEL = 0,
  HONE_JUMP = 1,   /* `target` is next */
  HONE_UNLESS = 2, /* where the bool at first_ref is false */
  HONE_ENTER = 3,  /* `loop` begins; `target` is behind it */
  HONE_REPEAT = 4, /* the next iteration begins at `target`, or the loop is done */
  HONE_IF_EVEN = 5 /* where the loop ran an even number of iterations */
};

typedef struct {
  hone_kernel *kernel;
  const char *label;
  uint32_t first_ref;
  uint32_t first_dim;
  uint32_t parts; /* most parts worth cutting it into; 0: one for every worker, as it has barriers */
  uint32_t control;
  uint32_t target;
  uint32_t loop;
} hone_step;

#define HONE_NO_REF UINT32_MAX

/* A loop goes on while iterations are left and conditions hold, those of both that there are. */
typedef struct {
  int64_t count;      /* iterations, INT64_MAX where data says how many */
  int64_t limit;      /* most iterations; going on after them is `fault` */
  uint32_t fault;
  uint32_t iteration; /* ref of an int64_t: the iteration's number, behind the loop how many there were */
  uint32_t trips;     /* ref of an int64_t: how many */
  uint32_t start;     /* ref of a bool: is there a first one? */
  uint32_t again;     /* ref of a bool: is there another? */
  uint32_t first_move; /* of those that move with it */
  uint32_t move_count;
} hone_loop;

/* A buffer that is at `even` or `odd` (refs) as the iteration of a loop is, and `stride` bytes times it on. */
typedef struct {
  uint64_t stride;
  uint32_t ref; /* its own */
  uint32_t even;
  uint32_t odd;
} hone_move;

typedef struct {
  const char *name;
  uint64_t bytes;
  int64_t shape[HONE_MAX_RANK];
  int32_t dtype;
  int32_t rank;
} hone_spec;

/* Along `axis`, an output holds as many elements as the hidden output `from` says. */
typedef struct {
  uint32_t output;
  uint32_t axis;
  uint32_t from;
} hone_extent;

/* Along `axis`, an input may have `least` elements or more; hidden input `from` says how many. */
typedef struct {
  uint32_t input;
  uint32_t axis;
  uint32_t from;
  int64_t least;
} hone_range;

typedef struct {
  const char *describe;
  const char *weights_file; /* inside the model's directory */
  const uint8_t *weights_digest; /* SHA-256; NULL where it was not made */
  uint64_t arena_bytes;
  uint64_t weights_bytes;
  uint64_t cpu; /* HONE_CPU_… that the kernels need */
  const hone_spec *inputs;
  const hone_spec *outputs;
  const hone_step *steps;
  const hone_ref *refs;
  const int64_t *dims;
  const hone_loop *loops;
  const hone_move *moves; /* by loop, outer loops first */
  uint32_t input_count;
  uint32_t output_count;
  uint32_t step_count;
  uint32_t ref_count;
  uint32_t loop_count;
  const hone_extent *extents; /* ascending by `from` */
  uint32_t extent_count;
  uint32_t hidden_count; /* outputs of one i64 each behind the others, which callers do not see */
  uint32_t texts; /* 1: steps on texts belong around the compiled part */
  uint32_t worker_limit; /* more would wait more than they work; 0: no limit */
  const hone_range *ranges;
  uint32_t range_count;
  uint32_t hidden_inputs; /* one i64 each behind the others, which callers do not give */
} hone_program;

extern const hone_program hone_compiled;

/* Whether the SHA-256 of `data` is `digest`. */
int hone_digest_is(const uint8_t *data, uint64_t bytes, const uint8_t digest[32]);

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
