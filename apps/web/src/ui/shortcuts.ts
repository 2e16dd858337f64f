export interface Shortcut {
  keys: string;
  does: string;
}

/** Second key after `g`, and the page it goes to. */
export const goTo: Readonly<Record<string, { to: string; does: string }>> = {
  d: { to: '/devices', does: 'Devices' },
  p: { to: '/probes', does: 'Probes' },
  n: { to: '/publish', does: 'Publish a probe' },
  a: { to: '/assignments', does: 'Assignments' },
  r: { to: '/debug', does: 'Debug runs' },
  l: { to: '/audit', does: 'Audit log' },
  s: { to: '/settings', does: 'Settings' },
};

export const shortcuts: readonly Shortcut[] = [
  { keys: '/', does: 'Go to the search field' },
  ...Object.entries(goTo).map(([key, { does }]) => ({ keys: `g ${key}`, does })),
  { keys: 'j k', does: 'Next and previous row of a table' },
  { keys: 'Enter', does: 'Open the row' },
  { keys: 't', does: 'Light or dark' },
  { keys: '?', does: 'This list' },
];

export type ShortcutAction = { type: 'go'; to: string } | { type: 'search' } | { type: 'help' } | { type: 'scheme' };

/** How long after `g` the second key counts. */
const sequenceMs = 1_200;

/** Turns keys into actions; keeps the `g` of a sequence between calls. */
export function shortcutReader(): (key: string, nowMs: number) => ShortcutAction | 'waiting' | undefined {
  let goSince = Number.NEGATIVE_INFINITY;
  return (key, nowMs) => {
    const afterGo = nowMs - goSince <= sequenceMs;
    goSince = Number.NEGATIVE_INFINITY;
    if (afterGo) {
      const target = goTo[key];
      return target && { type: 'go', to: target.to };
    }
    if (key === 'g') {
      goSince = nowMs;
      return 'waiting';
    }
    if (key === '/') return { type: 'search' };
    if (key === '?') return { type: 'help' };
    return key === 't' ? { type: 'scheme' } : undefined;
  };
}
