import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { recordVmFact } from '@bpfleet/testkit';
import type { VmTarget } from '@bpfleet/vm';
import { until } from './process.js';
import { KERNEL_ARGS, VmDevice } from './vm-device.js';
import { BUILT_IN, MADE, WITH_LAB, type VmFleet } from './vm-fleet.js';
import { InstalledAgent, UPROBE } from './vm-privilege.js';
import { FORKS, HOST_FROM_VM, PINGS, PRIORITY_CALLS, UNLINKS, work, type Witnessed } from './vm-workload.js';

export const LONG_MS = 900_000;

/** What is known of a device's kernel, and which probes it must take. */
export interface Expected {
  readonly suite: 'bullseye' | 'bookworm' | 'trixie';
  readonly kernelArch: string;
  readonly userBits: 32 | 64;
  readonly showsBtf: boolean;
  readonly pageBytes: 4096 | 16_384;
  /** Of `MADE`, what attaches; the rest does not. */
  readonly takes: readonly string[];
}

const ATTACHED = ['ATTACHED', 'SOAKED', 'SUCCEEDED'] as const;
/** Of all the releases, on one device. */
const UNKNOWN_MAX = 1;
const REFUSED = ['REJECTED', 'FAILED'] as const;

/**
 * A kernel in the lab that is set up as the device is. Not before the device was measured: the lab's VM would take CPU time from
 * its own, and with a kernel come its types, which a device that shows none must first be seen to lack.
 */
async function addToLab(
  fleet: VmFleet,
  target: VmTarget,
  { suite, kernelArch, userBits, showsBtf }: Expected,
): Promise<void> {
  const arch = kernelArch === 'arm' ? 'armv7' : 'arm64';
  const words = ['lab', 'add', '--suite', suite, '--arch', arch, '--name', target, '--cmdline', KERNEL_ARGS.join(' ')];
  if (userBits === 32 && arch === 'arm64') words.push('--user-land', 'armv7');
  if (!showsBtf) words.push('--btf', fleet.armhfBtf);
  expect(await fleet.stack.cli(...words)).toMatchObject({ code: 0 });
}

/** One device under test, and what was seen of it so far. */
interface Trial {
  readonly fleet: VmFleet;
  readonly target: VmTarget;
  readonly expected: Expected;
  readonly device: VmDevice;
  readonly agent: InstalledAgent;
  /** Probes that attach, and those that the device refuses. */
  readonly probes: readonly string[];
  readonly refused: readonly string[];
  seen: Witnessed | undefined;
}

/**
 * From the installation to a reboot; the fleet must be running when the tests begin. The `next` device is installed while this
 * one comes back from its reboot: neither is measured then, and alone each leaves a core idle.
 */
export function testDevice(fleet: VmFleet, target: VmTarget, expected: Expected, next?: VmTarget): void {
  let trial: Trial | undefined;

  beforeAll(async () => {
    const device = await fleet.device(target);
    trial = {
      ...{ fleet, target, expected, device, agent: new InstalledAgent(device, fleet.stack), seen: undefined },
      probes: [...BUILT_IN, ...expected.takes],
      refused: MADE.filter((probe) => !expected.takes.includes(probe)),
    };
  }, LONG_MS);
  afterAll(async () => {
    await trial?.device.stop();
  }, LONG_MS);

  /** A test whose failure also tells what the agent said. */
  const onDevice = (name: string, body: (trial: Trial) => Promise<void>): void =>
    it(
      name,
      async () => {
        if (trial === undefined) throw new Error('the device did not start');
        const { device } = trial;
        try {
          await body(trial);
        } catch (error) {
          const journal = await device.journal().catch(() => 'not to be had');
          throw new Error(`${(error as Error).message}\nThe agent's journal:\n${journal}`, { cause: error });
        }
      },
      LONG_MS,
    );

  onDevice('enrols with the line that the server shows, and says which kernel it is', enrols);
  if (!expected.showsBtf)
    onDevice('is refused probes that need types its kernel does not show, until an administrator adds them', getsTypes);
  onDevice('takes the signed probes and attaches them', takesProbes);
  onDevice('reports what its kernel saw, as the kernel itself tells it', reports);
  onDevice('is small', isSmall);
  // Each of the three begins where the one before ended; together they take half a minute.
  if (isTriedWhole(expected)) {
    onDevice('runs as its own user, with what its unit gives it', ({ agent }) =>
      agent.hasItsPrivileges(fleet.releaseOf(UPROBE)),
    );
    // These are the kernel's to allow, and a start of the agent: once for each kernel.
    if (!isCompat(expected)) {
      onDevice('is reaped when it is dead', ({ agent }) => agent.isReapedWhenDead());
      onDevice('begins anew, and does without CAP_SYS_ADMIN what needs none', ({ agent }) =>
        agent.doesWithoutSysAdmin(),
      );
    }
  }
  if (expected.pageBytes === 4096)
    onDevice('comes back from a reboot, attaches again, and loses and repeats nothing', async (trial) => {
      if (next !== undefined) void fleet.device(next);
      await reboots(trial);
    });
  if (isTriedWhole(expected)) {
    onDevice('did with each release what pre-flight says', agreesWithPreflight);
    onDevice('leaves nothing when it is stopped', ({ agent }) => agent.leavesNothingWhenStopped());
  }
}

/** With what pages have nothing to do with, once for a kernel: the whole is to take a quarter of an hour. */
function isTriedWhole({ pageBytes }: Expected): boolean {
  return WITH_LAB && pageBytes === 4096;
}

/** 32-bit programs on a 64-bit kernel, which another device has as well. */
function isCompat({ userBits, kernelArch }: Expected): boolean {
  return userBits === 32 && kernelArch === 'arm64';
}

function executions({ device }: Trial, path: string) {
  return device.query<{ pid: number; ppid: number; uid: number; comm: string }>(
    'SELECT pid::int, ppid::int, uid::int, comm FROM telemetry.trace_exec_exec WHERE device = $1 AND filename = $2',
    [device.id, path],
  );
}

async function enrols({ device, target, expected }: Trial): Promise<void> {
  const { facts } = await device.online();
  expect(facts).toMatchObject({
    kernelArch: expected.kernelArch,
    userBits: expected.userBits,
    pageBytes: expected.pageBytes,
    kernelRelease: device.vm.guest.release,
  });
  expect(facts?.btfDigest === null).toBe(!expected.showsBtf);
  expect(await device.vm.sh("dpkg-query -W -f '${Status}' bpfleet-agent")).toBe('install ok installed');
  expect(await device.vm.sh('systemctl list-units --failed --plain --no-legend --no-pager')).toBe('');
  recordVmFact(target, 'kernel', device.vm.guest.release);
  recordVmFact(target, 'boot', `${(device.vm.bootMs / 1000).toFixed(1)} s`);
  recordVmFact(target, 'enrol', 'ok');
}

async function getsTypes({ fleet, device }: Trial): Promise<void> {
  const { error } = await device.run('trace_exec', 'REJECTED');
  expect(error).toMatchObject({ code: 'BTF_MISSING', message: expect.stringContaining('bpfleet btf add') });
  const { kernel } = await fleet.stack.api.call('getDeviceKernel', { path: { id: device.id } });
  const buildId = kernel?.kernelBuildId ?? '';
  const added = await fleet.stack.cli('btf', 'add', fleet.armhfBtf, '--build-id', buildId, '--arch', 'arm');
  expect(added).toMatchObject({ code: 0, stdout: expect.stringContaining('1 device has that kernel.') });
}

async function takesProbes({ device, target, probes, refused }: Trial): Promise<void> {
  for (const probe of probes) await device.run(probe, ...ATTACHED);
  for (const probe of refused) await device.run(probe, ...REFUSED);
  recordVmFact(target, 'load', `${probes.length} of ${probes.length + refused.length}`);
}

async function reports(trial: Trial): Promise<void> {
  const { device, expected, fleet } = trial;
  const waits = await device.histogram('run_queue_latency_seconds');
  const seen = (trial.seen = await work(device.vm, fleet.httpPort));
  const { executed } = seen;
  const stored = await until('the program is stored', async () => {
    const rows = await executions(trial, executed.path);
    return rows.length > 0 ? rows : undefined;
  });
  expect(stored.map((row) => ({ ...row }))).toMatchObject([
    { pid: executed.pid, ppid: executed.parent, uid: executed.uid, comm: 'unique-program' },
  ]);
  await expectCounters(device, seen, isCompat(expected));
  await expectConnection(device, seen);
  await expectTimes(device, seen, waits.sum);
  recordVmFact(trial.target, 'telemetry', 'right');
  if (isTriedWhole(expected)) await addToLab(fleet, trial.target, expected);
}

async function isSmall({ device, target }: Trial): Promise<void> {
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
}

async function reboots(trial: Trial): Promise<void> {
  const { device, probes, seen } = trial;
  await device.vm.reboot();
  const path = '/usr/bin/after-reboot';
  await until(
    'it is attached again',
    async () => {
      await device.vm.sh(`cp /bin/true ${path}; ${path}`);
      return (await executions(trial, path)).length > 0;
    },
    180_000,
  );
  for (const probe of probes) await device.run(probe, ...ATTACHED);
  expect(await executions(trial, seen?.executed.path ?? '')).toHaveLength(1);
  recordVmFact(trial.target, 'reboot', 'ok');
}

/** Last, because the lab tries the releases while the device is at work. */
async function agreesWithPreflight({ fleet, device, target, probes, refused }: Trial): Promise<void> {
  const wrong: string[] = [];
  const unknown: string[] = [];
  const said = { takes: 0, refuses: 0, unknown: 0 };
  for (const probe of [...probes, ...refused]) {
    const answer = await device.preflight(fleet.releaseOf(probe));
    said[answer.verdict] += 1;
    if (answer.verdict === 'unknown') unknown.push(probe);
    const happened = probes.includes(probe) ? 'takes' : 'refuses';
    if (answer.verdict !== happened && answer.verdict !== 'unknown')
      wrong.push(`${probe}: ${answer.verdict} (${answer.reasons.map(({ sentence }) => sentence).join(' ')})`);
  }
  expect(wrong).toEqual([]);
  // A kernel of the lab that is set up as the device is leaves hardly anything open.
  expect(unknown.length).toBeLessThanOrEqual(UNKNOWN_MAX);
  recordVmFact(target, 'pre-flight', `${said.takes} take, ${said.refuses} refuse, ${said.unknown} unknown, 0 wrong`);
}

/** Exactly, where nobody else does the same; else at least. */
async function expectCounters(device: VmDevice, seen: Witnessed, inCompat: boolean): Promise<void> {
  await until('the pings are counted', async () => {
    const packets = await device.scalar('received_packets_total', { protocol: 'icmp' });
    return packets >= 2 * PINGS;
  });
  // 64 bytes of ICMP, 20 of IP, 14 of Ethernet.
  expect(await device.scalar('received_packets_total', { protocol: 'icmp' })).toBe(2 * PINGS);
  expect(await device.scalar('received_bytes_total', { protocol: 'icmp' })).toBe(2 * PINGS * 98);
  expect(seen.loPackets).toBeGreaterThanOrEqual(2 * PINGS);
  const metric = inCompat ? 'syscalls_compat_total' : 'syscalls_total';
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
    const found = await device.query<Record<string, unknown>>(
      `SELECT saddr::text, daddr::text, sport::int, dport::int, pid::int, uid::int, comm, old_state, outbound::int, family::int,
         connect_us::float8, open_us::float8 FROM telemetry.trace_tcp_connection WHERE device = $1 AND sport = $2 AND new_state = 'ESTABLISHED'`,
      [device.id, connection.localPort],
    );
    return found.length > 0 ? found : undefined;
  });
  expect(rows).toMatchObject([
    {
      ...{ sport: connection.localPort, dport: connection.remotePort, pid: connection.pid, uid: 0, comm: 'node' },
      ...{ saddr: expect.stringContaining(connection.localAddress), daddr: expect.stringContaining(HOST_FROM_VM) },
      ...{ old_state: 'SYN_SENT', outbound: 1, family: 4, open_us: 0 },
    },
  ]);
  const connectUs = Number(rows[0]?.connect_us);
  expect(connectUs).toBeGreaterThan(0);
  expect(connectUs).toBeLessThanOrEqual(connection.connectMs * 1000);
}

/** Within a quarter, waits above within a half of all that was waited meanwhile: what the kernel measures beside the probe began and ended at other times. */
async function expectTimes(device: VmDevice, seen: Witnessed, waitedBefore: number): Promise<void> {
  const hertz = 49;
  const expectedSamples = seen.spinnerSeconds * hertz;
  let got = 0;
  await until(
    () => `the profile is stored: ${got} of ${expectedSamples} samples`,
    async () => (got = await device.profiled('spinner')) > expectedSamples * 0.75,
  );
  expect(await device.profiled('spinner')).toBeLessThan(expectedSamples * 1.25);
  await until(
    () => `the waits are stored: ${got} of ${seen.waitedSeconds} s`,
    async () => {
      got = (await device.histogram('run_queue_latency_seconds')).sum - waitedBefore;
      return got > seen.waitedSeconds * 0.75;
    },
  );
  expect(got).toBeLessThan(seen.waitedInAllSeconds * 1.5 + 1);
}
