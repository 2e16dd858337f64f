import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithVm, recordVmFact } from '@bpfleet/testkit';
import { NO_IO_URING, startVm, type RunningVm, type VmTarget } from '@bpfleet/vm';
import type { DoctorReport } from './core/doctor.js';
import { AgentBundle } from './testing/agent-bundle.js';
import { asUser } from './testing/as-user.js';

const BOOT_TIMEOUT_MS = 240_000;
const PROGRAM = '/opt/agent/lib/agent.cjs';
const BPFFS = '/run/bpfleet/bpf';
const prebuild = fileURLToPath(new URL('../../../libs/node-libbpf/native/prebuild.mjs', import.meta.url));

const THE_THREE = ['bpf', 'perfmon', 'net_admin'];
/** What the packaged unit asks for, without CAP_SYS_ADMIN. */
const LEAST_PRIVILEGE = [...THE_THREE, 'dac_read_search', 'syslog'];

type Missing = Readonly<Record<string, readonly string[]>>;
interface Seen {
  /** What even root cannot have there. */
  readonly root: Missing;
  /** What takes a limit on locked memory that is lifted, as the unit lifts it. */
  readonly memory?: Missing;
  /** Uprobes for CAP_PERFMON, which later kernels and their stable series took back. */
  readonly uprobesWithPerfmon?: true;
}

const PARANOID = ['CAP_SYS_ADMIN', 'or kernel.perf_event_paranoid ≤ 2 (it is 3) and CAP_PERFMON'];
const LOCKED_MEMORY = ['CAP_SYS_RESOURCE', 'or LimitMEMLOCK=infinity (this kernel counts maps as locked memory)'];
const NO_TRAMPOLINES: Missing = { fentry: ['kernel 6.4'], lsm: ['kernel 6.4'] };
const NO_TCX: Missing = { tcx: ['kernel 6.6'] };
const NONE_ON_ARM = ['a kernel that has it on armv7l: none has'];

const SEEN: Partial<Record<VmTarget, Seen>> = {
  'arm64-5.10': {
    root: { ...NO_TRAMPOLINES, ...NO_TCX },
    memory: { ring_buffer: LOCKED_MEMORY, large_map: LOCKED_MEMORY },
    uprobesWithPerfmon: true,
  },
  'arm64-6.1': { root: { ...NO_TRAMPOLINES, ...NO_TCX } },
  'arm64-6.12': { root: {} },
  'armv7-6.1': {
    root: {
      ...NO_TCX,
      ...{ tp_btf: ['CONFIG_DEBUG_INFO_BTF'], iter: ['CONFIG_DEBUG_INFO_BTF'], fentry: NONE_ON_ARM, lsm: NONE_ON_ARM },
      kernel_btf: ['a kernel with CONFIG_DEBUG_INFO_BTF, or a tailored BTF per release'],
      jit: ['net.core.bpf_jit_enable = 1'],
    },
  },
};

/** By trial and capability, for a user without CAP_SYS_ADMIN. */
const FOR_SYS_ADMIN: Missing = {
  uprobe: ['CAP_SYS_ADMIN'],
  run_time_statistics: ['CAP_SYS_ADMIN'],
  objects_by_id: ['CAP_SYS_ADMIN'],
};

function testDoctor(target: VmTarget, { root, memory = {}, uprobesWithPerfmon }: Seen): void {
  let vm: RunningVm;

  async function doctor(
    privileges: readonly string[] = [],
  ): Promise<{ missing: Missing; report: DoctorReport; code: number | null }> {
    const command = [...privileges, 'node', PROGRAM, 'doctor', '--json', '--bpffs', BPFFS];
    const { stdout, stderr, code } = await vm.exec(command, { env: NO_IO_URING });
    expect(stderr.toString()).toBe('');
    const report = JSON.parse(stdout.toString()) as DoctorReport;
    const lacking = report.trials.filter(({ works }) => !works).map(({ name, missing }) => [name, missing] as const);
    return { report, missing: Object.fromEntries(lacking), code };
  }

  beforeAll(async () => {
    vm = await startVm({
      target,
      kernelArgs: ['lsm=lockdown,yama,bpf'],
      bootTimeoutMs: BOOT_TIMEOUT_MS,
      background: true,
    });
    const arch = target.startsWith('armv7') ? 'armv7' : 'arm64';
    execFileSync(process.execPath, [prebuild, '--arch', arch], { stdio: ['ignore', 'ignore', 'inherit'] });
    const bundle = new AgentBundle(`prebuilds/linux-${arch === 'armv7' ? 'arm' : arch}/bpf.node`);
    try {
      await vm.copy(bundle.folder, '/opt/agent');
    } finally {
      bundle.close();
    }
    // As the packaged unit does before it starts the agent.
    await vm.sh(
      `mkdir -p ${BPFFS} && mount -t bpf -o mode=700 bpf ${BPFFS} && chown nobody ${BPFFS}; chmod 755 /opt/agent`,
    );
  }, BOOT_TIMEOUT_MS + 120_000);

  afterAll(async () => {
    await vm?.stop();
  });

  it('lets root have everything that the kernel has', async () => {
    const { missing, report, code } = await doctor();
    expect(missing).toEqual(root);
    expect([code, report.canWork]).toEqual([0, true]);
    recordVmFact(
      target,
      'doctor',
      `${report.trials.length - Object.keys(missing).length} of ${report.trials.length} as root`,
    );
  });

  it('says of CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN alone what they do not reach', async () => {
    const { missing, report, code } = await doctor(asUser(THE_THREE));
    expect(missing).toEqual({
      ...FOR_SYS_ADMIN,
      tracepoint: ['CAP_DAC_READ_SEARCH', ...PARANOID],
      ...{ kprobe: PARANOID, perf_event: PARANOID },
      ...{ tracefs: ['CAP_DAC_READ_SEARCH'], kernel_symbols: ['CAP_SYSLOG'] },
      ...memory,
      ...root,
    });
    expect([code, report.verdict]).toEqual(
      'ring_buffer' in memory
        ? [
            1,
            `the agent cannot work here: no ring buffer can be made; run it as root or give it ${LOCKED_MEMORY.join(', ')}, as its systemd unit does`,
          ]
        : [0, expect.stringContaining('the agent can work here')],
    );
  });

  it('says that the rest takes CAP_SYS_ADMIN once tracefs, symbols, perf events and memory are open', async () => {
    await vm.sh('echo 2 > /proc/sys/kernel/perf_event_paranoid');
    const { missing, code } = await doctor(['prlimit', '--memlock=unlimited', ...asUser(LEAST_PRIVILEGE)]);
    const { uprobe, ...others } = FOR_SYS_ADMIN;
    expect(missing).toEqual({ ...others, ...(uprobesWithPerfmon ? {} : { uprobe }), ...root });
    expect(code).toBe(0);
  });

  it('tells a user without capabilities what to do, and leaves nothing behind', async () => {
    const { report, code } = await doctor(asUser([]));
    expect([code, report.verdict]).toEqual([
      1,
      'the agent cannot work here: no map can be made; run it as root or give it CAP_BPF, as its systemd unit does',
    ]);
    expect(await vm.sh(`ls ${BPFFS}`)).toBe('');
  });
}

for (const [target, seen] of Object.entries(SEEN) as [VmTarget, Seen][])
  await describeWithVm(target, 'bpfleet-agent doctor', () => testDoctor(target, seen));
