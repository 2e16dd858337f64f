import type { DesiredEntry } from '@bpfleet/trust';
import type { ReportedRunState } from '@bpfleet/wire';
import { secondsSince, type BootPoint } from './lease.js';

/** One run as this device has it, whether or not anything of it is in the kernel. */
export interface ActualRun {
  readonly entry: DesiredEntry;
  readonly state: ReportedRunState;
  /** An action that is under way: a start may be cut short by a stop, a stop is left alone. */
  readonly busy: 'start' | 'stop' | undefined;
  /** Something of it is in the kernel. */
  readonly live: boolean;
  /** Of FAILED: when it may be tried again; undefined is never with this entry. */
  readonly retryAt: BootPoint | undefined;
  /** It was stopped or refused for its budget: another budget is a new chance, which it is not after a verifier's no. */
  readonly budgetRefused: boolean;
  /** The kernel that refused it. A refusal says nothing about another kernel. */
  readonly kernel: string;
  readonly firstAttach: BootPoint | undefined;
}

export interface Limits {
  readonly now: BootPoint;
  readonly kernel: string;
  /** Seconds since the last word from the server, on CLOCK_BOOTTIME. */
  readonly leaseElapsedSeconds: number;
  /** The device went down so often that nothing is to be attached for now. */
  readonly held: boolean;
}

export type StopReason = 'REMOVED' | 'ENDED' | 'LEASE_LAPSED';

export type Action =
  | { readonly kind: 'stop'; readonly run: string; readonly reason: StopReason }
  | { readonly kind: 'start'; readonly entry: DesiredEntry }
  /** Budget, lease or reason changed: nothing in the kernel has to. */
  | { readonly kind: 'update'; readonly entry: DesiredEntry };

/**
 * What to do so that the device runs what it should. Pure: the same arguments give the same actions, and once these have
 * been carried out there are none. Stops come first, since they free hooks and budget for what starts.
 */
export function reconcile(
  desired: readonly DesiredEntry[],
  actual: ReadonlyMap<string, ActualRun>,
  limits: Limits,
): Action[] {
  const wanted = new Map(desired.map((entry) => [entry.run, entry]));
  const stops: Action[] = [];
  for (const [run, have] of actual) {
    if (!wanted.has(run) && have.state !== 'REMOVED' && have.busy !== 'stop')
      stops.push({ kind: 'stop', run, reason: 'REMOVED' });
  }
  const rest: Action[] = [];
  for (const [run, entry] of wanted) {
    const have = actual.get(run);
    const action = have ? actionFor(entry, have, limits) : startIfMay(entry, limits);
    if (action) (action.kind === 'stop' ? stops : rest).push(action);
  }
  return [...stops, ...rest];
}

function actionFor(entry: DesiredEntry, have: ActualRun, limits: Limits): Action | undefined {
  if (have.busy === 'stop') return undefined;
  if (have.state !== 'ENDED' && isOver(entry, have, limits)) return { kind: 'stop', run: entry.run, reason: 'ENDED' };
  if (have.live && lapsed(entry, limits)) return { kind: 'stop', run: entry.run, reason: 'LEASE_LAPSED' };
  if (have.busy !== undefined) return undefined;
  if (!sameProgram(entry, have.entry) || have.state === 'REMOVED') return startIfMay(entry, limits);
  if (shouldStart(have, limits)) return startIfMay(entry, limits);
  if (sameTerms(entry, have.entry)) return undefined;
  return have.budgetRefused && !have.live ? startIfMay(entry, limits) : { kind: 'update', entry };
}

function shouldStart(have: ActualRun, limits: Limits): boolean {
  if (have.live) return false;
  switch (have.state) {
    case 'ENDED':
    case 'SUSPECT_CRASH':
      return false;
    case 'REJECTED':
      return have.kernel !== limits.kernel;
    case 'FAILED':
      return have.retryAt !== undefined && isDue(have.retryAt, limits.now);
    default:
      // Any state on the way, with nothing in the kernel and nothing under way: what the last agent left unfinished.
      return true;
  }
}

function isDue(at: BootPoint, now: BootPoint): boolean {
  return at.bootId !== now.bootId || now.seconds >= at.seconds;
}

function isOver(entry: DesiredEntry, have: ActualRun, limits: Limits): boolean {
  if (entry.endsAfterSeconds === undefined || have.firstAttach === undefined) return false;
  return secondsSince(have.firstAttach, limits.now) >= entry.endsAfterSeconds;
}

function lapsed(entry: DesiredEntry, limits: Limits): boolean {
  return limits.leaseElapsedSeconds > entry.leaseSeconds;
}

function startIfMay(entry: DesiredEntry, limits: Limits): Action | undefined {
  return limits.held || lapsed(entry, limits) ? undefined : { kind: 'start', entry };
}

/** The same code with the same parameters, reading the kernel by the same types. */
export function sameProgram(a: DesiredEntry, b: DesiredEntry): boolean {
  const keys = Object.keys(a.params);
  return (
    a.release === b.release &&
    a.addendum === b.addendum &&
    keys.length === Object.keys(b.params).length &&
    keys.every((key) => a.params[key] === b.params[key])
  );
}

export function sameTerms(a: DesiredEntry, b: DesiredEntry): boolean {
  return (
    a.leaseSeconds === b.leaseSeconds &&
    a.endsAfterSeconds === b.endsAfterSeconds &&
    a.budget.cpuPercent === b.budget.cpuPercent &&
    a.budget.mapBytes === b.budget.mapBytes &&
    a.budget.eventsPerSecond === b.budget.eventsPerSecond &&
    a.reason.kind === b.reason.kind &&
    a.reason.intent === b.reason.intent
  );
}
