/** Axes. These functions go into the page's own script as they are: they use nothing but each other. */

/** Where a value lies between two ends, both above 0, on a logarithmic axis: 0 to 1. */
export function logPlace(value: number, low: number, high: number): number {
  return (Math.log(value) - Math.log(low)) / (Math.log(high) - Math.log(low));
}

/** Ends for values above 0, with some air, at least a factor of four apart. */
export function logEnds(values: readonly number[]): readonly [number, number] {
  const usable = values.filter((value) => Number.isFinite(value) && value > 0);
  if (usable.length === 0) return [1, 10];
  const low = Math.min(...usable) / 1.25;
  const high = Math.max(...usable) * 1.25;
  const widen = Math.max(1, Math.sqrt(4 / (high / low)));
  return [low / widen, high * widen];
}

/** Round values between two ends: 1, 2 and 5 times powers of ten, or powers alone where there are many. */
export function logTicks(low: number, high: number): number[] {
  const decades = Math.log10(high / low);
  const steps = decades > 3.5 ? [1] : decades > 1.2 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 7];
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const step of steps) {
      const value = step * 10 ** power;
      if (value >= low && value <= high) ticks.push(value);
    }
  }
  return ticks;
}
