/*
 * The platform file of Windows. Built with the bundled compiler and never run by its authors.
 */
#ifdef _WIN32

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <errno.h>

#include "hone_platform.h"

#define WORKER_STACK_BYTES (4u << 20)
#define PATH_CHARACTERS 4096

_Static_assert(sizeof(SRWLOCK) == sizeof(hone_mutex), "a lock is one word");
_Static_assert(sizeof(CONDITION_VARIABLE) == sizeof(hone_condition), "a condition is one word");

/* Whole pages for `bytes`, and one more: vector loads may read past the end. */
static SIZE_T padded(uint64_t bytes) {
  SYSTEM_INFO system;
  GetSystemInfo(&system);
  const uint64_t page = system.dwPageSize;
  return (SIZE_T)((bytes + page - 1) / page * page + page);
}

void *hone_map_memory(uint64_t bytes) {
  const SIZE_T size = padded(bytes);
  if (size < bytes) return 0;
  return VirtualAlloc(0, size, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE);
}

/* Nothing can be mapped behind the view: weights end with room for a vector, inside the file. */
int hone_map_file(const char *path, uint64_t bytes, void **memory, uint64_t *actual_bytes) {
  WCHAR wide[PATH_CHARACTERS];
  if (!MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, PATH_CHARACTERS))
    return ENOENT;
  HANDLE file = CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, 0,
                            OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, 0);
  if (file == INVALID_HANDLE_VALUE)
    return GetLastError() == ERROR_ACCESS_DENIED ? EACCES : ENOENT;
  LARGE_INTEGER size;
  int error = GetFileSizeEx(file, &size) ? 0 : EIO;
  if (!error) *actual_bytes = (uint64_t)size.QuadPart;
  if (!error && (GetFileType(file) != FILE_TYPE_DISK || *actual_bytes != bytes)) error = EINVAL;
  HANDLE mapping = error ? 0 : CreateFileMappingW(file, 0, PAGE_READONLY, 0, 0, 0);
  if (!error && !mapping) error = ENOMEM;
  void *view = error ? 0 : MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, 0);
  if (!error && !view) error = ENOMEM;
  if (mapping) CloseHandle(mapping);
  CloseHandle(file);
  if (!error) *memory = view;
  return error;
}

void hone_unmap(void *memory, uint64_t bytes) {
  (void)bytes;
  MEMORY_BASIC_INFORMATION area;
  if (!memory || !VirtualQuery(memory, &area, sizeof area)) return;
  if (area.Type == MEM_MAPPED) UnmapViewOfFile(memory);
  else VirtualFree(memory, 0, MEM_RELEASE);
}

int hone_is_directory(const char *path) {
  WCHAR wide[PATH_CHARACTERS];
  if (!MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, PATH_CHARACTERS))
    return 0;
  const DWORD attributes = GetFileAttributesW(wide);
  return attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
}

/* What a new thread is to do; it lies on the heap until the thread has read it. */
typedef struct {
  void *(*body)(void *);
  void *argument;
} task;

static DWORD WINAPI start_task(void *data) {
  const task given = *(const task *)data;
  HeapFree(GetProcessHeap(), 0, data);
  given.body(given.argument);
  return 0;
}

int hone_thread_start(hone_thread *thread, void *(*body)(void *), void *argument) {
  task *given = HeapAlloc(GetProcessHeap(), 0, sizeof *given);
  if (!given) return ENOMEM;
  *given = (task){body, argument};
  *thread = CreateThread(0, WORKER_STACK_BYTES, start_task, given,
                         STACK_SIZE_PARAM_IS_A_RESERVATION, 0);
  if (*thread) return 0;
  HeapFree(GetProcessHeap(), 0, given);
  return EAGAIN;
}

void hone_thread_join(hone_thread thread) {
  WaitForSingleObject(thread, INFINITE);
  CloseHandle(thread);
}

void hone_mutex_init(hone_mutex *mutex) { InitializeSRWLock((SRWLOCK *)mutex); }
void hone_mutex_destroy(hone_mutex *mutex) { (void)mutex; }
void hone_mutex_lock(hone_mutex *mutex) { AcquireSRWLockExclusive((SRWLOCK *)mutex); }
void hone_mutex_unlock(hone_mutex *mutex) { ReleaseSRWLockExclusive((SRWLOCK *)mutex); }

void hone_condition_init(hone_condition *condition) {
  InitializeConditionVariable((CONDITION_VARIABLE *)condition);
}
void hone_condition_destroy(hone_condition *condition) { (void)condition; }
void hone_condition_wait(hone_condition *condition, hone_mutex *mutex) {
  SleepConditionVariableSRW((CONDITION_VARIABLE *)condition, (SRWLOCK *)mutex, INFINITE, 0);
}
void hone_condition_broadcast(hone_condition *condition) {
  WakeAllConditionVariable((CONDITION_VARIABLE *)condition);
}

uint64_t hone_now_ns(void) {
  LARGE_INTEGER frequency, now;
  QueryPerformanceFrequency(&frequency);
  QueryPerformanceCounter(&now);
  const uint64_t ticks = (uint64_t)now.QuadPart, rate = (uint64_t)frequency.QuadPart;
  return ticks / rate * 1000000000u + ticks % rate * 1000000000u / rate;
}

static int bits_of(ULONG_PTR mask) {
  int count = 0;
  for (; mask; mask &= mask - 1) count++;
  return count;
}

int hone_usable_cpus(void) {
  DWORD_PTR usable, all;
  if (!GetProcessAffinityMask(GetCurrentProcess(), &usable, &all)) return 1;
  const int count = bits_of(usable);
  return count > 0 ? count : 1;
}

/* Cores of which a processor may be used. */
int hone_default_threads(void) {
  SYSTEM_LOGICAL_PROCESSOR_INFORMATION known[256];
  DWORD bytes = sizeof known;
  DWORD_PTR usable, all;
  if (!GetProcessAffinityMask(GetCurrentProcess(), &usable, &all) ||
      !GetLogicalProcessorInformation(known, &bytes))
    return hone_usable_cpus();
  int cores = 0;
  for (DWORD i = 0; i < bytes / sizeof *known; i++)
    if (known[i].Relationship == RelationProcessorCore && (known[i].ProcessorMask & usable))
      cores++;
  return cores > 0 ? cores : 1;
}

#endif
