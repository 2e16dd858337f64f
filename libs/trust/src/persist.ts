import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
  linkSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { TrustError } from './errors.js';

/**
 * Replaces a file so that after a power cut either the old or the new content is there, whole: write a temporary file,
 * fsync it, rename it over, fsync the folder. The content before is kept beside it as `<path>.previous`.
 */
export function writeFileAtomic(path: string, bytes: Uint8Array, mode = 0o600): void {
  const folder = dirname(path);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    writeWhole(temporary, bytes, mode);
    keepPrevious(path);
    renameSync(temporary, path);
  } catch (error) {
    // Most often the disk is full: what is left over would fill it further, once for each process that tries.
    rmSync(temporary, { force: true });
    throw error;
  }
  syncFolder(folder);
}

function writeWhole(path: string, bytes: Uint8Array, mode: number): void {
  const fd = openSync(path, 'w', mode);
  try {
    for (let written = 0; written < bytes.length;) written += writeSync(fd, bytes, written);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function keepPrevious(path: string): void {
  const previous = `${path}.previous`;
  try {
    rmSync(previous, { force: true });
    linkSync(path, previous);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** The file's bytes, or undefined when it does not exist. Larger than `bytesMax` throws TRUST_STORE. */
export function readFileBounded(path: string, bytesMax: number): Buffer | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  if (bytes.length > bytesMax) throw new TrustError('TRUST_STORE', `${path} is larger than ${bytesMax} bytes`);
  return bytes;
}
