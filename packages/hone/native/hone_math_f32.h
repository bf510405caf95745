// Elementary functions in single precision, written once for scalars and for vectors.
//
// Included after hone_math_f64.h, where besides its types are defined
//   F  floats, I and U  signed and unsigned 32-bit integers as wide as F.
// The functions that networks are full of (exp, log, tanh, sigmoid, erf, sine, cosine) are computed
// in float; the others go through double and are off by half an ulp. Largest errors, in ulp, are
// given per function; test/backends/math.test.ts measures them. NaN gives NaN.

#define HONE_TOINT_F32 0x1.8p23f

HONE_INLINE F HONE_N(abs_f32)(F x) {
  return HONE_N(as_f32)((I)((U)HONE_N(as_i32)(x) & 0x7fffffffu));
}
HONE_INLINE F HONE_N(copysign_f32)(F x, F y) {
  const U sign = (U)HONE_N(as_i32)(y) & 0x80000000u;
  return HONE_N(as_f32)((I)(((U)HONE_N(as_i32)(x) & 0x7fffffffu) | sign));
}
HONE_INLINE F HONE_N(pow2_f32)(U n) { return HONE_N(as_f32)((I)((n + 127u) << 23)); }

// 1.1 ulp
HONE_INLINE F HONE_N(exp_f32)(F x) {
  F c = HONE_N(select_f32)(x < -104.0f, HONE_N(splat_f32)(-104.0f), x);
  c = HONE_N(select_f32)(c > 89.0f, HONE_N(splat_f32)(89.0f), c);
  const F shifted = c * 1.44269504f + HONE_TOINT_F32;
  const F n = shifted - HONE_TOINT_F32;
  const F r = (c - n * 0x1.62ep-1f) - n * 0x1.0bfbe8p-15f;
  F p = r * 1.39261761e-3f + 8.36317307e-3f;
  p = p * r + 4.16665547e-2f;
  p = p * r + 1.66665770e-1f;
  p = p * r + 0.5f;
  p = p * r * r + r + 1.0f;
  const I power = (I)((U)HONE_N(as_i32)(shifted) - 0x4b400000u);
  const I half = power >> 1;
  return p * HONE_N(pow2_f32)((U)half) * HONE_N(pow2_f32)((U)power - (U)half);
}

// 1.1 ulp
HONE_INLINE F HONE_N(log_f32)(F x) {
  const I tiny = x < 0x1p-126f;
  const U bits = (U)HONE_N(as_i32)(HONE_N(select_f32)(tiny, x * 0x1p23f, x));
  const U e = (U)((I)(bits - 0x3f3504f3u) >> 23);
  const F m = HONE_N(as_f32)((I)(bits - (e << 23)));
  const F n = (HONE_N(as_f32)((I)(e + 0x4b400000u)) - HONE_TOINT_F32) -
              HONE_N(select_f32)(tiny, HONE_N(splat_f32)(23.0f), HONE_N(splat_f32)(0.0f));
  const F f = m - 1.0f;
  const F s = f / (f + 2.0f);
  const F z = s * s;
  F p = z * 0.233304672f + 0.285508208f;
  p = p * z + 0.400001218f;
  p = p * z + 0.666666666f;
  F y = n * 0x1.62ep-1f + (f - (s * (f - z * p) - n * 0x1.0bfbe8p-15f));
  y = HONE_N(select_f32)(x == 0.0f, HONE_N(splat_f32)(-HONE_INF), y);
  y = HONE_N(select_f32)(x == HONE_INF, x, y);
  return HONE_N(select_f32)((x < 0.0f) | (x != x), HONE_N(splat_f32)(HONE_NAN), y);
}

// sin(x + turn·π/2): the angle is reduced in double, the series is in float. 1.5 ulp for |x| up to
// 2^20·π/2; within [-1, 1] always.
HONE_INLINE F HONE_N(turned_f32)(F x, double turn) {
  const D wide = HONE_N(cvt_f32_f64)(x);
  const D n = HONE_N(quadrant)(wide);
  const F r = HONE_N(cvt_f64_f32)(HONE_N(reduce_angle)(wide, n));
  const D q = n + turn;
  const F k = HONE_N(cvt_f64_f32)(q - 4.0 * HONE_N(floor_f64)(q * 0.25));
  const F z = r * r;
  F s = z * 2.72496201e-6f - 1.98400844e-4f;
  s = s * z + 8.33333187e-3f;
  s = s * z - 1.66666667e-1f;
  s = r + r * z * s;
  F c = z * 2.45476898e-5f - 1.38883019e-3f;
  c = c * z + 4.16666647e-2f;
  c = 1.0f - (0.5f * z - z * z * c);
  const F y = HONE_N(select_f32)((k == 1.0f) | (k == 3.0f), c, s);
  return HONE_N(select_f32)(k >= 2.0f, -y, y);
}
HONE_INLINE F HONE_N(sin_f32)(F x) { return HONE_N(turned_f32)(x, 0.0); }
HONE_INLINE F HONE_N(cos_f32)(F x) { return HONE_N(turned_f32)(x, 1.0); }

// 2 ulp
HONE_INLINE F HONE_N(tanh_f32)(F x) {
  const F z = x * x;
  F p = z * 2.29274482e-3f - 8.34394552e-3f;
  p = p * z + 2.17689187e-2f;
  p = p * z - 5.39592596e-2f;
  p = p * z + 1.33333036e-1f;
  p = p * z - 3.33333332e-1f;
  const F small = x + x * z * p;
  const F a = HONE_N(abs_f32)(x);
  const F e = HONE_N(exp_f32)(2.0f * a);
  const F large = HONE_N(copysign_f32)(1.0f - 2.0f / (e + 1.0f), x);
  return HONE_N(select_f32)(a < 0.625f, small, large);
}

// 3 ulp
HONE_INLINE F HONE_N(sigmoid_f32)(F x) { return 1.0f / (1.0f + HONE_N(exp_f32)(-x)); }

// |x| < 1: x·P(x²). Above: 1 - e^Q(|x|), where Q approximates log erfc; 1 from 4 on. 2.5 ulp
HONE_INLINE F HONE_N(erf_f32)(F x) {
  const F z = x * x;
  F p = z * 7.87587506e-5f - 8.01686429e-4f;
  p = p * z + 5.18908742e-3f;
  p = p * z - 2.68542120e-2f;
  p = p * z + 1.12835947e-1f;
  p = p * z - 3.76126267e-1f;
  p = p * z + 1.12837917f;
  const F a = HONE_N(abs_f32)(x);
  const F c = HONE_N(select_f32)(a > 4.0f, HONE_N(splat_f32)(4.0f), a);
  F q = c * 1.63715141e-6f - 4.60580427e-5f;
  q = q * c + 5.96805626e-4f;
  q = q * c - 4.75959629e-3f;
  q = q * c + 2.64211360e-2f;
  q = q * c - 1.10080083e-1f;
  q = q * c - 6.31826052e-1f;
  q = q * c - 1.13023343f;
  q = q * c + 3.20138050e-4f;
  const F large = HONE_N(copysign_f32)(1.0f - HONE_N(exp_f32)(q), x);
  return HONE_N(select_f32)(a < 1.0f, x * p, large);
}

// Through double: 1 ulp at most.
#define HONE_THROUGH_F64(name)                                                                     \
  HONE_INLINE F HONE_N(name##_f32)(F x) {                                                          \
    return HONE_N(cvt_f64_f32)(HONE_N(name##_f64)(HONE_N(cvt_f32_f64)(x)));                        \
  }
HONE_THROUGH_F64(tan)
HONE_THROUGH_F64(asin)
HONE_THROUGH_F64(acos)
HONE_THROUGH_F64(atan)
HONE_THROUGH_F64(sinh)
HONE_THROUGH_F64(cosh)
HONE_THROUGH_F64(asinh)
HONE_THROUGH_F64(acosh)
HONE_THROUGH_F64(atanh)
#undef HONE_THROUGH_F64

HONE_INLINE F HONE_N(pow_f32)(F x, F y) {
  return HONE_N(cvt_f64_f32)(
      HONE_N(pow_f64)(HONE_N(cvt_f32_f64)(x), HONE_N(cvt_f32_f64)(y)));
}
