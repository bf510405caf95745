/*
 * What the runtime asks of an operating system: memory, threads, waiting, clock. One file per
 * system implements it (hone_posix.c). Functions that can fail return 0 or an errno value.
 */
#ifndef HONE_PLATFORM_H
#define HONE_PLATFORM_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

typedef pthread_t hone_thread;
typedef pthread_mutex_t hone_mutex;
typedef pthread_cond_t hone_condition;

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
