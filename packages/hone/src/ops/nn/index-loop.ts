/** The loop over every index of a shape, for references. */

/**
 * Calls `visit` for every index in row-major order. The index array is reused between calls: copy
 * it to keep it. A scalar's shape [] has one index, [].
 */
export function forEachIndex(
  shape: readonly number[],
  visit: (index: readonly number[], flat: number) => void,
): void {
  const count = shape.reduce((product, extent) => product * extent, 1);
  const position = new Array<number>(shape.length).fill(0);
  for (let flat = 0; flat < count; flat++) {
    visit(position, flat);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const next = (position[axis] as number) + 1;
      if (next < (shape[axis] as number)) {
        position[axis] = next;
        break;
      }
      position[axis] = 0;
    }
  }
}
