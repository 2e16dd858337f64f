import { describe, expect, it } from '@jest/globals';
import { ask, like, MIB, proof, type Change } from '../testing/question.js';
import { decide } from './decide.js';

const refusedBy = (sentence: string) => ({
  verdict: 'refused' as const,
  reasons: [{ kind: 'verifier', sentence }],
});
const resolution = (word: 'accepted' | 'refused' | 'unknown', kind: string) => ({
  word,
  reasons: [{ kind, sentence: `${kind}.` }],
});
const noBtf = { showsBtf: false };
const added = { btf: { state: 'added' as const, reason: null } };
const mapOf = (typeName: string) => ({ maps: [{ name: 'm', typeName }] });
const program = (section: string) => ({ programs: [{ name: 'p', section }] });
const newer = new Date('2026-03-02T12:00:00Z');

describe('what a kernel is said to do with a release', () => {
  it.each<[string, Change, RegExp]>([
    ['this very kernel has loaded it', {}, /^This very kernel has loaded it\.$/],
    [
      'one of the same build has',
      { kernel: { id: 'x' } },
      /same build has loaded it: 6\.1\.0-28-arm64 \(arm64, in the lab\)/,
    ],
    [
      'one of the same series has',
      { known: { proofs: [like] } },
      /same series has loaded it: 6\.1\.0-50-arm64 .*; this build was not/,
    ],
    [
      'the server’s own has, of the same build',
      { proof: { by: 'server', groupId: null, jit: undefined, lsm: undefined } },
      /same build .*the server's own/,
    ],
    [
      'it needs no types, whatever is known of them',
      { object: { relocations: 0 }, known: { resolution: undefined, btf: { state: 'wanted', reason: null } } },
      /loaded it/,
    ],
    [
      'a poison was not in the way of this kernel',
      { known: { resolution: resolution('refused', 'poison') } },
      /loaded it/,
    ],
    [
      'nor with the parameters that it was asked with',
      { known: { resolution: resolution('unknown', 'poison') } },
      /loaded it/,
    ],
    ['a feature is used and was tried', { features: 'nobody', object: mapOf('ringbuf') }, /loaded it/],
    ['an array of maps, where the kernel has 64 bits', { object: mapOf('array_of_maps') }, /loaded it/],
    [
      'it fits beside the others exactly',
      { others: { runs: 2, bytes: 126 * MIB, attachedBytes: 126 * MIB } },
      /loaded it/,
    ],
    ['older agents name only what is there', { features: { lacks: undefined } }, /loaded it/],
    [
      'trampolines are known to work',
      { object: program('fentry/x'), features: { features: ['ringbuf', 'fentry'] } },
      /loaded it/,
    ],
    [
      'the newest word of this kernel counts',
      {
        known: {
          proofs: [
            { ...proof, ...refusedBy('old') },
            { ...proof, at: newer },
          ],
        },
      },
      /loaded it/,
    ],
    [
      'it has loaded it, though one of its series has not',
      { known: { proofs: [proof, { ...like, ...refusedBy('no') }] } },
      /This very kernel/,
    ],
    [
      'the same where it was loaded by a tailored BTF',
      { kernel: noBtf, known: { ...added, addendum: true, resolution: resolution('unknown', 'poison') } },
      /loaded it/,
    ],
    [
      'a tailored BTF is signed',
      { kernel: noBtf, known: { ...added, addendum: true } },
      /^This very kernel has loaded it\.$/,
    ],
  ])('takes: %s', (_, change, sentence) => {
    const answer = decide(ask(change));
    expect([answer.verdict, answer.reasons.map((reason) => reason.sentence).join(' ')]).toEqual([
      'takes',
      expect.stringMatching(sentence),
    ]);
  });

  it.each<[string, Change, RegExp]>([
    [
      'a kernel before the oldest tested',
      { kernel: { kernelRelease: '4.19.0-21-armmp' } },
      /4\.19.* nothing before 5\.10/,
    ],
    [
      'no object for its architecture',
      { release: { object: undefined, arches: ['x86_64'] } },
      /objects for x86_64, and none for arm64/,
    ],
    ['a feature that is missing', { release: { features: ['tcx'] } }, /lacks tcx/],
    [
      'a feature that an old agent does not name',
      { release: { features: ['x'] }, features: { lacks: undefined } },
      /lacks x/,
    ],
    [
      'BTF that is required, and not shown',
      { kernel: noBtf, release: { features: ['btf'] }, known: added },
      /lacks btf/,
    ],
    ['a type of map that is missing', { object: mapOf('arena'), features: { lacks: ['arena'] } }, /map of type arena/],
    [
      'a hook that is missing',
      { object: program('kprobe/x'), features: { lacks: ['kprobes'] } },
      /kprobe\/x\) needs kprobes/,
    ],
    ['fentry that cannot attach', { object: program('fentry/x'), features: { lacks: ['fentry'] } }, /needs fentry/],
    [
      'a uprobe where 32-bit programs run on an ARM64 kernel',
      { kernel: { userBits: 32 }, object: program('uprobe/libc.so.6:malloc') },
      /^Program p \(uprobe\/libc\.so\.6:malloc\) would see nothing: ARM64 kernels pass 32-bit programs by/,
    ],
    ['a USDT there', { kernel: { userBits: 32 }, object: program('usdt/a:b:c') }, /would see nothing/],
    [
      'a hook of socket options there, whatever that very kernel has loaded',
      { kernel: { userBits: 32 }, proof: { userBits: 32 }, object: program('cgroup/setsockopt') },
      /64-bit callers only/,
    ],
    [
      'an array of maps on a 32-bit kernel',
      { kernel: { kernelArch: 'arm', userBits: 32 }, object: mapOf('array_of_maps') },
      /^Map m \(array_of_maps\) would hold the wrong maps/,
    ],
    ['maps over the budget', { machine: { cpus: 5, possibleCpus: undefined } }, /5120 KiB.*budget is 4096 KiB/],
    [
      'maps over the budget, on large pages',
      { kernel: { pageBytes: 65_536 }, machine: { possibleCpus: 5 } },
      /5120 KiB on this machine with pages of 64 KiB/,
    ],
    ['maps over the budget, by CPUs that may come', { machine: { possibleCpus: 5 } }, /5120 KiB/],
    [
      'maps over what the machine has for them',
      { machine: { memoryBytes: 24 * MIB } },
      /24576 KiB of memory .* 1536 KiB/,
    ],
    [
      'maps over what the machine has for those of all probes',
      { others: { runs: 9, bytes: 130 * MIB, attachedBytes: 127 * MIB } },
      /take 2048 KiB beside the 133120 KiB of 9 other runs, together 135168 KiB; .* 524288 KiB .* have 131072 KiB\.$/,
    ],
    ['a relocation that libbpf refuses', { known: { resolution: resolution('refused', 'refusal') } }, /^refusal\.$/],
    [
      'a read of another size, which would load',
      { known: { resolution: resolution('refused', 'read_size') } },
      /^The server refuses it/,
    ],
    [
      'a field that is gone, by constants alone',
      { known: { resolution: resolution('refused', 'poison'), proofs: [] } },
      /^poison\.$/,
    ],
    [
      'the same where no BTF is shown: it is not offered',
      { kernel: noBtf, known: { ...added, resolution: resolution('refused', 'poison') } },
      /^poison\.$/,
    ],
    [
      'a hook by type id where no BTF is shown',
      { kernel: noBtf, object: { typeIdNeeds: ['It attaches by BTF.'] }, known: added },
      /It attaches by BTF\. This kernel shows none\./,
    ],
    [
      'the same without a relocation, and without types',
      {
        kernel: noBtf,
        object: { relocations: 0, typeIdNeeds: ['It attaches by BTF.'] },
        known: { resolution: undefined, btf: { state: 'missing', reason: null } },
      },
      /This kernel shows none/,
    ],
    [
      'relocations where there is no BTF at all',
      { kernel: noBtf, known: { btf: { state: 'missing', reason: null }, resolution: undefined } },
      /bpfleet btf add/,
    ],
    [
      'no BTF and no build id',
      { kernel: { ...noBtf, kernelBuildId: null }, known: added },
      /neither BTF nor a build id/,
    ],
    [
      'no BTF and an agent that takes none',
      { kernel: noBtf, machine: { takesAddenda: false }, known: added },
      /too old/,
    ],
    [
      'a field that is gone, though a module may have a type that is not there either',
      {
        known: {
          resolution: {
            word: 'refused',
            reasons: [
              { kind: 'type_elsewhere', sentence: 'x.' },
              { kind: 'poison', sentence: 'gone.' },
            ],
          },
          proofs: [],
        },
      },
      /^gone\.$/,
    ],
    ['what this kernel said', { proof: refusedBy('R1 is invalid') }, /^This kernel refused it: R1 is invalid\.$/],
    ['what its build said', { kernel: { id: 'x' }, proof: refusedBy('no') }, /This kernel refused it: no\./],
  ])('refuses: %s', (_, change, sentence) => {
    const answer = decide(ask(change));
    expect([answer.verdict, answer.reasons.map((reason) => reason.sentence).join(' ')]).toEqual([
      'refuses',
      expect.stringMatching(sentence),
    ]);
  });

  it.each<[string, Change, RegExp]>([
    [
      'a kernel that is older than any tested on its architecture, whatever it has loaded',
      {
        kernel: { kernelRelease: '5.15.1-armmp', kernelArch: 'arm', userBits: 32 },
        proof: { kernelRelease: '5.15.1-armmp', kernelArch: 'arm', userBits: 32 },
      },
      /^Its kernel is 5\.15\.1-armmp, and probes are not tested on armv7 before 6\.1\. This very kernel has loaded it\.$/,
    ],
    ['nobody has asked a kernel', { known: { proofs: [] } }, /only resolution is claimed\.$/],
    [
      'it hardens what its JIT makes, which no other kernel does unless told',
      { kernel: { id: 'x', jit: 'hardened' } },
      /only resolution is claimed\. It hardens .* --cmdline "sysctl\.net\.core\.bpf_jit_harden=1"\.$/,
    ],
    [
      'nobody could read whether its JIT is on',
      { kernel: { id: 'x', jit: null } },
      /only resolution is claimed\. Its agent could not read .* run the agent in the network of its host/,
    ],
    [
      'not even the server’s own',
      { known: { proofs: [], unproven: 'no BPF here' } },
      /claimed \(the server's own kernel: no BPF here\)/,
    ],
    [
      'another series was asked',
      { known: { proofs: [{ ...like, kernelRelease: '6.12.1' }] } },
      /only resolution is claimed/,
    ],
    ['another architecture was', { known: { proofs: [{ ...like, kernelArch: 'arm' }] } }, /only resolution/],
    ['64-bit programs were', { kernel: { id: 'x', userBits: 32 } }, /only resolution/],
    ['it was with the JIT on', { kernel: { id: 'x', jit: 'off' } }, /only resolution/],
    [
      'so was the server’s, in all likelihood',
      { kernel: { jit: 'off' }, proof: { by: 'server', groupId: null, jit: undefined, lsm: undefined } },
      /only resolution/,
    ],
    [
      'other security modules refused it',
      { kernel: { id: 'x', lsm: ['bpf'] }, proof: refusedBy('no') },
      /of the same series, refused it: no\./,
    ],
    [
      'one of its series refused it',
      { known: { proofs: [{ ...like, ...refusedBy('too complex') }] } },
      /6\.1\.0-50-arm64 .*refused it: too complex/,
    ],
    [
      'kernels of its series do not agree',
      { known: { proofs: [like, { ...like, groupId: 'c', ...refusedBy('no') }] } },
      /refused it/,
    ],
    [
      'the lab could not say',
      { proof: { verdict: 'unknown', reasons: [{ kind: 'timeout', sentence: 'it took too long' }] } },
      /took too long\./,
    ],
    [
      'the lab could not say, whatever its series did',
      { known: { proofs: [{ ...proof, verdict: 'unknown' }, like] } },
      /could not say/,
    ],
    [
      'its types are on their way',
      { known: { resolution: undefined, btf: { state: 'fetching', reason: null } } },
      /types yet;/,
    ],
    [
      'its types cannot be taken',
      { known: { resolution: undefined, btf: { state: 'refused', reason: 'damaged' } } },
      /could not take .*\(damaged\)/,
    ],
    ['nobody has looked yet', { known: { resolution: { word: 'pending' } } }, /being looked at/],
    [
      'and no kernel was asked',
      { known: { resolution: resolution('unknown', 'poison'), proofs: [] } },
      /A parameter may/,
    ],
    [
      'a type that only a module may have, whatever the modules of the lab have',
      { known: { resolution: resolution('unknown', 'type_elsewhere') } },
      /^type_elsewhere\. Only where a module has it .* This very kernel/,
    ],
    [
      'whether it fits beside what is not attached yet',
      { others: { runs: 1, bytes: 127 * MIB, attachedBytes: 126 * MIB } },
      /of 1 other run, together 132096 KiB.* only if not all of those attach/,
    ],
    [
      'a uprobe, whatever kernel has loaded it: a file of the device decides',
      { object: program('uprobe/libc.so.6:malloc') },
      /^Program p \(uprobe\/libc\.so\.6:malloc\) attaches only where the device has that file, .* This very kernel/,
    ],
    ['its object is gone', { release: { object: 'unreadable' } }, /cannot be read any more/],
    [
      'a feature that nobody was asked about',
      { release: { features: ['new_thing'] } },
      /Nobody has told whether it has new_thing/,
    ],
    [
      'a feature on a kernel that no agent runs on',
      { release: { features: ['tcx'] }, features: 'nobody' },
      /Nobody has told whether it has tcx/,
    ],
    [
      'trampolines on ARM64 before 6.4',
      { object: program('fentry/x'), features: 'nobody' },
      /may load and still not attach/,
    ],
    [
      'the same with a sleepable LSM hook',
      { kernel: { lsm: ['bpf'] }, object: program('lsm.s/file_open') },
      /may load and still not attach/,
    ],
    [
      'an agent that was told to leave the kernel alone',
      { features: { features: [], lacks: [] }, release: { features: [] } },
      /leave the kernel alone/,
    ],
    [
      'of the kernel only the types are known, and a hook needs them shown',
      {
        kernel: { id: null, showsBtf: undefined },
        object: { typeIdNeeds: ['It attaches by BTF.'] },
        known: { proofs: [like] },
      },
      /Nobody has told whether this kernel shows it/,
    ],
  ])('does not know: %s', (_, change, sentence) => {
    const answer = decide(ask(change));
    expect([answer.verdict, answer.reasons.map((reason) => reason.sentence).join(' ')]).toEqual([
      'unknown',
      expect.stringMatching(sentence),
    ]);
  });

  it('says everything that is certain, and nothing that is not beside it', () => {
    const change = { kernel: { kernelRelease: '5.4.0' }, release: { features: ['tcx', 'new_thing'] } };
    const answer = decide(ask(change));
    expect(answer.reasons.map(({ kind }) => kind)).toEqual(['kernel_too_old', 'feature']);
  });

  it('says that the BTF made for a kernel awaits its signature, beside what is else to say', () => {
    const answer = decide(ask({ kernel: noBtf, known: added }));
    expect(answer).toMatchObject({ verdict: 'takes', types: 'awaiting_signature' });
    expect(answer.reasons.map(({ kind }) => kind)).toEqual(['proven', 'awaiting_signature']);
  });

  it('tells which kernel proved it, and when', () => {
    expect(decide(ask({ known: { proofs: [like] } })).proof).toEqual({
      closeness: 'same_series',
      kernelRelease: like.kernelRelease,
      kernelArch: 'arm64',
      by: 'lab',
      at: like.at.toISOString(),
    });
    expect(decide(ask({ known: { proofs: [{ ...proof, ...refusedBy('no') }, like] } })).proof).toBeNull();
  });

  it('lists at most ten reasons, each once', () => {
    const reasons = Array.from({ length: 30 }, (_, index) => ({ kind: 'refusal', sentence: `no ${index % 15}.` }));
    const answer = decide(ask({ known: { resolution: { word: 'refused', reasons } } }));
    expect(answer.reasons).toHaveLength(10);
  });
});
