// Hand-written routines: what loops over expressions do not say (sorting, scattered writes).
//
// A routine stage named NAME calls
//     hone_rt_NAME(buf, dim, scalar, w)
// with the stage's operands, then its outputs, in `buf`, and the body's `dims` and `scalars`. Every
// worker calls it at once. The records in ops/tensor say which dims a routine takes.
#ifndef HONE_ROUTINES_H
#define HONE_ROUTINES_H

#include "hone_kernel.h"
#include "hone_math.h"

#define HONE_RT static __attribute__((unused))
#define HONE_RT_ARGS void *const *buf, const int64_t *dim, const double *scalar, const hone_worker *w

// The part of 0 … n that this worker does.
HONE_RT int64_t hone_rt_lo(int64_t n, const hone_worker *w) { return n * w->id / w->count; }
HONE_RT int64_t hone_rt_hi(int64_t n, const hone_worker *w) { return n * (w->id + 1) / w->count; }

// --- BitCast ------------------------------------------------------------------------------------
// copy_bytes: operand x; output: the same bytes. dim: bytes.

HONE_RT void hone_rt_copy_bytes(HONE_RT_ARGS) {
  const uint8_t *const x = (const uint8_t *)buf[0];
  uint8_t *const out = (uint8_t *)buf[1];
  const int64_t hi = hone_rt_hi(dim[0], w);
  (void)scalar;
  for (int64_t i = hone_rt_lo(dim[0], w); i < hi; i++) out[i] = x[i];
}

// --- Det ----------------------------------------------------------------------------------------
// det_<dtype>: operand matrices; output their determinants. dim: matrices, rows (at most
// HONE_RT_DET_MAX). Elimination in double with the largest pivot.

#define HONE_RT_DET_MAX 64

HONE_RT double hone_rt_eliminate(double *m, int64_t n) {
  double product = 1;
  for (int64_t c = 0; c < n; c++) {
    int64_t pivot = c;
    for (int64_t r = c + 1; r < n; r++) {
      const double a = m[r * n + c], b = m[pivot * n + c];
      if ((a < 0 ? -a : a) > (b < 0 ? -b : b)) pivot = r;
    }
    const double top = m[pivot * n + c];
    if (top == 0) return 0;
    product *= pivot == c ? top : -top;
    for (int64_t k = c; k < n; k++) {
      const double kept = m[c * n + k];
      m[c * n + k] = m[pivot * n + k];
      m[pivot * n + k] = kept;
    }
    for (int64_t r = c + 1; r < n; r++) {
      const double factor = m[r * n + c] / top;
      for (int64_t k = c; k < n; k++) m[r * n + k] -= factor * m[c * n + k];
    }
  }
  return product;
}

#define HONE_RT_SAME(x) (x)
#define HONE_RT_DET(N, T, READ, WRITE)                                                             \
  HONE_RT void hone_rt_det_##N(HONE_RT_ARGS) {                                                     \
    const int64_t n = dim[1], hi = hone_rt_hi(dim[0], w);                                          \
    double m[HONE_RT_DET_MAX * HONE_RT_DET_MAX];                                                   \
    (void)scalar;                                                                                  \
    for (int64_t b = hone_rt_lo(dim[0], w); b < hi; b++) {                                         \
      for (int64_t i = 0; i < n * n; i++) m[i] = READ(((const T *)buf[0])[b * n * n + i]);         \
      ((T *)buf[1])[b] = WRITE(hone_rt_eliminate(m, n));                                           \
    }                                                                                              \
  }
#define HONE_RT_TO_F16(x) hone_f32_to_f16((float)(x))
#define HONE_RT_TO_BF16(x) hone_f32_to_bf16((float)(x))
HONE_RT_DET(f32, float, HONE_RT_SAME, (float))
HONE_RT_DET(f64, double, HONE_RT_SAME, HONE_RT_SAME)
HONE_RT_DET(f16, uint16_t, hone_f16_to_f32, HONE_RT_TO_F16)
HONE_RT_DET(bf16, uint16_t, hone_bf16_to_f32, HONE_RT_TO_BF16)

// --- Inverse ------------------------------------------------------------------------------------
// inverse_<dtype>: operand matrices; output their inverses. dim: matrices, rows (at most
// HONE_RT_DET_MAX). Gauss-Jordan elimination in place, in double, with the largest pivot of a column;
// a singular matrix gives infinities or NaN.

HONE_RT void hone_rt_invert(double *m, int64_t n) {
  int64_t swapped[HONE_RT_DET_MAX];
  for (int64_t c = 0; c < n; c++) {
    int64_t pivot = c;
    for (int64_t r = c + 1; r < n; r++) {
      const double a = m[r * n + c], b = m[pivot * n + c];
      if ((a < 0 ? -a : a) > (b < 0 ? -b : b)) pivot = r;
    }
    swapped[c] = pivot;
    for (int64_t k = 0; k < n; k++) {
      const double kept = m[c * n + k];
      m[c * n + k] = m[pivot * n + k];
      m[pivot * n + k] = kept;
    }
    const double top = m[c * n + c];
    m[c * n + c] = 1;
    for (int64_t k = 0; k < n; k++) m[c * n + k] /= top;
    for (int64_t r = 0; r < n; r++) {
      if (r == c) continue;
      const double factor = m[r * n + c];
      m[r * n + c] = 0;
      for (int64_t k = 0; k < n; k++) m[r * n + k] -= factor * m[c * n + k];
    }
  }
  for (int64_t c = n - 1; c >= 0; c--) {
    for (int64_t r = 0; r < n; r++) {
      const double kept = m[r * n + c];
      m[r * n + c] = m[r * n + swapped[c]];
      m[r * n + swapped[c]] = kept;
    }
  }
}

#define HONE_RT_INVERSE(N, T, READ, WRITE)                                                         \
  HONE_RT void hone_rt_inverse_##N(HONE_RT_ARGS) {                                                 \
    const int64_t n = dim[1], hi = hone_rt_hi(dim[0], w);                                          \
    double m[HONE_RT_DET_MAX * HONE_RT_DET_MAX];                                                   \
    (void)scalar;                                                                                  \
    for (int64_t b = hone_rt_lo(dim[0], w); b < hi; b++) {                                         \
      for (int64_t i = 0; i < n * n; i++) m[i] = READ(((const T *)buf[0])[b * n * n + i]);         \
      hone_rt_invert(m, n);                                                                        \
      for (int64_t i = 0; i < n * n; i++) ((T *)buf[1])[b * n * n + i] = WRITE(m[i]);              \
    }                                                                                              \
  }
HONE_RT_INVERSE(f32, float, HONE_RT_SAME, (float))
HONE_RT_INVERSE(f64, double, HONE_RT_SAME, HONE_RT_SAME)
HONE_RT_INVERSE(f16, uint16_t, hone_f16_to_f32, HONE_RT_TO_F16)
HONE_RT_INVERSE(bf16, uint16_t, hone_bf16_to_f32, HONE_RT_TO_BF16)

// --- PairwiseCoupling ---------------------------------------------------------------------------
// pairwise_coupling: operand the probabilities of pairs i < j of classes (f32, [rows, pairs]); output
// those of the classes. dim: rows, classes (at most HONE_RT_DET_MAX). The second method of Wu, Lin and
// Weng (2004).

HONE_RT void hone_rt_couple(const float *share, float *p, int64_t n) {
  float q[HONE_RT_DET_MAX][HONE_RT_DET_MAX], qp[HONE_RT_DET_MAX];
  for (int64_t t = 0; t < n; t++) q[t][t] = 0;
  for (int64_t i = 0; i < n; i++) {
    for (int64_t j = i + 1; j < n; j++) {
      const float a = *share++, b = 1 - a;
      q[i][j] = q[j][i] = -a * b;
      q[i][i] += b * b;
      q[j][j] += a * a;
    }
  }
  for (int64_t t = 0; t < n; t++) p[t] = 1.0f / (float)n;
  for (int turn = 0; turn < 100; turn++) {
    float pqp = 0, error = 0;
    for (int64_t t = 0; t < n; t++) {
      qp[t] = 0;
      for (int64_t j = 0; j < n; j++) qp[t] += q[t][j] * p[j];
      pqp += p[t] * qp[t];
    }
    for (int64_t t = 0; t < n; t++) {
      const float gap = qp[t] < pqp ? pqp - qp[t] : qp[t] - pqp;
      if (gap > error) error = gap;
    }
    if (error < 0.005f / (float)n) break;
    for (int64_t t = 0; t < n; t++) {
      const float step = (pqp - qp[t]) / q[t][t], scale = 1 + step;
      p[t] += step;
      pqp = (pqp + step * (step * q[t][t] + 2 * qp[t])) / scale / scale;
      for (int64_t j = 0; j < n; j++) {
        qp[j] = (qp[j] + step * q[t][j]) / scale;
        p[j] /= scale;
      }
    }
  }
}

HONE_RT void hone_rt_pairwise_coupling(HONE_RT_ARGS) {
  const int64_t n = dim[1], pairs = n * (n - 1) / 2, hi = hone_rt_hi(dim[0], w);
  (void)scalar;
  for (int64_t b = hone_rt_lo(dim[0], w); b < hi; b++) {
    hone_rt_couple((const float *)buf[0] + b * pairs, (float *)buf[1] + b * n, n);
  }
}

// --- TreeLeaves ---------------------------------------------------------------------------------
// tree_leaves_<dtype>: operands x[rows, features], nodes int32[n, 4] (feature, way of yes, way of no,
// code: how it compares, and by 8 whether a missing value goes the way of yes), thresholds[n], roots
// int32[trees]; output int32[rows, trees], the codes of the leaves, which are nodes that lead to
// themselves. dim: rows, features, trees, mode of all nodes (-1: in each one's code). The tables are a
// model's, checked when it was compiled.
//
// Several walks go on at once, so that one waits while others load; a tree meets all rows before the next.

#define HONE_RT_WALKS 8

HONE_RT int hone_rt_compare(int64_t mode, double value, double limit) {
  switch (mode) {
    case 0: return value <= limit;
    case 1: return value < limit;
    case 2: return value >= limit;
    case 3: return value > limit;
    case 4: return value == limit;
    default: return value != limit;
  }
}

#define HONE_RT_WALK(S, SAYS_YES)                                                                  \
  do {                                                                                             \
    moved = 0;                                                                                     \
    for (int k = 0; k < HONE_RT_WALKS; k++) {                                                      \
      const int32_t i = place[k], *const n = node + 4 * (int64_t)i;                                \
      const S v = row[k][n[0]];                                                                    \
      const int32_t next = n[(SAYS_YES) ? 1 : 2];                                                  \
      moved |= next ^ i;                                                                           \
      place[k] = next;                                                                             \
    }                                                                                              \
  } while (moved)

#define HONE_RT_TREES(N, S)                                                                        \
  HONE_RT void hone_rt_tree_leaves_##N(HONE_RT_ARGS) {                                             \
    const S *const x = (const S *)buf[0], *const limit = (const S *)buf[2];                        \
    const int32_t *const node = (const int32_t *)buf[1], *const root = (const int32_t *)buf[3];    \
    int32_t *const out = (int32_t *)buf[4];                                                        \
    const int64_t rows = dim[0], features = dim[1], trees = dim[2], mode = dim[3];                 \
    const int64_t hi = hone_rt_hi(rows * trees, w);                                                \
    (void)scalar;                                                                                  \
    for (int64_t p = hone_rt_lo(rows * trees, w); p < hi; p += HONE_RT_WALKS) {                    \
      int32_t place[HONE_RT_WALKS], moved;                                                         \
      const S *row[HONE_RT_WALKS];                                                                 \
      for (int k = 0; k < HONE_RT_WALKS; k++) {                                                    \
        const int64_t q = p + k < hi ? p + k : hi - 1;                                             \
        place[k] = root[q / rows];                                                                 \
        row[k] = x + q % rows * features;                                                          \
      }                                                                                            \
      if (mode == 0) HONE_RT_WALK(S, (v <= limit[i]) | ((n[3] >> 3) & (v != v)));                  \
      else if (mode == 1) HONE_RT_WALK(S, (v < limit[i]) | ((n[3] >> 3) & (v != v)));              \
      else                                                                                         \
        HONE_RT_WALK(S, hone_rt_compare(mode < 0 ? n[3] & 7 : mode, v, limit[i]) |                 \
                        ((n[3] >> 3) & (v != v)));                                                 \
      for (int64_t k = 0; k < HONE_RT_WALKS && p + k < hi; k++)                                    \
        out[(p + k) % rows * trees + (p + k) / rows] = node[4 * (int64_t)place[k] + 3];            \
    }                                                                                              \
  }

HONE_RT_TREES(f32, float)
HONE_RT_TREES(f64, double)

// --- NonMaxSuppression --------------------------------------------------------------------------
// suppress: operands boxes f32[batches, n, 4], scores f32[batches, classes, n], most i64, limit f32,
// least f32; outputs chosen i64[batches * classes * room, 3] with zeros behind, and how many there
// are; workspace int32[batches * classes * (n + 1)]. dim: batches, classes, n, room, center.
//
// Of each batch and class, boxes that score above `least` come off a heap, best first, of equals the
// first; one that overlaps a chosen one by more than `limit` is left out.

HONE_RT void hone_rt_corners(const float *box, int center, double *out) {
  const double a = box[0], b = box[1], c = box[2], d = box[3];
  out[0] = center ? b - d / 2 : a < c ? a : c;
  out[1] = center ? a - c / 2 : b < d ? b : d;
  out[2] = center ? b + d / 2 : a < c ? c : a;
  out[3] = center ? a + c / 2 : b < d ? d : b;
}

HONE_RT int hone_rt_overlaps(const float *p, const float *q, int center, double limit) {
  double a[4], b[4];
  hone_rt_corners(p, center, a);
  hone_rt_corners(q, center, b);
  const double height = (a[2] < b[2] ? a[2] : b[2]) - (a[0] > b[0] ? a[0] : b[0]);
  const double width = (a[3] < b[3] ? a[3] : b[3]) - (a[1] > b[1] ? a[1] : b[1]);
  const double shared = height > 0 && width > 0 ? height * width : 0;
  const double both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared;
  return (shared > 0 ? shared / both : 0) > limit;
}

HONE_RT int hone_rt_scores_before(const float *score, int32_t p, int32_t q) {
  return score[p] > score[q] || (score[p] == score[q] && p < q);
}

HONE_RT void hone_rt_sink(const float *score, int32_t *heap, int64_t at, int64_t count) {
  for (;;) {
    int64_t best = at;
    for (int64_t c = 2 * at + 1; c < 2 * at + 3 && c < count; c++)
      if (hone_rt_scores_before(score, heap[c], heap[best])) best = c;
    if (best == at) return;
    const int32_t moved = heap[at];
    heap[at] = heap[best];
    heap[best] = moved;
    at = best;
  }
}

HONE_RT void hone_rt_suppress(HONE_RT_ARGS) {
  const int64_t classes = dim[1], pairs = dim[0] * classes, n = dim[2], room = dim[3];
  const int center = dim[4] != 0;
  int64_t most = *(const int64_t *)buf[2];
  const double limit = *(const float *)buf[3];
  const float least = *(const float *)buf[4];
  int64_t *const chosen = (int64_t *)buf[5];
  int32_t *const space = (int32_t *)buf[7], *const counts = space + pairs * n;
  const int64_t last = hone_rt_hi(pairs, w);
  (void)scalar;
  most = most < room ? most : room;
  for (int64_t pair = hone_rt_lo(pairs, w); pair < last; pair++) {
    const float *const boxes = (const float *)buf[0] + pair / classes * n * 4;
    const float *const score = (const float *)buf[1] + pair * n;
    int32_t *const heap = space + pair * n;
    int64_t *const out = chosen + pair * room * 3;
    int64_t left = 0, kept = 0;
    for (int64_t i = 0; i < n; i++)
      if (score[i] > least) heap[left++] = (int32_t)i;
    for (int64_t i = left / 2; i > 0; i--) hone_rt_sink(score, heap, i - 1, left);
    while (left > 0 && kept < most) {
      const int32_t box = heap[0];
      heap[0] = heap[--left];
      hone_rt_sink(score, heap, 0, left);
      int overlaps = 0;
      for (int64_t k = 0; k < kept && !overlaps; k++)
        overlaps = hone_rt_overlaps(boxes + out[k * 3 + 2] * 4, boxes + (int64_t)box * 4, center, limit);
      if (overlaps) continue;
      out[kept * 3] = pair / classes;
      out[kept * 3 + 1] = pair % classes;
      out[kept * 3 + 2] = box;
      kept++;
    }
    counts[pair] = (int32_t)kept;
  }
  hone_barrier(w);
  if (w->id != 0) return;
  int64_t at = 0;
  for (int64_t pair = 0; pair < pairs; pair++)
    for (int64_t i = 0; i < counts[pair] * 3; i++) chosen[at++] = chosen[pair * room * 3 + i];
  *(int64_t *)buf[6] = at / 3;
  for (; at < pairs * room * 3; at++) chosen[at] = 0;
}

// --- Positions ----------------------------------------------------------------------------------
// positions: operand mask; outputs the positions at which it is not 0, in order, with zeros behind
// them, and how many there are. dim: n.
//
// Each worker counts what the parts before its own hold: reading bytes is cheaper than waiting.

HONE_RT void hone_rt_positions(HONE_RT_ARGS) {
  const uint8_t *const mask = (const uint8_t *)buf[0];
  int64_t *const out = (int64_t *)buf[1];
  const int64_t n = dim[0], lo = hone_rt_lo(n, w), hi = hone_rt_hi(n, w);
  int64_t at = 0;
  (void)scalar;
  for (int64_t i = 0; i < lo; i++) at += mask[i] != 0;
  for (int64_t i = lo; i < hi; i++)
    if (mask[i]) out[at++] = i;
  if (w->id != w->count - 1) return;
  *(int64_t *)buf[2] = at;
  for (; at < n; at++) out[at] = 0;
}

// --- Within -------------------------------------------------------------------------------------
// within_<dtype>: operand x; output the same, cut to its bounds: a number beyond them is a fault.
// dim: n, the n least and the n largest numbers.

#define HONE_RT_WITHIN(N, S)                                                                       \
  HONE_RT void hone_rt_within_##N(HONE_RT_ARGS) {                                                  \
    const S *const x = (const S *)buf[0];                                                          \
    S *const out = (S *)buf[1];                                                                    \
    const int64_t n = dim[0], *const most = dim + 1 + n;                                           \
    (void)scalar;                                                                                  \
    if (w->id != 0) return;                                                                        \
    for (int64_t i = 0; i < n; i++) {                                                              \
      const S low = (S)dim[1 + i], high = (S)most[i];                                              \
      const int fits = x[i] >= low && x[i] <= high;                                                \
      if (!fits) hone_fault(w, HONE_FAULT_RANGE);                                                  \
      out[i] = fits ? x[i] : x[i] > high ? high : low;                                             \
    }                                                                                              \
  }
HONE_RT_WITHIN(i64, int64_t)
HONE_RT_WITHIN(i32, int32_t)
HONE_RT_WITHIN(f32, float)
HONE_RT_WITHIN(f64, double)

// --- TopK ---------------------------------------------------------------------------------------
// topk_<dtype>: operands x, k (not read); outputs values, positions (i64).
// dim: outer, extent, inner, k (at most extent), largest (0 or 1).
// Of equal elements the first comes first; NaN counts as larger than any number.
//
// The positions found so far are a heap in the output itself, the one to be dropped next on top.
// Sorting the heap in place leaves the positions in order.

#define HONE_RT_TOPK(N, S, K, KEY)                                                                 \
  HONE_RT int hone_rt_before_##N(const S *x, int64_t step, int64_t p, int64_t q, int largest) {    \
    const K a = KEY(x[p * step]), b = KEY(x[q * step]);                                            \
    const int less = (a < b) | ((b != b) & (a == a)), more = (b < a) | ((a != a) & (b == b));      \
    return largest ? more || (!less && p < q) : less || (!more && p < q);                          \
  }                                                                                                \
  HONE_RT void hone_rt_sift_##N(const S *x, int64_t *heap, int64_t step, int64_t at,               \
                                int64_t count, int largest) {                                      \
    for (;;) {                                                                                     \
      int64_t last = at;                                                                           \
      for (int64_t c = 2 * at + 1; c < 2 * at + 3 && c < count; c++) {                             \
        if (hone_rt_before_##N(x, step, heap[last * step], heap[c * step], largest)) last = c;     \
      }                                                                                            \
      if (last == at) return;                                                                      \
      const int64_t moved = heap[at * step];                                                       \
      heap[at * step] = heap[last * step];                                                         \
      heap[last * step] = moved;                                                                   \
      at = last;                                                                                   \
    }                                                                                              \
  }                                                                                                \
  HONE_RT void hone_rt_topk_##N(HONE_RT_ARGS) {                                                    \
    const int64_t outer = dim[0], extent = dim[1], inner = dim[2], k = dim[3];                     \
    const int largest = dim[4] != 0;                                                               \
    (void)scalar;                                                                                  \
    if (k == 0) return;                                                                            \
    const int64_t hi = hone_rt_hi(outer * inner, w);                                               \
    for (int64_t row = hone_rt_lo(outer * inner, w); row < hi; row++) {                            \
      const int64_t o = row / inner, i = row % inner;                                              \
      const S *const x = (const S *)buf[0] + o * extent * inner + i;                               \
      S *const values = (S *)buf[2] + o * k * inner + i;                                           \
      int64_t *const heap = (int64_t *)buf[3] + o * k * inner + i;                                 \
      for (int64_t p = 0; p < k; p++) heap[p * inner] = p;                                         \
      for (int64_t p = k / 2; p > 0; p--) hone_rt_sift_##N(x, heap, inner, p - 1, k, largest);     \
      for (int64_t p = k; p < extent; p++) {                                                       \
        if (!hone_rt_before_##N(x, inner, p, heap[0], largest)) continue;                          \
        heap[0] = p;                                                                               \
        hone_rt_sift_##N(x, heap, inner, 0, k, largest);                                           \
      }                                                                                            \
      for (int64_t rest = k - 1; rest > 0; rest--) {                                               \
        const int64_t worst = heap[0];                                                             \
        heap[0] = heap[rest * inner];                                                              \
        heap[rest * inner] = worst;                                                                \
        hone_rt_sift_##N(x, heap, inner, 0, rest, largest);                                        \
      }                                                                                            \
      for (int64_t p = 0; p < k; p++) values[p * inner] = x[heap[p * inner] * inner];              \
    }                                                                                              \
  }

HONE_RT_TOPK(f32, float, float, HONE_RT_SAME)
HONE_RT_TOPK(f64, double, double, HONE_RT_SAME)
HONE_RT_TOPK(f16, uint16_t, float, hone_f16_to_f32)
HONE_RT_TOPK(bf16, uint16_t, float, hone_bf16_to_f32)
HONE_RT_TOPK(i8, int8_t, int8_t, HONE_RT_SAME)
HONE_RT_TOPK(i16, int16_t, int16_t, HONE_RT_SAME)
HONE_RT_TOPK(i32, int32_t, int32_t, HONE_RT_SAME)
HONE_RT_TOPK(i64, int64_t, int64_t, HONE_RT_SAME)
HONE_RT_TOPK(u8, uint8_t, uint8_t, HONE_RT_SAME)
HONE_RT_TOPK(u16, uint16_t, uint16_t, HONE_RT_SAME)
HONE_RT_TOPK(u32, uint32_t, uint32_t, HONE_RT_SAME)
HONE_RT_TOPK(u64, uint64_t, uint64_t, HONE_RT_SAME)

// --- TopK of everything: a sort ---------------------------------------------------------------------
// sort_<dtype>: operands x, k (not read); outputs values, positions (i64), ordered as TopK orders them;
// workspace: a position and an element for each of x. dim: rows, extent, largest (0 or 1).
//
// Merges of ever longer runs, which keep the order of equals. Rows are shared out; where there are
// fewer of them than workers, each sorts a part of a row, and worker 0 merges the parts.

#define HONE_RT_RUN 16

#define HONE_RT_SORT(N, S, K, KEY)                                                                 \
  HONE_RT int hone_rt_precedes_##N(S x, S y, int largest) {                                        \
    const K a = KEY(x), b = KEY(y);                                                                \
    return largest ? (b < a) | ((a != a) & (b == b)) : (a < b) | ((b != b) & (a == a));            \
  }                                                                                                \
  HONE_RT void hone_rt_merge_##N(const S *v, const int64_t *p, S *tv, int64_t *tp, int64_t lo,     \
                                 int64_t mid, int64_t hi, int largest) {                           \
    int64_t i = lo, j = mid, t = lo;                                                               \
    /* In order as they are: what comes sorted costs copies alone. */                              \
    if (lo < mid && mid < hi && !hone_rt_precedes_##N(v[mid], v[mid - 1], largest)) {              \
      for (; t < hi; t++) {                                                                        \
        tv[t] = v[t];                                                                              \
        tp[t] = p[t];                                                                              \
      }                                                                                            \
    }                                                                                              \
    for (; t < hi; t++) {                                                                          \
      const int right = j < hi && (i >= mid || hone_rt_precedes_##N(v[j], v[i], largest));         \
      const int64_t from = right ? j : i;                                                          \
      tv[t] = v[from];                                                                             \
      tp[t] = p[from];                                                                             \
      i += !right;                                                                                 \
      j += right;                                                                                  \
    }                                                                                              \
  }                                                                                                \
  /* Sorts x[lo, hi) into v, p; the others are memory to work in. */                               \
  HONE_RT void hone_rt_sort_part_##N(const S *x, S *v, int64_t *p, S *wv, int64_t *wp, int64_t lo, \
                                     int64_t hi, int largest) {                                    \
    int64_t passes = 0;                                                                            \
    for (int64_t run = HONE_RT_RUN; run < hi - lo; run *= 2) passes++;                             \
    S *a = passes % 2 ? wv : v, *b = passes % 2 ? v : wv;                                          \
    int64_t *ap = passes % 2 ? wp : p, *bp = passes % 2 ? p : wp;                                  \
    for (int64_t start = lo; start < hi; start += HONE_RT_RUN) {                                   \
      const int64_t end = start + HONE_RT_RUN < hi ? start + HONE_RT_RUN : hi;                     \
      for (int64_t i = start; i < end; i++) {                                                      \
        int64_t t = i;                                                                             \
        for (; t > start && hone_rt_precedes_##N(x[i], a[t - 1], largest); t--) {                  \
          a[t] = a[t - 1];                                                                         \
          ap[t] = ap[t - 1];                                                                       \
        }                                                                                          \
        a[t] = x[i];                                                                               \
        ap[t] = i;                                                                                 \
      }                                                                                            \
    }                                                                                              \
    for (int64_t run = HONE_RT_RUN; run < hi - lo; run *= 2) {                                     \
      for (int64_t start = lo; start < hi; start += 2 * run) {                                     \
        const int64_t mid = start + run < hi ? start + run : hi;                                   \
        const int64_t end = mid + run < hi ? mid + run : hi;                                       \
        hone_rt_merge_##N(a, ap, b, bp, start, mid, end, largest);                                 \
      }                                                                                            \
      S *const s = a;                                                                              \
      a = b;                                                                                       \
      b = s;                                                                                       \
      int64_t *const sp = ap;                                                                      \
      ap = bp;                                                                                     \
      bp = sp;                                                                                     \
    }                                                                                              \
  }                                                                                                \
  HONE_RT void hone_rt_sort_##N(HONE_RT_ARGS) {                                                    \
    const int64_t rows = dim[0], n = dim[1];                                                       \
    const int largest = dim[2] != 0;                                                               \
    const S *const x = (const S *)buf[0];                                                          \
    S *const v = (S *)buf[2];                                                                      \
    int64_t *const p = (int64_t *)buf[3], *const wp = (int64_t *)buf[4];                           \
    S *const wv = (S *)(wp + rows * n);                                                            \
    (void)scalar;                                                                                  \
    if (rows >= w->count) {                                                                        \
      const int64_t last = hone_rt_hi(rows, w);                                                    \
      for (int64_t r = hone_rt_lo(rows, w); r < last; r++)                                         \
        hone_rt_sort_part_##N(x + r * n, v + r * n, p + r * n, wv + r * n, wp + r * n, 0, n,       \
                              largest);                                                            \
      return;                                                                                      \
    }                                                                                              \
    for (int64_t r = 0; r < rows; r++)                                                             \
      hone_rt_sort_part_##N(x + r * n, v + r * n, p + r * n, wv + r * n, wp + r * n,               \
                            hone_rt_lo(n, w), hone_rt_hi(n, w), largest);                          \
    hone_barrier(w);                                                                               \
    for (int64_t r = w->id; r < rows; r += w->count) {                                             \
      for (int64_t part = 1; part < w->count; part++) {                                            \
        const int64_t mid = n * part / w->count, hi = n * (part + 1) / w->count;                   \
        hone_rt_merge_##N(v + r * n, p + r * n, wv + r * n, wp + r * n, 0, mid, hi, largest);      \
        for (int64_t i = 0; i < hi; i++) {                                                         \
          v[r * n + i] = wv[r * n + i];                                                            \
          p[r * n + i] = wp[r * n + i];                                                            \
        }                                                                                          \
      }                                                                                            \
    }                                                                                              \
  }

HONE_RT_SORT(f32, float, float, HONE_RT_SAME)
HONE_RT_SORT(f64, double, double, HONE_RT_SAME)
HONE_RT_SORT(f16, uint16_t, float, hone_f16_to_f32)
HONE_RT_SORT(bf16, uint16_t, float, hone_bf16_to_f32)
HONE_RT_SORT(i8, int8_t, int8_t, HONE_RT_SAME)
HONE_RT_SORT(i16, int16_t, int16_t, HONE_RT_SAME)
HONE_RT_SORT(i32, int32_t, int32_t, HONE_RT_SAME)
HONE_RT_SORT(i64, int64_t, int64_t, HONE_RT_SAME)
HONE_RT_SORT(u8, uint8_t, uint8_t, HONE_RT_SAME)
HONE_RT_SORT(u16, uint16_t, uint16_t, HONE_RT_SAME)
HONE_RT_SORT(u32, uint32_t, uint32_t, HONE_RT_SAME)
HONE_RT_SORT(u64, uint64_t, uint64_t, HONE_RT_SAME)

// --- ScatterElements, ScatterND -----------------------------------------------------------------
// Operands data, indices, updates; output: a copy of the data, then the updates in their order.
// Names: scatter_elements_<what> and scatter_nd_<what>, where <what> is none_b<bytes of an element>
// or <reduction>_<dtype>.
//
// scatter_elements: dim: indices are i64 (1) or i32 (0), rank, axis, the data's extents, the
// indices' extents. scatter_nd (indices i64): dim: number of tuples, indices in a tuple, elements
// in a slice, elements in all, and the extents that the tuples index.
//
// Negative indices count from the end; one outside its extent is a fault, and its update is left
// out.

HONE_RT int hone_rt_index(int64_t *index, int64_t extent, const hone_worker *w) {
  const int64_t x = *index < 0 && *index >= -extent ? *index + extent : *index;
  *index = x;
  if (x >= 0 && x < extent) return 1;
  hone_fault(w, HONE_FAULT_INDEX);
  return 0;
}

// Where update number `u` of ScatterElements goes; -1 where its index is outside.
HONE_RT int64_t hone_rt_element(const void *indices, const int64_t *dim, int64_t u,
                                const hone_worker *w) {
  const int64_t rank = dim[1], axis = dim[2], *const extent = dim + 3, *const part = extent + rank;
  int64_t at = 0, stride = 1, rest = u;
  for (int64_t i = rank - 1; i >= 0; i--) {
    int64_t position = rest % part[i];
    rest /= part[i];
    if (i == axis) {
      position = dim[0] != 0 ? ((const int64_t *)indices)[u] : ((const int32_t *)indices)[u];
      if (!hone_rt_index(&position, extent[i], w)) return -1;
    }
    at += position * stride;
    stride *= extent[i];
  }
  return at;
}

// Where the slice of tuple number `t` of ScatterND begins; -1 where an index is outside.
HONE_RT int64_t hone_rt_slice(const int64_t *indices, const int64_t *dim, int64_t t,
                              const hone_worker *w) {
  const int64_t count = dim[1], *const extent = dim + 4;
  int64_t at = 0;
  for (int64_t k = 0; k < count; k++) {
    int64_t position = indices[t * count + k];
    if (!hone_rt_index(&position, extent[k], w)) return -1;
    at = at * extent[k] + position;
  }
  return at * dim[2];
}

HONE_RT int64_t hone_rt_product(const int64_t *extent, int64_t rank) {
  int64_t product = 1;
  for (int64_t i = 0; i < rank; i++) product *= extent[i];
  return product;
}

// Worker 0 writes single elements, so that equal positions keep their order; slices are shared out
// by columns, which keeps it too.
#define HONE_RT_SCATTER(WHAT, T, COMBINE)                                                          \
  HONE_RT void hone_rt_scatter_copy_##WHAT(const T *data, T *out, int64_t n, const hone_worker *w) {\
    const int64_t hi = hone_rt_hi(n, w);                                                           \
    for (int64_t i = hone_rt_lo(n, w); i < hi; i++) out[i] = data[i];                              \
    hone_barrier(w);                                                                               \
  }                                                                                                \
  HONE_RT void hone_rt_scatter_elements_##WHAT(HONE_RT_ARGS) {                                     \
    const T *const updates = (const T *)buf[2];                                                    \
    T *const out = (T *)buf[3];                                                                    \
    const int64_t rank = dim[1];                                                                   \
    (void)scalar;                                                                                  \
    hone_rt_scatter_copy_##WHAT((const T *)buf[0], out, hone_rt_product(dim + 3, rank), w);        \
    const int64_t count = w->id == 0 ? hone_rt_product(dim + 3 + rank, rank) : 0;                  \
    for (int64_t u = 0; u < count; u++) {                                                          \
      const int64_t at = hone_rt_element(buf[1], dim, u, w);                                       \
      if (at >= 0) out[at] = COMBINE(out[at], updates[u]);                                         \
    }                                                                                              \
  }                                                                                                \
  HONE_RT void hone_rt_scatter_nd_##WHAT(HONE_RT_ARGS) {                                           \
    const T *const updates = (const T *)buf[2];                                                    \
    T *const out = (T *)buf[3];                                                                    \
    const int64_t slice = dim[2];                                                                  \
    (void)scalar;                                                                                  \
    hone_rt_scatter_copy_##WHAT((const T *)buf[0], out, dim[3], w);                                \
    const int64_t lo = hone_rt_lo(slice, w), hi = hone_rt_hi(slice, w);                            \
    if (lo == hi) return;                                                                          \
    for (int64_t t = 0; t < dim[0]; t++) {                                                         \
      const int64_t at = hone_rt_slice((const int64_t *)buf[1], dim, t, w);                        \
      if (at < 0) continue;                                                                        \
      for (int64_t i = lo; i < hi; i++) {                                                          \
        out[at + i] = COMBINE(out[at + i], updates[t * slice + i]);                                \
      }                                                                                            \
    }                                                                                              \
  }

#define HONE_RT_TAKE(old, update) (update)
HONE_RT_SCATTER(none_b1, uint8_t, HONE_RT_TAKE)
HONE_RT_SCATTER(none_b2, uint16_t, HONE_RT_TAKE)
HONE_RT_SCATTER(none_b4, uint32_t, HONE_RT_TAKE)
HONE_RT_SCATTER(none_b8, uint64_t, HONE_RT_TAKE)

#define HONE_RT_SCATTER_ALL(N, T)                                                                  \
  HONE_RT_SCATTER(add_##N, T, hone_add_##N)                                                        \
  HONE_RT_SCATTER(mul_##N, T, hone_mul_##N)                                                        \
  HONE_RT_SCATTER(min_##N, T, hone_min_##N)                                                        \
  HONE_RT_SCATTER(max_##N, T, hone_max_##N)
HONE_RT_SCATTER_ALL(f32, float)
HONE_RT_SCATTER_ALL(f64, double)
HONE_RT_SCATTER_ALL(i8, int8_t)
HONE_RT_SCATTER_ALL(i16, int16_t)
HONE_RT_SCATTER_ALL(i32, int32_t)
HONE_RT_SCATTER_ALL(i64, int64_t)
HONE_RT_SCATTER_ALL(u8, uint8_t)
HONE_RT_SCATTER_ALL(u16, uint16_t)
HONE_RT_SCATTER_ALL(u32, uint32_t)
HONE_RT_SCATTER_ALL(u64, uint64_t)

#define HONE_RT_HALF(OP, N)                                                                        \
  HONE_INLINE uint16_t hone_rt_##OP##_##N(uint16_t a, uint16_t b) {                                \
    return hone_f32_to_##N(hone_##OP##_f32(hone_##N##_to_f32(a), hone_##N##_to_f32(b)));           \
  }                                                                                                \
  HONE_RT_SCATTER(OP##_##N, uint16_t, hone_rt_##OP##_##N)
#define HONE_RT_HALVES(N)                                                                          \
  HONE_RT_HALF(add, N)                                                                             \
  HONE_RT_HALF(mul, N)                                                                             \
  HONE_RT_HALF(min, N)                                                                             \
  HONE_RT_HALF(max, N)
HONE_RT_HALVES(f16)
HONE_RT_HALVES(bf16)

// --- Observing for calibration ------------------------------------------------------------------
// observe_f32: operand x; outputs facts f32[slices, 4], counts i32[slices, 2 * half].
// dim: elements, slices, half. Slice s of x has the facts: least, largest, exponent e, and how many
// of its elements are not finite (they count nowhere else). Bin b of its counts holds the elements
// in [(b - half) * 2^e, (b - half + 1) * 2^e), with the least e from -100 on that holds them all:
// bins of powers of two merge exactly, whatever the order of slices and samples.

HONE_RT void hone_rt_observe_f32(HONE_RT_ARGS) {
  const int64_t slices = dim[1], half = dim[2];
  const int64_t last = hone_rt_hi(slices, w);
  (void)scalar;
  for (int64_t s = hone_rt_lo(slices, w); s < last; s++) {
    const float *const x = (const float *)buf[0];
    const int64_t lo = dim[0] * s / slices, hi = dim[0] * (s + 1) / slices;
    float *const facts = (float *)buf[1] + s * 4;
    int32_t *const counts = (int32_t *)buf[2] + s * 2 * half;
    float least = __builtin_inff(), largest = -__builtin_inff();
    int64_t odd = 0;
    for (int64_t i = lo; i < hi; i++) {
      const int finite = x[i] - x[i] == 0;
      odd += !finite;
      least = finite && x[i] < least ? x[i] : least;
      largest = finite && x[i] > largest ? x[i] : largest;
    }
    const float top = largest > -least ? largest : -least;
    int e = -100;
    float scale = 0x1p100f;
    while (e < 116 && top * scale >= (float)half) {
      e++;
      scale *= 0.5f;
    }
    for (int64_t b = 0; b < 2 * half; b++) counts[b] = 0;
    for (int64_t i = lo; i < hi; i++) {
      const float at = x[i] * scale + (float)half; // at least 0: the cast rounds down
      if (at >= 0 && at < (float)(2 * half)) counts[(int)at]++;
    }
    facts[0] = least;
    facts[1] = largest;
    facts[2] = (float)e;
    facts[3] = (float)odd;
  }
}

// observe_more_f32: operands x, facts f32[1, 4], counts i32[1, 2 * half] of what was seen before; outputs the
// same of that and x together. dim: elements, half. Bins only get wider; a count that is full stays so.

HONE_RT void hone_rt_observe_more_f32(HONE_RT_ARGS) {
  const int64_t half = dim[1];
  const float *const x = (const float *)buf[0], *const had = (const float *)buf[1];
  const int32_t *const old = (const int32_t *)buf[2];
  float *const facts = (float *)buf[3];
  int32_t *const counts = (int32_t *)buf[4];
  float least = had[0], largest = had[1], odd = had[3];
  (void)scalar;
  if (w->id != 0) return;
  for (int64_t i = 0; i < dim[0]; i++) {
    const int finite = x[i] - x[i] == 0;
    odd += (float)!finite;
    least = finite && x[i] < least ? x[i] : least;
    largest = finite && x[i] > largest ? x[i] : largest;
  }
  const float top = largest > -least ? largest : -least;
  int e = -100;
  float scale = 0x1p100f;
  while (e < 116 && (top * scale >= (float)half || (float)e < had[2])) {
    e++;
    scale *= 0.5f;
  }
  const int wider = e - (int)had[2], shift = wider < 31 ? wider : 31;
  for (int64_t b = 0; b < 2 * half; b++) counts[b] = 0;
  for (int64_t b = 0; b < 2 * half; b++) {
    if (old[b] == 0) continue;
    int32_t *const to = &counts[((b - half) >> shift) + half];
    *to = *to > INT32_MAX - old[b] ? INT32_MAX : *to + old[b];
  }
  for (int64_t i = 0; i < dim[0]; i++) {
    const float at = x[i] * scale + (float)half;
    if (!(at >= 0 && at < (float)(2 * half))) continue;
    int32_t *const to = &counts[(int)at];
    if (*to < INT32_MAX) ++*to;
  }
  facts[0] = least;
  facts[1] = largest;
  facts[2] = (float)e;
  facts[3] = odd;
}

#endif
