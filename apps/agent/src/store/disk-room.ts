import { statfsSync } from 'node:fs';

/** Bytes of a file system, as an unprivileged writer may use them. */
export interface DiskRoom {
  readonly freeBytes: number;
  readonly totalBytes: number;
}

/** undefined where the system does not say: then nothing is kept back. */
export function diskRoom(folder: string): DiskRoom | undefined {
  try {
    const { bavail, blocks, bsize } = statfsSync(folder);
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
  } catch {
    return undefined;
  }
}

/** A share of a small disk, a fixed amount of a large one: a spool must not take what the rest of the device lives on. */
export function reserveBytes(room: DiskRoom, limits: { reserveBytesMax: number; reserveShare: number }): number {
  return Math.min(limits.reserveBytesMax, Math.floor(room.totalBytes * limits.reserveShare));
}
