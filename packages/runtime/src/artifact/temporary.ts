/** Temporary files and folders of this process: gone when it ends, unless it is killed. */
import { rmSync } from 'node:fs';

const present = new Set<string>();

/** Removes the path when the process exits; the function returned takes that back. */
export function removeAtExit(path: string): () => void {
  if (present.size === 0) process.on('exit', removeAll);
  present.add(path);
  return () => {
    present.delete(path);
    if (present.size === 0) process.removeListener('exit', removeAll);
  };
}

function removeAll(): void {
  for (const path of present) rmSync(path, { recursive: true, force: true });
}
