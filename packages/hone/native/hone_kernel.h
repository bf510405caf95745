/*
 * What a kernel sees of its runtime.
 *
 * A kernel is a function
 *     void NAME(void *const *buf, const int64_t *dim, const hone_worker *w)
 * that does one part of a step: part `w->id` of `w->count`. `buf` are the step's buffers in order,
 * `dim` its integer parameters. A kernel allocates nothing, calls no libc and stores nothing outside
 * its buffers. Parts may run one after the other or at once, in any order; how a reduction is split
 * must not depend on `w->count`, so that any number of parts gives the same bytes.
 */
#ifndef HONE_KERNEL_H
#define HONE_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hone_pool;

typedef struct {
  int id;                 /* 0 to count - 1 */
  int count;              /* parts of this step */
  int *fault;             /* set through hone_fault */
  struct hone_pool *pool;
} hone_worker;

typedef void hone_kernel(void *const *buf, const int64_t *dim, const hone_worker *w);

/*
 * Waits until every worker of the pool has arrived; what was stored before is visible after. Only
 * for kernels whose step has as many parts as there are workers (`parts` 0 in hone_program.h).
 */
void hone_barrier(const hone_worker *w);

/* What went wrong with data that a kernel checked. */
enum {
  HONE_FAULT_INDEX = 1,  /* an index outside its axis */
  HONE_FAULT_DIVIDE = 2, /* an integer division by zero */
  HONE_FAULT_RANGE = 3,  /* a size, length or count outside its bounds */
  HONE_FAULT_DATA = 4,   /* other data the operator does not accept */
  HONE_FAULT_ENDLESS = 5 /* a loop that goes on beyond all reason */
};

/*
 * Reports that data broke a rule. The kernel goes on with a harmless value and still passes its
 * barriers; the run stops after the step and returns an error that names it.
 */
static inline void hone_fault(const hone_worker *w, int what) {
  __atomic_store_n(w->fault, what, __ATOMIC_RELAXED);
}

#ifdef __cplusplus
}
#endif

#endif
