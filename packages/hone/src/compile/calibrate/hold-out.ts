/**
 * Samples that neither calibrate nor are judged by, so that what is said of a mix of precisions was
 * measured on others than it was chosen for: every fourth, where there are eight at least.
 */
import type { CompleteSample, Sample, Samples } from './run.ts';

const LEAST = 8;
const EVERY = 4;

/** Passes on what is not held out; `held` gets the others, `most` at most. */
export async function* holdOut(
  samples: Samples,
  held: Sample[],
  most: number,
): AsyncGenerator<Sample> {
  const first: Sample[] = [];
  let count = 0;
  for await (const sample of samples) {
    const position = count++;
    if (position < LEAST - 1) {
      first.push(sample);
      continue;
    }
    if (position === LEAST - 1) {
      for (const [i, early] of first.entries()) {
        if (isHeld(i)) held.push(early);
        else yield early;
      }
    }
    if (!isHeld(position)) yield sample;
    else if (held.length < most) held.push(sample);
  }
  if (count < LEAST) yield* first;
}

const isHeld = (position: number): boolean => position % EVERY === EVERY - 1;

/** Of a sequence the last quarter; its first sample begins with the state that it has. */
export function holdOutLast(samples: readonly CompleteSample[]): {
  readonly judged: readonly CompleteSample[];
  readonly held: readonly CompleteSample[];
} {
  if (samples.length < LEAST) return { judged: samples, held: [] };
  const end = samples.length - Math.floor(samples.length / EVERY);
  const held = samples.slice(end);
  return {
    judged: samples.slice(0, end),
    held: held.map((sample, i) => (i === 0 ? { ...sample, continues: false } : sample)),
  };
}
