/*
 * The C interface of a compiled model.
 *
 * hone_open, hone_run and hone_close suffice:
 *
 *     hone_context *model;
 *     if (hone_open("model.hone", NULL, &model)) { puts(hone_last_error(NULL)); return 1; }
 *     if (hone_run(model, inputs, 1, outputs, 1)) puts(hone_last_error(model));
 *     hone_close(model);
 *
 * A context runs one request at a time; a second call for it waits. Contexts made from it by
 * hone_context_create share its weights, have their own working memory and run at the same time.
 * Nothing is allocated during hone_run. Subnormal numbers count as zero during a run; the caller's
 * floating-point state is restored after it.
 */
#ifndef HONE_H
#define HONE_H

#include <stdint.h>

#if defined(_WIN32)
#define HONE_API __declspec(dllexport)
#else
#define HONE_API __attribute__((visibility("default")))
#endif

#define HONE_ABI_VERSION 1
#define HONE_MAX_RANK 8

/* Element types; the numbers are those of ONNX's TensorProto.DataType. */
enum {
  HONE_F32 = 1,
  HONE_U8 = 2,
  HONE_I8 = 3,
  HONE_U16 = 4,
  HONE_I16 = 5,
  HONE_I32 = 6,
  HONE_I64 = 7,
  HONE_BOOL = 9,
  HONE_F16 = 10,
  HONE_F64 = 11,
  HONE_U32 = 12,
  HONE_U64 = 13,
  HONE_BF16 = 16,
  /* Patterns in a byte each. */
  HONE_F8E4M3FN = 17,
  HONE_F8E4M3FNUZ = 18,
  HONE_F8E5M2 = 19,
  HONE_F8E5M2FNUZ = 20,
  /* One element a byte, sign-extended. */
  HONE_U4 = 21,
  HONE_I4 = 22,
  HONE_F4E2M1 = 23,
  HONE_F8E8M0 = 24,
  HONE_U2 = 25,
  HONE_I2 = 26
};

/* What the functions return; hone_last_error has the text, which begins with the stable code. */
enum {
  HONE_OK = 0,
  HONE_ERROR_ARGUMENT = 1, /* HONE-INPUT-…: tensors that do not fit the model */
  HONE_ERROR_WEIGHTS = 2,  /* HONE-RUN-002: weights missing or of another size; -015: HONE_VERIFY */
  HONE_ERROR_CPU = 3,      /* HONE-RUN-003: the processor lacks what the library was built for */
  HONE_ERROR_MEMORY = 4,   /* HONE-RUN-004 */
  HONE_ERROR_THREADS = 5,  /* HONE-RUN-005 */
  HONE_ERROR_TEXTS = 6,    /* HONE-RUN-006: the model works on texts, which only Node runs */
  HONE_ERROR_DATA = 10     /* HONE-RUN-010: data broke a rule of an operator; HONE-RUN-014: a loop without end */
};

/* Row-major elements. Data need not be aligned beyond its element type. */
typedef struct {
  int32_t dtype;
  int32_t rank;
  int64_t shape[HONE_MAX_RANK];
  void *data;        /* an output with NULL here gets memory of the context, good until its next run */
  uint64_t bytes;    /* of the elements; set by hone_run for outputs */
  uint64_t capacity; /* bytes at `data` that an output may use */
  uint32_t flags;    /* of hone_input and hone_output: bit i is set where shape[i] is a bound, see hone_run */
  uint32_t reserved; /* 0 */
} hone_tensor;

enum {
  HONE_POISON = 1, /* fill the working memory with 0xFF before each run, to find reads of unset data */
  HONE_COMPILED_PART = 2, /* the caller runs the steps on texts around the compiled part itself */
  HONE_VERIFY = 4 /* hone_open reads all weights, and refuses others than the library was built for */
};

typedef struct {
  uint32_t size;    /* sizeof(hone_options) */
  uint32_t threads; /* workers, the caller included; 0: physical cores that this process may use */
  uint32_t group;   /* 0: own workers; else contexts of a model with the same number share workers */
  uint32_t flags;   /* HONE_POISON, HONE_COMPILED_PART, HONE_VERIFY */
} hone_options;

/* Working memory to be copied while a model runs: report.json says what lies where. */
typedef struct {
  uint64_t offset; /* of the first byte in the working memory */
  uint64_t bytes;
  void *to;
  uint32_t step; /* after which it is copied */
  uint32_t reserved; /* 0 */
} hone_watch;

typedef struct hone_context hone_context;

#endif

#ifndef HONE_FUNCTIONS_H
#define HONE_FUNCTIONS_H

#ifdef __cplusplus
extern "C" {
#endif

/* Opens a model: `path` is its directory (*.hone) or its weights file. Options may be NULL. */
HONE_API int hone_open(const char *path, const hone_options *options, hone_context **model);

/* Another context for the same weights. */
HONE_API int hone_context_create(hone_context *from, const hone_options *options,
                                 hone_context **context);

/*
 * The name of an input or output, or NULL past the last. Sets the tensor's dtype, rank, shape and
 * bytes, and its data to NULL.
 */
HONE_API const char *hone_input(uint32_t index, hone_tensor *tensor);
HONE_API const char *hone_output(uint32_t index, hone_tensor *tensor);

/*
 * Runs the model. Inputs and outputs are in the order of hone_input and hone_output. An input whose size
 * varies from run to run is given with its actual shape and bytes. An output whose
 * size depends on data needs the capacity of its bound; its shape and bytes are then set to what they
 * are, and its elements lie one after the other.
 */
HONE_API int hone_run(hone_context *context, const hone_tensor *inputs, uint32_t input_count,
                      hone_tensor *outputs, uint32_t output_count);

/* Ends a context, the one of hone_open or another, in any order; the last one frees the weights. */
HONE_API void hone_context_destroy(hone_context *context);
HONE_API void hone_close(hone_context *model);

/* Signature, steps and sizes as JSON; constant. */
HONE_API const char *hone_describe(void);

/* Text of the context's last error; with NULL that of the calling thread's last hone_open. */
HONE_API const char *hone_last_error(const hone_context *context);

/*
 * From now on each run adds the nanoseconds of every step to `ns_per_step`, which has
 * hone_step_count elements; NULL ends that.
 */
HONE_API void hone_profile(hone_context *context, uint64_t *ns_per_step);
HONE_API uint32_t hone_step_count(void);

/* The same of how often each step ran: those of loops and branches do not run once. */
HONE_API void hone_count_steps(hone_context *context, uint64_t *runs_per_step);

/*
 * From now on each run copies what the watches name, as the steps leave it; the caller keeps them and
 * the memory they point to. NULL ends that.
 */
HONE_API int hone_watch_steps(hone_context *context, const hone_watch *watches, uint32_t count);

/* Workers of the context. */
HONE_API uint32_t hone_thread_count(const hone_context *context);

HONE_API uint32_t hone_abi_version(void);

#ifdef __cplusplus
}
#endif

#endif
