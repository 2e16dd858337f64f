import type { LiveEvent } from '@bpfleet/api';

export type Key = readonly string[];

/** The query keys (as prefixes) that a live event makes stale; `all` when the server could not tell us everything. */
export function staleKeys(event: LiveEvent): readonly Key[] | 'all' {
  switch (event.type) {
    case 'device':
      return [['devices'], ['device', event.device], ['overview']];
    case 'run':
      return [['runs'], ['run', event.run], ['device', event.device], ['devices'], ['assignments'], ['overview']];
    case 'release':
      return [['probes'], ['releases'], ['release', event.release]];
    case 'assignment':
      return [['assignments'], ['runs'], ['probes']];
    case 'telemetry':
      return [['telemetry', event.device], ['overview']];
    case 'lab':
      // A proof changes what pre-flight says; a kernel that comes up may bring its types with it.
      return event.release === null
        ? [['lab'], ['release'], ['kernels'], ['preflight'], ['kernel-upgrade']]
        : [['lab'], ['release', event.release, 'kernels'], ['preflight'], ['kernel-upgrade']];
    case 'dropped':
      return 'all';
  }
}

/** How long changes of one kind are gathered before they are read again: a busy fleet must not become a busy page. */
export function gatherMs(key: Key): number {
  switch (key[0]) {
    case 'telemetry':
      return 2_000;
    case 'devices':
    case 'overview':
    case 'preflight':
    case 'kernel-upgrade':
      return 3_000;
    default:
      return 250;
  }
}

export interface Timers {
  set(run: () => void, ms: number): void;
}

/** Gathers keys and hands each out once per gathering time. */
export class StaleGatherer {
  private readonly waiting = new Set<string>();

  constructor(
    private readonly invalidate: (key: Key) => void,
    private readonly timers: Timers,
  ) {}

  add(key: Key): void {
    const name = JSON.stringify(key);
    if (this.waiting.has(name)) return;
    this.waiting.add(name);
    this.timers.set(() => {
      this.waiting.delete(name);
      this.invalidate(key);
    }, gatherMs(key));
  }
}
