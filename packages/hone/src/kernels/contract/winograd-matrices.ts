/**
 * Transform matrices of minimal filtering F(m×m, 3×3) (Lavin and Gray 2015), points 0, ±1 (m = 2)
 * and 0, ±1, ±2 (m = 4): Y = Aᵀ[(G g Gᵀ) ∘ (Bᵀ d B)]A.
 */

export interface WinogradMatrices {
  /** Outputs per tile side. */
  readonly m: number;
  /** Inputs per tile side: m + 2. */
  readonly n: number;
  readonly input: readonly (readonly number[])[];
  readonly weights: readonly (readonly number[])[];
  readonly output: readonly (readonly number[])[];
}

export const F2: WinogradMatrices = {
  m: 2,
  n: 4,
  input: [
    [1, 0, -1, 0],
    [0, 1, 1, 0],
    [0, -1, 1, 0],
    [0, 1, 0, -1],
  ],
  weights: [
    [1, 0, 0],
    [1 / 2, 1 / 2, 1 / 2],
    [1 / 2, -1 / 2, 1 / 2],
    [0, 0, 1],
  ],
  output: [
    [1, 1, 1, 0],
    [0, 1, -1, -1],
  ],
};

export const F4: WinogradMatrices = {
  m: 4,
  n: 6,
  input: [
    [4, 0, -5, 0, 1, 0],
    [0, -4, -4, 1, 1, 0],
    [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0],
    [0, 2, -1, -2, 1, 0],
    [0, 4, 0, -5, 0, 1],
  ],
  weights: [
    [1 / 4, 0, 0],
    [-1 / 6, -1 / 6, -1 / 6],
    [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6],
    [1 / 24, -1 / 12, 1 / 6],
    [0, 0, 1],
  ],
  output: [
    [1, 1, 1, 1, 1, 0],
    [0, 1, -1, 2, -2, 0],
    [0, 1, 1, 4, 4, 0],
    [0, 1, -1, 8, -8, 1],
  ],
};
