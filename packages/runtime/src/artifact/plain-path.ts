/**
 * Paths inside an artifact: plain names joined by "/", which can lead nowhere else.
 */

const SEGMENT = /^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/;
const MAX_DEPTH = 4;

/** True for relative paths of ordinary names; no "..", no hidden files, no other separators. */
export function isPlainPath(path: string): boolean {
  const segments = path.split('/');
  return (
    path.length <= 200 &&
    segments.length <= MAX_DEPTH &&
    segments.every((segment) => SEGMENT.test(segment) && !segment.includes('..'))
  );
}
