/** `hone agent`: measures signed artifacts for other machines, until it is ended. */
import os from 'node:os';
import { readPublicKey, shortId } from 'hone-runtime/artifact/keys';
import { fail } from 'hone-runtime/base/diagnostics';
import { nativeTargetName } from 'hone-runtime/target/native';
import { type ListenAddress, parseListenAddress } from '../../server/agent/address.ts';
import type { AgentLimits } from '../../server/agent/protocol.ts';
import { startAgent } from '../../server/agent/serve.ts';
import { readOrMakeToken } from '../../server/agent/token.ts';
import { readTlsIdentity } from '../../server/tls/identity-files.ts';
import { makeTlsIdentity, type TlsIdentity } from '../../server/tls/self-signed.ts';
import type { Invocation, Outcome } from '../command.ts';
import { badValue, type OptionReader } from '../option-reader.ts';

const DEFAULT_ADDRESS = '127.0.0.1:8741';
const GIB = 2 ** 30;

export async function run({ options, log }: Invocation): Promise<Outcome> {
  const address = parseListenAddress(options.text('listen') ?? DEFAULT_ADDRESS);
  const keyFiles = options.list('key');
  if (keyFiles.length === 0) {
    fail(
      'HONE-AGENT-017',
      'no trusted key: an agent runs only what somebody it knows has signed',
      '--key',
      'make a pair with `hone keygen -o signer`, and start the agent with --key signer.pub',
    );
  }
  const keys = keyFiles.map((file) => readPublicKey(file));
  const limits = limitsOf(options);
  const tokenFile = options.text('token-file');
  const { token, made } = readOrMakeToken(tokenFile);
  const identity = identityOf(address, options, log);
  if (made) log(`made a token: ${tokenFile}; clients need it, nobody else`);
  const name = options.text('name');
  const agent = await startAgent({
    address,
    token,
    keys,
    limits,
    ...(identity === undefined ? {} : { identity }),
    ...(name === undefined ? {} : { name }),
    log,
  });
  log(
    `measures for ${nativeTargetName()}, what ${keys.map(({ id }) => shortId(id)).join(' or ')} signed`,
  );
  // Scripts wait for this line, and read the address from it.
  log(`listening at ${agent.url}`);
  await untilTerminated();
  const { ended } = agent.jobs;
  await agent.close();
  return {
    json: { address: agent.url, jobs: ended },
    text: [`ended after ${ended} job${ended === 1 ? '' : 's'}`],
  };
}

function limitsOf(options: OptionReader): AgentLimits {
  return {
    uploadBytes: options.bytes('max-upload') ?? 2 * GIB,
    unpackedBytes: options.bytes('max-unpacked') ?? 8 * GIB,
    queue: options.integer('max-queue', 0, 1000) ?? 8,
    jobMs: options.duration('max-time') ?? 5 * 60_000,
  };
}

function identityOf(
  address: ListenAddress,
  options: OptionReader,
  log: (line: string) => void,
): TlsIdentity | undefined {
  const certificate = options.text('cert');
  const key = options.text('cert-key');
  if (certificate !== undefined || key !== undefined) {
    if (address.kind === 'unix') {
      badValue('cert', certificate ?? '', 'a Unix socket needs no certificate: leave it out');
    }
    if (certificate === undefined || key === undefined) {
      const [there, lacking] =
        certificate === undefined ? ['cert-key', 'cert'] : ['cert', 'cert-key'];
      return badValue(there, certificate ?? key ?? '', `give --${lacking} as well`);
    }
    return readTlsIdentity(certificate, key);
  }
  if (address.kind === 'unix') return undefined;
  log('made a certificate for as long as this runs; `hone keygen --tls` makes one that stays');
  const names = [address.host, os.hostname(), 'localhost'].filter((host) =>
    /^[\w:.-]+$/.test(host),
  );
  return makeTlsIdentity([...new Set(names)]);
}

/** Resolves when the process is asked to end (SIGTERM); Ctrl-C ends it at once, as any command. */
function untilTerminated(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve());
  });
}
