import type { ParamValue } from '@bpfleet/probe';
import type { DesiredEntry } from '@bpfleet/trust';
import {
  ASSIGNMENT_ENTRIES_MAX,
  ASSIGNMENT_LEASE_SECONDS,
  DEBUG_ENTRIES_MAX,
  DEBUG_LEASE_SECONDS,
  ENTRIES_BYTES_MAX,
  entryBytes,
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

/** What should run and does not fit: a run says so. */
export interface Overflow {
  readonly item: DesiredItem;
  readonly error: { readonly code: 'DESIRED_FULL' | 'DEBUG_NO_ROOM'; readonly message: string };
}

export interface Decision {
  readonly items: readonly DesiredItem[];
  readonly overflow: readonly Overflow[];
}

/**
 * Entries in a fixed order (by probe, then debug by age), so that equal decisions make equal documents. One entry per
 * probe: the newest assignment that selects the device. Debug runs stand beside them, in a slot of their own, and take what
 * assignments leave. `extraBytes` is what each entry of this device may have more than those of others.
 */
export function desired(
  device: DesiredDevice,
  intents: { readonly assignments: readonly AssignmentIntent[]; readonly debug: readonly DebugIntent[] },
  now: Date,
  extraBytes = 0,
): Decision {
  if (device.status !== 'active') return { items: [], overflow: [] };
  const bytesOf = (item: DesiredItem): number => entryBytes(item) + extraBytes;
  const assigned = within(assignedTo(device, intents.assignments), ASSIGNMENT_ENTRIES_MAX, ENTRIES_BYTES_MAX, bytesOf);
  const debug = within(debuggedOn(intents.debug, now), DEBUG_ENTRIES_MAX, assigned.bytesLeft, bytesOf);
  return {
    items: [...assigned.fitting.sort(byProbe), ...debug.fitting],
    overflow: [
      ...assigned.left.sort(byProbe).map((item) => ({ item, error: DESIRED_FULL })),
      ...debug.left.map((item) => ({ item, error: DEBUG_NO_ROOM })),
    ],
  };
}

const DESIRED_FULL = {
  code: 'DESIRED_FULL',
  message:
    `the device has no room for it: older assignments fill its desired state (${ASSIGNMENT_ENTRIES_MAX} probes, or ` +
    `${ENTRIES_BYTES_MAX} bytes with all their parameters); withdraw one that it can do without, narrow its selector, or shorten parameters`,
} as const;

const DEBUG_NO_ROOM = {
  code: 'DEBUG_NO_ROOM',
  message:
    'assignments fill the desired state of the device, and debug yields to them; withdraw one, and start it again',
} as const;

/**
 * The first of `items` that fit. Parameters are free text within bounds: many large ones must not make a document that cannot
 * be signed.
 */
function within(
  items: readonly DesiredItem[],
  entriesMax: number,
  bytesMax: number,
  bytesOf: (item: DesiredItem) => number,
): { fitting: DesiredItem[]; left: DesiredItem[]; bytesLeft: number } {
  const [fitting, left]: [DesiredItem[], DesiredItem[]] = [[], []];
  let bytesLeft = bytesMax;
  for (const item of items) {
    const bytes = bytesOf(item);
    const fits = fitting.length < entriesMax && bytes <= bytesLeft;
    (fits ? fitting : left).push(item);
    if (fits) bytesLeft -= bytes;
  }
  return { fitting, left, bytesLeft };
}

/** Oldest first: what is new on a device takes nothing from what runs there. */
function assignedTo(device: DesiredDevice, assignments: readonly AssignmentIntent[]): DesiredItem[] {
  const winners = new Map<string, AssignmentIntent>();
  for (const assignment of [...assignments].sort(newestFirst)) {
    const { probe } = assignment.release;
    if (!winners.has(probe) && selects(assignment.selector, device)) winners.set(probe, assignment);
  }
  return [...winners.values()]
    .sort((a, b) => newestFirst(b, a))
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

function byProbe(a: DesiredItem, b: DesiredItem): number {
  return compareText(a.release.probe, b.release.probe);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
