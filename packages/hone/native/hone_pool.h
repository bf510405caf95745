/*
 * A pool of workers. The caller of hone_pool_run is one of them; the others are threads of the pool.
 *
 * A job is one step after another; a step is cut into parts, and every worker takes the next part that
 * nobody has taken. So a worker that the system holds up delays the part it has, never the step:
 * the others take the rest. When all parts of a step are done, the job says which step is next; the
 * same one may come again.
 */
#ifndef HONE_POOL_H
#define HONE_POOL_H

#include "hone_kernel.h"

typedef struct hone_pool hone_pool;

#define HONE_MAX_THREADS 256
/* Parts of a step: what fits the pool's ticket. */
#define HONE_MAX_PARTS ((1u << 12) - 1)
/* In place of a step: there is none left. */
#define HONE_END UINT32_MAX

typedef struct {
  uint32_t first; /* step */
  /* Parts of a step for so many workers, 1 to HONE_MAX_PARTS. */
  uint32_t (*parts)(uint32_t step, uint32_t workers);
  /* Part w->id of w->count. Parts that pass barriers must be as many as there are workers. */
  void (*part)(void *data, uint32_t step, hone_worker *w);
  /* Called once after the last part of a step, by any worker: gives the next step or HONE_END. */
  uint32_t (*finish)(void *data, uint32_t step);
  void *data;
} hone_job;

/* Starts count - 1 threads; returns 0 or an errno value. */
int hone_pool_create(int count, hone_pool **pool);
void hone_pool_destroy(hone_pool *pool);
int hone_pool_count(const hone_pool *pool);

/*
 * Does a job and returns when it is done; no worker touches `data` after that. One job at a time:
 * a second caller waits.
 */
void hone_pool_run(hone_pool *pool, const hone_job *job);

#endif
