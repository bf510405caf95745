/**
 * Runs the tests in child processes, some at a time. A child that crashes or hangs takes nothing
 * with it: what it had not settled runs again in halves, and a test that brings down a child of its
 * own has failed.
 */
import { fork } from 'node:child_process';
import {
  type BatchMessage,
  type BatchRequest,
  NO_SIZES,
  type Outcome,
  type Path,
  type TestResult,
} from './types.ts';

export interface RunRequest extends BatchRequest {
  /** Child processes at once. */
  readonly jobs: number;
  readonly onProgress: (done: number) => void;
}

const TESTS_PER_BATCH = 80;
const TIMEOUT_MS = 600_000;

export async function runBatches(request: RunRequest): Promise<readonly TestResult[]> {
  const { tests, paths, jobs, onProgress } = request;
  const results = new Map<string, TestResult>();
  const settle = ({ test, operator, sizes, path, outcome }: BatchMessage): void => {
    const outcomes = { ...results.get(test)?.outcomes, [path]: outcome };
    results.set(test, { test, operator, sizes, outcomes });
  };
  const left = (batch: readonly string[]): readonly string[] =>
    batch.filter((test) => paths.some((path) => results.get(test)?.outcomes[path] === undefined));
  const queue: (readonly string[])[] = [];
  for (let start = 0; start < tests.length; start += TESTS_PER_BATCH) {
    queue.push(tests.slice(start, start + TESTS_PER_BATCH));
  }
  const lane = async (): Promise<void> => {
    for (let batch = queue.shift(); batch !== undefined; batch = queue.shift()) {
      const end = await runChild({ ...request, tests: batch }, settle);
      const rest = left(batch);
      if (rest.length === 1 && rest.length === batch.length) {
        for (const path of missing(results, rest[0] as string, paths)) {
          const outcome: Outcome = { status: 'fail', reason: `the process ended: ${end}` };
          const before = results.get(rest[0] as string);
          const { operator = '(unreadable)', sizes = NO_SIZES } = before ?? {};
          settle({ test: rest[0] as string, operator, sizes, path, outcome });
        }
      } else if (rest.length > 0) {
        const half = Math.ceil(rest.length / 2);
        queue.push(rest.slice(0, half), ...(rest.length > 1 ? [rest.slice(half)] : []));
      }
      onProgress(tests.length - left(tests).length);
    }
  };
  await Promise.all(Array.from({ length: jobs }, lane));
  return tests.flatMap((test) => results.get(test) ?? []);
}

function missing(
  results: ReadonlyMap<string, TestResult>,
  test: string,
  paths: readonly Path[],
): readonly Path[] {
  return paths.filter((path) => results.get(test)?.outcomes[path] === undefined);
}

/** How the child ended. */
function runChild(request: BatchRequest, settle: (message: BatchMessage) => void): Promise<string> {
  return new Promise((resolve) => {
    const child = fork(new URL('./batch.js', import.meta.url), { stdio: ['ignore', 2, 2, 'ipc'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS);
    child.on('message', (message) => settle(message as BatchMessage));
    child.on('error', (error) => resolve(error.message));
    child.on('exit', (code, signal) => {
      clearTimeout(timer);
      resolve(signal ?? `exit code ${code}`);
    });
    const { suite, tests, paths, target } = request;
    child.send({ suite, tests, paths, target });
  });
}
