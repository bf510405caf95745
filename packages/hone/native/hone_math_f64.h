// Elementary functions in double precision, written once for scalars and for vectors.
//
// Included where HONE_N(name) gives a function's full name, and where are defined
//   D  doubles, L and UL  signed and unsigned 64-bit integers as wide as D.
// Relative error below 1e-14 unless a function says otherwise. Both sides of a case are computed,
// then one is selected. NaN gives NaN.
//
// Integers are taken from the low bits of a double near 1.5·2^52 (never by conversion, which is
// undefined for NaN); integer steps are unsigned, so they wrap.

#define HONE_TOINT_F64 0x1.8p52

HONE_INLINE D HONE_N(abs_f64)(D x) {
  return HONE_N(as_f64)((L)((UL)HONE_N(as_i64)(x) & 0x7fffffffffffffffull));
}

// |x| with the sign of y.
HONE_INLINE D HONE_N(copysign_f64)(D x, D y) {
  const UL sign = (UL)HONE_N(as_i64)(y) & 0x8000000000000000ull;
  return HONE_N(as_f64)((L)(((UL)HONE_N(as_i64)(x) & 0x7fffffffffffffffull) | sign));
}

// 2^n for n in [-1022, 1023].
HONE_INLINE D HONE_N(pow2_f64)(UL n) { return HONE_N(as_f64)((L)((n + 1023u) << 52)); }

// x = n·ln 2 + r with |r| ≤ ln 2 / 2; e^r by a minimax series; then times 2^n in two factors, so
// that results near the ends of the range are reached.
HONE_INLINE D HONE_N(exp_f64)(D x) {
  D c = HONE_N(select_f64)(x < -746.0, HONE_N(splat_f64)(-746.0), x);
  c = HONE_N(select_f64)(c > 710.0, HONE_N(splat_f64)(710.0), c);
  const D shifted = c * 1.4426950408889634 + HONE_TOINT_F64;
  const D n = shifted - HONE_TOINT_F64;
  const D r = (c - n * 0x1.62e42feep-1) - n * 0x1.a39ef35793c76p-33;
  D p = r * 2.0914679376583935e-9 + 2.5105206373957011e-8;
  p = p * r + 2.7557273661348636e-7;
  p = p * r + 2.7557255425746434e-6;
  p = p * r + 2.4801587325533364e-5;
  p = p * r + 1.9841269874800492e-4;
  p = p * r + 1.3888888888883752e-3;
  p = p * r + 8.3333333333261409e-3;
  p = p * r + 4.1666666666666667e-2;
  p = p * r + 1.6666666666666671e-1;
  p = p * r + 0.5;
  p = p * r * r + r + 1.0;
  const L power = (L)((UL)HONE_N(as_i64)(shifted) - 0x4338000000000000ull);
  const L half = power >> 1;
  return p * HONE_N(pow2_f64)((UL)half) * HONE_N(pow2_f64)((UL)power - (UL)half);
}

// x = 2^e · m with m in [√½, √2); log m = f - s·(f - z·P(z)), f = m - 1, s = f / (2 + f), z = s².
HONE_INLINE D HONE_N(log_f64)(D x) {
  const D scaled = HONE_N(select_f64)(x < 0x1p-1022, x * 0x1p54, x);
  const D shift = HONE_N(select_f64)(x < 0x1p-1022, HONE_N(splat_f64)(-54.0), x * 0.0);
  const UL bits = (UL)HONE_N(as_i64)(scaled);
  const UL e = (UL)((L)(bits - 0x3fe6a09e667f3bcdull) >> 52);
  const D m = HONE_N(as_f64)((L)(bits - (e << 52)));
  const D n = (HONE_N(as_f64)((L)(e + 0x4338000000000000ull)) - HONE_TOINT_F64) +
              HONE_N(select_f64)(shift < 0.0, shift, HONE_N(splat_f64)(0.0));
  const D f = m - 1.0;
  const D s = f / (f + 2.0);
  const D z = s * s;
  D p = z * 0.11881997202961458 + 0.11688123642863111;
  p = p * z + 0.13335638669839822;
  p = p * z + 0.15384575132330097;
  p = p * z + 0.18181818593656763;
  p = p * z + 0.22222222219858735;
  p = p * z + 0.28571428571435359;
  p = p * z + 0.39999999999999993;
  p = p * z + 0.66666666666666667;
  D y = n * 0x1.62e42feep-1 + (f - (s * (f - z * p) - n * 0x1.a39ef35793c76p-33));
  y = HONE_N(select_f64)(x == 0.0, HONE_N(splat_f64)(-(double)HONE_INF), y);
  y = HONE_N(select_f64)(x == (double)HONE_INF, x, y);
  return HONE_N(select_f64)((x < 0.0) | (x != x), HONE_N(splat_f64)((double)HONE_NAN), y);
}

// log(1 + x), also where x is tiny.
HONE_INLINE D HONE_N(log1p_f64)(D x) {
  const D w = x + 1.0;
  const D rest = (x - (w - 1.0)) / w;
  const D y = HONE_N(log_f64)(w);
  return y + HONE_N(select_f64)(w < (double)HONE_INF, rest, HONE_N(splat_f64)(0.0));
}

// x - n·π/2 in [-π/4, π/4] for |x| up to 2^20·π/2; absolute error 2e-16·|x| beyond. Where nothing of
// the angle is left (|x| > 2^52) it is 0, so that sines stay within [-1, 1].
HONE_INLINE D HONE_N(reduce_angle)(D x, D n) {
  D r = x - n * 0x1.921fb544p+0;
  r = r - n * 0x1.0b4611a6p-34;
  r = r - n * 0x1.3198a2e037073p-69;
  return HONE_N(select_f64)(HONE_N(abs_f64)(r) < 0.8, r, x - x);
}
HONE_INLINE D HONE_N(quadrant)(D x) { return HONE_N(round_f64)(x * 0.63661977236758134); }

HONE_INLINE D HONE_N(sin_series_f64)(D r) {
  const D z = r * r;
  D p = z * -7.5866368828251596e-13 + 1.6058530596645955e-10;
  p = p * z - 2.5052106225994401e-8;
  p = p * z + 2.755731921932058e-6;
  p = p * z - 1.9841269841265041e-4;
  p = p * z + 8.3333333333333315e-3;
  p = p * z - 1.6666666666666667e-1;
  return r + r * z * p;
}
HONE_INLINE D HONE_N(cos_series_f64)(D r) {
  const D z = r * r;
  D p = z * 4.745838412531023e-14 - 1.1470460319209512e-11;
  p = p * z + 2.0876755787492606e-9;
  p = p * z - 2.7557319221392491e-7;
  p = p * z + 2.4801587301584633e-5;
  p = p * z - 1.3888888888888888e-3;
  p = p * z + 4.1666666666666667e-2;
  return 1.0 - (0.5 * z - z * z * p);
}
// sin(r + q·π/2)
HONE_INLINE D HONE_N(turned_f64)(D r, D q) {
  const D k = q - 4.0 * HONE_N(floor_f64)(q * 0.25);
  const D s = HONE_N(sin_series_f64)(r);
  const D c = HONE_N(cos_series_f64)(r);
  const D y = HONE_N(select_f64)((k == 1.0) | (k == 3.0), c, s);
  return HONE_N(select_f64)(k >= 2.0, -y, y);
}
HONE_INLINE D HONE_N(sin_f64)(D x) {
  const D n = HONE_N(quadrant)(x);
  return HONE_N(turned_f64)(HONE_N(reduce_angle)(x, n), n);
}
HONE_INLINE D HONE_N(cos_f64)(D x) {
  const D n = HONE_N(quadrant)(x);
  return HONE_N(turned_f64)(HONE_N(reduce_angle)(x, n), n + 1.0);
}
HONE_INLINE D HONE_N(tan_f64)(D x) {
  const D n = HONE_N(quadrant)(x);
  const D r = HONE_N(reduce_angle)(x, n);
  // Beyond 2^53 n + 1 is n, and its own tangent would be 0 / 0.
  const D k = n - 4.0 * HONE_N(floor_f64)(n * 0.25);
  return HONE_N(turned_f64)(r, k) / HONE_N(turned_f64)(r, k + 1.0);
}

// (asin(x) - x) / (x·z) for z = x² in [0, ¼]
HONE_INLINE D HONE_N(asin_series_f64)(D z) {
  D p = z * 0.028757851367421565 - 0.014851887071247203;
  p = p * z + 0.017400879442694022;
  p = p * z + 0.0054575067186403583;
  p = p * z + 0.010322814350185779;
  p = p * z + 0.011479177415184906;
  p = p * z + 0.013971212973552933;
  p = p * z + 0.017352392720869973;
  p = p * z + 0.022372172942149888;
  p = p * z + 0.030381944138531247;
  p = p * z + 0.04464285714635543;
  p = p * z + 0.074999999999984329;
  return p * z + 0.16666666666666668;
}
// asin of |x| up to ½; above, π/2 - 2·asin √((1 - |x|) / 2).
HONE_INLINE D HONE_N(asin_f64)(D x) {
  const D a = HONE_N(abs_f64)(x);
  const D z = HONE_N(select_f64)(a > 0.5, 0.5 - 0.5 * a, a * a);
  const D s = HONE_N(select_f64)(a > 0.5, HONE_N(sqrt_f64)(z), a);
  const D p = s + s * z * HONE_N(asin_series_f64)(z);
  return HONE_N(copysign_f64)(HONE_N(select_f64)(a > 0.5, 1.5707963267948966 - 2.0 * p, p), x);
}
HONE_INLINE D HONE_N(acos_f64)(D x) {
  const D a = HONE_N(abs_f64)(x);
  const D z = HONE_N(select_f64)(a > 0.5, 0.5 - 0.5 * a, a * a);
  const D s = HONE_N(select_f64)(a > 0.5, HONE_N(sqrt_f64)(z), x);
  const D p = s + s * z * HONE_N(asin_series_f64)(z);
  const D outer = HONE_N(select_f64)(x > 0.0, 2.0 * p, 3.1415926535897931 - 2.0 * p);
  return HONE_N(select_f64)(a > 0.5, outer, 1.5707963267948966 - p);
}
// Folded to |t| ≤ tan(π/8) by atan x = π/2 - atan(1/x) and atan y = π/4 + atan((y - 1) / (y + 1)).
HONE_INLINE D HONE_N(atan_f64)(D x) {
  const D a = HONE_N(abs_f64)(x);
  const D y = HONE_N(select_f64)(a > 1.0, 1.0 / a, a);
  const L folded = y > 0.41421356237309503;
  const D t = HONE_N(select_f64)(folded, (y - 1.0) / (y + 1.0), y);
  const D z = t * t;
  D p = z * 0.01627194475162406 - 0.034558092551413796;
  p = p * z + 0.045511081263251719;
  p = p * z - 0.052303478730160742;
  p = p * z + 0.058789145444006217;
  p = p * z - 0.066664236280692576;
  p = p * z + 0.076922963049744701;
  p = p * z - 0.090909087510766359;
  p = p * z + 0.11111111105106705;
  p = p * z - 0.14285714285659327;
  p = p * z + 0.19999999999999803;
  p = p * z - 0.33333333333333333;
  D r = t + t * z * p;
  r = HONE_N(select_f64)(folded, r + 0.78539816339744828, r);
  r = HONE_N(select_f64)(a > 1.0, 1.5707963267948966 - r, r);
  return HONE_N(copysign_f64)(r, x);
}

// sinh x for |x| ≤ 1
HONE_INLINE D HONE_N(sinh_series_f64)(D x) {
  const D z = x * x;
  D p = z * 7.7461785930188275e-13 + 1.6057679623801638e-10;
  p = p * z + 2.5052117695907824e-8;
  p = p * z + 2.7557319191381817e-6;
  p = p * z + 1.9841269841324198e-4;
  p = p * z + 8.3333333333332994e-3;
  p = p * z + 1.6666666666666667e-1;
  return x + x * z * p;
}
// e^|x| / 2, reached without overflow.
HONE_INLINE D HONE_N(half_exp_f64)(D x) {
  const D root = HONE_N(exp_f64)(0.5 * HONE_N(abs_f64)(x));
  return 0.5 * root * root;
}
HONE_INLINE D HONE_N(sinh_f64)(D x) {
  const D e = HONE_N(half_exp_f64)(x);
  const D large = HONE_N(copysign_f64)(e - 0.25 / e, x);
  return HONE_N(select_f64)(HONE_N(abs_f64)(x) < 1.0, HONE_N(sinh_series_f64)(x), large);
}
HONE_INLINE D HONE_N(cosh_f64)(D x) {
  const D e = HONE_N(half_exp_f64)(x);
  return e + 0.25 / e;
}
HONE_INLINE D HONE_N(tanh_f64)(D x) {
  const D s = HONE_N(sinh_series_f64)(x);
  const D small = s / HONE_N(sqrt_f64)(1.0 + s * s);
  const D e = HONE_N(exp_f64)(2.0 * HONE_N(abs_f64)(x));
  const D large = HONE_N(copysign_f64)(1.0 - 2.0 / (e + 1.0), x);
  return HONE_N(select_f64)(HONE_N(abs_f64)(x) < 1.0, small, large);
}
HONE_INLINE D HONE_N(asinh_f64)(D x) {
  const D a = HONE_N(abs_f64)(x);
  const L large = a > 1e8;
  const D z = a * a;
  const D t = HONE_N(select_f64)(large, a - 1.0, a + z / (1.0 + HONE_N(sqrt_f64)(1.0 + z)));
  const D y = HONE_N(log1p_f64)(t);
  return HONE_N(copysign_f64)(HONE_N(select_f64)(large, y + 0.69314718055994531, y), x);
}
HONE_INLINE D HONE_N(acosh_f64)(D x) {
  const L large = x > 1e8;
  const D t = x - 1.0;
  const D u = HONE_N(select_f64)(large, t, t + HONE_N(sqrt_f64)(2.0 * t + t * t));
  const D y = HONE_N(log1p_f64)(u);
  const D r = HONE_N(select_f64)(large, y + 0.69314718055994531, y);
  return HONE_N(select_f64)(x < 1.0, HONE_N(splat_f64)((double)HONE_NAN), r);
}
HONE_INLINE D HONE_N(atanh_f64)(D x) {
  const D a = HONE_N(abs_f64)(x);
  return HONE_N(copysign_f64)(0.5 * HONE_N(log1p_f64)(2.0 * a / (1.0 - a)), x);
}

// |x| < 1: x·P(x²). Above: 1 - e^(-x²)·Q(t), t = (x - 2.75) / (x + 2.75); 1 from 6 on.
HONE_INLINE D HONE_N(erf_f64)(D x) {
  const D z = x * x;
  D p = z * 2.8067128195611262e-13 - 6.1967364287877e-12;
  p = p * z + 9.3237235181530266e-11;
  p = p * z - 1.2277734486795524e-9;
  p = p * z + 1.4806027146128752e-8;
  p = p * z - 1.6365768648832072e-7;
  p = p * z + 1.6462110782018636e-6;
  p = p * z - 1.4925650236967502e-5;
  p = p * z + 1.2055332978879484e-4;
  p = p * z - 8.5483270234030006e-4;
  p = p * z + 5.223977625441674e-3;
  p = p * z - 2.6866170645131219e-2;
  p = p * z + 1.1283791670955126e-1;
  p = p * z - 3.7612638903183752e-1;
  p = p * z + 1.1283791670955126;
  const D a = HONE_N(abs_f64)(x);
  const D c = HONE_N(select_f64)(a > 6.0, HONE_N(splat_f64)(6.0), a);
  const D t = (c - 2.75) / (c + 2.75);
  D q = t * 5.7084675848831272e-7 + 7.3322146252258392e-7;
  q = q * t - 3.1072034348980239e-6;
  q = q * t - 6.0490428463877284e-6;
  q = q * t + 1.749562093060286e-5;
  q = q * t + 4.0866931739969496e-5;
  q = q * t - 1.3218774619963497e-4;
  q = q * t - 2.3002365920286547e-4;
  q = q * t + 1.3448702710737465e-3;
  q = q * t - 1.91825923663199e-4;
  q = q * t - 1.3682984892937415e-2;
  q = q * t + 5.6833803084446148e-2;
  q = q * t - 1.3973759846350368e-1;
  q = q * t + 2.4989043128302476e-1;
  q = q * t - 3.478070065834916e-1;
  q = q * t + 1.9366209627906868e-1;
  const D large = HONE_N(copysign_f64)(1.0 - HONE_N(exp_f64)(-c * c) * q, x);
  return HONE_N(select_f64)(a < 1.0, x * p, large);
}
HONE_INLINE D HONE_N(sigmoid_f64)(D x) { return 1.0 / (1.0 + HONE_N(exp_f64)(-x)); }

// Relative error 1e-13 at the ends of the range: that of the logarithm times the exponent.
HONE_INLINE D HONE_N(pow_f64)(D x, D y) {
  const D a = HONE_N(abs_f64)(x);
  const L whole = HONE_N(round_f64)(y) == y;
  const D half = 0.5 * y;
  const L odd = whole & (HONE_N(round_f64)(half) != half);
  const D r = HONE_N(exp_f64)(y * HONE_N(log_f64)(a));
  D signed_r = HONE_N(select_f64)(odd, HONE_N(copysign_f64)(r, x), r);
  const D nan = HONE_N(splat_f64)((double)HONE_NAN);
  const L real = whole | (a == (double)HONE_INF);
  signed_r = HONE_N(select_f64)(x < 0.0, HONE_N(select_f64)(real, signed_r, nan), signed_r);
  const L unit = (x == 1.0) | (y == 0.0) |
                 ((x == -1.0) & (HONE_N(abs_f64)(y) == (double)HONE_INF));
  return HONE_N(select_f64)(unit, HONE_N(splat_f64)(1.0), signed_r);
}
