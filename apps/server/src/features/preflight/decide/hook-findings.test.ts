import { describe, expect, it } from '@jest/globals';
import { ask, like, proof, type Change } from '../testing/question.js';
import { decide } from './decide.js';
import { hookOf } from './hook-findings.js';

const program = (section: string) => ({ programs: [{ name: 'p', section }] });
const gone = { kind: 'function', name: 'gone' } as const;
const lost = { kind: 'tracepoint', name: 'lost' } as const;

describe('hookOf', () => {
  it.each([
    ['kprobe/do_unlinkat', { kind: 'function', name: 'do_unlinkat' }],
    ['?kretprobe/f.isra.0+0x10', { kind: 'function', name: 'f.isra.0' }],
    ['raw_tp/sched_switch', { kind: 'tracepoint', name: 'sched_switch' }],
    ['raw_tracepoint.w/x', { kind: 'tracepoint', name: 'x' }],
    ['tp/sched/sched_switch', { kind: 'tracepoint', name: 'sched_switch' }],
    ['tracepoint/syscalls/sys_enter_openat', undefined],
    ['kprobe.multi/tcp_*', undefined],
    ['kprobe', undefined],
    ['tp', undefined],
    ['fentry/do_unlinkat', undefined],
    ['uprobe/libc.so.6:f', undefined],
  ])('of %s', (section, hook) => expect(hookOf(section)).toEqual(hook));
});

it.each<[string, 'takes' | 'unknown', Change, RegExp]>([
  [
    'a kernel of its series has loaded it, and its own types do not name the function',
    'unknown',
    { object: program('kprobe/gone'), known: { proofs: [like], unnamedHooks: [gone] } },
    /^Program p \(kprobe\/gone\) may load and still not attach: this kernel's types name no function gone; .* module\. A kernel of the same series/,
  ],
  [
    'nor the tracepoint',
    'unknown',
    { object: program('raw_tp/lost'), known: { proofs: [like], unnamedHooks: [lost] } },
    /name no tracepoint lost; it may be of a module/,
  ],
  [
    'they do',
    'takes',
    { object: program('kprobe/there'), known: { proofs: [like], unnamedHooks: [gone] } },
    /same series/,
  ],
  [
    'what is missing has the name of a hook of another kind',
    'takes',
    { object: program('raw_tp/gone'), known: { proofs: [like], unnamedHooks: [gone] } },
    /same series/,
  ],
  [
    'nobody has looked at its types',
    'unknown',
    { object: program('kprobe/f'), known: { proofs: [like], unnamedHooks: undefined } },
    /attaches to the function f, and nobody has looked whether this build has it/,
  ],
  [
    'nobody has looked, for a tracepoint, which one series seldom loses',
    'takes',
    { object: program('raw_tp/x'), known: { proofs: [like], unnamedHooks: undefined } },
    /same series/,
  ],
  [
    'this very kernel was looked at, whose symbols say more than its types',
    'takes',
    { object: program('kprobe/gone'), known: { proofs: [proof], unnamedHooks: [gone] } },
    /This very kernel/,
  ],
  [
    'the same with other parameters, which change no hook',
    'takes',
    {
      object: program('kprobe/gone'),
      release: { changedParams: ['old'], params: { old: 1 }, globals: 'tuned' },
      known: { proofs: [proof, { ...like, globals: 'tuned' }], unnamedHooks: [gone] },
    },
    /same series/,
  ],
  [
    'the server’s own kernel has loaded it, which may not have seen its hooks',
    'unknown',
    {
      object: program('kprobe/gone'),
      known: { proofs: [{ ...proof, by: 'server', groupId: null }], unnamedHooks: [gone] },
    },
    /name no function gone.* A kernel of the same build has loaded it/,
  ],
  [
    'this very kernel could not say, and one of its series has loaded it with these parameters',
    'unknown',
    {
      object: program('kprobe/gone'),
      release: { changedParams: ['old'], params: { old: 1 }, globals: 'tuned' },
      known: {
        proofs: [
          { ...proof, verdict: 'unknown' },
          { ...like, globals: 'tuned' },
        ],
        unnamedHooks: [gone],
      },
    },
    /name no function gone/,
  ],
  [
    'the lab has looked at this build, whatever else the server’s own kernel said later',
    'takes',
    {
      object: program('kprobe/gone'),
      known: {
        proofs: [proof, { ...proof, by: 'server', groupId: null, at: new Date('2026-04-01') }],
        unnamedHooks: [gone],
      },
    },
    /This very kernel/,
  ],
  ...['tp/syscalls/sys_enter_openat', '?ksyscall/openat', 'kretsyscall/openat', 'kretprobe.multi/tcp_*'].flatMap(
    (section): [string, 'takes' | 'unknown', Change, RegExp][] => [
      [
        `a kernel of its series has loaded it, and types do not tell of ${section}`,
        'unknown',
        { object: program(section), known: { proofs: [like] } },
        /attaches to what types do not tell of.* A kernel of the same series/,
      ],
      [`this very kernel was asked, with ${section}`, 'takes', { object: program(section) }, /This very kernel/],
    ],
  ),
  [
    'nothing was loaded anywhere',
    'unknown',
    { object: program('kprobe/gone'), known: { proofs: [], unnamedHooks: [gone] } },
    /name no function gone.* only resolution is claimed/,
  ],
])('%s: %s', (_, verdict, change, told) => {
  const answer = decide(ask(change));
  expect([answer.verdict, answer.reasons.map(({ sentence }) => sentence).join(' ')]).toEqual([
    verdict,
    expect.stringMatching(told),
  ]);
});
