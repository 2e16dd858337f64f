import { chmodSync, copyFileSync, statSync, truncateSync } from 'node:fs';

/** A log keeps at most this much, and as much again in `NAME.1`. */
export const LOG_FILE_BYTES_MAX = 8 * 1024 * 1024;

/**
 * Moves a log that has grown past `bytesMax` to `NAME.1` and empties it in place: the process that writes it holds it
 * open in append mode, so renaming would not make it let go.
 */
export function capLogFile(file: string, bytesMax = LOG_FILE_BYTES_MAX): void {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size <= bytesMax) return;
  copyFileSync(file, `${file}.1`);
  chmodSync(`${file}.1`, 0o600);
  truncateSync(file, 0);
}
