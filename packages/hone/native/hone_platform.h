/*
 * What the runtime asks of an operating system: memory, threads, waiting, clock. One file per
 * system implements it (hone_posix.c, hone_win32.c). Functions that can fail return 0 or an errno
 * value.
 */
#ifndef HONE_PLATFORM_H
#define HONE_PLATFORM_H

#include <stddef.h>
#include <stdint.h>

#ifdef _WIN32

/* As large as what the system uses, whose header defines too many names to be seen here. */
typedef void *hone_thread;
typedef struct {
  void *word;
} hone_mutex;
typedef struct {
  void *word;
} hone_condition;

#else

#include <pthread.h>
typedef pthread_t hone_thread;
typedef pthread_mutex_t hone_mutex;
typedef pthread_cond_t hone_condition;

#endif

void hone_mutex_init(hone_mutex *mutex);
void hone_mutex_destroy(hone_mutex *mutex);
void hone_mutex_lock(hone_mutex *mutex);
void hone_mutex_unlock(hone_mutex *mutex);

void hone_condition_init(hone_condition *condition);
void hone_condition_destroy(hone_condition *condition);
void hone_condition_wait(hone_condition *condition, hone_mutex *mutex);
void hone_condition_broadcast(hone_condition *condition);

/* Zeroed memory, page-aligned, with at least one page to spare at its end. */
void *hone_map_memory(uint64_t bytes);

/* A file of exactly `bytes` bytes, read-only and shared; a page of zeros follows it. */
int hone_map_file(const char *path, uint64_t bytes, void **memory, uint64_t *actual_bytes);

/* Gives back what the two functions above mapped, by the size they were asked for. */
void hone_unmap(void *memory, uint64_t bytes);

int hone_is_directory(const char *path);

int hone_thread_start(hone_thread *thread, void *(*body)(void *), void *argument);
void hone_thread_join(hone_thread thread);

uint64_t hone_now_ns(void);

/* Processors this process may use, and the workers to use by default (physical cores, quota). */
int hone_usable_cpus(void);
int hone_default_threads(void);

#endif
