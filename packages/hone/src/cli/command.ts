/**
 * What a command is: its place in the contract (data) and the module that carries it out (loaded
 * only when the command is used, so that `hone --help` stays quick).
 */
import type { OptionReader } from './option-reader.ts';

export interface OptionSpec {
  /** As commander writes it: `-o, --output <DIR>`. */
  readonly flags: string;
  readonly doc: string;
  /** May be given several times. */
  readonly repeat?: boolean;
  /** What happens without it; shown, not applied. */
  readonly fallback?: string;
}

export interface ArgumentSpec {
  /** `<MODEL>` or `[MODEL]`. */
  readonly name: string;
  readonly doc: string;
}

export interface CommandSpec {
  readonly name: string;
  /** One line. */
  readonly summary: string;
  /** More, shown by the command's own help. */
  readonly details?: string;
  readonly args: readonly ArgumentSpec[];
  readonly options: readonly OptionSpec[];
  readonly examples: readonly string[];
  /** Keys of the object printed by --json, with their meaning. */
  readonly json: Readonly<Record<string, string>>;
  readonly load: () => Promise<CommandModule>;
}

export interface CommandModule {
  readonly run: (invocation: Invocation) => Promise<Outcome>;
}

export interface Invocation {
  readonly args: readonly string[];
  readonly options: OptionReader;
  /** A line on stderr. */
  readonly log: (message: string) => void;
  /** What is being done, on stderr; overwritten by the next one, and quiet in a pipe. */
  readonly progress: (message: string) => void;
}

/** What a command found: the object for --json and the lines for a person. */
export interface Outcome {
  readonly json: Readonly<Record<string, unknown>>;
  readonly text: readonly string[];
  /** Default 0. */
  readonly exitCode?: 0 | 1;
}
