/*
 * A pool of workers. The caller of hone_pool_run is worker 0; the others are threads of the pool.
 */
#ifndef HONE_POOL_H
#define HONE_POOL_H

#include "hone_kernel.h"

typedef struct hone_pool hone_pool;

#define HONE_MAX_THREADS 256

/* Starts count - 1 threads; returns 0 or an errno value. */
int hone_pool_create(int count, hone_pool **pool);
void hone_pool_destroy(hone_pool *pool);
int hone_pool_count(const hone_pool *pool);

/*
 * Calls body(job, worker) on every worker at once and returns when it returned on all. The body
 * ends with a barrier on every worker. One run at a time: a second caller waits.
 */
void hone_pool_run(hone_pool *pool, void (*body)(void *job, hone_worker *w), void *job);

#endif
