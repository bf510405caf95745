/** The part of the contract that cuts failing models down: `hone reduce`. */
import type { CommandSpec, OptionSpec } from './command.ts';

export function reduceCommand(
  compileOptions: readonly OptionSpec[],
  jsonOption: OptionSpec,
): CommandSpec {
  return {
    name: 'reduce',
    summary: 'the smallest part of a failing model that still fails, as a model of its own',
    details:
      'Leaves nodes out as long as the same error comes of the same node. What they gave becomes an input of the shape it had; constants become inputs too where the failure does not need their elements, so that the file can be passed on. Functions and sub-graphs stay whole.',
    args: [{ name: '<MODEL>', doc: 'an ONNX file' }],
    options: [
      {
        flags: '-o, --output <FILE>',
        doc: 'the model to write',
        fallback: 'MODEL.reduced.onnx in the working folder',
      },
      {
        flags: '--check <WHAT>',
        doc: "what has to fail: compile; or outputs, which also runs what compiles on random values and compares it with the interpreter (rtol 1e-3, and 1e-5 of an output's scale)",
        fallback: 'compile',
      },
      { flags: '--seed <N>', doc: 'seed of the random values', fallback: '0' },
      {
        flags: '--max-time <TIME>',
        doc: 'after which the smallest part found so far is written, e.g. 5m',
        fallback: 'no limit',
      },
      ...compileOptions,
      {
        flags: '--precision <NAME>',
        doc: 'the precision it fails in: fp32, bf16 or fp16',
        fallback: 'fp32',
      },
      jsonOption,
    ],
    examples: [
      'hone reduce model.onnx -o failing.onnx',
      'hone reduce model.onnx --check outputs --target x86-64-v3',
    ],
    json: {
      model: 'path given',
      output: 'file written',
      failure:
        '{stage, code, message, subject, cure}: how the model fails; stage is import, compile, build or outputs, code null where outputs differ',
      nodes_before: 'number of nodes of the model',
      nodes: 'list of {op, domain, name}: those that are left',
      inputs: 'list of {name, dtype, shape}',
      outputs: 'list of {name, dtype, shape}',
      freed: 'constants that became inputs',
      bytes: 'size of the file written',
      tests: 'number of parts that were tried',
      minimal: 'true where no node can be left out; false where the time was over',
      verified: 'true where the file, read again, fails in the same way',
      seconds: 'time it took',
    },
    load: () => import('./commands/reduce.ts'),
  };
}
