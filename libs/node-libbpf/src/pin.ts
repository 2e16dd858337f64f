import { unlinkSync } from 'node:fs';
import { argumentError, LibbpfError } from './errors.js';

/** Unlinks a pin; one that is already gone is as good. Returns undefined: the new pin path. */
export function removePin(what: string, path: string | undefined): undefined {
  const operation = `unpin ${what}`;
  if (path === undefined) throw argumentError(operation, 'it is not pinned by this handle');
  try {
    unlinkSync(path);
  } catch (error) {
    const cause = error as NodeJS.ErrnoException;
    if (cause.code !== 'ENOENT') throw new LibbpfError('BPF_PIN', operation, Math.abs(cause.errno ?? 0), path);
  }
  return undefined;
}
