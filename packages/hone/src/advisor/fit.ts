/**
 * Fits parameters to observations: the most probable values under normal priors and errors with
 * heavy tails (Student t by re-weighting), by Levenberg and Marquardt's method. Deterministic.
 */

export interface Prior {
  readonly mean: number;
  /** Standard deviation; small: pooled towards the mean unless the data insist. */
  readonly sigma: number;
}

export interface FitOptions {
  /** Scale of the residuals; beyond a few of it an observation counts less. */
  readonly sigma: number;
  readonly iterations: number;
}

export interface Fitted {
  readonly values: Float64Array;
  /** Standard errors, from the curvature at the maximum. */
  readonly errors: Float64Array;
}

/** Residuals in logarithms, and their slopes: row by row, one column a parameter. */
export interface Evaluation {
  readonly residuals: Float64Array;
  readonly slopes: Float64Array;
}

/** `evaluate`: what the model makes of values of the parameters. */
export function fitParameters(
  priors: readonly Prior[],
  evaluate: (values: Float64Array) => Evaluation,
  options: FitOptions,
  start?: Float64Array,
): Fitted {
  const { sigma, iterations } = options;
  const size = priors.length;
  let values = Float64Array.from(start ?? priors.map((prior) => prior.mean));
  let current = evaluate(values);
  let cost = objective(current.residuals, values, priors, sigma);
  let damping = 1e-2;
  let normal = normalEquations(priors, values, current, sigma);
  for (let round = 0; round < iterations; round++) {
    const damped = normal.matrix.slice();
    for (let i = 0; i < size; i++)
      damped[i * size + i] = (damped[i * size + i] ?? 0) * (1 + damping);
    const step = solve(damped, normal.gradient, size);
    const next = values.map((value, i) => value + Math.max(-2, Math.min(2, step[i] ?? 0)));
    const tried = evaluate(next);
    const reached = objective(tried.residuals, next, priors, sigma);
    if (reached < cost) {
      const gain = cost - reached;
      [values, current, cost] = [next, tried, reached];
      damping = Math.max(1e-7, damping / 5);
      if (gain < 3e-5 * cost) break;
      normal = normalEquations(priors, values, current, sigma);
    } else {
      damping *= 6;
      if (damping > 1e8) break;
    }
  }
  return { values, errors: standardErrors(normal.matrix, size) };
}

const FREEDOM = 4;

/** Negative logarithm of the posterior, up to a constant. */
function objective(
  residuals: Float64Array,
  values: Float64Array,
  priors: readonly Prior[],
  sigma: number,
): number {
  let sum = 0;
  for (const residual of residuals) {
    sum += ((FREEDOM + 1) / 2) * Math.log1p((residual / sigma) ** 2 / FREEDOM);
  }
  priors.forEach((prior, i) => {
    sum += 0.5 * (((values[i] ?? 0) - prior.mean) / prior.sigma) ** 2;
  });
  return sum;
}

interface Normal {
  readonly matrix: Float64Array;
  readonly gradient: Float64Array;
}

function normalEquations(
  priors: readonly Prior[],
  values: Float64Array,
  { residuals, slopes }: Evaluation,
  sigma: number,
): Normal {
  const size = priors.length;
  const matrix = new Float64Array(size * size);
  const gradient = new Float64Array(size);
  residuals.forEach((residual, row) => {
    const weight = (FREEDOM + 1) / (FREEDOM + (residual / sigma) ** 2) / (sigma * sigma);
    const slope = slopes.subarray(row * size, (row + 1) * size);
    for (let i = 0; i < size; i++) {
      const a = (slope[i] as number) * weight;
      if (a === 0) continue;
      gradient[i] = (gradient[i] as number) - a * residual;
      for (let j = 0; j <= i; j++) {
        matrix[i * size + j] = (matrix[i * size + j] as number) + a * (slope[j] as number);
      }
    }
  });
  priors.forEach(({ mean, sigma: width }, i) => {
    matrix[i * size + i] = (matrix[i * size + i] as number) + 1 / (width * width);
    gradient[i] = (gradient[i] as number) - ((values[i] as number) - mean) / (width * width);
    for (let j = 0; j < i; j++) matrix[j * size + i] = matrix[i * size + j] as number;
  });
  return { matrix, gradient };
}

/** Solves a symmetric positive definite system by Cholesky's factors. */
function solve(matrix: Float64Array, right: Float64Array, size: number): Float64Array {
  const lower = cholesky(matrix, size);
  const x = right.slice();
  for (let i = 0; i < size; i++) {
    let sum = x[i] as number;
    for (let k = 0; k < i; k++) sum -= (lower[i * size + k] as number) * (x[k] as number);
    x[i] = sum / (lower[i * size + i] as number);
  }
  for (let i = size - 1; i >= 0; i--) {
    let sum = x[i] as number;
    for (let k = i + 1; k < size; k++) sum -= (lower[k * size + i] as number) * (x[k] as number);
    x[i] = sum / (lower[i * size + i] as number);
  }
  return x;
}

function cholesky(matrix: Float64Array, size: number): Float64Array {
  const lower = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i * size + j] as number;
      for (let k = 0; k < j; k++) {
        sum -= (lower[i * size + k] as number) * (lower[j * size + k] as number);
      }
      lower[i * size + j] =
        i === j ? Math.sqrt(Math.max(sum, 1e-12)) : sum / (lower[j * size + j] as number);
    }
  }
  return lower;
}

function standardErrors(matrix: Float64Array, size: number): Float64Array {
  const errors = new Float64Array(size);
  for (let i = 0; i < size; i++) {
    const unit = new Float64Array(size);
    unit[i] = 1;
    errors[i] = Math.sqrt(Math.max(0, solve(matrix, unit, size)[i] as number));
  }
  return errors;
}
