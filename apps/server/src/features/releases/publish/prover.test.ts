import { describe, expect, it } from '@jest/globals';
import { verdictSchema, type User } from '@bpfleet/api';
import { parseManifest } from '@bpfleet/probe';
import type { Config } from '../../../config/config.js';
import { FixedClock } from '../../../platform/clock.js';
import { JailError, ProveError, type VerifierReport } from '../../../verify/index.js';
import type { CheckedObject } from './check-objects.js';
import { archOfMachine, hostArch } from './host-arch.js';
import { Prover } from './prover.js';
import type { VerifyTools } from './verify-tools.js';

const clock = new FixedClock(new Date('2026-03-01T12:00:00.000Z'));
const manifest = parseManifest('name: proven\nversion: 1.0.0\nsummary: a test\n');
const object = (arch: CheckedObject['arch']): CheckedObject => ({
  arch,
  bytes: Buffer.from('not read by a jail that answers by itself'),
  object: { globals: [], dataSections: [] } as unknown as CheckedObject['object'],
});

/** A jail that answers what a test wants: the real one is tested in verify/, and with this class in publish.kernel.test. */
function proverOver(prove: () => Promise<VerifierReport>, proveOnHost: Config['proveOnHost'] = 'admins'): Prover {
  const lintPolicy = async () => ({ isKernelType: (name: string) => name === 'task_struct' });
  return new Prover({ proveJail: { prove }, lintPolicy } as unknown as VerifyTools, clock, { proveOnHost } as Config);
}
const admin: User = { id: 'u1', username: 'kari', role: 'admin' };
const report = (given: Partial<VerifierReport>): VerifierReport => ({
  kernel: { release: '6.12.0', arch: 'aarch64', buildId: 'ab', btf: true, jit: 'on', lsm: null },
  verdict: 'accepted',
  loadMs: 3,
  programs: [],
  maps: [],
  ...given,
});
const program = { name: 'p', section: 'kprobe/x', type: 'kprobe', instructionCount: 2 };

describe('prover', () => {
  it('is unproven, with the reason, where no kernel can be asked', async () => {
    const nowhere = proverOver(() =>
      Promise.reject(new JailError('The server lacks CAP_BPF, which proving needs.', 'root')),
    );
    const verdict = verdictSchema.parse(await nowhere.prove(admin, manifest, [object('any')]));
    expect(verdict).toMatchObject({ verdict: 'unproven', kernel: null, reason: expect.stringContaining('CAP_BPF') });
    const slow = proverOver(() => Promise.reject(new ProveError('there was no verdict after 60000 ms', 'timeout', '')));
    expect((await slow.prove(admin, manifest, [object('any')])).reason).toContain('no verdict');
  });

  it('is unproven where the release has nothing for this host', async () => {
    const foreign = hostArch() === 'arm' ? 'arm64' : 'arm';
    const never = proverOver(() => Promise.reject(new Error('it was asked')));
    const verdict = await never.prove(admin, manifest, [object(foreign)]);
    expect(verdict).toMatchObject({ verdict: 'unproven', reason: expect.stringContaining(`objects for ${foreign}`) });
  });

  it('shows a program type that the kernel does not support, without refusing the release', async () => {
    const reason = 'this kernel does not support p (kprobe/x)';
    const programs = [{ ...program, verdict: 'unsupported', errnoName: 'EINVAL', log: 'no kprobes' } as const];
    const verdict = await proverOver(async () => report({ verdict: 'unable', reason, programs })).prove(
      admin,
      manifest,
      [object('any')],
    );
    expect(verdictSchema.parse(verdict)).toMatchObject({
      verdict: 'unproven',
      kernel: { release: '6.12.0', arch: 'arm64' },
      programs: [{ name: 'p', verdict: 'unsupported', errnoName: 'EINVAL', log: 'no kprobes' }],
    });
  });

  it.each<[string, Partial<VerifierReport>, 'unproven' | 'refused']>([
    [
      'a function of a module',
      { reason: "extern (func ksym) 'bpf_ct': not found in kernel or module BTFs" },
      'unproven',
    ],
    ['a map that is wrong', { reason: "map 'm': failed to create: -EINVAL" }, 'refused'],
    ...(['xfs_inode', 'task_struct'] as const).map(
      (name): [string, Partial<VerifierReport>, 'unproven' | 'refused'] => [
        `a field of ${name}`,
        {
          programs: [
            {
              ...{ ...program, verdict: 'refused', errnoName: 'EINVAL' },
              log: `failed to resolve CO-RE relocation <byte_off> [9] struct ${name}.x (0:0 @ offset 0)`,
            },
          ],
        },
        name === 'xfs_inode' ? 'unproven' : 'refused',
      ],
    ),
  ])('refuses no release for what a module may bring that this host has not loaded: %s', async (_, given, word) => {
    const verdict = await proverOver(async () => report({ verdict: 'refused', ...given })).prove(admin, manifest, [
      object('any'),
    ]);
    expect(verdictSchema.parse(verdict).verdict).toBe(word);
  });

  it('keeps the end of a long log, and nothing that Postgres would refuse', async () => {
    const log = `${'x'.repeat(100_000)}\u0000the end`;
    const programs = [{ ...program, verdict: 'refused', log } as const];
    const verdict = await proverOver(async () => report({ verdict: 'refused', programs })).prove(admin, manifest, [
      object('any'),
    ]);
    expect(verdict.programs[0]?.log).toHaveLength(64 * 1024);
    expect(verdict.programs[0]?.log?.endsWith('xthe end')).toBe(true);
  });

  it('says that libbpf cannot open an object', async () => {
    const odd = proverOver(() => Promise.reject(new ProveError('the BTF is damaged', 'request', '')));
    await expect(odd.prove(admin, manifest, [object('any')])).rejects.toMatchObject({
      code: 'OBJECT_INVALID',
      status: 422,
    });
  });

  it.each([
    ['admins', 'operator', 'unproven'],
    ['admins', 'admin', 'accepted'],
    ['nobody', 'admin', 'unproven'],
    ['all', 'operator', 'accepted'],
  ] as const)('asks for those whom policy trusts: %s, %s', async (policy, role, word) => {
    let asked = 0;
    const prover = proverOver(() => Promise.resolve(report({ loadMs: ++asked })), policy);
    const verdict = verdictSchema.parse(await prover.prove({ ...admin, role }, manifest, [object('any')]));
    expect([verdict.verdict, asked]).toEqual([word, word === 'accepted' ? 1 : 0]);
    if (word === 'unproven') expect(verdict.reason).toMatch(/only what their types say/);
  });

  it('calls architectures what devices call them', () => {
    expect(['x86_64', 'aarch64', 'armv7l', 'arm', 'riscv64'].map(archOfMachine)).toEqual([
      'x86_64',
      'arm64',
      'arm',
      'arm',
      'riscv64',
    ]);
  });
});
