import type { ParamValue } from '@bpfleet/probe';
import type { DesiredEntry } from '@bpfleet/trust';
import {
  ASSIGNMENT_ENTRIES_MAX,
  ASSIGNMENT_LEASE_SECONDS,
  DEBUG_ENTRIES_MAX,
  DEBUG_LEASE_SECONDS,
  ENTRIES_BYTES_MAX,
} from './limits.js';
import { selects, type Selector, type SelectorSubject } from '../assignments/selector/index.js';

/**
 * The one place that decides what a device should run (DESIGN §8): a pure function of the device, why something should
 * run on it, and the time. Nothing else in the server makes entries of a desired state.
 */

/** What a signed release says, as far as deciding needs it. */
export interface DesiredRelease {
  readonly id: string;
  readonly digest: string;
  readonly probe: string;
  readonly version: string;
  readonly budget: DesiredEntry['budget'];
}

const ENTRY_FIXED_BYTES = 360;
/** What `"addendum":"…",` adds to the entry of a device that loads with tailored BTF. */
export const ADDENDUM_BYTES = 80;

export interface AssignmentIntent {
  readonly id: string;
  readonly release: DesiredRelease;
  readonly selector: Selector;
  readonly params: Readonly<Record<string, ParamValue>>;
  readonly createdAt: Date;
}

/** A debug run: its row exists before it is decided on, because a person is waiting for its id. */
export interface DebugIntent {
  readonly run: string;
  readonly release: DesiredRelease;
  readonly params: Readonly<Record<string, ParamValue>>;
  readonly createdAt: Date;
  readonly endsAt: Date;
  /** Already over, by the device's word or a person's. */
  readonly over: boolean;
}

export interface DesiredDevice extends SelectorSubject {
  readonly status: 'active' | 'revoked' | 'decommissioned';
}

/** An entry before it has a run. `run` is set for a debug run only. */
export interface DesiredItem {
  readonly kind: 'assignment' | 'debug';
  readonly intent: string;
  readonly run: string | undefined;
  readonly release: DesiredRelease;
  readonly params: Readonly<Record<string, ParamValue>>;
  readonly leaseSeconds: number;
  readonly endsAfterSeconds: number | undefined;
}

/**
 * Entries in a fixed order (by probe, then debug by age), so that equal decisions make equal documents. One entry per
 * probe: the newest assignment that selects the device. Debug runs stand beside them, in a slot of their own.
 * `extraBytes` is what each entry of this device may have more than those of others.
 */
export function desired(
  device: DesiredDevice,
  intents: { readonly assignments: readonly AssignmentIntent[]; readonly debug: readonly DebugIntent[] },
  now: Date,
  extraBytes = 0,
): DesiredItem[] {
  if (device.status !== 'active') return [];
  const bytesOf = (item: DesiredItem): number => entryBytes(item) + extraBytes;
  const debug = withinBytes(debuggedOn(intents.debug, now), ENTRIES_BYTES_MAX, bytesOf);
  const room = ENTRIES_BYTES_MAX - debug.reduce((sum, item) => sum + bytesOf(item), 0);
  return [...withinBytes(assignedTo(device, intents.assignments), room, bytesOf), ...debug];
}

/** Parameters are free text within bounds: many large ones must not make a document that cannot be signed. */
function withinBytes(
  items: readonly DesiredItem[],
  bytesMax: number,
  bytesOf: (item: DesiredItem) => number,
): DesiredItem[] {
  let left = bytesMax;
  return items.filter((item) => {
    const bytes = bytesOf(item);
    if (bytes > left) return false;
    left -= bytes;
    return true;
  });
}

/** An entry's JSON, a little more rather than less: names, digests and numbers of fixed width, and the parameters. */
function entryBytes({ release, params, intent }: DesiredItem): number {
  const { probe, version } = release;
  return ENTRY_FIXED_BYTES + Buffer.byteLength(JSON.stringify([probe, version, params, intent]));
}

function assignedTo(device: DesiredDevice, assignments: readonly AssignmentIntent[]): DesiredItem[] {
  const winners = new Map<string, AssignmentIntent>();
  for (const assignment of [...assignments].sort(newestFirst)) {
    const { probe } = assignment.release;
    if (!winners.has(probe) && selects(assignment.selector, device)) winners.set(probe, assignment);
  }
  return [...winners.values()]
    .sort((a, b) => compareText(a.release.probe, b.release.probe))
    .slice(0, ASSIGNMENT_ENTRIES_MAX)
    .map(({ id, release, params }) => ({
      kind: 'assignment',
      intent: id,
      run: undefined,
      release,
      params,
      leaseSeconds: ASSIGNMENT_LEASE_SECONDS,
      endsAfterSeconds: undefined,
    }));
}

function debuggedOn(debug: readonly DebugIntent[], now: Date): DesiredItem[] {
  return debug
    .filter(({ over, endsAt }) => !over && endsAt > now)
    .sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime() || compareText(a.run, b.run))
    .slice(0, DEBUG_ENTRIES_MAX)
    .map(({ run, release, params, createdAt, endsAt }) => ({
      kind: 'debug',
      intent: run,
      run,
      release,
      params,
      leaseSeconds: DEBUG_LEASE_SECONDS,
      endsAfterSeconds: Math.max(1, Math.round((endsAt.getTime() - createdAt.getTime()) / 1000)),
    }));
}

/** Ties are broken by id, so that two replicas decide alike. */
function newestFirst(a: AssignmentIntent, b: AssignmentIntent): number {
  return b.createdAt.getTime() - a.createdAt.getTime() || compareText(b.id, a.id);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
