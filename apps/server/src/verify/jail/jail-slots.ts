import { Slots } from '../../platform/slots.js';
import { JailError } from './error.js';

const WAITING_MAX = 64;

/** More work waits for a jail than may; whoever asked can ask again later. */
export class JailBusyError extends JailError {
  override readonly code = 'JAIL_BUSY';
  constructor(readonly waitingMax: number) {
    super(`${waitingMax} requests are waiting already; try again later`, 'a free place in the queue');
    this.name = 'JailBusyError';
  }
}

/** Throws JailBusyError when too many wait. */
export function jailSlots(max: number): Slots {
  return new Slots(max, WAITING_MAX, () => new JailBusyError(WAITING_MAX));
}
