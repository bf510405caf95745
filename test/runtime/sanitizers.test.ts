/**
 * The C runtime under the thread and address sanitizers: several threads run contexts with own and
 * shared workers, some runs end in a fault, contexts end in any order.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { withDirectory } from './sample-artifact.ts';

const NATIVE = fileURLToPath(new URL('../../../packages/hone/native/', import.meta.url));

const STRESS = `
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
#include "hone_program.h"

static void k_turn(void *const *buf, const int64_t *dim, const hone_worker *w) {
  float *x = buf[0], *y = buf[2];
  const float *in = buf[1];
  const int n = (int)dim[0], lo = n * w->id / w->count, hi = n * (w->id + 1) / w->count;
  for (int i = lo; i < hi; i++) x[i] = (float)i + in[i];
  hone_barrier(w);
  for (int i = lo; i < hi; i++) y[i] = x[n - 1 - i];
  if (in[0] < 0 && w->id == w->count - 1) hone_fault(w, HONE_FAULT_INDEX);
}

/* Without barriers: any number of parts, taken by whoever comes. */
static void k_copy(void *const *buf, const int64_t *dim, const hone_worker *w) {
  float *x = buf[0];
  const float *in = buf[1];
  const int n = (int)dim[0], lo = n * w->id / w->count, hi = n * (w->id + 1) / w->count;
  for (int i = lo; i < hi; i++) x[i] = in[i];
}

static const hone_spec in[] = {{"a", 256, {64}, HONE_F32, 1}}, out[] = {{"y", 256, {64}, HONE_F32, 1}};
/* The last two are those of the loop: its number, and what changes sides with it. */
static const hone_ref refs[] = {{0, HONE_ARENA}, {0, HONE_INPUT}, {0, HONE_OUTPUT},
  {256, HONE_ARENA}, {512, HONE_ARENA}, {768, HONE_ARENA},
  {0, HONE_MOVED}, {0, HONE_INPUT}, {0, HONE_MOVED}};
static const int64_t dims[] = {64};
static const hone_loop loops[] = {{9, 9, HONE_FAULT_RANGE, 3, HONE_NO_REF, HONE_NO_REF, HONE_NO_REF, 0, 2}};
static const hone_move moves[] = {{0, 6, 4, 5}, {0, 8, 5, 4}};
#define KERNEL(k, label, parts) {k, label, 0, 0, parts, 0, 0, 0}
static const hone_step steps[] = {
  KERNEL(k_copy, "a", 1),
  {0, "loop", 0, 0, 0, HONE_ENTER, 6, 0},
  {k_copy, "two parts", 6, 0, 2, 0, 0, 0}, {k_turn, "turn", 6, 0, 0, 0, 0, 0}, {k_copy, "one", 6, 0, 1, 0, 0, 0},
  {0, "loop", 0, 0, 0, HONE_REPEAT, 2, 0},
  KERNEL(k_turn, "b", 0), KERNEL(k_copy, "c", 7), KERNEL(k_copy, "d", 64), KERNEL(k_turn, "e", 0)};
const hone_program hone_compiled = {
  .describe = "{}", .weights_file = "w", .arena_bytes = 1024, .inputs = in, .outputs = out,
  .steps = steps, .refs = refs, .dims = dims, .loops = loops, .moves = moves,
  .input_count = 1, .output_count = 1, .step_count = 10, .ref_count = 9, .loop_count = 1};

static void *work(void *context) {
  float a[64] = {0}, y[64];
  hone_tensor input = {HONE_F32, 1, {64}, a, 256, 256, 0, 0};
  for (int i = 0; i < 120; i++) {
    hone_tensor output = {HONE_F32, 1, {64}, i % 3 ? y : 0, 0, 256, 0, 0};
    const int bad = i % 10 == 9;
    a[0] = bad ? -1.0f : 1.0f;
    a[5] = (float)i;
    const int status = hone_run(context, &input, 1, &output, 1);
    if (status != (bad ? HONE_ERROR_DATA : HONE_OK)) printf("status %d: %s\\n", status, hone_last_error(context));
    if (!status && i % 3 && y[58] != (float)(5 + i)) printf("wrong at %d\\n", i);
    if (i % 50 == 0) usleep(500);
  }
  return 0;
}

int main(void) {
  for (unsigned round = 0; round < 4; round++) {
    hone_context *c[4];
    hone_options o = {sizeof o, 1 + round, 0, round == 2 ? HONE_POISON : 0};
    if (hone_open("nowhere", &o, &c[0])) puts(hone_last_error(0));
    for (int i = 1; i < 4; i++) {
      o.group = i > 1 ? 5 : 0;
      if (hone_context_create(c[0], &o, &c[i])) puts(hone_last_error(c[0]));
    }
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], 0, work, c[i]);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);
    for (unsigned i = 0; i < 4; i++) hone_context_destroy(c[(i + round) % 4]);
  }
  puts("done");
  return 0;
}
`;

for (const sanitizer of ['thread', 'address,undefined']) {
  test(`the C runtime under the ${sanitizer} sanitizer`, async (t) => {
    await withDirectory((directory) => {
      const program = path.join(directory, 'stress');
      writeFileSync(`${program}.c`, STRESS);
      const units = readdirSync(NATIVE).filter((name) => name.endsWith('.c'));
      const options = ['-g', '-O1', '-std=gnu11', '-Wall', '-Wextra', `-fsanitize=${sanitizer}`];
      const files = [...units.map((name) => path.join(NATIVE, name)), `${program}.c`];
      const built = spawnSync(
        'gcc',
        [...options, `-I${NATIVE}`, ...files, '-lpthread', '-o', program],
        {
          encoding: 'utf8',
        },
      );
      if (built.error || /cannot find|unrecognized/.test(built.stderr)) {
        t.skip('no gcc with this sanitizer here');
        return;
      }
      assert.equal(built.stderr, '');
      const run = spawnSync(program, { encoding: 'utf8', timeout: 100_000 });
      if (/unexpected memory mapping|LeakSanitizer has encountered/.test(run.stderr)) {
        t.skip('this kernel does not let the sanitizer run');
        return;
      }
      assert.equal(run.stderr, '');
      assert.equal(run.stdout, 'done\n');
    });
  });
}
