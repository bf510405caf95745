/** Counting n-grams: the meaning of TfIdfVectorizer. */

export interface NGrams<T> {
  /** All grams, one after the other: those of length 1 first. */
  readonly pool: readonly T[];
  /** Where the grams of each length begin in the pool. */
  readonly starts: readonly number[];
  /** The output column of each gram. */
  readonly columns: readonly number[];
  /** Weights by gram; absent: 1. */
  readonly weights?: readonly number[];
  readonly shortest: number;
  readonly longest: number;
  /** Most elements left out between two of a gram. */
  readonly skips: number;
  /** TF, IDF or TFIDF. */
  readonly mode: string;
}

/** One row of counts, `width` columns. */
export function countGrams<T>(row: readonly T[], grams: NGrams<T>, width: number): Float64Array {
  const out = new Float64Array(width);
  const counts = new Map<number, number>();
  eachGram(grams, (items, index) => {
    const n = items.length;
    if (n < grams.shortest || n > grams.longest) return;
    // Single elements have nothing between them to leave out.
    for (let skip = 0; skip <= (n === 1 ? 0 : grams.skips); skip++) {
      const span = (n - 1) * (skip + 1);
      if (span >= row.length) break;
      for (let at = 0; at + span < row.length; at++) {
        if (items.every((item, k) => row[at + k * (skip + 1)] === item)) {
          counts.set(index, (counts.get(index) ?? 0) + 1);
        }
      }
    }
  });
  for (const [index, count] of counts) {
    const weight = grams.weights?.[index] ?? 1;
    const value = grams.mode === 'TF' ? count : grams.mode === 'IDF' ? weight : count * weight;
    out[grams.columns[index] ?? 0] = value;
  }
  return out;
}

/** Every gram of the pool with its number. */
export function eachGram<T>(
  grams: NGrams<T>,
  visit: (items: readonly T[], index: number) => void,
): void {
  let index = 0;
  grams.starts.forEach((start, i) => {
    const n = i + 1;
    const end = Math.min(grams.starts[i + 1] ?? grams.pool.length, grams.pool.length);
    for (let at = Math.max(0, start); at + n <= end; at += n)
      visit(grams.pool.slice(at, at + n), index++);
  });
}
