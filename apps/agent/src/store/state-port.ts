import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { writeFileAtomic } from '@bpfleet/trust';

/** What the state folder needs of a file system; each of them throws what the system said. */
export interface StatePort {
  /** The whole file or nothing of it, on the disk when it returns. */
  replace(path: string, bytes: Uint8Array): void;
  /** The first bytes of a file that exists, where they are: most file systems need no free space for that. */
  overwrite(path: string, bytes: Uint8Array): void;
  /** Nothing where there is nothing. */
  remove(path: string): void;
}

export const realStatePort: StatePort = {
  replace: writeFileAtomic,
  overwrite: (path, bytes) => {
    const fd = openSync(path, 'r+');
    try {
      writeSync(fd, bytes, 0, bytes.length, 0);
      fdatasyncSync(fd);
    } finally {
      closeSync(fd);
    }
  },
  remove: (path) => rmSync(path, { force: true }),
};

/** How the rooms of the state folder write. */
export interface StateWriter {
  /** On the disk when it returns. @throws when the disk does not take it */
  write(path: string, bytes: Uint8Array): void;
  /** On the disk now or as soon as the disk takes it; the newest of a path wins. Never throws. */
  writeSoon(path: string, bytes: Uint8Array): void;
  /** @throws when the disk does not take it, or when there is no such file */
  overwrite(path: string, bytes: Uint8Array): void;
  /** Now or later, as `writeSoon`. */
  remove(path: string): void;
  /** Some other way of writing `bytes` bytes, watched like the others. @throws when the disk does not take it */
  attempt(path: string, bytes: number, work: () => void): void;
}

/** At once or an error, as a command wants it that a person waits for. */
export const directWriter: StateWriter = {
  write: realStatePort.replace,
  writeSoon: realStatePort.replace,
  overwrite: realStatePort.overwrite,
  remove: realStatePort.remove,
  attempt: (_path, _bytes, work) => work(),
};
