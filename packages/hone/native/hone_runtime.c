/*
 * The functions of hone.h: opening, checking tensors, and running the steps of hone_compiled.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hone.h"
#include "hone_platform.h"
#include "hone_pool.h"
#include "hone_program.h"

#define ERROR_BYTES 512

/* Workers that the contexts of one group share. */
typedef struct crew {
  struct crew *next;
  hone_pool *pool;
  uint32_t group; /* 0: of one context only */
  int users;
} crew;

/* What the contexts of one opened model share. */
typedef struct {
  hone_mutex lock; /* guards users and crews */
  int users;
  crew *crews;
  uint8_t *weights;
} model;

struct hone_context {
  model *model;
  crew *crew;
  uint32_t flags;
  hone_mutex lock; /* held during a run */
  uint8_t *arena;
  uint8_t *own_outputs; /* memory for outputs the caller gives no buffer for */
  uint64_t *profile;
  uint64_t *counts;
  const hone_watch *watches;
  uint32_t watch_count;
  uint64_t step_began; /* while profiling */
  int fault;
  uint32_t fault_step;
  int64_t *hidden; /* outputs that callers do not see, behind own_outputs */
  int64_t *extents; /* inputs that callers do not give, behind those */
  uint8_t *rooms; /* where inputs lie that are shorter than their bounds, behind these */
  char error[ERROR_BYTES];
  void **pointers; /* of each step's buffers, one after the other: the refs of the program */
  int64_t iterations[]; /* of each loop; the pointers come after them */
};

static __thread char open_error[ERROR_BYTES];

static int report(char *error, int status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error, ERROR_BYTES, format, arguments);
  va_end(arguments);
  return status;
}

static uint64_t aligned(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

/* Does the size of an input vary? */
static int is_ranged(uint32_t input) {
  for (uint32_t i = 0; i < hone_compiled.range_count; i++)
    if (hone_compiled.ranges[i].input == input) return 1;
  return 0;
}

/* Bytes before the room of an input; of all rooms for the number behind the last. */
static uint64_t room_offset(uint32_t input) {
  uint64_t total = 0;
  for (uint32_t i = 0; hone_compiled.range_count && i < input; i++)
    if (is_ranged(i)) total += aligned(hone_compiled.inputs[i].bytes);
  return total;
}

/* Outputs, hidden outputs, hidden inputs, rooms of inputs. */
static uint64_t output_area_bytes(void) {
  uint64_t total = 0;
  for (uint32_t i = 0; i < hone_compiled.output_count; i++)
    total += aligned(hone_compiled.outputs[i].bytes);
  return total + aligned(hone_compiled.hidden_count * sizeof(int64_t)) +
         aligned(hone_compiled.hidden_inputs * sizeof(int64_t)) + room_offset(hone_compiled.input_count);
}

/* ---- Contexts ---- */

static int join_crew(model *m, uint32_t threads, uint32_t group, crew **out) {
  if (group != 0)
    for (crew *c = m->crews; c; c = c->next)
      if (c->group == group) {
        c->users++;
        *out = c;
        return 0;
      }
  crew *c = calloc(1, sizeof *c);
  if (!c) return HONE_ERROR_MEMORY;
  uint32_t count = threads ? threads : (uint32_t)hone_default_threads();
  const uint32_t limit = hone_compiled.worker_limit;
  if (limit && count > limit) count = limit;
  if (hone_pool_create((int)(count < HONE_MAX_THREADS ? count : HONE_MAX_THREADS), &c->pool)) {
    free(c);
    return HONE_ERROR_THREADS;
  }
  c->group = group;
  c->users = 1;
  c->next = m->crews;
  m->crews = c;
  *out = c;
  return 0;
}

static void leave_crew(model *m, crew *leaving) {
  if (!leaving || --leaving->users > 0) return;
  crew **link = &m->crews;
  while (*link != leaving) link = &(*link)->next;
  *link = leaving->next;
  hone_pool_destroy(leaving->pool);
  free(leaving);
}

/* Takes a user off the model, and the crew it was in; the last one frees the model. */
static void leave_model(model *m, crew *crew) {
  hone_mutex_lock(&m->lock);
  leave_crew(m, crew);
  const int last = --m->users == 0;
  hone_mutex_unlock(&m->lock);
  if (!last) return;
  hone_unmap(m->weights, hone_compiled.weights_bytes);
  hone_mutex_destroy(&m->lock);
  free(m);
}

/* Frees a context, complete or not. */
static void release(hone_context *context) {
  hone_unmap(context->arena, hone_compiled.arena_bytes);
  hone_unmap(context->own_outputs, output_area_bytes());
  leave_model(context->model, context->crew);
  hone_mutex_destroy(&context->lock);
  free(context);
}

static int create_context(model *m, const hone_options *options, hone_context **out, char *error) {
  const hone_options wanted = options ? *options : (hone_options){sizeof(hone_options), 0, 0, 0};
  const uint32_t known = HONE_POISON | HONE_COMPILED_PART | HONE_VERIFY;
  if (wanted.size != sizeof(hone_options) || (wanted.flags & ~known))
    return report(error, HONE_ERROR_ARGUMENT,
                  "HONE-INPUT-010: these options are not of this library's version of hone.h");
  if (hone_compiled.texts && !(wanted.flags & HONE_COMPILED_PART))
    return report(error, HONE_ERROR_TEXTS,
                  "HONE-RUN-006: this model has steps on texts, which only the Node runtime runs");
  const size_t pointer_bytes = hone_compiled.ref_count * sizeof(void *);
  const size_t loop_bytes = hone_compiled.loop_count * sizeof(int64_t);
  hone_context *c = calloc(1, sizeof *c + pointer_bytes + loop_bytes);
  if (!c) return report(error, HONE_ERROR_MEMORY, "HONE-RUN-004: out of memory");
  c->pointers = (void **)(c->iterations + hone_compiled.loop_count);
  hone_mutex_init(&c->lock);
  c->model = m;
  c->flags = wanted.flags;
  hone_mutex_lock(&m->lock);
  m->users++;
  int status = join_crew(m, wanted.threads, wanted.group, &c->crew);
  hone_mutex_unlock(&m->lock);
  if (!status) {
    c->arena = hone_map_memory(hone_compiled.arena_bytes);
    c->own_outputs = hone_map_memory(output_area_bytes());
    if (!c->arena || !c->own_outputs) status = HONE_ERROR_MEMORY;
  }
  if (status) {
    if (status == HONE_ERROR_THREADS)
      report(error, status, "HONE-RUN-005: the system refused to start %u worker threads",
             wanted.threads);
    else
      report(error, status, "HONE-RUN-004: no memory for the working set of %llu bytes",
             (unsigned long long)hone_compiled.arena_bytes);
    release(c);
    return status;
  }
  c->rooms = c->own_outputs + output_area_bytes() - room_offset(hone_compiled.input_count);
  c->extents = (int64_t *)(c->rooms - aligned(hone_compiled.hidden_inputs * sizeof(int64_t)));
  c->hidden = (int64_t *)((uint8_t *)c->extents - aligned(hone_compiled.hidden_count * sizeof(int64_t)));
  for (uint32_t i = 0; i < hone_compiled.ref_count; i++) {
    const hone_ref *ref = &hone_compiled.refs[i];
    if (ref->space == HONE_ARENA) c->pointers[i] = c->arena + ref->offset;
    if (ref->space == HONE_WEIGHTS) c->pointers[i] = m->weights + ref->offset;
    if (ref->space == HONE_INPUT && ref->offset >= hone_compiled.input_count)
      c->pointers[i] = c->extents + (ref->offset - hone_compiled.input_count);
    if (ref->space == HONE_OUTPUT && ref->offset >= hone_compiled.output_count)
      c->pointers[i] = c->hidden + (ref->offset - hone_compiled.output_count);
  }
  *out = c;
  return HONE_OK;
}

static int open_weights(model *m, const char *path, int verify, char *error) {
  char file[4096];
  const char *inside = hone_is_directory(path) ? hone_compiled.weights_file : "";
  const int length = snprintf(file, sizeof file, "%s%s%s", path, *inside ? "/" : "", inside);
  if (length < 0 || (size_t)length >= sizeof file)
    return report(error, HONE_ERROR_WEIGHTS, "HONE-RUN-002: the path of the weights is too long");
  uint64_t found = hone_compiled.weights_bytes;
  void *memory = 0;
  const int failed = hone_map_file(file, hone_compiled.weights_bytes, &memory, &found);
  m->weights = memory;
  const uint8_t *digest = hone_compiled.weights_digest;
  if (!failed && (!verify || (digest && hone_digest_is(memory, found, digest)))) return HONE_OK;
  if (!failed)
    return report(error, HONE_ERROR_WEIGHTS,
                  "HONE-RUN-015: %.300s does not hold the weights that the library was built for", file);
  if (found != hone_compiled.weights_bytes)
    return report(error, HONE_ERROR_WEIGHTS,
                  "HONE-RUN-002: %.300s has %llu bytes, the library was built for %llu", file,
                  (unsigned long long)found, (unsigned long long)hone_compiled.weights_bytes);
  return report(error, HONE_ERROR_WEIGHTS, "HONE-RUN-002: cannot map the weights %.300s: %s", file,
                strerror(failed));
}

int hone_open(const char *path, const hone_options *options, hone_context **out) {
  *out = 0;
  const char *missing = hone_cpu_missing(hone_compiled.cpu);
  if (missing)
    return report(open_error, HONE_ERROR_CPU,
                  "HONE-RUN-003: this processor lacks %s, which the library was built for", missing);
  model *m = calloc(1, sizeof *m);
  if (!m) return report(open_error, HONE_ERROR_MEMORY, "HONE-RUN-004: out of memory");
  hone_mutex_init(&m->lock);
  m->users = 1; /* this function, until it returns */
  const int verify =
      options && options->size == sizeof *options && (options->flags & HONE_VERIFY) != 0;
  int status = hone_compiled.weights_bytes ? open_weights(m, path, verify, open_error) : HONE_OK;
  if (!status) status = create_context(m, options, out, open_error);
  leave_model(m, 0);
  return status;
}

int hone_context_create(hone_context *from, const hone_options *options, hone_context **out) {
  *out = 0;
  return create_context(from->model, options, out, from->error);
}

void hone_context_destroy(hone_context *context) {
  if (context) release(context);
}

void hone_close(hone_context *model) { hone_context_destroy(model); }

/* ---- Running ---- */

/* Parts a worker may take of a step: with several, a worker that is held up loses little. */
#define PARTS_PER_WORKER 4

static uint32_t parts_of_step(uint32_t step, uint32_t workers) {
  const uint32_t most = hone_compiled.steps[step].parts;
  if (workers == 1) return 1;
  if (most == 0) return workers; /* its kernel has barriers: all workers at once */
  const uint32_t wanted = workers * PARTS_PER_WORKER;
  if (most >= wanted) return wanted;
  return most > workers ? most / workers * workers : most;
}

static void run_part(void *data, uint32_t s, hone_worker *w) {
  hone_context *c = data;
  const hone_step *step = &hone_compiled.steps[s];
  w->fault = &c->fault;
  step->kernel(c->pointers + step->first_ref, hone_compiled.dims + step->first_dim, w);
}

/* ---- Control steps ---- */

static int holds(const hone_context *c, uint32_t ref) {
  return ref == HONE_NO_REF || *(const uint8_t *)c->pointers[ref] != 0;
}

/* Sets the number of a loop's iteration, and the pointers that move with it. */
static void set_iteration(hone_context *c, uint32_t l, int64_t iteration) {
  const hone_loop *loop = &hone_compiled.loops[l];
  c->iterations[l] = iteration;
  memcpy(c->pointers[loop->iteration], &iteration, sizeof iteration);
  for (uint32_t i = 0; i < loop->move_count; i++) {
    const hone_move *move = &hone_compiled.moves[loop->first_move + i];
    uint8_t *base = c->pointers[iteration % 2 ? move->odd : move->even];
    c->pointers[move->ref] = base + (uint64_t)iteration * move->stride;
  }
}

static int64_t trips_of(const hone_context *c, const hone_loop *loop) {
  int64_t trips = loop->count;
  if (loop->trips != HONE_NO_REF) memcpy(&trips, c->pointers[loop->trips], sizeof trips);
  return trips;
}

static uint32_t stop_at(hone_context *c, uint32_t s, int fault) {
  c->fault = fault;
  c->fault_step = s;
  return HONE_END;
}

/* What follows a control step. */
static uint32_t decide(hone_context *c, uint32_t s) {
  const hone_step *step = &hone_compiled.steps[s];
  const hone_loop *loop = &hone_compiled.loops[step->loop];
  switch (step->control) {
    case HONE_UNLESS:
      return holds(c, step->first_ref) ? s + 1 : step->target;
    case HONE_ENTER:
      set_iteration(c, step->loop, 0);
      if (trips_of(c, loop) <= 0 || !holds(c, loop->start)) return step->target;
      return loop->limit > 0 ? s + 1 : stop_at(c, s, (int)loop->fault);
    case HONE_REPEAT: {
      const int64_t next = c->iterations[step->loop] + 1;
      const int again = holds(c, loop->again); /* before pointers move */
      const int more = again && next < trips_of(c, loop);
      if (more && next >= loop->limit) return stop_at(c, s, (int)loop->fault);
      set_iteration(c, step->loop, next);
      return more ? step->target : s + 1;
    }
    case HONE_IF_EVEN:
      return c->iterations[step->loop] % 2 == 0 ? step->target : s + 1;
    default:
      return step->target;
  }
}

/* The first step with a kernel from `s` on, as control steps lead; HONE_END when there is none. */
static uint32_t next_kernel(hone_context *c, uint32_t s) {
  while (s < hone_compiled.step_count && hone_compiled.steps[s].control != HONE_KERNEL) s = decide(c, s);
  return s < hone_compiled.step_count ? s : HONE_END;
}

/* A fault ends the run after its step. */
static uint32_t finish_step(void *data, uint32_t s) {
  hone_context *c = data;
  for (uint32_t i = 0; i < c->watch_count; i++) {
    const hone_watch *watch = &c->watches[i];
    if (watch->step == s) memcpy(watch->to, c->arena + watch->offset, watch->bytes);
  }
  if (c->profile) {
    const uint64_t now = hone_now_ns();
    c->profile[s] += now - c->step_began;
    c->step_began = now;
  }
  if (c->counts) c->counts[s]++;
  c->fault_step = s;
  return __atomic_load_n(&c->fault, __ATOMIC_RELAXED) ? HONE_END : next_kernel(c, s + 1);
}

/* How the size of an input varies along an axis; NULL: it does not. */
static const hone_range *range_of(uint32_t input, int axis) {
  for (uint32_t i = 0; i < hone_compiled.range_count; i++)
    if (hone_compiled.ranges[i].input == input && (int)hone_compiled.ranges[i].axis == axis)
      return &hone_compiled.ranges[i];
  return 0;
}

static int check_input(hone_context *c, uint32_t input, const hone_tensor *tensor) {
  const hone_spec *spec = &hone_compiled.inputs[input];
  if (tensor->dtype != spec->dtype)
    return report(c->error, HONE_ERROR_ARGUMENT, "HONE-INPUT-003: input %.200s has dtype %d, %d is given",
                  spec->name, (int)spec->dtype, (int)tensor->dtype);
  int same = tensor->rank == spec->rank;
  for (int axis = 0; same && axis < spec->rank; axis++) {
    const hone_range *range = range_of(input, axis);
    const int64_t extent = tensor->shape[axis];
    if (range && (extent < range->least || extent > spec->shape[axis]))
      return report(c->error, HONE_ERROR_ARGUMENT,
                    "HONE-INPUT-005: input %.200s has %lld elements along axis %d, it takes %lld to %lld",
                    spec->name, (long long)extent, axis, (long long)range->least,
                    (long long)spec->shape[axis]);
    same = range || extent == spec->shape[axis];
  }
  if (!same)
    return report(c->error, HONE_ERROR_ARGUMENT,
                  "HONE-INPUT-005: input %.200s is given with another shape than the model's", spec->name);
  return HONE_OK;
}

/* Bytes of one element. */
static uint64_t element_bytes(const hone_spec *spec) {
  uint64_t room = 1;
  for (int axis = 0; axis < spec->rank; axis++) room *= (uint64_t)spec->shape[axis];
  return room ? spec->bytes / room : 0;
}

static int bind_outputs(hone_context *c, hone_tensor *outputs) {
  uint64_t offset = 0;
  for (uint32_t i = 0; i < hone_compiled.output_count; i++) {
    const hone_spec *spec = &hone_compiled.outputs[i];
    hone_tensor *tensor = &outputs[i];
    if (tensor->data && tensor->capacity < spec->bytes)
      return report(c->error, HONE_ERROR_ARGUMENT,
                    "HONE-INPUT-006: output %.200s needs %llu bytes, its buffer has %llu",
                    spec->name, (unsigned long long)spec->bytes,
                    (unsigned long long)tensor->capacity);
    if (!tensor->data) {
      tensor->data = c->own_outputs + offset;
      tensor->capacity = spec->bytes;
    }
    offset += aligned(spec->bytes);
    tensor->dtype = spec->dtype;
    tensor->rank = spec->rank;
    memcpy(tensor->shape, spec->shape, sizeof tensor->shape);
    tensor->bytes = spec->bytes;
  }
  return HONE_OK;
}

/* Sets the hidden inputs from the shapes of the others. */
static int set_extents(hone_context *c, const hone_tensor *inputs) {
  for (uint32_t k = 0; k < hone_compiled.hidden_inputs; k++) c->extents[k] = -1;
  for (uint32_t i = 0; i < hone_compiled.range_count; i++) {
    const hone_range *range = &hone_compiled.ranges[i];
    const int64_t extent = inputs[range->input].shape[range->axis], before = c->extents[range->from];
    if (before >= 0 && before != extent)
      return report(c->error, HONE_ERROR_ARGUMENT,
                    "HONE-INPUT-020: input %.200s has %lld elements along axis %u, another input has %lld "
                    "along the same dimension",
                    hone_compiled.inputs[range->input].name, (long long)extent, (unsigned)range->axis,
                    (long long)before);
    c->extents[range->from] = extent;
  }
  return HONE_OK;
}

static int check_inputs(hone_context *c, const hone_tensor *inputs) {
  for (uint32_t i = 0; i < hone_compiled.input_count; i++) {
    const hone_spec *spec = &hone_compiled.inputs[i];
    const int status = check_input(c, i, &inputs[i]);
    if (status) return status;
    uint64_t bytes = spec->bytes;
    if (is_ranged(i)) {
      bytes = element_bytes(spec);
      for (int axis = 0; axis < spec->rank; axis++) bytes *= (uint64_t)inputs[i].shape[axis];
    }
    if (inputs[i].bytes != bytes || (!inputs[i].data && bytes))
      return report(c->error, HONE_ERROR_ARGUMENT,
                    "HONE-INPUT-006: input %.200s needs %llu bytes, %llu are given", spec->name,
                    (unsigned long long)bytes,
                    (unsigned long long)(inputs[i].data ? inputs[i].bytes : 0));
  }
  return set_extents(c, inputs);
}

static const char *fault_text(int what) {
  switch (what) {
    case HONE_FAULT_INDEX:
      return "an index lies outside its axis";
    case HONE_FAULT_DIVIDE:
      return "an integer is divided by zero";
    case HONE_FAULT_RANGE:
      return "a size or count lies outside its bounds";
    case HONE_FAULT_ENDLESS:
      return "a loop goes on without end";
    default:
      return "the data is not what the operator accepts";
  }
}

/* What lies together of a tensor that is shorter than its bounds. */
typedef struct {
  uint64_t count;
  uint64_t bytes; /* of one */
  int last;       /* its outermost axis */
} rows;

static rows rows_of(const hone_spec *spec, const int64_t *shape) {
  rows r = {1, element_bytes(spec), spec->rank - 1};
  for (; r.last > 0 && shape[r.last] == spec->shape[r.last]; r.last--)
    r.bytes *= (uint64_t)shape[r.last];
  if (r.last >= 0) r.bytes *= (uint64_t)shape[r.last];
  for (int axis = 0; axis < r.last; axis++) r.count *= (uint64_t)shape[axis];
  if (r.bytes == 0) r.count = 0;
  return r;
}

/* Where row `n` begins in the room for the bounds. */
static uint64_t row_offset(const hone_spec *spec, const int64_t *shape, const rows *r, uint64_t n) {
  uint64_t at = 0, stride = element_bytes(spec);
  for (int axis = r->last; axis < spec->rank; axis++)
    if (axis >= 0) stride *= (uint64_t)spec->shape[axis];
  for (int axis = r->last - 1; axis >= 0; axis--) {
    at += n % (uint64_t)shape[axis] * stride;
    n /= (uint64_t)shape[axis];
    stride *= (uint64_t)spec->shape[axis];
  }
  return at;
}

/* Moves the part of an output that is meant to the front: its rows were spaced by the bounds. */
static void close_gaps(const hone_spec *spec, hone_tensor *tensor) {
  const rows r = rows_of(spec, tensor->shape);
  tensor->bytes = r.count * r.bytes;
  uint8_t *to = tensor->data;
  for (uint64_t n = 0; n < r.count; n++, to += r.bytes) {
    const uint8_t *from = (const uint8_t *)tensor->data + row_offset(spec, tensor->shape, &r, n);
    if (from != to) memmove(to, from, r.bytes);
  }
}

/* Where an input lies: its rows in a room, spaced by the bounds, where it is shorter than those. */
static void *place_input(hone_context *c, uint32_t input, const hone_tensor *tensor) {
  const hone_spec *spec = &hone_compiled.inputs[input];
  if (!is_ranged(input) || tensor->bytes == spec->bytes) return tensor->data;
  uint8_t *room = c->rooms + room_offset(input);
  const rows r = rows_of(spec, tensor->shape);
  memset(room, c->flags & HONE_POISON ? 0xff : 0, spec->bytes);
  const uint8_t *from = tensor->data;
  for (uint64_t n = 0; n < r.count; n++, from += r.bytes)
    memcpy(room + row_offset(spec, tensor->shape, &r, n), from, r.bytes);
  return room;
}

/* Gives outputs whose size depends on data their actual shapes. */
static int shorten_outputs(hone_context *c, hone_tensor *outputs) {
  for (uint32_t i = 0; i < hone_compiled.extent_count; i++) {
    const hone_extent *extent = &hone_compiled.extents[i];
    const hone_spec *spec = &hone_compiled.outputs[extent->output];
    const int64_t actual = c->hidden[extent->from];
    if (actual < 0 || actual > spec->shape[extent->axis])
      return report(c->error, HONE_ERROR_DATA,
                    "HONE-RUN-010: output %.200s has %lld elements along axis %u, at most %lld are possible",
                    spec->name, (long long)actual, (unsigned)extent->axis,
                    (long long)spec->shape[extent->axis]);
    outputs[extent->output].shape[extent->axis] = actual;
  }
  for (uint32_t i = 0; hone_compiled.extent_count && i < hone_compiled.output_count; i++)
    close_gaps(&hone_compiled.outputs[i], &outputs[i]);
  return HONE_OK;
}

static int run_locked(hone_context *c, const hone_tensor *inputs, hone_tensor *outputs) {
  int status = check_inputs(c, inputs);
  if (!status) status = bind_outputs(c, outputs);
  if (status) return status;
  for (uint32_t i = 0; i < hone_compiled.ref_count; i++) {
    const hone_ref *ref = &hone_compiled.refs[i];
    if (ref->space == HONE_INPUT && ref->offset < hone_compiled.input_count && !is_ranged((uint32_t)ref->offset))
      c->pointers[i] = inputs[ref->offset].data;
    if (ref->space == HONE_OUTPUT && ref->offset < hone_compiled.output_count)
      c->pointers[i] = outputs[ref->offset].data;
  }
  for (uint32_t input = 0; hone_compiled.range_count && input < hone_compiled.input_count; input++) {
    if (!is_ranged(input)) continue;
    void *data = place_input(c, input, &inputs[input]);
    for (uint32_t i = 0; i < hone_compiled.ref_count; i++)
      if (hone_compiled.refs[i].space == HONE_INPUT && hone_compiled.refs[i].offset == input)
        c->pointers[i] = data;
  }
  if (c->flags & HONE_POISON) memset(c->arena, 0xff, hone_compiled.arena_bytes);
  c->fault = 0;
  if (c->profile) c->step_began = hone_now_ns();
  const hone_job job = {next_kernel(c, 0), parts_of_step, run_part, finish_step, c};
  hone_pool_run(c->crew->pool, &job);
  const int fault = c->fault;
  if (!fault) return shorten_outputs(c, outputs);
  return report(c->error, HONE_ERROR_DATA, "HONE-RUN-%s: %s in step %u (%.200s)",
                fault == HONE_FAULT_ENDLESS ? "014" : "010", fault_text(fault), (unsigned)c->fault_step,
                hone_compiled.steps[c->fault_step].label);
}

int hone_run(hone_context *context, const hone_tensor *inputs, uint32_t input_count,
             hone_tensor *outputs, uint32_t output_count) {
  hone_mutex_lock(&context->lock);
  int status;
  if (input_count != hone_compiled.input_count || output_count != hone_compiled.output_count)
    status = report(context->error, HONE_ERROR_ARGUMENT,
                    "HONE-INPUT-001: the model has %u inputs and %u outputs, %u and %u are given",
                    (unsigned)hone_compiled.input_count, (unsigned)hone_compiled.output_count,
                    (unsigned)input_count, (unsigned)output_count);
  else
    status = run_locked(context, inputs, outputs);
  hone_mutex_unlock(&context->lock);
  return status;
}

/* ---- Asking ---- */

static const char *specify(const hone_spec *specs, uint32_t count, uint32_t index,
                           hone_tensor *tensor) {
  if (index >= count) return 0;
  const hone_spec *spec = &specs[index];
  memset(tensor, 0, sizeof *tensor);
  tensor->dtype = spec->dtype;
  tensor->rank = spec->rank;
  memcpy(tensor->shape, spec->shape, sizeof tensor->shape);
  tensor->bytes = spec->bytes;
  return spec->name;
}

const char *hone_input(uint32_t index, hone_tensor *tensor) {
  const char *name = specify(hone_compiled.inputs, hone_compiled.input_count, index, tensor);
  for (uint32_t i = 0; name && i < hone_compiled.range_count; i++)
    if (hone_compiled.ranges[i].input == index) tensor->flags |= 1u << hone_compiled.ranges[i].axis;
  return name;
}

const char *hone_output(uint32_t index, hone_tensor *tensor) {
  const char *name = specify(hone_compiled.outputs, hone_compiled.output_count, index, tensor);
  for (uint32_t i = 0; name && i < hone_compiled.extent_count; i++)
    if (hone_compiled.extents[i].output == index)
      tensor->flags |= 1u << hone_compiled.extents[i].axis;
  return name;
}

const char *hone_describe(void) { return hone_compiled.describe; }

const char *hone_last_error(const hone_context *context) {
  return context ? context->error : open_error;
}

void hone_profile(hone_context *context, uint64_t *ns_per_step) {
  hone_mutex_lock(&context->lock);
  context->profile = ns_per_step;
  hone_mutex_unlock(&context->lock);
}

void hone_count_steps(hone_context *context, uint64_t *runs_per_step) {
  hone_mutex_lock(&context->lock);
  context->counts = runs_per_step;
  hone_mutex_unlock(&context->lock);
}

int hone_watch_steps(hone_context *context, const hone_watch *watches, uint32_t count) {
  hone_mutex_lock(&context->lock);
  int status = HONE_OK;
  const uint64_t end = hone_compiled.arena_bytes;
  for (uint32_t i = 0; watches && i < count; i++)
    if (watches[i].step >= hone_compiled.step_count || watches[i].offset > end ||
        watches[i].bytes > end - watches[i].offset)
      status = report(context->error, HONE_ERROR_ARGUMENT,
                      "HONE-INPUT-007: watch %u is of no step, or beyond the working memory",
                      (unsigned)i);
  context->watches = status ? 0 : watches;
  context->watch_count = status || !watches ? 0 : count;
  hone_mutex_unlock(&context->lock);
  return status;
}

uint32_t hone_step_count(void) { return hone_compiled.step_count; }

uint32_t hone_thread_count(const hone_context *context) {
  return (uint32_t)hone_pool_count(context->crew->pool);
}

uint32_t hone_abi_version(void) { return HONE_ABI_VERSION; }
