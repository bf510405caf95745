/** The part of the contract that says who measures; read with every command, so it imports nothing. */
import type { OptionSpec } from '../command.ts';

export const MEASURE_OPTIONS: readonly OptionSpec[] = [
  {
    flags: '--measure',
    doc: 'compile the model and time it: on this machine, or where --agent says',
  },
  {
    flags: '--agent <[NAME=]URL>',
    doc: 'measure by a `hone agent` (see docs/agent.md): unix:PATH or https://HOST:PORT/#sha256=FINGERPRINT, or `here` for this machine. NAME is its row of the catalogue, where it does not say so itself',
    repeat: true,
  },
  {
    flags: '--agent-token <FILE>',
    doc: 'token of the agents; several: one for each --agent, in order',
    fallback: 'the variable HONE_AGENT_TOKEN',
    repeat: true,
  },
  {
    flags: '--agent-ca <FILE>',
    doc: 'certificates (PEM) to trust, for agents whose fingerprint is not given',
  },
  { flags: '--sign <KEY>', doc: 'private key (PEM) for the artifacts that agents measure' },
  {
    flags: '--results <FILE>',
    doc: 'where measurements are kept, and read from',
    fallback: 'hone/measurements.jsonl in the data folder, or the variable HONE_RESULTS',
  },
  {
    flags: '--duration <TIME>',
    doc: 'time per measurement, e.g. 5s',
    fallback: '3s',
  },
];
