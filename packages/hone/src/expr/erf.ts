/** The error function in double precision (relative error a few 1e-16). */

const SERIES_LIMIT = 2.5;
const SCALE = 2 / Math.sqrt(Math.PI);

export function erf(x: number): number {
  if (Number.isNaN(x)) return x;
  const magnitude = Math.abs(x);
  // Beyond 6 the complement is below half an ulp of 1.
  if (magnitude >= 6) return Math.sign(x);
  if (magnitude < SERIES_LIMIT) return series(x);
  const complement = continuedFraction(magnitude);
  return x > 0 ? 1 - complement : complement - 1;
}

/** e^(-x²) · Σ 2ⁿ x^(2n+1) / (1·3·5···(2n+1)): all terms have one sign, so nothing cancels. */
function series(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > Math.abs(sum) * 1e-17; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return SCALE * Math.exp(-x * x) * sum;
}

/** erfc(x) = e^(-x²)/√π · 1/(x + ½/(x + 1/(x + 3⁄2/(x + …)))), evaluated from the inside. */
function continuedFraction(x: number): number {
  let tail = x;
  for (let n = 80; n >= 1; n--) tail = x + n / 2 / tail;
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / tail;
}
