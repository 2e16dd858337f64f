import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Lab, LabKernel, ReleaseOnKernel } from '@bpfleet/api';
import { ContractServer, Refusal } from './testing/contract-server.js';
import { makeKernelPackage } from './testing/kernel-files.js';
import { buildCli, runCli, tailCli } from './testing/run-cli.js';
import { release } from './testing/samples.js';

const server = new ContractServer();
let url = '';
let folder = '';

beforeAll(async () => {
  await buildCli();
  url = await server.start();
  folder = mkdtempSync(join(tmpdir(), 'bpfleet-cli-lab-'));
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

const digestOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const cli = (...args: string[]) => runCli(args, { env: { BPFLEET_SERVER: url, BPFLEET_TOKEN: 'bpft_test' } });
const at = '2026-05-01T10:00:00.000Z';

const kernel: LabKernel = {
  id: 'k1',
  name: 'trixie-arm64',
  suite: 'trixie',
  image: null,
  arch: 'arm64',
  userLand: 'arm64',
  kernelArgs: [],
  jit: null,
  state: 'ready',
  reason: null,
  console: null,
  group: {
    id: 'a'.repeat(64),
    kernelRelease: '6.12.107+deb13-arm64',
    kernelArch: 'arm64',
    kernelBuildId: 'ab'.repeat(20),
    userBits: 64,
    jit: 'on',
    lsm: [],
    pageBytes: 4096,
    btf: true,
  },
  devices: 3,
  jobs: { waiting: 2, proving: 1, done: 5, failed: 1 },
  proving: 'trace_exec@1.0.0',
  bootMs: 11_000,
  seenAt: at,
  createdBy: 'kari',
  createdAt: at,
};

describe('bpfleet lab list', () => {
  it('shows how far each kernel is, and the last words of those that do not come up', async () => {
    const failed: LabKernel = {
      ...kernel,
      ...{ name: 'board', group: null, userLand: 'armv7', state: 'failed', proving: null, seenAt: null },
      reason: 'the kernel did not come up: it found no disk',
      console: '[0.1] Booting\nbpfleet-vm: no disk\u001b[2J',
    };
    const hosts = [{ name: 'here', machines: 1, reason: null, seenAt: at }];
    server.answers = { getLab: () => ({ items: [kernel, failed], hosts }) };
    const { stdout, exitCode } = await cli('lab', 'list');
    expect(exitCode).toBe(0);
    expect(stdout).not.toContain('\u001b');
    expect(stdout).not.toContain('BPFLEET_ROLES');
    for (const text of ['6.12.107+deb13-arm64', '5/9, 1 failed', 'trace_exec@1.0.0', 'arm64/armv7', 'never']) {
      expect(stdout).toContain(text);
    }
    expect(stdout).toContain('board was given up: the kernel did not come up: it found no disk\n  | [0.1] Booting');
    expect(JSON.parse((await cli('lab', 'list', '--json')).stdout).items).toHaveLength(2);
  });

  it('says why nothing happens where no server boots them', async () => {
    server.answers = { getLab: () => ({ items: [kernel], hosts: [] }) };
    expect((await cli('lab', 'list')).stdout).toContain('none runs with the role lab (BPFLEET_ROLES=lab)');
    const reason = 'this host has no qemu-system-aarch64';
    server.answers = { getLab: () => ({ items: [kernel], hosts: [{ name: 'h', machines: 0, reason, seenAt: at }] }) };
    expect((await cli('lab', 'list')).stdout).toContain(reason);
    server.answers = { getLab: () => ({ items: [], hosts: [] }) };
    expect((await cli('lab', 'list')).stdout).toContain('bpfleet lab add --suite trixie');
  });
});

describe('bpfleet lab list --watch', () => {
  const env = { BPFLEET_SERVER: '', BPFLEET_TOKEN: 'bpft_test' };
  const hosts = [{ name: 'here', machines: 1, reason: null, seenAt: at }];
  const states: Lab['items'][] = [
    [{ ...kernel, state: 'booting', group: null, proving: null, jobs: { waiting: 2, proving: 0, done: 0, failed: 0 } }],
    [{ ...kernel, jobs: { waiting: 1, proving: 1, done: 0, failed: 0 } }],
    [{ ...kernel, proving: null, jobs: { waiting: 0, proving: 0, done: 2, failed: 0 } }],
    [],
  ];

  it('asks when the server tells of news, survives a link that drops, and shows what changed', async () => {
    let reads = 0;
    let follows = 0;
    server.answers = { getLab: () => ({ items: states[reads++] ?? [], hosts }) };
    server.onFollow = () => void (follows += 1);
    const seen: string[] = [];
    const args = ['lab', 'list', '--watch'];
    const { exitCode, stderr } = await tailCli(args, { env: { ...env, BPFLEET_SERVER: url } }, (line, interrupt) => {
      seen.push(line);
      // What is no news of the lab makes nobody ask.
      if (/booting/.test(line)) {
        server.say({ type: 'assignment', assignment: 'a1' });
        server.say({ type: 'lab', release: null });
      }
      if (/0\/2 proven, now trace_exec@1\.0\.0/.test(line)) server.dropFollowers();
      if (/2\/2 proven/.test(line)) server.say({ type: 'lab', release: 'r1' });
      if (/was removed/.test(line)) interrupt();
    });
    expect(exitCode).toBe(0);
    expect(seen.slice(2)).toEqual([
      'trixie-arm64 (6.12.107+deb13-arm64)  ready  0/2 proven, now trace_exec@1.0.0',
      'trixie-arm64 (6.12.107+deb13-arm64)  ready  2/2 proven',
      'trixie-arm64  was removed',
    ]);
    expect([reads, follows]).toEqual([4, 2]);
    expect(stderr).toContain('The server answers again.');
  });

  it('ends where the server knows no such token', async () => {
    server.onFollow = () => {
      throw new Refusal(401, 'NOT_LOGGED_IN', 'log in first');
    };
    server.answers = { getLab: () => ({ items: [], hosts }) };
    const { exitCode, stderr } = await cli('lab', 'list', '--watch');
    expect([exitCode, stderr]).toEqual([3, expect.stringContaining('HTTP 401')]);
    server.onFollow = () => undefined;
  });
});

describe('bpfleet lab add', () => {
  it('adds a kernel of Debian’s with the command line and JIT of its devices', async () => {
    server.answers = { addLabKernel: () => kernel };
    const args = ['--suite', 'trixie', '--arch', 'arm64', '--cmdline', ' lsm=lockdown,bpf  quiet ', '--jit', '0'];
    const { stdout } = await cli('lab', 'add', ...args);
    expect(stdout).toContain('trixie-arm64 is in the lab');
    const [call] = server.callsOf('addLabKernel');
    const debian = { suite: 'trixie', arch: 'arm64', pageBytes: 4096, modules: [] };
    expect(call?.body).toEqual({ ...debian, kernelArgs: ['lsm=lockdown,bpf', 'quiet'], jit: 0 });
    await cli('lab', 'add', '--suite', 'trixie', '--arch', 'arm64', '--pages', '16k');
    const [, large] = server.callsOf('addLabKernel');
    expect(large?.body).toEqual({ ...debian, pageBytes: 16_384, kernelArgs: [] });
  });

  it('uploads the image and the types of a board’s kernel, and names them', async () => {
    const [image, btf] = [join(folder, 'Image'), join(folder, 'vmlinux.btf')];
    writeFileSync(image, 'image');
    writeFileSync(btf, Buffer.from('9feb01001800000000000000', 'hex'));
    server.answers = {
      addLabFile: ({ query, body }) => ({
        digest: (query.kind === 'image' ? 'a' : 'b').repeat(64),
        bytes: body.length,
      }),
      addLabKernel: () => ({ ...kernel, name: 'board' }),
    };
    const args = ['--image', image, '--btf', btf, '--arch', 'arm64', '--name', 'board', '--json'];
    expect(JSON.parse((await cli('lab', 'add', ...args)).stdout)).toMatchObject({ name: 'board' });
    const files = server.callsOf('addLabFile').map(({ query, body }) => [query.kind, Buffer.from(body).length]);
    expect(files).toEqual([
      ['image', 5],
      ['btf', 12],
    ]);
    expect(server.callsOf('addLabKernel').at(-1)?.body).toMatchObject({
      name: 'board',
      image: 'a'.repeat(64),
      btf: 'b'.repeat(64),
    });
  });

  it('uploads what a kernel package holds, and calls it by its release', async () => {
    const path = join(folder, 'linux-image.deb');
    makeKernelPackage(folder, path, '6.12.1+deb13-rt', ['virtio_mmio', 'virtio_console', 'virtio_blk']);
    server.calls.length = 0;
    server.answers = {
      addLabFile: ({ query, body }) => ({ digest: digestOf(Buffer.from(query.kind)), bytes: body.length }),
      addLabKernel: () => kernel,
    };
    const { exitCode, stderr } = await cli('lab', 'add', '--kernel-package', path, '--arch', 'arm64', '--jit', '1');
    expect([exitCode, stderr]).toEqual([0, expect.stringContaining('looking for the kernel')]);
    const kinds = server.callsOf('addLabFile').map(({ query }) => `${query.kind} ${query.arch}`);
    expect(kinds).toEqual(['image', 'module', 'module', 'module', 'config'].map((kind) => `${kind} arm64`));
    const module = digestOf(Buffer.from('module'));
    expect(server.callsOf('addLabKernel')[0]?.body).toEqual({
      name: '6.12.1-deb13-rt',
      arch: 'arm64',
      pageBytes: 4096,
      image: digestOf(Buffer.from('image')),
      config: digestOf(Buffer.from('config')),
      modules: ['virtio_mmio', 'virtio_console', 'virtio_blk'].map((name) => ({ name, digest: module })),
      kernelArgs: [],
      jit: 1,
    });
  });

  it.each([
    [['--arch', 'arm64', '--image', 'x', '--name', 'y', '--pages', '16k'], 'what it was built with'],
    [['--arch', 'arm64'], 'give --suite, or --image or --kernel-package'],
    [['--arch', 'arm64', '--image', 'x', '--name', 'y', '--kernel-package', 'z'], 'which kernel?'],
    [['--arch', 'arm64', '--suite', 'trixie', '--config', 'x'], '--config is that of an --image'],
    [['--arch', 'arm64', '--kernel-package', '/does/not/exist'], '/does/not/exist cannot be read'],
    [['--arch', 'arm64', '--suite', 'trixie', '--image', 'x', '--name', 'y'], 'give --suite, or --image'],
    [['--arch', 'arm64', '--image', '/does/not/exist', '--name', 'y'], '/does/not/exist cannot be read'],
    [['--arch', 'arm64', '--image', 'x'], 'needs a --name'],
    [['--arch', 'arm64', '--suite', 'trixie', '--btf', 'x', '--vmlinux', 'y'], 'give one of them'],
    [['--suite', 'trixie'], "--arch <arch>' not specified"],
  ])('says what is missing: %j', async (args, why) => {
    const { exitCode, stderr } = await cli('lab', 'add', ...args);
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining(why)]);
  });
});

describe('bpfleet lab remove and prove', () => {
  it('take a kernel out, and prove a release again on one or all', async () => {
    server.answers = {
      removeLabKernel: ({ path }) => ({ id: 'k1', name: path['id'] ?? '' }),
      listProbes: () => ({ items: [] }),
      listReleases: () => ({ items: [release] }),
      proveInLab: ({ body }) => ({ queued: body.kernel === undefined ? 2 : 1 }),
    };
    expect((await cli('lab', 'remove', 'board')).stdout).toContain('board is no kernel of the lab');
    expect((await cli('lab', 'prove', 'trace_exec@1.0.0')).stdout).toContain('waits for 2 kernels');
    const one = await cli('lab', 'prove', 'trace_exec@1.0.0', '--kernel', 'board', '--json');
    expect(JSON.parse(one.stdout)).toEqual({ releaseId: release.id, queued: 1 });
    expect(server.callsOf('proveInLab').at(-1)?.body).toEqual({ releaseId: release.id, kernel: 'board' });
  });
});

describe('bpfleet releases show', () => {
  it('tells for each kernel what its types and the lab say, and why it refuses', async () => {
    const { btf: _, ...group } = kernel.group as NonNullable<LabKernel['group']>;
    const sentence = 'A helper that calls back needs a JIT.\u001b[31m';
    const program = {
      ...{ name: 'p', section: 'raw_tp/x', type: 'raw_tracepoint', instructionCount: 4, errnoName: 'EINVAL' },
      ...{ verdict: 'refused' as const, verifiedInstructions: null, stackDepthBytes: null, jitedBytes: null },
      explanation: {
        ...{ class: 'callback_needs_jit', sentence, advice: 'Enable the JIT.' },
        source: { file: 'p.bpf.c', line: 12, text: 'bpf_loop(3, each, 0, 0);\u202e' },
      },
      log: 'callbacks are not allowed in non-JITed programs',
    };
    const proven = { verdict: 'accepted' as const, reasons: [], at, loadMs: 12, instructions: 4_500, programs: [] };
    const kernels: ReleaseOnKernel[] = [
      {
        ...{ group, devices: 3, lab: ['trixie-arm64'], job: null },
        resolved: { verdict: 'accepted', reasons: [], at },
        proven: { ...proven, stackDepthBytes: 64, jitedBytes: 2048 },
      },
      {
        ...{
          group: { ...group, id: 'b', kernelRelease: '6.1.0-armmp', jit: 'off' },
          devices: 1,
          lab: ['old'],
          job: null,
        },
        resolved: null,
        proven: {
          ...{
            ...proven,
            verdict: 'refused',
            loadMs: null,
            instructions: null,
            stackDepthBytes: null,
            jitedBytes: null,
          },
          reasons: [
            { kind: 'callback_needs_jit', sentence: `${sentence} Enable the JIT.`, program: 'p' },
            { kind: 'arch', sentence: 'It has no object for arm.' },
          ],
          programs: [program],
        },
      },
      {
        ...{ group: { ...group, id: 'c' }, devices: 0, lab: ['x'], resolved: null, proven: null },
        job: { state: 'failed', error: 'QEMU has ended' },
      },
    ];
    server.answers = {
      listReleases: () => ({ items: [release] }),
      getReleaseKernels: () => ({ items: kernels }),
    };
    const { stdout } = await cli('releases', 'show', 'trace_exec@1.0.0');
    expect(stdout).not.toContain('\u001b');
    for (const text of ['4.5k', '64 B', '2 KiB', '12 ms', 'p: A helper that calls back', 'gave up', 'QEMU has ended']) {
      expect(stdout).toContain(text);
    }
    expect(stdout).not.toContain('| callbacks are not allowed');
    // Each thing once: the explanation of a program says what its reason says, and where.
    expect(stdout.split('\n').filter((line) => line.startsWith('    '))).toEqual([
      '    It has no object for arm.',
      '    p: A helper that calls back needs a JIT.\ufffd[31m',
      '      p.bpf.c:12: bpf_loop(3, each, 0, 0);\ufffd',
      '      Enable the JIT.',
      '    QEMU has ended',
    ]);
    const whole = await cli('releases', 'show', 'trace_exec@1.0.0', '--log');
    expect(whole.stdout).toContain('| callbacks are not allowed in non-JITed programs');
    expect(JSON.parse((await cli('releases', 'show', 'trace_exec@1.0.0', '--json')).stdout).kernels).toHaveLength(3);
  });
});
