import type { RunState } from '@bpfleet/api';
import type { DesiredEntry } from '@bpfleet/trust';
import { isFinal } from '../runs/index.js';
import type { KernelOffer } from '../kernels/index.js';
import type { DesiredItem } from './desired.js';

/** A run that the device's newest desired state names. */
export interface WantedRun {
  readonly id: string;
  readonly kind: 'assignment' | 'debug';
  readonly intent: string;
  readonly releaseId: string;
  readonly probe: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly state: RunState;
  readonly endsAt: Date | null;
  /** What it was offered on; null for one from before that was kept. */
  readonly basis: string | null;
}

/** By whose types the device is to load it; undefined where nothing is known of its kernel. */
export type DecidedOffer = Exclude<KernelOffer, { kind: 'pending' }>;
export type OfferedItem = DesiredItem & { readonly offer?: DecidedOffer };

/** The offer of what does not fit: no word of the kernel, so what comes when there is room is another run. */
export const NO_ROOM = { kind: 'refused', basis: 'no room' } as const;

export interface RunPlan {
  readonly entries: readonly DesiredEntry[];
  readonly create: readonly { readonly id: string; readonly item: OfferedItem }[];
  /** Runs that go on under another intent. */
  readonly adopt: readonly { readonly id: string; readonly intent: string }[];
  readonly retire: readonly { readonly run: WantedRun; readonly to: RunState; readonly reason: string }[];
  /** Runs that are not offered, because it is known that they cannot be loaded. New ones stand in `create` too. */
  readonly refuse: readonly {
    readonly id: string;
    readonly error: { readonly code: string; readonly message: string };
  }[];
  /** Runs whose offer stands on something else than before. */
  readonly rebase: readonly { readonly id: string; readonly basis: string }[];
}

/**
 * Gives each item its run. A run keeps its id while release and parameters are the same, whoever asks for it; a run that
 * is over is asked for again only by a new intent, so that what a device cannot run is not offered for ever under new names;
 * and by another kernel or other types, since a refusal says nothing about those.
 */
export function planRuns(
  items: readonly OfferedItem[],
  wanted: readonly WantedRun[],
  now: Date,
  mintRunId: () => string,
): RunPlan {
  const left = new Map(wanted.map((run) => [run.id, run]));
  const create: { id: string; item: OfferedItem }[] = [];
  const adopt: { id: string; intent: string }[] = [];
  const refuse: RunPlan['refuse'][number][] = [];
  const rebase: RunPlan['rebase'][number][] = [];
  const entries = items.flatMap((item) => {
    const run = item.run === undefined ? matching(item, left.values()) : left.get(item.run);
    const id = run?.id ?? item.run ?? mintRunId();
    if (!run) create.push({ id, item });
    else if (run.intent !== item.intent && run.kind === 'assignment') adopt.push({ id, intent: item.intent });
    left.delete(id);
    const { offer } = item;
    const addendum = addendumOf(run, offer);
    const basis = basisOf(run, offer);
    if (basis && basis !== run?.basis) rebase.push({ id, basis });
    if (offer?.kind !== 'refused') return [entryOf(id, item, addendum)];
    refuse.push({ id, error: offer.error });
    return [];
  });
  const replaced = new Set(items.filter(({ kind }) => kind === 'assignment').map(({ release }) => release.probe));
  const retire = [...left.values()].map((run) => ({ run, ...fateOf(run, items, replaced, now) }));
  return { entries, create, adopt, retire, refuse, rebase };
}

/** What runs by the kernel's own types goes on so: to save memory while loading, it would have to be loaded again. */
function addendumOf(run: WantedRun | undefined, offer: DecidedOffer | undefined): string | undefined {
  if (offer?.kind !== 'tailored') return undefined;
  const startedWithout = run !== undefined && !isFinal(run.state) && run.basis !== null && run.basis !== offer.basis;
  return offer.spare && startedWithout ? undefined : offer.addendum;
}

/** What a run stands on once this is offered. */
function basisOf(run: WantedRun | undefined, offer: DecidedOffer | undefined): string | null | undefined {
  if (offer?.kind !== 'tailored') return offer?.basis;
  return addendumOf(run, offer) === undefined ? run?.basis : offer.basis;
}

function matching(item: OfferedItem, runs: Iterable<WantedRun>): WantedRun | undefined {
  for (const run of runs) {
    if (!isSameWork(run, item) || isAskedAnew(run, item)) continue;
    if (!isFinal(run.state) || run.intent === item.intent) return run;
  }
  return undefined;
}

function isSameWork(run: WantedRun, item: DesiredItem): boolean {
  if (run.kind !== 'assignment' || run.releaseId !== item.release.id) return false;
  return canonical(run.params) === canonical(item.params);
}

/**
 * Whether what is known of the kernel has changed so that the old run can say nothing of it. A kernel's no, or what followed
 * from it, was about that kernel and those types; and a no that is still on its way, from a device that has the old offer in
 * its hands, must not be taken for an answer to the new one. What the server refuses from now on gets a run that says so,
 * since the old one may have a word of the device to keep.
 */
function isAskedAnew(run: WantedRun, { offer }: OfferedItem): boolean {
  // Nothing was found out about the device: it was never asked.
  if (run.basis === NO_ROOM.basis) return offer?.basis !== NO_ROOM.basis;
  if (offer === undefined || run.basis === basisOf(run, offer)) return false;
  const isRefused = offer.kind === 'refused';
  switch (run.state) {
    case 'REJECTED':
    case 'REMOVED':
      return run.basis !== null;
    // What is in a kernel, or is tried again there, goes on by other types under its name.
    case 'ATTACHED':
    case 'SOAKED':
    case 'SUCCEEDED':
    case 'FAILED':
      return isRefused;
    // A device that crashed is asked again by a person alone.
    case 'SUSPECT_CRASH':
      return false;
    default:
      // With nothing known before, it was offered by the kernel's own types.
      return run.basis !== null || isRefused || addendumOf(run, offer) !== undefined;
  }
}

function fateOf(
  run: WantedRun,
  items: readonly OfferedItem[],
  replaced: ReadonlySet<string>,
  now: Date,
): { to: RunState; reason: string } {
  if (run.kind === 'debug') {
    const attached = run.state === 'ATTACHED' || run.state === 'SOAKED' || run.state === 'SUCCEEDED';
    if (!attached) return { to: 'TIMED_OUT', reason: 'its time was up before the device had attached it' };
    const onTime = run.endsAt !== null && run.endsAt <= now;
    return { to: 'ENDED', reason: onTime ? 'its time was up' : 'it was stopped' };
  }
  const successor = items.find((item) => isSameWork(run, item));
  if (successor?.offer?.basis === NO_ROOM.basis)
    return { to: 'SUPERSEDED', reason: 'the device has no room for it any more: another run says why' };
  if (run.basis === NO_ROOM.basis && successor) return { to: 'SUPERSEDED', reason: 'the device has room for it now' };
  if (successor)
    return { to: 'SUPERSEDED', reason: 'more is known of its kernel now: another run says what comes of it' };
  if (replaced.has(run.probe)) return { to: 'SUPERSEDED', reason: 'a newer assignment of the same probe won' };
  return { to: 'REMOVED', reason: 'no assignment asks for it on this device any more' };
}

function entryOf(run: string, item: DesiredItem, addendum: string | undefined): DesiredEntry {
  const { release } = item;
  return {
    run,
    release: release.digest,
    probe: release.probe,
    version: release.version,
    params: { ...item.params },
    budget: release.budget,
    ...(addendum === undefined ? {} : { addendum }),
    leaseSeconds: item.leaseSeconds,
    reason: { kind: item.kind, intent: item.intent },
    ...(item.endsAfterSeconds === undefined ? {} : { endsAfterSeconds: item.endsAfterSeconds }),
  };
}

/** JSON with its keys in order: jsonb gives them back in its own. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
