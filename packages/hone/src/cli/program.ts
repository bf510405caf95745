/** The commander program of a contract. Parsing problems come out as coded errors. */
import { Command, CommanderError } from 'commander';
import { HoneError } from 'hone-runtime/base/diagnostics';
import type { CommandSpec, Outcome } from './command.ts';
import { optionReader } from './option-reader.ts';

export interface Streams {
  readonly log: (message: string) => void;
  readonly progress: (message: string) => void;
}

/** What parsing came to: help or version text to print, or a command's outcome. */
export type Parsed =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'outcome'; readonly outcome: Outcome };

/** Parses the arguments after `hone` and runs the command they name. */
export async function runProgram(
  commands: readonly CommandSpec[],
  version: string,
  argv: readonly string[],
  streams: Streams,
): Promise<Parsed> {
  let printed = '';
  let outcome: Outcome | undefined;
  // One command is all that is needed where it is named first; the others take memory.
  const named = commands.filter((spec) => spec.name === argv[0]);
  const wanted = named.length === 0 ? commands : named;
  const program = buildProgram(wanted, version, async (spec, args, values) => {
    const module = await spec.load();
    outcome = await module.run({ args, options: optionReader(values), ...streams });
  });
  const output = {
    writeOut(text: string) {
      printed += text;
    },
    writeErr: () => {},
  };
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput(output);
  }
  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    if (thrown.exitCode !== 0) throw parseError(thrown, argv);
  }
  return outcome === undefined ? { kind: 'text', text: printed } : { kind: 'outcome', outcome };
}

type Action = (
  spec: CommandSpec,
  args: readonly string[],
  values: Readonly<Record<string, unknown>>,
) => Promise<void>;

/** The program without actions' effects; also what the documentation is made from. */
export function buildProgram(
  commands: readonly CommandSpec[],
  version: string,
  action: Action,
): Command {
  const program = new Command('hone')
    .description('Compiles trained models for a processor, measures them, and runs them.')
    .version(version, '-V, --version')
    .showSuggestionAfterError(true);
  for (const spec of commands) {
    const command = program
      .command(spec.name)
      .summary(spec.summary)
      .description(
        spec.details === undefined
          ? sentence(spec.summary)
          : `${sentence(spec.summary)} ${spec.details}`,
      )
      .allowExcessArguments(false);
    for (const arg of spec.args) command.argument(arg.name, arg.doc);
    for (const option of spec.options) {
      const doc =
        option.fallback === undefined ? option.doc : `${option.doc} (default: ${option.fallback})`;
      if (option.repeat === true) {
        const collect = (value: string, all?: readonly string[]): readonly string[] => [
          ...(all ?? []),
          value,
        ];
        command.option(option.flags, `${doc} (may be repeated)`, collect);
      } else {
        command.option(option.flags, doc);
      }
    }
    command.addHelpText('after', `\nExamples:\n${spec.examples.map((e) => `  ${e}`).join('\n')}`);
    command.action(async (...received: unknown[]) => {
      // The last argument may be a list (`<MODEL...>`).
      const given = received.slice(0, spec.args.length).flat();
      const args = given.filter((arg) => arg !== undefined).map(String);
      await action(spec, args, command.opts());
    });
  }
  return program;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

const CODES: Readonly<Record<string, `HONE-CLI-${string}`>> = {
  'commander.unknownCommand': 'HONE-CLI-002',
  'commander.unknownOption': 'HONE-CLI-003',
  'commander.missingArgument': 'HONE-CLI-004',
  'commander.optionMissingArgument': 'HONE-CLI-004',
  'commander.excessArguments': 'HONE-CLI-005',
};

function parseError(error: CommanderError, argv: readonly string[]): HoneError {
  const [first = '', ...rest] = error.message.replace(/^error: /, '').split('\n');
  const suggestion = /Did you mean (.*)\?/.exec(rest.join(' '))?.[1];
  const known =
    error.code === 'commander.unknownCommand' ? 'hone --help' : `hone ${argv[0]} --help`;
  const lookup = `\`${known}\` lists what there is`;
  return new HoneError({
    code: CODES[error.code] ?? 'HONE-CLI-006',
    message: first,
    subject: /'([^']+)'/.exec(first)?.[1] ?? 'hone',
    cure: suggestion === undefined ? lookup : `did you mean ${suggestion}? ${lookup}`,
  });
}
