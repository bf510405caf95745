/**
 * Hone as an engine under test. One request at a time goes through `runSync`; several in flight
 * have a context each and go through `run`. Output arrays are reused.
 */
import { allocateData, elementCount, type Tensor } from 'hone-runtime/base/tensor';
import type { Signature } from 'hone-runtime/runtime/session';
import { usableCpus } from 'hone-runtime/target/cpu-quota';
import { type Engine, joinTurns, timeRuns } from './engine.ts';
import type { OpenRequest } from './engine-protocol.ts';

/** Groups of contexts: 0 is none. */
const OWN = 0;
const SHARED = 1;

export async function openHone(
  request: OpenRequest,
  inputs: Readonly<Record<string, Tensor>>,
): Promise<Engine> {
  const begin = performance.now();
  const { load } = await import('hone-runtime/runtime/session');
  const imported = performance.now();
  const { threads, lanes: count } = request;
  // More workers than cores would only take turns with each other: then the contexts share them.
  const group = threads * count > usableCpus() ? SHARED : OWN;
  const session = load(request.path, { threads, group });
  const others = Array.from({ length: count - 1 }, () => session.createContext({ threads, group }));
  const opened = performance.now();
  const outputs = session.runSync(inputs);
  const ran = performance.now();
  // Lanes write to arrays of their own: the first run's outputs stay what they are.
  const lanes = [session, ...others].map((context) => ({
    context,
    outputs: { ...context.runSync(inputs), ...roomOf(context.signature) },
  }));
  return {
    opened: {
      importMs: imported - begin,
      openMs: opened - imported,
      firstRunMs: ran - opened,
    },
    outputs,
    async turn(plan) {
      const [only] = lanes;
      if (lanes.length === 1 && only !== undefined) {
        const options = { outputs: only.outputs };
        return timeRuns(() => only.context.runSync(inputs, options), plan);
      }
      const turns = await Promise.all(
        lanes.map((lane) =>
          timeRuns(() => lane.context.run(inputs, { outputs: lane.outputs }), plan),
        ),
      );
      return joinTurns(turns);
    },
    async close() {
      for (const context of others) context.close();
      session.close();
    },
  };
}

/** Arrays for outputs whose size depends on data: as long as their bounds. */
function roomOf({ outputs }: Signature): Record<string, Tensor> {
  return Object.fromEntries(
    outputs.flatMap(({ name, dtype, shape, bounded }) => {
      if (bounded === undefined) return [];
      return [[name, { dtype, shape, data: allocateData(dtype, elementCount(shape)) }] as const];
    }),
  );
}
