import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliDecompressSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithVm, recordVmFact } from '@bpfleet/testkit';
import type { VmTarget } from '@bpfleet/vm';
import { until } from './process.js';
import { repositoryDir, Stack } from './stack.js';
import { HOST_FROM_VM, KERNEL_ARGS, VmDevice } from './vm-device.js';
import { FORKS, PINGS, PRIORITY_CALLS, UNLINKS, work, type Witnessed } from './vm-workload.js';

const LONG_MS = 900_000;
const BUILT_IN = ['count_packets', 'count_syscalls', 'profile_cpu', 'run_queue_latency', 'trace_exec', 'trace_tcp'];
/** Ten more, each for something that some of these kernels lack. */
const MADE = [
  ...['fork_by_tracepoint', 'unlink_by_kprobe', 'packets_by_cgroup', 'enter_by_tp_btf', 'add_by_loop'],
  ...['state_before_5_14', 'tai_by_helper', 'with_user_ring', 'unlink_by_fentry', 'unlink_by_lsm'],
];
const EVERYWHERE = ['fork_by_tracepoint', 'unlink_by_kprobe', 'packets_by_cgroup'];
const FROM_6_1 = ['tai_by_helper', 'with_user_ring'];
/** arm64 has direct calls, on which these two stand, from 6.4 on: before, they load and cannot attach (errno 524). */
const FROM_6_4 = ['unlink_by_fentry', 'unlink_by_lsm'];
/** These want a kernel that shows its types, and for the second, one that compiles programs. */
const WITH_BTF = ['enter_by_tp_btf'];
const WITH_JIT = ['add_by_loop'];

interface Expected {
  readonly suite: 'bullseye' | 'bookworm' | 'trixie';
  readonly kernelArch: string;
  readonly userBits: 32 | 64;
  readonly showsBtf: boolean;
  /** Of `MADE`, what attaches; the rest does not. */
  readonly takes: readonly string[];
}

const [arm64, shown] = ['arm64', true];
const modern = [...EVERYWHERE, ...FROM_6_1, ...WITH_BTF, ...WITH_JIT];
const TARGETS: Readonly<Record<VmTarget, Expected>> = {
  'arm64-6.12': { suite: 'trixie', kernelArch: arm64, userBits: 64, showsBtf: shown, takes: [...modern, ...FROM_6_4] },
  'arm64-6.1': { suite: 'bookworm', kernelArch: arm64, userBits: 64, showsBtf: shown, takes: modern },
  'arm64-5.10': {
    ...{ suite: 'bullseye', kernelArch: arm64, userBits: 64, showsBtf: shown },
    takes: [...EVERYWHERE, ...WITH_BTF, 'state_before_5_14'],
  },
  'arm64-6.1-compat32': { suite: 'bookworm', kernelArch: arm64, userBits: 32, showsBtf: shown, takes: modern },
  'armv7-6.1': {
    ...{ suite: 'bookworm', kernelArch: 'arm', userBits: 32, showsBtf: false },
    // The map of user ring buffers is there; only programs that drain them need a JIT.
    takes: [...EVERYWHERE, ...FROM_6_1],
  },
};

const ATTACHED = ['ATTACHED', 'SOAKED', 'SUCCEEDED'] as const;
const REFUSED = ['REJECTED', 'FAILED'] as const;
/** Made by pahole from the kernel's debug package (scripts/fetch-kernel-btf.mjs): what an administrator of such devices has. */
const ARMHF_BTF_PACKED = join(repositoryDir, 'libs/btf/test/kernels/armhf-6.1.btf.br');

/** The lab boots each kernel once more, so only `npm run test:vm` asks it. */
const WITH_LAB = process.env.BPFLEET_VM_TESTS === 'all';

let stack: Stack;
let http: Server;
const folder = mkdtempSync(join(tmpdir(), 'bpfleet-arm-'));
const ARMHF_BTF = join(folder, 'vmlinux.btf');
const releases = new Map<string, string>();

beforeAll(async () => {
  const script = join(repositoryDir, 'apps/agent/package/main.mjs');
  const options = ['--arch', 'arm64', '--arch', 'armv7', '--format', 'deb', '--out', join(folder, 'packages')];
  const build = promisify(execFile)(process.execPath, [script, ...options], { maxBuffer: 1 << 24 });
  stack = await Stack.start({
    deviceHost: HOST_FROM_VM,
    environment: {
      BPFLEET_PACKAGES_DIR: join(folder, 'packages'),
      BPFLEET_FURTHER_PROGRAM_TYPES: 'lsm',
      // This machine's kernel is none of theirs: only the lab's say what they would do.
      BPFLEET_PROVE_ON_HOST: 'nobody',
    },
  });
  http = createServer((_, response) => response.end('hello')).listen(0, '127.0.0.1');
  for (const probe of BUILT_IN) await assign(probe, join(repositoryDir, 'libs/probes', probe));
  for (const probe of MADE) await assign(probe, join(import.meta.dirname, '../probes', probe));
  writeFileSync(ARMHF_BTF, brotliDecompressSync(readFileSync(ARMHF_BTF_PACKED)));
  await build;
  if (WITH_LAB) await stack.startPart('lab');
}, LONG_MS);
afterAll(async () => {
  http?.close();
  await stack?.stop();
  rmSync(folder, { recursive: true, force: true });
}, LONG_MS);

async function assign(probe: string, source: string): Promise<void> {
  const releaseId = await stack.publish(source);
  releases.set(probe, releaseId);
  await stack.api.call('createAssignment', { body: { releaseId, selector: 'all', params: {} } });
}

/** A kernel in the lab that is set up as the device is. */
async function addToLab(target: VmTarget, { suite, kernelArch, userBits, showsBtf }: Expected): Promise<void> {
  const arch = kernelArch === 'arm' ? 'armv7' : 'arm64';
  const words = ['lab', 'add', '--suite', suite, '--arch', arch, '--name', target, '--cmdline', KERNEL_ARGS.join(' ')];
  if (userBits === 32 && arch === 'arm64') words.push('--user-land', 'armv7');
  if (!showsBtf) words.push('--btf', ARMHF_BTF);
  expect(await stack.cli(...words)).toMatchObject({ code: 0 });
}

function testDevice(target: VmTarget, expected: Expected): void {
  let device: VmDevice;
  let seen: Witnessed;
  const probes = [...BUILT_IN, ...expected.takes];
  const refused = MADE.filter((probe) => !expected.takes.includes(probe));

  beforeAll(async () => {
    if (WITH_LAB) await addToLab(target, expected);
    device = await VmDevice.start(stack, target);
  }, LONG_MS);
  afterAll(async () => {
    await device?.stop();
  }, LONG_MS);

  /** A test whose failure also tells what the agent said. */
  const onDevice = (name: string, body: () => Promise<void>): void =>
    it(
      name,
      async () => {
        try {
          await body();
        } catch (error) {
          const journal = await device?.journal().catch(() => 'not to be had');
          throw new Error(`${(error as Error).message}\nThe agent's journal:\n${journal}`, { cause: error });
        }
      },
      LONG_MS,
    );

  const executions = (path: string) =>
    stack.query<{ pid: number; ppid: number; uid: number; comm: string }>(
      'SELECT pid::int, ppid::int, uid::int, comm FROM telemetry.trace_exec_exec WHERE device = $1 AND filename = $2',
      [device.id, path],
    );

  onDevice('enrols with the line that the server shows, and says which kernel it is', async () => {
    const { facts } = await device.online();
    expect(facts).toMatchObject({
      kernelArch: expected.kernelArch,
      userBits: expected.userBits,
      kernelRelease: device.vm.guest.release,
    });
    expect(facts?.btfDigest === null).toBe(!expected.showsBtf);
    expect(await device.vm.sh("dpkg-query -W -f '${Status}' bpfleet-agent")).toBe('install ok installed');
    recordVmFact(target, 'enrol', 'ok');
  });

  if (!expected.showsBtf) {
    onDevice(
      'is refused probes that need types its kernel does not show, until an administrator adds them',
      async () => {
        const { error } = await device.run('trace_exec', 'REJECTED');
        expect(error).toMatchObject({ code: 'BTF_MISSING', message: expect.stringContaining('bpfleet btf add') });
        const { kernel } = await stack.api.call('getDeviceKernel', { path: { id: device.id } });
        const added = await stack.cli(
          'btf',
          'add',
          ARMHF_BTF,
          '--build-id',
          kernel?.kernelBuildId ?? '',
          '--arch',
          'arm',
        );
        expect(added).toMatchObject({ code: 0, stdout: expect.stringContaining('1 device has that kernel.') });
      },
    );
  }

  onDevice('takes the signed probes and attaches them', async () => {
    for (const probe of probes) await device.run(probe, ...ATTACHED);
    for (const probe of refused) await device.run(probe, ...REFUSED);
    recordVmFact(target, 'load', `${probes.length} of ${probes.length + refused.length}`);
  });

  if (WITH_LAB) {
    onDevice('does with each release what pre-flight said', async () => {
      const wrong: string[] = [];
      const said = { takes: 0, refuses: 0, unknown: 0 };
      for (const probe of [...probes, ...refused]) {
        const answer = await device.preflight(releases.get(probe) as string);
        said[answer.verdict] += 1;
        const happened = probes.includes(probe) ? 'takes' : 'refuses';
        if (answer.verdict !== happened && answer.verdict !== 'unknown')
          wrong.push(`${probe}: ${answer.verdict} (${answer.reasons.map(({ sentence }) => sentence).join(' ')})`);
      }
      expect(wrong).toEqual([]);
      expect(said.takes).toBeGreaterThanOrEqual(BUILT_IN.length);
      recordVmFact(
        target,
        'pre-flight',
        `${said.takes} take, ${said.refuses} refuse, ${said.unknown} unknown, 0 wrong`,
      );
    });
  }

  onDevice('reports what its kernel saw, as the kernel itself tells it', async () => {
    const before = { waits: await device.histogram('run_queue_latency_seconds') };
    seen = await work(device.vm, (http.address() as AddressInfo).port);
    const { executed } = seen;
    const stored = await until('the program is stored', async () => {
      const rows = await executions(executed.path);
      return rows.length > 0 ? rows : undefined;
    });
    expect(stored.map((row) => ({ ...row }))).toMatchObject([
      { pid: executed.pid, ppid: executed.parent, uid: executed.uid, comm: 'unique-program' },
    ]);
    await expectCounters(device, seen, expected.userBits === 32 && expected.kernelArch === 'arm64');
    await expectConnection(device, seen);
    await expectTimes(device, seen, before.waits.sum);
    recordVmFact(target, 'telemetry', 'right');
  });

  onDevice('is small', async () => {
    const { anonymousKib, residentKib } = await device.agentMemory();
    const empty = await device.emptyNodeMemory();
    const mib = (kib: number): string => (kib / 1024).toFixed(1);
    const ratio = (residentKib / empty.residentKib).toFixed(2);
    recordVmFact(
      target,
      'memory',
      `${mib(anonymousKib)} MiB anonymous, ${ratio} × an empty Node's ${mib(empty.residentKib)}`,
    );
    // With some fifteen probes at work; what it takes when idle is `npm run bench -- agent`.
    expect(anonymousKib).toBeLessThan(40 * 1024);
  });

  onDevice('comes back from a reboot, attaches again, and loses and repeats nothing', async () => {
    await device.vm.reboot();
    const path = '/usr/bin/after-reboot';
    await until(
      'it is attached again',
      async () => {
        await device.vm.sh(`cp /bin/true ${path}; ${path}`);
        return (await executions(path)).length > 0;
      },
      180_000,
    );
    for (const probe of probes) await device.run(probe, ...ATTACHED);
    expect(await executions(seen.executed.path)).toHaveLength(1);
    recordVmFact(target, 'reboot', 'ok');
  });
}

/** Exactly, where nobody else does the same; else at least. */
async function expectCounters(device: VmDevice, seen: Witnessed, isCompat: boolean): Promise<void> {
  await until('the pings are counted', async () => {
    const packets = await device.scalar('received_packets_total', { protocol: 'icmp' });
    return packets >= 2 * PINGS;
  });
  // 64 bytes of ICMP, 20 of IP, 14 of Ethernet.
  expect(await device.scalar('received_packets_total', { protocol: 'icmp' })).toBe(2 * PINGS);
  expect(await device.scalar('received_bytes_total', { protocol: 'icmp' })).toBe(2 * PINGS * 98);
  expect(seen.loPackets).toBeGreaterThanOrEqual(2 * PINGS);
  const metric = isCompat ? 'syscalls_compat_total' : 'syscalls_total';
  const labels = { syscall: 'getpriority' };
  await until('the system calls are counted', async () => {
    return (await device.scalar(metric, labels)) >= PRIORITY_CALLS;
  });
  expect(await device.scalar(metric, labels)).toBeLessThan(PRIORITY_CALLS * 1.01);
  await until('the forks are counted', async () => (await device.scalar('fork_by_tracepoint_total')) >= FORKS);
  await until('the unlinks are counted', async () => (await device.scalar('unlink_by_kprobe_total')) >= UNLINKS);
}

async function expectConnection(device: VmDevice, { connection }: Witnessed): Promise<void> {
  const rows = await until('the connection is stored', async () => {
    const found = await stack.query<Record<string, unknown>>(
      `SELECT dport::int, pid::int FROM telemetry.trace_tcp_connection WHERE device = $1 AND sport = $2 AND new_state = 'ESTABLISHED'`,
      [device.id, connection.localPort],
    );
    return found.length > 0 ? found : undefined;
  });
  expect(rows).toMatchObject([{ dport: connection.remotePort, pid: connection.pid }]);
}

/** Within a quarter: what the kernel measures beside the probe began and ended at other times. */
async function expectTimes(device: VmDevice, seen: Witnessed, waitedBefore: number): Promise<void> {
  const hertz = 49;
  const expectedSamples = seen.spinnerSeconds * hertz;
  await until('the profile is stored', async () => (await device.profiled('spinner')) > expectedSamples * 0.75);
  expect(await device.profiled('spinner')).toBeLessThan(expectedSamples * 1.25);
  await until('the waits are stored', async () => {
    const { sum } = await device.histogram('run_queue_latency_seconds');
    return sum - waitedBefore > seen.waitedSeconds * 0.75;
  });
}

for (const [target, expected] of Object.entries(TARGETS) as [VmTarget, Expected][])
  await describeWithVm(target, 'a device of the field', () => testDevice(target, expected));
