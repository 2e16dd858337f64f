import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { scanFrames, type FramePlace } from './spool-frame.js';

function pathOf(folder: string, id: number): string {
  return join(folder, `${String(id).padStart(12, '0')}.log`);
}

function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** One file of the spool. Only the newest is written to; the others are read and, once nothing in them is held, removed. */
export class SpoolSegment {
  /** Held batches in it. */
  live = 0;
  private writeFd: number | undefined;

  private constructor(
    readonly path: string,
    readonly id: number,
    readonly createdAtMs: number,
    private size: number,
    fd: number | undefined,
  ) {
    this.writeFd = fd;
  }

  static create(folder: string, id: number, nowMs: number): SpoolSegment {
    const path = pathOf(folder, id);
    const fd = openSync(path, 'wx', 0o600);
    try {
      syncFolder(folder);
    } catch (error) {
      closeSync(fd);
      rmSync(path, { force: true });
      throw error;
    }
    return new SpoolSegment(path, id, nowMs, 0, fd);
  }

  static recovered(path: string, id: number, createdAtMs: number, bytes: number): SpoolSegment {
    return new SpoolSegment(path, id, createdAtMs, bytes, undefined);
  }

  get bytes(): number {
    return this.size;
  }

  get fd(): number {
    if (this.writeFd === undefined) throw new Error(`spool segment ${this.id} is not open for writing`);
    return this.writeFd;
  }

  /** Returns where the bytes begin. A write that fails half way leaves nothing behind. */
  append(bytes: Uint8Array): number {
    const start = this.size;
    try {
      for (let done = 0; done < bytes.length;)
        done += writeSync(this.fd, bytes, done, bytes.length - done, start + done);
    } catch (error) {
      ftruncateSync(this.fd, start);
      throw error;
    }
    this.size += bytes.length;
    return start;
  }

  read(offset: number, bytes: number): Buffer {
    const fd = openSync(this.path, 'r');
    try {
      const out = Buffer.allocUnsafe(bytes);
      const got = readSync(fd, out, 0, bytes, offset);
      if (got !== bytes) throw new Error(`spool segment ${this.id} is shorter than it was`);
      return out;
    } finally {
      closeSync(fd);
    }
  }

  /** Everything of it is on the disk when this returns. */
  flush(): void {
    fsyncSync(this.fd);
  }

  /** Idempotent. */
  close(): void {
    if (this.writeFd !== undefined) closeSync(this.writeFd);
    this.writeFd = undefined;
  }

  remove(): void {
    this.close();
    try {
      rmSync(this.path, { force: true });
    } catch {
      // A disk that takes nothing: the next start finds it again, and the server knows what it has acknowledged.
    }
  }
}

/** Reads a segment that an earlier agent wrote, up to its last whole frame. Its age counts from now: nobody knows it. */
export function recoverSegment(
  folder: string,
  id: number,
  nowMs: number,
): { segment: SpoolSegment; frames: FramePlace[] } {
  const path = pathOf(folder, id);
  const content = readFileSync(path);
  const { frames } = scanFrames(content);
  return { segment: SpoolSegment.recovered(path, id, nowMs, content.length), frames };
}

/** Moves a segment that cannot be read out of the way. It stays on the disk, one at most, so that nothing is written where it lies. */
export function setAside(folder: string, id: number): void {
  try {
    renameSync(pathOf(folder, id), join(folder, 'unreadable'));
  } catch {
    // A disk that takes nothing: it is met again at the next start, and passed by again.
  }
}
