/*
 * A pool of workers. The caller of hone_pool_run is one of them; the others are threads of the pool.
 *
 * A job is a row of steps; a step is cut into parts, and every worker takes the next part that
 * nobody has taken. So a worker that the system holds up delays the part it has, never the step:
 * the others take the rest. A step begins when all parts of the one before are done.
 */
#ifndef HONE_POOL_H
#define HONE_POOL_H

#include "hone_kernel.h"

typedef struct hone_pool hone_pool;

#define HONE_MAX_THREADS 256
/* Steps of a job, and parts of a step: what fits the pool's ticket. */
#define HONE_MAX_STEPS (1u << 20)
#define HONE_MAX_PARTS ((1u << 12) - 1)

typedef struct {
  uint32_t steps;
  /* Parts of a step for so many workers, 1 to HONE_MAX_PARTS. */
  uint32_t (*parts)(uint32_t step, uint32_t workers);
  /* Part w->id of w->count. Parts that pass barriers must be as many as there are workers. */
  void (*part)(void *data, uint32_t step, hone_worker *w);
  /* Called once after the last part of a step, by any worker; other than 0 ends the job. */
  int (*finish)(void *data, uint32_t step);
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
