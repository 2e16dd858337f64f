import { expect } from '@jest/globals';
import { recordVmFact } from '@bpfleet/testkit';
import { NO_IO_URING, type RunningVm, type VmTarget } from '@bpfleet/vm';
import { until } from './process.js';
import type { Stack } from './stack.js';
import type { VmDevice } from './vm-device.js';

const HOME = '/opt/bpfleet-agent';
const PINS = '/run/bpfleet/bpf/bpfleet';
const DROP_INS = '/run/systemd/system/bpfleet-agent.service.d';
/** linux/capability.h */
const BITS = { DAC_READ_SEARCH: 2, NET_ADMIN: 12, SYS_ADMIN: 21, SYSLOG: 34, PERFMON: 38, BPF: 39 } as const;
const LEAST = ['DAC_READ_SEARCH', 'NET_ADMIN', 'SYSLOG', 'PERFMON', 'BPF'] as const;
const WHOLE = [...LEAST, 'SYS_ADMIN'] as const;
const LIVE = ['ATTACHED', 'SOAKED', 'SUCCEEDED'];
const ENOENT = 2;
/** Published and assigned to nobody. */
export const UPROBE = 'priority_by_uprobe';

/**
 * What a uprobe takes: CAP_SYS_ADMIN, but in Debian's 5.10 only CAP_PERFMON, as the doctor has found (doctor.vm.test.ts). Those of a
 * 64-bit kernel refuse 32-bit programs; those of 32-bit ARM refuse Thumb code (EINVAL, arch_uprobe_analyze_insn), which Debian's
 * C library is.
 */
const UPROBE_NEEDS: Partial<Record<VmTarget, 'CAP_PERFMON' | 'other code'>> = {
  'arm64-5.10': 'CAP_PERFMON',
  'arm64-6.1-compat32': 'other code',
  'armv7-6.1': 'other code',
};

/**
 * The agent of a device as its package installed it, under systemd: what it may do, and what becomes of its runs when it ends. The
 * steps follow each other. Each start of the agent costs some twenty seconds of emulated CPU time, so one start shows both that it
 * begins anew after the reaper and what it does with fewer capabilities.
 */
export class InstalledAgent {
  private readonly vm: RunningVm;
  private readonly needs: 'CAP_SYS_ADMIN' | 'CAP_PERFMON' | 'other code';
  /** The assignment of the uprobe, from the first step to the last but one, where the device's code can be traced. */
  private uprobe: string | undefined;
  /** What it ran when it died. */
  private attached: readonly Run[] = [];

  constructor(
    private readonly device: VmDevice,
    private readonly stack: Stack,
  ) {
    this.vm = device.vm;
    this.needs = UPROBE_NEEDS[this.vm.target] ?? 'CAP_SYS_ADMIN';
  }

  /** Own user, the unit's capabilities and no more. */
  async hasItsPrivileges(uprobeRelease: string): Promise<void> {
    await this.expectPrivileges(WHOLE);
    if (this.needs === 'other code') await this.refusesOtherCode(uprobeRelease);
    else {
      this.uprobe = await this.assignHere(uprobeRelease);
      await this.device.run(UPROBE, ...LIVE);
    }
    await this.saysMeasured(true);
  }

  /** The device says which code its kernel cannot trace; the server, which does not see the device's files, said so before or could not. */
  private async refusesOtherCode(uprobeRelease: string): Promise<void> {
    const isThumb = this.vm.target === 'armv7-6.1';
    const { verdict } = await this.device.preflight(uprobeRelease);
    expect(verdict).toBe(isThumb ? 'unknown' : 'refuses');
    const uprobe = await this.assignHere(uprobeRelease);
    const { error } = await this.device.run(UPROBE, 'REJECTED', 'FAILED');
    expect(error).toMatchObject(
      isThumb
        ? { code: 'TARGET_UNTRACEABLE', message: expect.stringContaining('getpriority of libc.so.6 is Thumb code') }
        : { code: 'BLIND_SPOT', message: expect.stringContaining('would see nothing') },
    );
    await this.withdraw(uprobe);
  }

  /** Killed, with nobody to start it again: systemd's timer starts the reaper, and once leases have lapsed nothing stays. */
  async isReapedWhenDead(): Promise<void> {
    this.attached = await this.liveRuns();
    const runs = this.attached.map(({ id }) => id).sort();
    const pinned = async (): Promise<string[]> =>
      (await this.vm.sh(`ls ${PINS}/${this.device.id}`)).trim().split('\n').sort();
    // What was withdrawn last is gone for the server before it is for the device.
    await until('only what is to run is pinned', async () => (await pinned()).join() === runs.join());
    const programs = await this.ownPrograms();
    expect(programs.length).toBeGreaterThanOrEqual(runs.length);
    await this.vm.sh(`mkdir -p ${DROP_INS}; printf '[Service]\\nRestart=no\\n' > ${DROP_INS}/dead.conf
      systemctl daemon-reload; systemctl is-active -q bpfleet-reap.timer
      pid=$(systemctl show -P MainPID bpfleet-agent); kill -9 $pid; while [ -e /proc/$pid ]; do :; done
      systemctl start bpfleet-reap.service`);
    // A minute may pass before anybody misses it: until its leases lapse the runs stay.
    expect(await pinned()).toEqual(runs);
    expect(await this.loaded(programs)).toEqual(programs);

    await this.vm.sh(`sed -i 's/^\\(run [^ ]*\\) .*/\\1 0/' /run/bpfleet/${this.device.id}.leases
      systemctl start bpfleet-reap.service`);
    expect(await this.vm.sh(`find ${PINS} -mindepth 2`)).toBe('');
    // What loses its last pin is freed by a worker of the kernel.
    await until('nothing of the agent is left in the kernel', async () => (await this.loaded(programs)).length === 0);
    const said = await this.vm.sh('journalctl -u bpfleet-reap -o cat --no-pager');
    for (const run of runs) expect(said).toContain(`reaping ${this.device.id} ${run}: its lease has lapsed`);

    recordVmFact(this.vm.target, 'reaper', `${runs.length} runs, ${programs.length} programs`);
  }

  /** Started again with the least of capabilities it attaches anew all but what needs CAP_SYS_ADMIN, and says why not the rest. */
  async doesWithoutSysAdmin(): Promise<void> {
    const { target } = this.vm;
    await this.vm.sh(`rm ${DROP_INS}/dead.conf; cp ${HOME}/share/least-privilege.conf ${DROP_INS}
      sysctl -qw kernel.perf_event_paranoid=2; systemctl daemon-reload; systemctl start bpfleet-agent`);
    const expected = this.attached.filter(({ probe }) => probe !== UPROBE || this.needs === 'CAP_PERFMON');
    await this.attachesAnew(expected.map((run) => run.id));
    await this.expectPrivileges(LEAST);
    if (this.needs === 'CAP_SYS_ADMIN') {
      const { error } = await this.device.run(UPROBE, 'REJECTED', 'FAILED');
      expect(error).toMatchObject({ code: 'ATTACH_FAILED', message: expect.stringContaining('needs CAP_SYS_ADMIN') });
    }
    await this.saysMeasured(false);
    if (this.uprobe !== undefined) await this.withdraw(this.uprobe);
    recordVmFact(target, 'privilege', `${expected.length} of ${this.attached.length} attach without CAP_SYS_ADMIN`);
  }

  /** After a reboot the unit's capabilities are back; a stop ends all runs within the time that systemd gives. */
  async leavesNothingWhenStopped(): Promise<void> {
    await this.expectPrivileges(WHOLE);
    const programs = await this.ownPrograms();
    expect(programs.length).toBeGreaterThan(0);
    await this.vm.sh('systemctl stop bpfleet-agent');
    expect(await this.vm.sh('systemctl show -P Result bpfleet-agent')).toBe('success\n');
    expect(await this.vm.sh(`find ${PINS} -mindepth 2`)).toBe('');
    await until('nothing of the agent is left in the kernel', async () => (await this.loaded(programs)).length === 0);
  }

  private async assignHere(releaseId: string): Promise<string> {
    const body = { releaseId, selector: `id = ${this.device.id}`, params: {} };
    return (await this.stack.api.call('createAssignment', { body })).id;
  }

  private async withdraw(id: string): Promise<void> {
    await this.stack.api.call('withdrawAssignment', { path: { id } });
    await until('the uprobe is gone', async () => !(await this.liveRuns()).some(({ probe }) => probe === UPROBE));
  }

  private async expectPrivileges(names: readonly (keyof typeof BITS)[]): Promise<void> {
    const status = await this.vm.sh('cat /proc/$(systemctl show -P MainPID bpfleet-agent)/status');
    const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';
    const mask = names.reduce((sum, name) => sum | (1n << BigInt(BITS[name])), 0n);
    for (const set of ['CapEff', 'CapPrm', 'CapBnd', 'CapAmb'])
      expect([set, BigInt(`0x${field(set)}`)]).toEqual([set, mask]);
    expect(field('NoNewPrivs')).toBe('1');
    const own = (await this.vm.sh('id -u bpfleet-agent')).trim();
    expect(own).not.toBe('0');
    expect(field('Uid').split('\t')).toEqual([own, own, own, own]);
  }

  private async liveRuns(): Promise<readonly Run[]> {
    const { items } = await this.stack.api.call('listRuns', { query: { device: this.device.id, live: 'true' } });
    return items.filter(({ state }) => LIVE.includes(state));
  }

  /** Waits until the agent says of all its runs that their cost is measured, or that it is not. */
  private saysMeasured(measured: boolean): Promise<unknown> {
    return until(`the runs of ${this.vm.target} are ${measured ? '' : 'un'}measured`, async () => {
      const { items } = await this.stack.api.call('listRuns', { query: { device: this.device.id, live: 'true' } });
      const said = items.filter(({ state }) => LIVE.includes(state)).map(({ stats }) => stats?.measured);
      return said.every((one) => one === measured);
    });
  }

  /** Waits until the agent that runs now has attached all of these, and taken none of them over. */
  private async attachesAnew(runs: readonly string[]): Promise<void> {
    const own = '_SYSTEMD_INVOCATION_ID=$(systemctl show -P InvocationID bpfleet-agent)';
    const lines = await until(
      `${this.vm.target} has attached its runs again`,
      async () => {
        const said = await this.vm.sh(`journalctl ${own} -o cat --no-pager | grep '"event":"run\\.' || true`);
        const told = said.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Told]));
        const attached = new Set(told.filter(({ state }) => state === 'ATTACHED').map(({ run }) => run));
        return runs.every((run) => attached.has(run)) ? told : undefined;
      },
      120_000,
    );
    expect(lines.filter(({ event }) => event === 'run.adopted')).toEqual([]);
  }

  /** The programs that the living agent holds, by their ids. */
  private async ownPrograms(): Promise<readonly number[]> {
    const said = await this.vm.sh(
      `grep -hs ^prog_id: /proc/$(systemctl show -P MainPID bpfleet-agent)/fdinfo/* | sort -u`,
    );
    return [...said.matchAll(/\d+/g)].map(([id]) => Number(id));
  }

  /** Which of these programs the kernel still has, as the installed addon lists them for root. */
  private async loaded(programs: readonly number[]): Promise<readonly number[]> {
    const script = `const bpf = require('${HOME}/lib/bpf.node'); const ids = []; let id = 0;
      while ((id = bpf.nextId('program', id)) > 0) ids.push(id);
      if (id !== -${ENOENT}) throw new Error('errno ' + -id);
      console.log(JSON.stringify(ids));`;
    const listed = await this.vm.output([`${HOME}/lib/node`, '-e', script], { env: NO_IO_URING });
    const ids = new Set(JSON.parse(listed) as number[]);
    return programs.filter((program) => ids.has(program));
  }
}

interface Run {
  readonly id: string;
  readonly probe: string;
}

interface Told {
  readonly event: string;
  readonly run: string;
  readonly state?: string;
}
