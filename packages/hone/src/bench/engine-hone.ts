/**
 * Hone as an engine under test. One request at a time goes through `runSync`; several in flight
 * have a context each and go through `run`. Output arrays are reused.
 */
import type { Tensor } from 'hone-runtime/base/tensor';
import { type Engine, joinTurns, timeRuns } from './engine.ts';
import type { OpenRequest } from './engine-protocol.ts';

export async function openHone(
  request: OpenRequest,
  inputs: Readonly<Record<string, Tensor>>,
): Promise<Engine> {
  const begin = performance.now();
  const { load } = await import('hone-runtime');
  const imported = performance.now();
  const session = load(request.path, { threads: request.threads });
  const others = Array.from({ length: request.lanes - 1 }, () =>
    session.createContext({ threads: request.threads }),
  );
  const opened = performance.now();
  const outputs = session.runSync(inputs);
  const ran = performance.now();
  // Lanes write to arrays of their own: the first run's outputs stay what they are.
  const lanes = [session, ...others].map((context) => ({
    context,
    outputs: context.runSync(inputs),
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
        return timeRuns(() => void only.context.runSync(inputs, options), plan);
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
