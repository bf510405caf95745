/*
 * Workers and their barrier.
 *
 * Everything rests on one barrier. Idle workers wait in it for the caller, whose arrival starts a
 * run; kernels and the step runner use it between; the last one of a run returns the caller while
 * the workers go back to the first. `arrived` counts all arrivals since the pool began: the n-th
 * waits until the count reaches the next multiple of the number of workers, so there is no sense
 * to reverse and nothing to reset.
 *
 * A wait spins for a bounded time, then sleeps: the sleeper announces itself in `sleepers` before
 * it looks at the count again, and whoever completes a barrier looks at `sleepers` after counting
 * itself, so one of the two sees the other (all four accesses are sequentially consistent).
 */
#include "hone_pool.h"

#include <errno.h>
#include <stdlib.h>

#include "hone_platform.h"

#define LINE _Alignas(64)
#define SPIN_NS 100000

struct hone_pool {
  LINE uint64_t arrived;
  LINE int sleepers;
  hone_mutex sleep_lock;
  hone_condition wake;
  LINE hone_mutex run_lock;
  void (*body)(void *job, hone_worker *w);
  void *job;
  int quit;
  int count;
  uint64_t spin_ns;
  struct member {
    hone_pool *pool;
    hone_thread thread;
    int id;
  } members[HONE_MAX_THREADS];
};

static inline void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* Subnormals read and written as zero, in this thread. */
static uint64_t flush_subnormals(void) {
  uint64_t saved = 0;
#if defined(__x86_64__)
  saved = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr((unsigned)saved | 0x8040);
#elif defined(__aarch64__)
  __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
  __asm__ volatile("msr fpcr, %0" : : "r"(saved | (1u << 24)));
#endif
  return saved;
}

static void restore_float_state(uint64_t saved) {
#if defined(__x86_64__)
  __builtin_ia32_ldmxcsr((unsigned)saved);
#elif defined(__aarch64__)
  __asm__ volatile("msr fpcr, %0" : : "r"(saved));
#else
  (void)saved;
#endif
}

static void sleep_until(hone_pool *pool, uint64_t target) {
  pthread_mutex_lock(&pool->sleep_lock);
  __atomic_add_fetch(&pool->sleepers, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(&pool->arrived, __ATOMIC_SEQ_CST) < target)
    pthread_cond_wait(&pool->wake, &pool->sleep_lock);
  __atomic_sub_fetch(&pool->sleepers, 1, __ATOMIC_SEQ_CST);
  pthread_mutex_unlock(&pool->sleep_lock);
}

static void wake_sleepers(hone_pool *pool) {
  pthread_mutex_lock(&pool->sleep_lock);
  pthread_cond_broadcast(&pool->wake);
  pthread_mutex_unlock(&pool->sleep_lock);
}

void hone_barrier(const hone_worker *w) {
  if (w->count == 1) return;
  hone_pool *pool = w->pool;
  const uint64_t count = (uint64_t)w->count;
  const uint64_t mine = __atomic_add_fetch(&pool->arrived, 1, __ATOMIC_SEQ_CST);
  const uint64_t target = (mine + count - 1) / count * count;
  if (mine == target) {
    if (__atomic_load_n(&pool->sleepers, __ATOMIC_SEQ_CST) > 0) wake_sleepers(pool);
    return;
  }
  uint64_t began = 0;
  for (unsigned turn = 1;; turn++) {
    if (__atomic_load_n(&pool->arrived, __ATOMIC_ACQUIRE) >= target) return;
    relax();
    if (turn % 64 != 0) continue;
    const uint64_t now = hone_now_ns();
    if (began == 0) began = now;
    if (now - began >= pool->spin_ns) break;
  }
  sleep_until(pool, target);
}

static void *worker_main(void *argument) {
  const struct member *self = argument;
  hone_pool *pool = self->pool;
  hone_worker w = {self->id, pool->count, 0, pool};
  flush_subnormals();
  for (;;) {
    hone_barrier(&w);
    if (pool->quit) return 0;
    pool->body(pool->job, &w);
  }
}

/* Ends the threads 1 to started - 1; arrives at the barrier for those that were never started. */
static void end_threads(hone_pool *pool, int started) {
  const hone_worker w = {0, pool->count, 0, pool};
  pool->quit = 1;
  __atomic_add_fetch(&pool->arrived, (uint64_t)(pool->count - started), __ATOMIC_SEQ_CST);
  hone_barrier(&w);
  for (int id = 1; id < started; id++) hone_thread_join(pool->members[id].thread);
  pthread_cond_destroy(&pool->wake);
  pthread_mutex_destroy(&pool->run_lock);
  pthread_mutex_destroy(&pool->sleep_lock);
  free(pool);
}

int hone_pool_create(int count, hone_pool **out) {
  hone_pool *pool = aligned_alloc(64, (sizeof *pool + 63) / 64 * 64);
  if (!pool) return ENOMEM;
  *pool = (hone_pool){.count = count, .spin_ns = count <= hone_usable_cpus() ? SPIN_NS : 0};
  pthread_mutex_init(&pool->sleep_lock, 0);
  pthread_mutex_init(&pool->run_lock, 0);
  pthread_cond_init(&pool->wake, 0);
  for (int id = 1; id < count; id++) {
    pool->members[id] = (struct member){.pool = pool, .id = id};
    const int error = hone_thread_start(&pool->members[id].thread, worker_main, &pool->members[id]);
    if (!error) continue;
    end_threads(pool, id);
    return error;
  }
  *out = pool;
  return 0;
}

void hone_pool_destroy(hone_pool *pool) { end_threads(pool, pool->count); }

int hone_pool_count(const hone_pool *pool) { return pool->count; }

void hone_pool_run(hone_pool *pool, void (*body)(void *job, hone_worker *w), void *job) {
  hone_worker w = {0, pool->count, 0, pool};
  pthread_mutex_lock(&pool->run_lock);
  pool->body = body;
  pool->job = job;
  const uint64_t saved = flush_subnormals();
  hone_barrier(&w);
  body(job, &w);
  restore_float_state(saved);
  pthread_mutex_unlock(&pool->run_lock);
}
