/**
 * The JSON that a library returns from hone_describe: its signature and its steps. The Node
 * runtime reads the names of steps from it.
 */
import { count, list, member, parseJson, text } from './json.ts';
import { kernelOf, type Program } from './program.ts';

export interface StepName {
  readonly label: string;
  readonly kernel: string;
}

export interface Description {
  readonly target: string;
  readonly arenaBytes: number;
  readonly weightsBytes: number;
  readonly steps: readonly StepName[];
}

/** What `buildLibrary` takes as describeJson. */
export function describeProgram(program: Program, target: string): string {
  return JSON.stringify({
    name: program.name,
    target,
    inputs: program.inputs,
    outputs: program.outputs,
    arenaBytes: program.arenaBytes,
    weightsBytes: program.weightsBytes,
    steps: program.steps.map((step) => ({ label: step.label, kernel: kernelOf(step) })),
  });
}

export function parseDescription(json: string, name: string): Description {
  const root = parseJson(json, name);
  return {
    target: text(member(root, 'target')),
    arenaBytes: count(member(root, 'arenaBytes')),
    weightsBytes: count(member(root, 'weightsBytes')),
    steps: list(member(root, 'steps')).map((step) => ({
      label: text(member(step, 'label')),
      kernel: text(member(step, 'kernel')),
    })),
  };
}
