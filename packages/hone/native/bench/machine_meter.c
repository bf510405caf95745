/*
 * What this machine does at best: loops that live in registers, and reading of memory.
 *
 * A program of its own, started once and asleep between commands. Each line of standard input is
 * "KIND THREADS MICROSECONDS" with a kind of fp32, bf16, int8 or read; the answer is one line
 * "TOTAL SLOWEST", in 1e9 operations (read: bytes) per second over all threads and of the slowest
 * one, or "none" where the processor target has no instruction for the kind. A multiply and an
 * add count as two operations.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define MAX_THREADS 256
#define READ_BYTES ((size_t)64 << 20)
/* Independent chains: enough to hide the latency of the slowest of the instructions. */
#define CHAINS 12
#define STEPS 400

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif
typedef float vector __attribute__((vector_size(LANES * 4)));

/* Keeps a value in a register, and from being computed at compile time. */
#if defined(__x86_64__)
#define OPAQUE(v) __asm__ volatile("" : "+v"(v))
#elif defined(__aarch64__)
#define OPAQUE(v) __asm__ volatile("" : "+w"(v))
#else
#define OPAQUE(v) __asm__ volatile("" : "+m"(v))
#endif
#define EACH(M) M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7) M(8) M(9) M(10) M(11)

/* Every piece returns the operations (or bytes) it did. */
static double fp32_piece(void *unused) {
  (void)unused;
  vector scale, shift;
  for (int i = 0; i < LANES; i++) scale[i] = 0.999f, shift[i] = 0.001f;
  OPAQUE(scale);
  OPAQUE(shift);
#define START(i) vector v##i = shift; OPAQUE(v##i);
#define STEP(i) v##i = v##i * scale + shift;
#define END(i) OPAQUE(v##i);
  EACH(START)
  for (int step = 0; step < STEPS; step++) {
    EACH(STEP)
    __asm__ volatile("");
  }
  EACH(END)
#undef START
#undef STEP
#undef END
  return 2.0 * LANES * CHAINS * STEPS;
}

#if defined(__AVX512BF16__)
#define BF16_OPS 64
typedef __m512 bf16_sum;
typedef __m512bh bf16_values;
#define BF16_DOT(s, a, b) _mm512_dpbf16_ps(s, a, b)
#elif defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
#define BF16_OPS 16
typedef float32x4_t bf16_sum;
typedef bfloat16x8_t bf16_values;
#define BF16_DOT(s, a, b) vbfdotq_f32(s, a, b)
#endif

#if defined(BF16_OPS)
static double bf16_piece(void *unused) {
  (void)unused;
  bf16_values a, b;
  bf16_sum zero;
  memset(&a, 0, sizeof a);
  memset(&b, 0, sizeof b);
  memset(&zero, 0, sizeof zero);
  OPAQUE(a);
  OPAQUE(b);
#define START(i) bf16_sum v##i = zero; OPAQUE(v##i);
#define STEP(i) v##i = BF16_DOT(v##i, a, b);
#define END(i) OPAQUE(v##i);
  EACH(START)
  for (int step = 0; step < STEPS; step++) {
    EACH(STEP)
    __asm__ volatile("");
  }
  EACH(END)
#undef START
#undef STEP
#undef END
  return (double)BF16_OPS * CHAINS * STEPS;
}
#endif

#if defined(__AVX512VNNI__)
#define INT8_OPS 128
typedef __m512i int8_values;
#define INT8_DOT(s, a, b) _mm512_dpbusd_epi32(s, a, b)
#elif defined(__AVXVNNI__)
#define INT8_OPS 64
typedef __m256i int8_values;
#define INT8_DOT(s, a, b) _mm256_dpbusd_avx_epi32(s, a, b)
#elif defined(__AVX2__)
/* Without a dot instruction it takes three. */
#define INT8_OPS 64
typedef __m256i int8_values;
#define INT8_DOT(s, a, b) \
  _mm256_add_epi32(s, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), _mm256_set1_epi16(1)))
#elif defined(__ARM_FEATURE_DOTPROD)
#define INT8_OPS 32
typedef int32x4_t int8_values;
#define INT8_DOT(s, a, b) vdotq_s32(s, vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b))
#endif

#if defined(INT8_OPS)
static double int8_piece(void *unused) {
  (void)unused;
  int8_values zero;
  memset(&zero, 0, sizeof zero);
  int8_values b = zero;
  OPAQUE(b);
  /* One factor per chain, so that no part of the chains can be shared. */
#define START(i) int8_values v##i = zero, a##i = zero; OPAQUE(v##i); OPAQUE(a##i);
#define STEP(i) v##i = INT8_DOT(v##i, a##i, b); INT8_KEEP(a##i)
#define END(i) OPAQUE(v##i);
#if defined(__AVX2__) && !defined(__AVX512VNNI__) && !defined(__AVXVNNI__)
#define INT8_KEEP(a) OPAQUE(a);
#else
#define INT8_KEEP(a)
#endif
  EACH(START)
  for (int step = 0; step < STEPS; step++) {
    EACH(STEP)
    __asm__ volatile("");
  }
  EACH(END)
#undef START
#undef STEP
#undef END
  return (double)INT8_OPS * CHAINS * STEPS;
}
#endif

static size_t read_position[MAX_THREADS];

struct member {
  pthread_t thread;
  int id;
  char *memory;
  double rate;
};

/* The next 256 KiB of the thread's memory, round and round. */
static double read_piece(void *argument) {
  struct member *self = argument;
  const size_t piece = (size_t)256 << 10;
  const vector *from = (const vector *)(self->memory + read_position[self->id]);
  vector a = {0}, b = {0}, c = {0}, d = {0};
  for (size_t i = 0; i < piece / sizeof(vector); i += 4) {
    a += from[i], b += from[i + 1], c += from[i + 2], d += from[i + 3];
  }
  a += b + c + d;
  OPAQUE(a);
  read_position[self->id] = (read_position[self->id] + piece) % READ_BYTES;
  return (double)piece;
}

static struct {
  int threads;
  int ready;
  uint64_t ns;
  double (*piece)(void *);
} job;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* One thread per processor where they are as many; otherwise the system places them. */
static void pin(int id) {
#if defined(__linux__)
  cpu_set_t usable, mine;
  if (sched_getaffinity(0, sizeof usable, &usable) || CPU_COUNT(&usable) != job.threads) return;
  for (int cpu = 0, nth = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, &usable) || nth++ != id) continue;
    CPU_ZERO(&mine);
    CPU_SET(cpu, &mine);
    pthread_setaffinity_np(pthread_self(), sizeof mine, &mine);
  }
#else
  (void)id;
#endif
}

static void *measure(void *argument) {
  struct member *self = argument;
  pin(self->id);
  __atomic_add_fetch(&job.ready, 1, __ATOMIC_SEQ_CST);
  const uint64_t patience = now_ns() + 1000000000u;
  while (__atomic_load_n(&job.ready, __ATOMIC_ACQUIRE) < job.threads && now_ns() < patience) {
  }
  const uint64_t begin = now_ns();
  uint64_t end;
  double done = 0;
  do {
    done += job.piece(self);
    end = now_ns();
  } while (end - begin < job.ns);
  self->rate = done / (double)(end - begin);
  return 0;
}

static double (*piece_of(const char *kind))(void *) {
  if (!strcmp(kind, "fp32")) return fp32_piece;
  if (!strcmp(kind, "read")) return read_piece;
#if defined(BF16_OPS)
  if (!strcmp(kind, "bf16")) return bf16_piece;
#endif
#if defined(INT8_OPS)
  if (!strcmp(kind, "int8")) return int8_piece;
#endif
  return 0;
}

static int run(double *total, double *slowest) {
  static struct member members[MAX_THREADS];
  int started = 0, failed = 0;
  for (int i = 0; i < job.threads; i++) {
    members[i] = (struct member){.id = i};
    if (job.piece != read_piece) continue;
    members[i].memory = aligned_alloc(64, READ_BYTES);
    if (!members[i].memory) failed = 1;
    else memset(members[i].memory, 0, READ_BYTES);
  }
  for (; !failed && started < job.threads; started++) {
    if (pthread_create(&members[started].thread, 0, measure, &members[started])) failed = 1;
    if (failed) break;
  }
  /* Those that were started must not wait for the others. */
  if (failed) __atomic_store_n(&job.ready, MAX_THREADS, __ATOMIC_SEQ_CST);
  *total = 0;
  *slowest = 1e300;
  for (int i = 0; i < started; i++) {
    pthread_join(members[i].thread, 0);
    *total += members[i].rate;
    if (members[i].rate < *slowest) *slowest = members[i].rate;
  }
  for (int i = 0; i < job.threads; i++) free(members[i].memory);
  return failed;
}

int main(void) {
  char line[128], kind[16];
  long threads, microseconds;
  while (fgets(line, sizeof line, stdin)) {
    double total, slowest;
    if (sscanf(line, "%15s %ld %ld", kind, &threads, &microseconds) != 3 || threads < 1 ||
        threads > MAX_THREADS || microseconds < 1) {
      puts("bad command");
    } else {
      job.threads = (int)threads;
      job.ready = 0;
      job.ns = (uint64_t)microseconds * 1000u;
      job.piece = piece_of(kind);
      if (!job.piece) puts("none");
      else if (run(&total, &slowest)) puts("no memory");
      else printf("%.6g %.6g\n", total, slowest);
    }
    fflush(stdout);
  }
  return 0;
}
