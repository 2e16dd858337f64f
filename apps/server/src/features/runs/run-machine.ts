import { runStates, type RunState } from '@bpfleet/api';
import type { ReportedRunState } from '@bpfleet/wire';

/**
 * The run's machine (DESIGN §8), pure. Two hands move a run: the device's reports, ordered by their revision, and the
 * server's decisions. Reports may be lost, so a device may be seen to skip states; a device that reboots begins again.
 */

/** Nothing more can happen. FAILED and DEFERRED are not here: a device may try again. */
const ended: ReadonlySet<RunState> = new Set<RunState>([
  'REJECTED',
  'TIMED_OUT',
  'SUSPECT_CRASH',
  'ENDED',
  'REMOVED',
  'SUPERSEDED',
  'ROLLED_BACK',
]);

/** Shown as over: all of the above, and FAILED until the device tries again. */
export const finalStates: readonly RunState[] = runStates.filter((state) => ended.has(state) || state === 'FAILED');
/** In a kernel, as far as the device said. */
export const attachedStates: readonly RunState[] = ['ATTACHED', 'SOAKED', 'SUCCEEDED'];
export const failedStates: readonly RunState[] = ['REJECTED', 'FAILED', 'TIMED_OUT', 'SUSPECT_CRASH'];

const fromTheStart: readonly ReportedRunState[] = [
  'ACCEPTED',
  'FETCHING',
  'VERIFYING',
  'LOADED',
  'ATTACHED',
  'REJECTED',
  'FAILED',
  'SUSPECT_CRASH',
  'ENDED',
  'REMOVED',
];
const onceAttached: readonly ReportedRunState[] = ['FAILED', 'SUSPECT_CRASH', 'ENDED', 'REMOVED'];

/** Which reported states may follow which state. */
const mayFollow: Readonly<Record<RunState, readonly ReportedRunState[]>> = {
  PENDING: fromTheStart,
  OFFERED: fromTheStart,
  DEFERRED: fromTheStart,
  ACCEPTED: fromTheStart,
  FETCHING: fromTheStart,
  VERIFYING: fromTheStart,
  LOADED: fromTheStart,
  // After a reboot of the device the same run is fetched from its disk, verified and attached again.
  ATTACHED: fromTheStart,
  // What the server found out over time stays until the device says that the run is gone.
  SOAKED: onceAttached,
  SUCCEEDED: onceAttached,
  FAILED: fromTheStart,
  // The device refuses these until a person decides otherwise, which makes a new run; it may still tidy up. A kernel's no
  // stays what it was: nothing of that run ever was in the kernel.
  REJECTED: [],
  SUSPECT_CRASH: ['REMOVED'],
  TIMED_OUT: [],
  ENDED: [],
  REMOVED: [],
  SUPERSEDED: [],
  ROLLED_BACK: [],
};

export type Step =
  { readonly kind: 'move'; readonly to: RunState } | { readonly kind: 'stay' } | { readonly kind: 'refuse' };

/** What a report does to a run. `stay`: nothing new; `refuse`: this cannot follow, the run keeps its state. */
export function applyReport(state: RunState, reported: ReportedRunState): Step {
  if (state === reported) return { kind: 'stay' };
  if (reported === 'ATTACHED' && (state === 'SOAKED' || state === 'SUCCEEDED')) return { kind: 'stay' };
  if (reported === 'REMOVED' && state === 'REJECTED') return { kind: 'stay' };
  return mayFollow[state].includes(reported) ? { kind: 'move', to: reported } : { kind: 'refuse' };
}

/**
 * Whether a report that moves nothing tells why a run never came to be: the server had taken it back, or refused it itself,
 * before it heard the device. Without that word nobody would ever learn it.
 */
export function isLateRefusal(state: RunState, reported: ReportedRunState): boolean {
  return ended.has(state) && (reported === 'REJECTED' || reported === 'FAILED' || reported === 'SUSPECT_CRASH');
}

/** Whether a run that comes to this state keeps what went wrong before: it is over, and nothing else will tell. */
export function keepsError(to: RunState): boolean {
  return ended.has(to);
}

/** The server's own decisions about a run that is in a device's desired state, or leaves it. */
export function mayDecide(state: RunState, to: RunState): boolean {
  switch (to) {
    case 'OFFERED':
      return state === 'PENDING' || state === 'DEFERRED';
    case 'DEFERRED':
      return state === 'PENDING';
    case 'TIMED_OUT':
      return !isFinal(state) && !attachedStates.includes(state);
    case 'ENDED':
      return attachedStates.includes(state);
    // What is known of the device's kernel tells that it cannot, or that what is attached reads garbage.
    case 'REJECTED':
    case 'SUPERSEDED':
    case 'REMOVED':
    case 'ROLLED_BACK':
      return !isFinal(state);
    default:
      return false;
  }
}

export function isFinal(state: RunState): boolean {
  return finalStates.includes(state);
}

export function isAttached(state: RunState): boolean {
  return attachedStates.includes(state);
}

/** A state as it stands in a row. Throws when the row holds none: the database was written by something else. */
export function runStateOf(text: string): RunState {
  const state = runStates.find((known) => known === text);
  if (!state)
    throw new Error(`the database holds the run state ${JSON.stringify(text)}, which this server does not know`);
  return state;
}
