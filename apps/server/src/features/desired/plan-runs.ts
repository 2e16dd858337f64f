import type { RunState } from '@bpfleet/api';
import type { DesiredEntry } from '@bpfleet/trust';
import { isFinal } from '../runs/index.js';
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
}

export interface RunPlan {
  readonly entries: readonly DesiredEntry[];
  readonly create: readonly { readonly id: string; readonly item: DesiredItem }[];
  /** Runs that go on under another intent. */
  readonly adopt: readonly { readonly id: string; readonly intent: string }[];
  readonly retire: readonly { readonly run: WantedRun; readonly to: RunState; readonly reason: string }[];
}

/**
 * Gives each item its run. A run keeps its id while release and parameters are the same, whoever asks for it; a run that
 * is over is asked for again only by a new intent, so that what a device cannot run is not offered for ever under new names.
 */
export function planRuns(
  items: readonly DesiredItem[],
  wanted: readonly WantedRun[],
  now: Date,
  mintRunId: () => string,
): RunPlan {
  const left = new Map(wanted.map((run) => [run.id, run]));
  const create: { id: string; item: DesiredItem }[] = [];
  const adopt: { id: string; intent: string }[] = [];
  const entries = items.map((item) => {
    const run = item.run === undefined ? matching(item, left.values()) : left.get(item.run);
    const id = run?.id ?? item.run ?? mintRunId();
    if (!run) create.push({ id, item });
    else if (run.intent !== item.intent && run.kind === 'assignment') adopt.push({ id, intent: item.intent });
    left.delete(id);
    return entryOf(id, item);
  });
  const replaced = new Set(items.filter(({ kind }) => kind === 'assignment').map(({ release }) => release.probe));
  const retire = [...left.values()].map((run) => ({ run, ...fateOf(run, replaced, now) }));
  return { entries, create, adopt, retire };
}

function matching(item: DesiredItem, runs: Iterable<WantedRun>): WantedRun | undefined {
  for (const run of runs) {
    if (run.kind !== 'assignment' || run.releaseId !== item.release.id) continue;
    if (canonical(run.params) !== canonical(item.params)) continue;
    if (run.intent === item.intent || !isFinal(run.state)) return run;
  }
  return undefined;
}

function fateOf(run: WantedRun, replaced: ReadonlySet<string>, now: Date): { to: RunState; reason: string } {
  if (run.kind === 'debug') {
    const attached = run.state === 'ATTACHED' || run.state === 'SOAKED' || run.state === 'SUCCEEDED';
    if (!attached) return { to: 'TIMED_OUT', reason: 'its time was up before the device had attached it' };
    const onTime = run.endsAt !== null && run.endsAt <= now;
    return { to: 'ENDED', reason: onTime ? 'its time was up' : 'it was stopped' };
  }
  if (replaced.has(run.probe)) return { to: 'SUPERSEDED', reason: 'a newer assignment of the same probe won' };
  return { to: 'REMOVED', reason: 'no assignment asks for it on this device any more' };
}

function entryOf(run: string, item: DesiredItem): DesiredEntry {
  const { release } = item;
  return {
    run,
    release: release.digest,
    probe: release.probe,
    version: release.version,
    params: { ...item.params },
    budget: release.budget,
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
