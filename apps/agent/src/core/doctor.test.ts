import { expect, it } from '@jest/globals';
import { doctorText, judgeTrials, type Trial } from './doctor.js';

const works = (group: Trial['group'], name: string): Trial => ({ group, name, works: true, missing: [] });
const lacks = (group: Trial['group'], name: string, ...missing: string[]): Trial => ({
  ...{ group, name, works: false, missing, detail: 'EPERM' },
});
const MADE = [works('feature', 'map'), works('feature', 'ring_buffer')];

it('lets an agent work with anything that can be attached, and says that something cannot', () => {
  const { canWork, verdict } = judgeTrials(
    [works('attach', 'raw_tp'), lacks('attach', 'lsm', 'kernel 6.4'), ...MADE],
    undefined,
  );
  expect(canWork).toBe(true);
  expect(verdict).toContain('1 of 4 things');
  expect(judgeTrials([works('attach', 'raw_tp'), ...MADE], undefined).verdict).toContain(
    'everything that was tried works',
  );
});

it.each<[string, Trial[], string]>([
  [
    'maps',
    [works('attach', 'raw_tp'), lacks('feature', 'map', 'CAP_BPF')],
    'no map can be made; run it as root or give it CAP_BPF',
  ],
  [
    'a place for events',
    [works('attach', 'raw_tp'), lacks('feature', 'ring_buffer', 'kernel 5.8')],
    'no ring buffer can be made; it needs kernel 5.8',
  ],
  [
    'programs',
    [lacks('attach', 'raw_tp', 'CAP_BPF', 'CAP_PERFMON'), ...MADE],
    'no program can be attached; run it as root or give it CAP_BPF, CAP_PERFMON',
  ],
  ['a reason', [lacks('attach', 'raw_tp'), ...MADE], 'no program can be attached (EPERM)'],
])('does not without %s, and says what to do', (_, trials, sentence) => {
  const { canWork, verdict } = judgeTrials(trials, undefined);
  expect([canWork, verdict]).toEqual([
    false,
    `the agent cannot work here: ${sentence}`.replace(/(CAP_BPF(?:, CAP_PERFMON)?)$/, '$1, as its systemd unit does'),
  ]);
});

it('refuses a kernel that is too old, whatever works on it', () => {
  expect(judgeTrials([works('attach', 'raw_tp'), ...MADE], 'too old')).toEqual({ canWork: false, verdict: 'too old' });
});

it('prints a line for each trial', () => {
  const text = doctorText({
    ...{ format: 1, kernel: '6.1.0', machine: 'armv7l', user: 993, capabilities: [], settings: { JIT: '0' } },
    ...{
      trials: [works('attach', 'raw_tp'), lacks('attach', 'kprobe', 'CAP_PERFMON')],
      canWork: true,
      verdict: 'well',
    },
  });
  expect(text).toContain('user          993, no capabilities that count\nJIT           0\n');
  expect(text).toContain('  + raw_tp  works\n  - kprobe  needs CAP_PERFMON\n');
  expect(text).toMatch(/\nwell\.\n$/);
});
