/*
 * Opens a model that was compiled for several processors with the best library that this one runs:
 * select_target MODEL.hone
 */
#include <dlfcn.h>
#include <stdio.h>
#include "model.h"

/* What `hone compile --target` was given, the most demanding first. */
static const char *const TARGETS[] = {
    "x86-64-v4-linux-gnu",
    "x86-64-v3-linux-gnu",
    "x86-64-v2-linux-gnu",
};

typedef struct {
  const char *target;
  __typeof__(hone_open) *open;
  __typeof__(hone_run) *run;
  __typeof__(hone_close) *close;
  __typeof__(hone_last_error) *last_error;
  __typeof__(hone_thread_count) *thread_count;
} hone_api;

static int hone_select(const char *path, hone_api *api, hone_context **model) {
  int status = HONE_ERROR_CPU;
  for (size_t i = 0; i < sizeof TARGETS / sizeof *TARGETS && status == HONE_ERROR_CPU; i++) {
    char file[4096];
    snprintf(file, sizeof file, "%s/lib/%s.so", path, TARGETS[i]);
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!library) continue;
    api->target = TARGETS[i];
    *(void **)&api->open = dlsym(library, "hone_open");
    *(void **)&api->run = dlsym(library, "hone_run");
    *(void **)&api->close = dlsym(library, "hone_close");
    *(void **)&api->last_error = dlsym(library, "hone_last_error");
    *(void **)&api->thread_count = dlsym(library, "hone_thread_count");
    /* The library itself looks at the processor, before any kernel runs. */
    status = api->open(path, NULL, model);
    if (status == HONE_ERROR_CPU) dlclose(library);
    else if (status) puts(api->last_error(NULL));
  }
  return status;
}

int main(int argc, char **argv) {
  hone_api api;
  hone_context *model;
  if (argc != 2 || hone_select(argv[1], &api, &model)) return 1;
  printf("%s on %u threads\n", api.target, (unsigned)api.thread_count(model));
  api.close(model);
  return 0;
}
