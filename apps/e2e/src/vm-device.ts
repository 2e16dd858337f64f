import { NO_IO_URING, RunningVm, startVm, type VmTarget } from '@bpfleet/vm';
import { until } from './process.js';
import type { Stack } from './stack.js';

const BOOT_TIMEOUT_MS = 240_000;
const INSTALL_TIMEOUT_MS = 240_000;
/** BPF LSM is built into Debian's kernels and, but for this, not among those that are active. */
export const KERNEL_ARGS = ['lsm=lockdown,yama,bpf'];
const AGENT_HOME = '/var/lib/bpfleet-agent';

interface Memory {
  readonly anonymousKib: number;
  readonly residentKib: number;
}

function memoryOf(status: string): Memory {
  const kib = (name: string): number => Number(new RegExp(`^${name}:\\s*(\\d+) kB`, 'm').exec(status)?.[1]);
  return { anonymousKib: kib('RssAnon'), residentKib: kib('VmRSS') };
}

/** A device in a VM: boots by systemd, and its agent is installed with the line that the server shows. */
export class VmDevice {
  private constructor(
    readonly vm: RunningVm,
    private readonly stack: Stack,
    readonly id: string,
  ) {}

  /** `stack` must have been started with `deviceHost: HOST_FROM_VM` and the packages of the VM's architecture. */
  static async start(stack: Stack, target: VmTarget, signal: AbortSignal): Promise<VmDevice> {
    const boot = { init: 'systemd', kernelArgs: KERNEL_ARGS, bootTimeoutMs: BOOT_TIMEOUT_MS } as const;
    const vm = await startVm({ target, ...boot, signal });
    try {
      const { command } = await stack.api.call('createEnrolmentToken', { body: { name: target } });
      const said = await vm.sh(command, { timeoutMs: INSTALL_TIMEOUT_MS, signal });
      const enrolled = /^\{"enrolled":true,"device":"(d\w+)"\}$/m.exec(said)?.[1];
      if (enrolled === undefined) throw new Error(`the installation named no device: ${said}`);
      const device = new VmDevice(vm, stack, enrolled);
      await device.online();
      return device;
    } catch (error) {
      await vm.stop();
      throw error;
    }
  }

  /** What the server knows of it, once it is online. */
  online() {
    return until(
      `${this.vm.target} is online`,
      async () => {
        const { items } = await this.stack.api.call('listDevices', {});
        return items.find(({ id, online, facts }) => id === this.id && online && facts !== null);
      },
      120_000,
    );
  }

  /** Waits until a live run of the probe has one of these states, and gives it. */
  run(probe: string, ...states: readonly string[]) {
    return until(
      `${probe} is ${states.join(' or ')} on ${this.vm.target}`,
      async () => {
        const { items } = await this.stack.api.call('listRuns', { query: { device: this.id } });
        return items.find((item) => item.probe === probe && states.includes(item.state));
      },
      180_000,
    );
  }

  /** What the server says of a release on this device, once the lab has a word on its kernel. */
  preflight(releaseId: string) {
    return until(
      `the lab has tried release ${releaseId} for ${this.vm.target}`,
      async () => {
        const { items } = await this.stack.api.call('getLab', {});
        const kernel = items.find(({ name }) => name === this.vm.target);
        if (kernel?.state === 'failed') throw new Error(`the lab's kernel failed: ${kernel.reason}`);
        if (kernel === undefined || kernel.jobs.waiting + kernel.jobs.proving > 0 || kernel.jobs.done === 0)
          return undefined;
        const { groups } = await this.stack.api.call('preflight', { body: { releaseId, selector: `id = ${this.id}` } });
        return groups[0]?.resolution === 'pending' ? undefined : groups[0];
      },
      600_000,
    );
  }

  /** The newest value of a metric that is not a histogram; 0 where there is none. */
  async scalar(metric: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const rows = await this.stack.query<{ value: number }>(
      `SELECT s.value FROM telemetry.sample s JOIN telemetry.series r ON r.id = s.series
       WHERE r.device = $1 AND r.metric = $2 AND r.labels @> $3 ORDER BY s.ts DESC LIMIT 1`,
      [this.id, metric, JSON.stringify(labels)],
    );
    return rows[0]?.value ?? 0;
  }

  async histogram(metric: string): Promise<{ sum: number; count: number }> {
    const rows = await this.stack.query<{ sum: number; count: string }>(
      `SELECT h.sum, h.count FROM telemetry.hist h JOIN telemetry.series r ON r.id = h.series
       WHERE r.device = $1 AND r.metric = $2 ORDER BY h.ts DESC LIMIT 1`,
      [this.id, metric],
    );
    return { sum: rows[0]?.sum ?? 0, count: Number(rows[0]?.count ?? 0) };
  }

  /** Samples of a CPU profile by the name of the task. */
  async profiled(comm: string): Promise<number> {
    const rows = await this.stack.query<{ count: string }>(
      `SELECT sum(newest) AS count FROM (SELECT max(count) AS newest FROM telemetry.profile
       WHERE device = $1 AND labels @> $2 GROUP BY labels, kernel_stack, user_stack) AS stacks`,
      [this.id, JSON.stringify({ comm })],
    );
    return Number(rows[0]?.count ?? 0);
  }

  /** Anonymous and whole resident memory of the agent, in KiB. */
  async agentMemory(): Promise<Memory> {
    return memoryOf(await this.vm.sh('cat /proc/$(systemctl show -P MainPID bpfleet-agent)/status'));
  }

  /** The same of the agent's own Node with nothing to do and no flags. */
  async emptyNodeMemory(): Promise<Memory> {
    const script = "process.stdout.write(require('fs').readFileSync('/proc/self/status'))";
    return memoryOf(await this.vm.output(['/opt/bpfleet-agent/lib/node', '-e', script], { env: NO_IO_URING }));
  }

  /** Asks the server's database. */
  query: Stack['query'] = (sql, values) => this.stack.query(sql, values);

  /** What the agent said of itself: for a test that fails. */
  journal(): Promise<string> {
    return this.vm.sh(`journalctl -u bpfleet-agent -u bpfleet-reap --no-pager -n 250; ls -la ${AGENT_HOME}`);
  }

  stop(): Promise<void> {
    return this.vm.stop();
  }
}
