/*
 * Workers, the ticket they follow, and the barrier.
 *
 * The ticket is one word: its number, parts of the step, parts taken. A worker takes a part by
 * counting the word up; that fails when anything of it has changed, so a worker that was held up can
 * never take a part of a step that is over. Who finishes the last part of a step writes the ticket of
 * the next. A ticket without parts means that there is nothing to do. Numbers count all steps that the
 * pool ever began, so that a step of a loop has another ticket each time; which step it is, is told
 * beside the ticket: that changes only when all who took parts are done.
 *
 * The barrier inside of kernels counts arrivals since the pool began: the n-th waits until the count
 * reaches the next multiple of the number of workers, so there is no sense to reverse.
 *
 * A wait spins for a bounded time, then sleeps: the sleeper announces itself in `sleepers` before it
 * looks again, and whoever changes what is waited for looks at `sleepers` after the change, so one of
 * the two sees the other (all four accesses are sequentially consistent).
 */
#include "hone_pool.h"

#include <errno.h>

#include "hone_platform.h"

#define LINE _Alignas(64)
#define SPIN_NS 100000

struct hone_pool {
  LINE uint64_t ticket;
  LINE uint64_t done; /* parts of the current step */
  LINE uint64_t arrived;
  LINE int sleepers;
  hone_mutex sleep_lock;
  hone_condition wake;
  LINE hone_mutex run_lock;
  hone_job job; /* of the current run: read only by who holds a part of it, like the next two */
  uint32_t step;
  uint64_t begun; /* steps */
  int quit;
  int count;
  uint64_t spin_ns;
  struct member {
    hone_pool *pool;
    hone_thread thread;
    int id;
  } members[HONE_MAX_THREADS];
};

/* ---- The ticket: number (40 bits), parts (12), parts taken (12) ----
 *
 * Up to MOST_ENDS parts are taken from both ends (6 bits each): workers of even number from the first
 * on, the others from the last on. What a worker computes in one step it then mostly reads in the next.
 */

#define MOST_ENDS 63

static inline uint64_t make_ticket(uint64_t number, uint64_t parts) {
  return number << 24 | parts << 12;
}
static inline uint32_t parts_of(uint64_t ticket) { return (uint32_t)(ticket >> 12) & 0xfff; }
static inline uint32_t taken_of(uint64_t ticket) {
  const uint32_t taken = (uint32_t)ticket & 0xfff;
  return parts_of(ticket) > MOST_ENDS ? taken : (taken & 63) + (taken >> 6);
}
/* Does this worker take from the last part on? */
static inline int takes_last(uint64_t ticket, int worker) {
  return worker % 2 == 1 && parts_of(ticket) <= MOST_ENDS;
}
static inline uint64_t take_next(uint64_t ticket, int worker) {
  return ticket + (takes_last(ticket, worker) ? 64 : 1);
}
/* The part that `take_next` takes. */
static inline uint32_t next_of(uint64_t ticket, int worker) {
  const uint32_t taken = (uint32_t)ticket & 0xfff;
  if (parts_of(ticket) > MOST_ENDS) return taken;
  return takes_last(ticket, worker) ? parts_of(ticket) - 1 - (taken >> 6) : taken & 63;
}
/* What does not change while parts are taken. */
static inline uint64_t stage_of(uint64_t ticket) { return ticket >> 12; }

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

/* What a wait is for: the barrier's count to reach a number, or the ticket to leave a stage. */
typedef struct {
  const uint64_t *word;
  uint64_t value;
  int is_stage;
} wish;

static inline int granted(wish w, int order) {
  const uint64_t now = __atomic_load_n(w.word, order);
  return w.is_stage ? stage_of(now) != w.value : now >= w.value;
}

static void sleep_until(hone_pool *pool, wish w) {
  hone_mutex_lock(&pool->sleep_lock);
  __atomic_add_fetch(&pool->sleepers, 1, __ATOMIC_SEQ_CST);
  while (!granted(w, __ATOMIC_SEQ_CST)) hone_condition_wait(&pool->wake, &pool->sleep_lock);
  __atomic_sub_fetch(&pool->sleepers, 1, __ATOMIC_SEQ_CST);
  hone_mutex_unlock(&pool->sleep_lock);
}

static void wait_for(hone_pool *pool, wish w) {
  uint64_t began = 0;
  for (unsigned turn = 1;; turn++) {
    if (granted(w, __ATOMIC_ACQUIRE)) return;
    relax();
    if (turn % 64 != 0) continue;
    const uint64_t now = hone_now_ns();
    if (began == 0) began = now;
    if (now - began >= pool->spin_ns) break;
  }
  sleep_until(pool, w);
}

static void wake_sleepers(hone_pool *pool) {
  hone_mutex_lock(&pool->sleep_lock);
  hone_condition_broadcast(&pool->wake);
  hone_mutex_unlock(&pool->sleep_lock);
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
  wait_for(pool, (wish){&pool->arrived, target, 0});
}

static void publish(hone_pool *pool, uint64_t ticket) {
  __atomic_store_n(&pool->done, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&pool->ticket, ticket, __ATOMIC_SEQ_CST);
  if (__atomic_load_n(&pool->sleepers, __ATOMIC_SEQ_CST) > 0) wake_sleepers(pool);
}

/* Begins a step of the current run, or ends the run. */
static void begin_step(hone_pool *pool, uint32_t step) {
  const uint32_t parts = step == HONE_END ? 0 : pool->job.parts(step, (uint32_t)pool->count);
  pool->step = step;
  publish(pool, make_ticket(++pool->begun, parts));
}

/* Takes parts while there are any; returns the ticket that has none left. */
static uint64_t take_parts(hone_pool *pool, int worker) {
  uint64_t ticket = __atomic_load_n(&pool->ticket, __ATOMIC_ACQUIRE);
  while (taken_of(ticket) < parts_of(ticket)) {
    if (!__atomic_compare_exchange_n(&pool->ticket, &ticket, take_next(ticket, worker), 0,
                                     __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
      continue;
    const uint32_t step = pool->step, parts = parts_of(ticket);
    hone_worker w = {(int)next_of(ticket, worker), (int)parts, 0, pool};
    pool->job.part(pool->job.data, step, &w);
    if (__atomic_add_fetch(&pool->done, 1, __ATOMIC_ACQ_REL) == parts)
      begin_step(pool, pool->job.finish(pool->job.data, step));
    ticket = __atomic_load_n(&pool->ticket, __ATOMIC_ACQUIRE);
  }
  return ticket;
}

static void *worker_main(void *argument) {
  const struct member *self = argument;
  hone_pool *pool = self->pool;
  flush_subnormals();
  for (;;) {
    const uint64_t ticket = take_parts(pool, self->id);
    if (parts_of(ticket) == 0 && __atomic_load_n(&pool->quit, __ATOMIC_ACQUIRE)) return 0;
    wait_for(pool, (wish){&pool->ticket, stage_of(ticket), 1});
  }
}

/* Ends the threads 1 to started - 1. */
static void end_threads(hone_pool *pool, int started) {
  __atomic_store_n(&pool->quit, 1, __ATOMIC_RELEASE);
  publish(pool, make_ticket(++pool->begun, 0));
  for (int id = 1; id < started; id++) hone_thread_join(pool->members[id].thread);
  hone_condition_destroy(&pool->wake);
  hone_mutex_destroy(&pool->run_lock);
  hone_mutex_destroy(&pool->sleep_lock);
  hone_unmap(pool, sizeof *pool);
}

int hone_pool_create(int count, hone_pool **out) {
  hone_pool *pool = hone_map_memory(sizeof *pool);
  if (!pool) return ENOMEM;
  *pool = (hone_pool){.count = count, .spin_ns = count <= hone_usable_cpus() ? SPIN_NS : 0};
  hone_mutex_init(&pool->sleep_lock);
  hone_mutex_init(&pool->run_lock);
  hone_condition_init(&pool->wake);
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

void hone_pool_run(hone_pool *pool, const hone_job *job) {
  if (job->first == HONE_END) return;
  hone_mutex_lock(&pool->run_lock);
  pool->job = *job;
  const uint64_t saved = flush_subnormals();
  begin_step(pool, job->first);
  for (;;) {
    const uint64_t ticket = take_parts(pool, 0);
    if (parts_of(ticket) == 0) break;
    wait_for(pool, (wish){&pool->ticket, stage_of(ticket), 1});
  }
  restore_float_state(saved);
  hone_mutex_unlock(&pool->run_lock);
}
