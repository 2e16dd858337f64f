import { requireInteger } from './arguments.js';
import { errnoName } from './errno.js';
import { LibbpfError, needsOf } from './errors.js';

/**
 * Opens by the kernel's id. Undefined when there is none (any more): ids come from lists, and what is on a list may be gone.
 * EAGAIN is a link that is being made just now. Throws BPF_ENUMERATE.
 */
export function openHandleById<Handle extends object>(
  operation: string,
  id: number,
  open: () => Handle | number,
): Handle | undefined {
  requireInteger(operation, 'id', id, 1, 0xffff_ffff);
  const opened = open();
  if (typeof opened !== 'number') return opened;
  if (['ENOENT', 'EAGAIN'].includes(errnoName(-opened))) return undefined;
  throw new LibbpfError('BPF_ENUMERATE', operation, -opened, '', needsOf(-opened, { does: 'open_by_id' }));
}
