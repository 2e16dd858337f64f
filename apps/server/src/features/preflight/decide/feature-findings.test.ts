import { expect, it } from '@jest/globals';
import { ask, proof, type Change } from '../testing/question.js';
import { decide } from './decide.js';

const program = (section: string) => ({ programs: [{ name: 'p', section }] });
const board = { kernelArch: 'arm', userBits: 32 } as const;
const hasTcx = { lacks: [], features: ['tcx', 'ringbuf'] };
const untold = { lacks: [] };

it.each<[string, 'takes' | 'refuses' | 'unknown', Change, RegExp]>([
  [
    'a hook that agents do not attach',
    'refuses',
    { object: program('sk_msg') },
    /^Program p \(sk_msg\) is of a type that agents do not/,
  ],
  ['an action of tc', 'refuses', { object: program('action') }, /of a type that agents do not attach/],
  [
    'tc where there are no tcx links',
    'refuses',
    { object: program('tc') },
    /^Program p \(tc\) needs tcx, which this kernel does not have: it came with Linux 6\.6, and .* outlive/,
  ],
  ['tc where there are', 'takes', { object: program('tcx/egress'), features: hasTcx }, /loaded it/],
  [
    'tc where nobody has told, on an old kernel',
    'unknown',
    { object: program('classifier'), features: untold },
    /^Program p \(classifier\) needs tcx: it came with Linux 6\.6, .*; nobody has told\. This very kernel has loaded it/,
  ],
  [
    'tc where nobody has told, on a kernel that is new enough',
    'takes',
    { kernel: { kernelRelease: '6.6.1' }, object: program('tc'), features: untold },
    /loaded it/,
  ],
  [
    'an LSM hook where the trampolines of ARM64 before 6.4 were tried in vain',
    'refuses',
    { kernel: { lsm: ['bpf'] }, object: program('lsm/path_unlink'), features: { lacks: ['fentry'] } },
    /^Program p \(lsm\/path_unlink\) loads and is attached as fentry is, which was tried on this kernel and fails\.$/,
  ],
  [
    'an LSM hook where BPF is not among the security modules, which the kernel itself says',
    'refuses',
    { object: program('lsm/path_unlink'), features: 'nobody' },
    /^Program p \(lsm\/path_unlink\) needs active_bpf_lsm, which this kernel does not have\.$/,
  ],
  [
    'an LSM hook where the kernel has no such type of program',
    'refuses',
    { kernel: { lsm: ['bpf'] }, object: program('lsm/path_unlink'), features: { lacks: ['lsm'] } },
    /needs lsm, which/,
  ],
  [
    'the same where every kernel has them, and something else may have been in the way',
    'unknown',
    {
      kernel: { kernelRelease: '6.12.1', lsm: ['bpf'] },
      object: program('lsm/path_unlink'),
      features: { lacks: ['fentry'] },
    },
    /may load and still not attach/,
  ],
  [
    'a uprobe on 32-bit ARM, where it may be Thumb code, whatever has been loaded',
    'unknown',
    { kernel: board, proof: board, object: program('uretprobe/libc.so.6:malloc') },
    /^Program p \(uretprobe\/libc\.so\.6:malloc\) attaches only where that is ARM code on the device.* has loaded it/,
  ],
  [
    'a USDT there',
    'unknown',
    { kernel: board, proof: board, object: program('usdt/a:b:c') },
    /attaches only where that is ARM code/,
  ],
  ['a kprobe there', 'takes', { kernel: board, proof: board, object: program('kprobe/x') }, /loaded it/],
])('%s: %s', (_, verdict, change, told) => {
  const answer = decide(ask({ ...change, proof: { ...proof, ...change.proof } }));
  expect([answer.verdict, answer.reasons.map(({ sentence }) => sentence).join(' ')]).toEqual([
    verdict,
    expect.stringMatching(told),
  ]);
});
