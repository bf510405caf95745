/**
 * The artifacts an agent holds. An upload goes to a file of bounded size, is unpacked only when a
 * trusted key signed it, and stays until nobody used it for a while or another one needs the room.
 * Everything lies in one private folder that goes with the process.
 */
import { randomBytes } from 'node:crypto';
import { createWriteStream, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { PublicKey } from 'hone-runtime/artifact/keys';
import { MANIFEST_FILE } from 'hone-runtime/artifact/manifest';
import { isLeftByDead, ownerTag } from 'hone-runtime/artifact/process-tag';
import { removeAtExit } from 'hone-runtime/artifact/temporary';
import { unpackArtifact } from 'hone-runtime/artifact/unpack';
import { fail, HoneError } from 'hone-runtime/base/diagnostics';
import { sha256 } from 'hone-runtime/base/digest';
import type { AgentLimits } from './protocol.ts';

export interface HeldArtifact {
  /** Digest of the manifest, which has the digests of all the rest. */
  readonly id: string;
  readonly folder: string;
  readonly name: string;
  readonly signedBy: string;
}

export interface Uploads {
  /** Receives a packed artifact. */
  receive(body: Readable): Promise<HeldArtifact>;
  /** Holds an artifact until `release` is called; throws HONE-AGENT-003 for one that is not there. */
  hold(id: string): { readonly artifact: HeldArtifact; readonly release: () => void };
  /** Forgets an artifact that no job needs. */
  remove(id: string): void;
  /** The private folder. */
  readonly folder: string;
  close(): void;
}

/** Artifacts without a job are kept for so long. */
const IDLE_MS = 10 * 60_000;
const MOST_AT_A_TIME = 4;
/** It is held in memory before it is known who signed it. */
const MANIFEST_BYTES = 32 << 20;
const FOLDER_PREFIX = 'hone-agent-';

interface Entry extends HeldArtifact {
  readonly bytes: number;
  users: number;
  used: number;
}

export function openUploads(limits: AgentLimits, keys: readonly PublicKey[]): Uploads {
  const folder = privateFolder();
  const forget = removeAtExit(folder);
  const entries = new Map<string, Entry>();
  let receiving = 0;
  const drop = (entry: Entry): void => {
    entries.delete(entry.id);
    rmSync(entry.folder, { recursive: true, force: true });
  };
  const idle = (): Entry[] =>
    [...entries.values()].filter((entry) => entry.users === 0).sort((a, b) => a.used - b.used);
  const expire = setInterval(() => {
    for (const entry of idle()) if (Date.now() - entry.used > IDLE_MS) drop(entry);
  }, 5000).unref();
  const makeRoom = (bytes: number): void => {
    const held = (): number => [...entries.values()].reduce((sum, entry) => sum + entry.bytes, 0);
    for (const entry of idle()) {
      if (held() + bytes <= limits.unpackedBytes) return;
      drop(entry);
    }
    if (held() + bytes > limits.unpackedBytes) {
      busy('artifacts of other jobs take all the room this agent has');
    }
  };
  return {
    folder,
    async receive(body) {
      if (receiving >= MOST_AT_A_TIME) busy(`${receiving} uploads are under way`);
      receiving++;
      const name = path.join(folder, randomBytes(12).toString('hex'));
      const archive = `${name}.tar.gz`;
      const target = `${name}.hone`;
      try {
        await pipeline(
          body,
          atMost(limits.uploadBytes),
          createWriteStream(archive, { flags: 'wx' }),
        );
        const { manifest, signedBy } = await unpackArtifact(archive, target, {
          keys,
          maxBytes: limits.unpackedBytes,
          maxManifestBytes: MANIFEST_BYTES,
        });
        const id = sha256(readFileSync(path.join(target, MANIFEST_FILE)));
        const known = entries.get(id);
        if (known !== undefined) {
          rmSync(target, { recursive: true, force: true });
          known.used = Date.now();
          return known;
        }
        const bytes = manifest.files.reduce((sum, file) => sum + file.bytes, 0);
        makeRoom(bytes);
        const entry: Entry = {
          id,
          folder: target,
          name: manifest.name,
          signedBy: signedBy ?? '',
          bytes,
          users: 0,
          used: Date.now(),
        };
        entries.set(id, entry);
        return entry;
      } catch (error) {
        rmSync(target, { recursive: true, force: true });
        throw withoutPath(error, archive);
      } finally {
        receiving--;
        rmSync(archive, { force: true });
      }
    },
    hold(id) {
      const entry = entries.get(id);
      if (entry === undefined) {
        const cure = 'upload it (again): an agent forgets artifacts that are not used';
        return fail('HONE-AGENT-003', `there is no artifact ${id.slice(0, 16)} here`, id, cure);
      }
      entry.users++;
      let held = true;
      const release = (): void => {
        if (held) entry.users--;
        held = false;
        entry.used = Date.now();
      };
      return { artifact: entry, release };
    },
    remove(id) {
      const entry = entries.get(id);
      if (entry === undefined) return;
      if (entry.users > 0) busy('a job still needs this artifact');
      drop(entry);
    },
    close() {
      clearInterval(expire);
      rmSync(folder, { recursive: true, force: true });
      forget();
    },
  };
}

/** A new one for this process; what killed agents left is removed. */
function privateFolder(): string {
  const temporary = os.tmpdir();
  for (const name of readdirSync(temporary)) {
    if (!name.startsWith(FOLDER_PREFIX)) continue;
    const left = path.join(temporary, name);
    try {
      if (!isLeftByDead(left, name.slice(FOLDER_PREFIX.length))) continue;
      rmSync(left, { recursive: true, force: true });
    } catch {
      // It is another user's.
    }
  }
  const folder = path.join(temporary, `${FOLDER_PREFIX}${ownerTag()}`);
  mkdirSync(folder, { mode: 0o700 });
  return folder;
}

/** Ends the stream with HONE-AGENT-004 once more has come. */
function atMost(limit: number): Transform {
  let bytes = 0;
  return new Transform({
    transform(piece: Buffer, _encoding, done) {
      bytes += piece.byteLength;
      if (bytes <= limit) done(null, piece);
      else done(uploadTooLarge(limit));
    },
  });
}

export function uploadTooLarge(limit: number): HoneError {
  return new HoneError({
    code: 'HONE-AGENT-004',
    message: `the upload is larger than the ${limit} bytes this agent takes`,
    subject: 'upload',
    cure: 'start the agent with a larger --max-upload, or measure a smaller model',
  });
}

function busy(why: string): never {
  fail(
    'HONE-AGENT-005',
    `the agent is busy: ${why}`,
    'agent',
    'try again later, or use another one',
  );
}

/** The client does not know our folders. */
function withoutPath(error: unknown, archive: string): unknown {
  if (error instanceof HoneError) {
    const { code, message, subject, cure } = error;
    const plain = (text: string): string => text.replaceAll(archive, 'the upload');
    return new HoneError({
      code,
      message: plain(message),
      ...(subject === undefined ? {} : { subject: plain(subject) }),
      ...(cure === undefined ? {} : { cure }),
    });
  }
  return error;
}
