/*
 * The platform file of Linux, macOS and other POSIX systems.
 */
#ifndef _WIN32

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hone_platform.h"

#define WORKER_STACK_BYTES (4u << 20)

#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

/* Whole pages for `bytes`, and one more: vector loads may read past the end. */
static size_t padded(uint64_t bytes) {
  const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
  return (size_t)((bytes + page - 1) / page * page + page);
}

void *hone_map_memory(uint64_t bytes) {
  const size_t size = padded(bytes);
  if (size < bytes) return 0;
  void *memory = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 0;
#ifdef MADV_HUGEPAGE
  madvise(memory, size, MADV_HUGEPAGE);
#endif
  return memory;
}

int hone_map_file(const char *path, uint64_t bytes, void **memory, uint64_t *actual_bytes) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  struct stat info;
  int error = fstat(fd, &info) ? errno : 0;
  if (!error) *actual_bytes = (uint64_t)info.st_size;
  if (!error && (!S_ISREG(info.st_mode) || *actual_bytes != bytes)) error = EINVAL;
  void *area = 0;
  if (!error) {
    /* The file goes over the start of an empty area, which leaves the page behind it readable. */
    area = mmap(0, padded(bytes), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED) {
      error = errno;
    } else if (bytes > 0 &&
               mmap(area, (size_t)bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
      error = errno;
      munmap(area, padded(bytes));
    }
  }
  close(fd);
  if (!error) *memory = area;
  return error;
}

void hone_unmap(void *memory, uint64_t bytes) {
  if (memory) munmap(memory, padded(bytes));
}

int hone_is_directory(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

int hone_thread_start(hone_thread *thread, void *(*body)(void *), void *argument) {
  pthread_attr_t attributes;
  int error = pthread_attr_init(&attributes);
  if (error) return error;
  pthread_attr_setstacksize(&attributes, WORKER_STACK_BYTES);
  /* Signals are the host program's: its own threads take them. */
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  error = pthread_create(thread, &attributes, body, argument);
  pthread_sigmask(SIG_SETMASK, &before, 0);
  pthread_attr_destroy(&attributes);
  return error;
}

void hone_thread_join(hone_thread thread) { pthread_join(thread, 0); }

void hone_mutex_init(hone_mutex *mutex) { pthread_mutex_init(mutex, 0); }
void hone_mutex_destroy(hone_mutex *mutex) { pthread_mutex_destroy(mutex); }
void hone_mutex_lock(hone_mutex *mutex) { pthread_mutex_lock(mutex); }
void hone_mutex_unlock(hone_mutex *mutex) { pthread_mutex_unlock(mutex); }

void hone_condition_init(hone_condition *condition) { pthread_cond_init(condition, 0); }
void hone_condition_destroy(hone_condition *condition) { pthread_cond_destroy(condition); }
void hone_condition_wait(hone_condition *condition, hone_mutex *mutex) {
  pthread_cond_wait(condition, mutex);
}
void hone_condition_broadcast(hone_condition *condition) { pthread_cond_broadcast(condition); }

uint64_t hone_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#ifdef __linux__

/* Text of a small file of /proc or /sys; empty when it cannot be read. */
static void read_text(const char *path, char *text, size_t size) {
  text[0] = 0;
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  const ssize_t count = read(fd, text, size - 1);
  text[count > 0 ? count : 0] = 0;
  close(fd);
}

/* Whether a processor listed before `cpu` on the same core is usable too ("0,8" or "0-1"). */
static int shares_core(int cpu, const cpu_set_t *usable) {
  char path[96], text[256];
  snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
  read_text(path, text, sizeof text);
  for (const char *at = text; *at >= '0' && *at <= '9';) {
    char *end;
    const long first = strtol(at, &end, 10);
    const long last = *end == '-' ? strtol(end + 1, &end, 10) : first;
    for (long other = first; other <= last && other < cpu; other++)
      if (other < CPU_SETSIZE && CPU_ISSET((int)other, usable)) return 1;
    if (*end != ',') break;
    at = end + 1;
  }
  return 0;
}

/* Where files of the system are looked for; tests put their own there. */
#ifndef HONE_ROOT
#define HONE_ROOT ""
#endif

/* Parts of a processor are left out: a worker on less than a whole one keeps all the others waiting. */
static int whole_cpus(long long quota, long long period) {
  if (quota <= 0 || period <= 0) return 0;
  return quota < period ? 1 : (int)(quota / period);
}

/* The tighter of two limits, of which 0 is none. */
static int tighter(int a, int b) { return a == 0 || (b > 0 && b < a) ? b : a; }

/* What one group allows: version 2 has both numbers in a file, version 1 one in each. */
static int group_cpus(const char *mount, const char *group) {
  char path[8192], text[64], period[64];
  long long first, second;
  snprintf(path, sizeof path, "%s/sys/fs/cgroup%s%s/cpu.max", HONE_ROOT, mount, group);
  read_text(path, text, sizeof text);
  if (sscanf(text, "%lld %lld", &first, &second) == 2) return whole_cpus(first, second);
  snprintf(path, sizeof path, "%s/sys/fs/cgroup%s%s/cpu.cfs_quota_us", HONE_ROOT, mount, group);
  read_text(path, text, sizeof text);
  snprintf(path, sizeof path, "%s/sys/fs/cgroup%s%s/cpu.cfs_period_us", HONE_ROOT, mount, group);
  read_text(path, period, sizeof period);
  return whole_cpus(atoll(text), atoll(period));
}

/* A group and all those around it; in a container the root is the container's own group. */
static int nested_cpus(const char *mount, const char *line) {
  char group[3072];
  snprintf(group, sizeof group, "%s", strcmp(line, "/") == 0 ? "" : line);
  int best = 0;
  for (;;) {
    best = tighter(best, group_cpus(mount, group));
    char *slash = strrchr(group, '/');
    if (!slash) return best;
    *slash = 0;
  }
}

/* Is the cpu controller in a list with commas? */
static int has_cpu(const char *names) {
  for (const char *at = names; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : 0)
    if (strncmp(at, "cpu", 3) == 0 && (at[3] == 0 || at[3] == ',')) return 1;
  return 0;
}

/* Whole processors that the control groups of this process allow; 0 when they set no limit. */
static int quota_cpus(void) {
  char groups[8192], path[4096];
  snprintf(path, sizeof path, "%s/proc/self/cgroup", HONE_ROOT);
  read_text(path, groups, sizeof groups);
  int best = 0;
  /* Lines are NUMBER:CONTROLLERS:GROUP; version 2 has no controllers. */
  for (char *line = groups; line && *line;) {
    char *end = strchr(line, '\n');
    if (end) *end = 0;
    char *names = strchr(line, ':');
    char *group = names ? strchr(names + 1, ':') : 0;
    if (group) {
      *group++ = 0;
      names++;
      if (*names == 0) {
        best = tighter(best, nested_cpus("", group));
        best = tighter(best, nested_cpus("/unified", group));
      } else if (has_cpu(names)) {
        /* Mounted under the names of all its controllers; "cpu" is most often a link to that. */
        char mount[256];
        snprintf(mount, sizeof mount, "/%s", names);
        best = tighter(best, nested_cpus("/cpu", group));
        best = tighter(best, nested_cpus(mount, group));
      }
    }
    line = end ? end + 1 : 0;
  }
  return best;
}

int hone_usable_cpus(void) {
  cpu_set_t usable;
  if (sched_getaffinity(0, sizeof usable, &usable)) return 1;
  const int count = CPU_COUNT(&usable);
  const int quota = quota_cpus();
  return quota > 0 && quota < count ? quota : count;
}

int hone_default_threads(void) {
  cpu_set_t usable;
  if (sched_getaffinity(0, sizeof usable, &usable)) return 1;
  int cores = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
    if (CPU_ISSET(cpu, &usable) && !shares_core(cpu, &usable)) cores++;
  const int quota = quota_cpus();
  if (quota > 0 && quota < cores) cores = quota;
  return cores > 0 ? cores : 1;
}

#else

int hone_usable_cpus(void) {
  const long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count > 0 ? (int)count : 1;
}

int hone_default_threads(void) { return hone_usable_cpus(); }

#endif

#endif
