/*
 * Runs a compiled model on files of raw elements: run_model MODEL.hone INPUT... > OUTPUTS
 */
#include <stdio.h>
#include <stdlib.h>
#include "model.h"

#define MOST 16

static int fail(const char *what) {
  fprintf(stderr, "%s\n", what);
  return 1;
}

int main(int argc, char **argv) {
  hone_context *model;
  hone_tensor inputs[MOST], outputs[MOST];
  uint32_t in = 0, out = 0;
  if (argc < 2) return fail("usage: run_model MODEL.hone INPUT...");
  if (hone_open(argv[1], NULL, &model)) return fail(hone_last_error(NULL));
  for (; in < MOST && hone_input(in, &inputs[in]); in++) {
    FILE *file = (int)in + 2 < argc ? fopen(argv[in + 2], "rb") : NULL;
    if (!file) return fail("every input needs a file");
    inputs[in].data = malloc(inputs[in].bytes + 1);
    if (fread(inputs[in].data, 1, inputs[in].bytes + 1, file) != inputs[in].bytes)
      return fail("a file has not the size of its input");
    fclose(file);
  }
  while (out < MOST && hone_output(out, &outputs[out])) out++;
  if (hone_run(model, inputs, in, outputs, out)) return fail(hone_last_error(model));
  for (uint32_t i = 0; i < out; i++) fwrite(outputs[i].data, 1, outputs[i].bytes, stdout);
  for (uint32_t i = 0; i < in; i++) free(inputs[i].data);
  hone_close(model);
  return 0;
}
