import type { Run, RunState } from '@bpfleet/api';

export type Tone = 'ok' | 'busy' | 'bad' | 'held' | 'over';

const tones: Record<RunState, Tone> = {
  PENDING: 'busy',
  OFFERED: 'busy',
  ACCEPTED: 'busy',
  FETCHING: 'busy',
  VERIFYING: 'busy',
  LOADED: 'busy',
  ATTACHED: 'ok',
  SOAKED: 'ok',
  SUCCEEDED: 'ok',
  REJECTED: 'bad',
  FAILED: 'bad',
  TIMED_OUT: 'bad',
  SUSPECT_CRASH: 'bad',
  DEFERRED: 'held',
  ENDED: 'over',
  REMOVED: 'over',
  SUPERSEDED: 'over',
  ROLLED_BACK: 'over',
};

export function runTone(state: RunState): Tone {
  return tones[state];
}

/** Nothing more will happen to it. A deferred run starts when its device comes back, so it is not over. */
export function isOver(run: Pick<Run, 'state' | 'endedAt'>): boolean {
  const tone = runTone(run.state);
  return run.endedAt !== null || tone === 'over' || tone === 'bad';
}

const toneColors: Record<Tone, string> = { ok: 'teal', busy: 'blue', bad: 'red', held: 'yellow', over: 'gray' };

export function toneColor(tone: Tone): string {
  return toneColors[tone];
}
