/**
 * What measurements on a machine say about predictions for it: by which factor they are off there,
 * and how far off they may still be. Normal errors in logarithms; one factor for the machine, and
 * one for each precision beside it, both pulled towards none until the measurements insist.
 */

export interface Comparison {
  readonly precision: string;
  /** Of the model, without any refit. */
  readonly predictedMs: number;
  readonly measuredMs: number;
}

export interface MachineFit {
  readonly measurements: number;
  /** Multiply a predicted time by it. */
  factor(precision: string): number;
  /** Standard deviation of the logarithm of what is left, for a model not measured yet. */
  logError(precision: string): number;
}

/** How far machines of a kind lie apart, and precisions on one, before anything is measured. */
const MACHINE_SIGMA = 0.35;
const PRECISION_SIGMA = 0.15;
/** From model to model on one machine. */
const MODEL_SIGMA = 0.12;

/** `priorLogError`: of a prediction for a machine nobody has measured. */
export function fitMachine(comparisons: readonly Comparison[], priorLogError: number): MachineFit {
  const usable = comparisons.filter(
    ({ predictedMs, measuredMs }) => predictedMs > 0 && measuredMs > 0,
  );
  const residuals = usable.map(({ precision, predictedMs, measuredMs }) => ({
    precision,
    residual: Math.log(measuredMs / predictedMs),
  }));
  const machineSigma = Math.max(MACHINE_SIGMA, priorLogError);
  const machine = posterior(
    residuals.map(({ residual }) => residual),
    machineSigma,
    Math.hypot(MODEL_SIGMA, PRECISION_SIGMA),
  );
  const byPrecision = (precision: string): Posterior =>
    posterior(
      residuals
        .filter((one) => one.precision === precision)
        .map(({ residual }) => residual - machine.mean),
      PRECISION_SIGMA,
      MODEL_SIGMA,
    );
  return {
    measurements: usable.length,
    factor: (precision) =>
      usable.length === 0 ? 1 : Math.exp(machine.mean + byPrecision(precision).mean),
    logError: (precision) =>
      usable.length === 0
        ? priorLogError
        : Math.min(
            priorLogError,
            Math.hypot(machine.error, byPrecision(precision).error, MODEL_SIGMA),
          ),
  };
}

interface Posterior {
  readonly mean: number;
  readonly error: number;
}

/** Of a mean with a normal prior around 0, from values with a known spread. */
function posterior(values: readonly number[], priorSigma: number, sigma: number): Posterior {
  const precision = 1 / priorSigma ** 2 + values.length / sigma ** 2;
  const sum = values.reduce((total, value) => total + value, 0);
  return { mean: sum / sigma ** 2 / precision, error: Math.sqrt(1 / precision) };
}
