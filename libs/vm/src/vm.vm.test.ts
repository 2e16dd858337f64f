import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { describeWithVm, recordVmFact } from '@bpfleet/testkit';
import type { VmTarget } from './catalogue.js';
import type { RunningVm } from './running-vm.js';
import { NO_IO_URING } from './running-vm.js';
import { startVm } from './vm.js';

interface Expected {
  readonly machine: string;
  readonly release: RegExp;
  readonly node: string;
  readonly btf: boolean;
  readonly debian: string;
}

const BOOT_TIMEOUT_MS = 240_000;
const EXPECTED: Partial<Record<VmTarget, Expected>> = {
  'arm64-6.1': { machine: 'aarch64', release: /^6\.1\./, node: 'arm64', btf: true, debian: 'arm64' },
  'armv7-6.1': { machine: 'armv7l', release: /^6\.1\./, node: 'arm', btf: false, debian: 'armhf' },
};

/** A process that has ended and whose parent has not asked yet still has a folder in /proc. */
function isRunning(pid: number): boolean {
  if (!existsSync(`/proc/${pid}/stat`)) return false;
  return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
}

function testMachine(target: VmTarget, expected: Expected): void {
  let vm: RunningVm;
  beforeAll(async () => {
    vm = await startVm({ target, forward: [8080], bootTimeoutMs: BOOT_TIMEOUT_MS, background: true });
  }, BOOT_TIMEOUT_MS + 360_000);
  afterAll(async () => {
    await vm?.stop();
  });

  it('comes up in time', () => {
    recordVmFact(target, 'kernel', vm.guest.release);
    recordVmFact(target, 'boot', `${(vm.bootMs / 1000).toFixed(1)} s`);
    expect(vm.bootMs).toBeLessThan(BOOT_TIMEOUT_MS);
  });

  it('runs the kernel and the user land of its name', async () => {
    expect([vm.guest.machine, vm.guest.arch]).toEqual([expected.machine, expected.node]);
    expect(vm.guest.release).toMatch(expected.release);
    expect((await vm.output(['node', '-p', 'process.arch'], { env: NO_IO_URING })).trim()).toBe(expected.node);
    expect((await vm.output(['dpkg', '--print-architecture'])).trim()).toBe(expected.debian);
    const btf = await vm.exec(['test', '-e', '/sys/kernel/btf/vmlinux']);
    expect(btf.code === 0).toBe(expected.btf);
  });

  it('has what a device of the field has mounted', async () => {
    const types = (await vm.output(['cat', '/proc/self/mounts'])).split('\n').map((line) => line.split(' ')[2]);
    expect(types).toEqual(expect.arrayContaining(['ext4', 'tracefs', 'bpf', 'cgroup2', 'devtmpfs', 'proc', 'sysfs']));
  });

  it('tells code, signal, output and refusal of a command', async () => {
    const result = await vm.exec(['sh', '-c', 'cat; echo bad >&2; exit 3'], { input: Buffer.from('fed') });
    expect([result.code, result.stdout.toString(), result.stderr.toString()]).toEqual([3, 'fed', 'bad\n']);
    await expect(vm.exec(['/no/such/program'])).rejects.toMatchObject({ code: 'VM_REFUSED' });
    await expect(vm.sh('echo why >&2; false')).rejects.toMatchObject({
      code: 'VM_COMMAND',
      message: expect.stringContaining('why'),
    });
    await expect(vm.exec(['sleep', '100'], { timeoutMs: 500 })).rejects.toMatchObject({ code: 'VM_TIMEOUT' });
    // Killed in the guest too, not only forgotten here.
    await vm.sh('for i in $(seq 100); do pgrep -x sleep || exit 0; done; exit 1');
  });

  it('keeps a talkative command from filling this side', async () => {
    const result = await vm.exec(['head', '-c', '300000', '/dev/zero'], { outputBytesMax: 1000 });
    expect([result.stdout.byteLength, result.truncated]).toEqual([1000, true]);
  });

  it('puts and gets files of any bytes', async () => {
    const bytes = Buffer.from(Array.from({ length: 1_500_000 }, (_, index) => (index * 31) % 251));
    await vm.put('/var/lib/blob', bytes, { mode: 0o640 });
    expect((await vm.get('/var/lib/blob')).equals(bytes)).toBe(true);
    expect((await vm.output(['stat', '-c', '%a %s', '/var/lib/blob'])).trim()).toBe('640 1500000');
    await expect(vm.put('/no/such/folder/x', 'x')).rejects.toMatchObject({ code: 'VM_REFUSED' });
    await expect(vm.get('/no/such/file')).rejects.toMatchObject({ code: 'VM_REFUSED' });
  });

  it('copies a folder', async () => {
    await vm.copy(new URL('guest', import.meta.url).pathname, '/opt/guest');
    const copied = await vm.get('/opt/guest/serve.ts');
    expect(copied.equals(readFileSync(new URL('guest/serve.ts', import.meta.url)))).toBe(true);
  });

  it('reaches a server on this host, and is reached through a forwarded port', async () => {
    const server = createServer((_, response) => response.end('from the host')).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    expect(await vm.output(['curl', '-sS', `http://10.0.2.2:${port}/`])).toBe('from the host');
    await new Promise((resolve) => server.close(resolve));

    const script =
      "require('http').createServer((_, r) => r.end('from the guest')).listen(8080, () => console.log('up'))";
    const ended = new AbortController();
    const up = new Promise<void>((resolve) => {
      const options = { env: NO_IO_URING, onOutput: () => resolve(), signal: ended.signal };
      vm.exec(['node', '-e', script], options).catch(() => undefined);
    });
    await up;
    expect(await (await fetch(`http://127.0.0.1:${vm.port(8080)}/`)).text()).toBe('from the guest');
    ended.abort(new Error('enough'));
  });

  it('keeps its disk when it reboots, and nothing of /run', async () => {
    await vm.sh('echo kept > /var/lib/state; echo lost > /run/state');
    const before = vm.guest.bootId;
    await vm.reboot();
    expect(vm.guest.bootId).not.toBe(before);
    expect(await vm.output(['cat', '/var/lib/state'])).toBe('kept\n');
    expect((await vm.exec(['test', '-e', '/run/state'])).code).toBe(1);
    recordVmFact(target, 'reboot', 'ok');
  });

  it('leaves no process behind when it is stopped', async () => {
    const { pid } = vm;
    expect(isRunning(pid)).toBe(true);
    const running = vm.exec(['sleep', '100']);
    running.catch(() => undefined);
    await vm.stop();
    expect(isRunning(pid)).toBe(false);
    await expect(running).rejects.toMatchObject({ code: 'VM_EXITED' });
    await expect(vm.exec(['true'])).rejects.toMatchObject({ code: 'VM_EXITED' });
  });
}

for (const [target, expected] of Object.entries(EXPECTED) as [VmTarget, Expected][])
  await describeWithVm(target, 'a machine', () => testMachine(target, expected));

await describeWithVm('arm64-6.1', 'what goes wrong', () => {
  let vm: RunningVm;
  beforeAll(async () => {
    vm = await startVm({ target: 'arm64-6.1', bootTimeoutMs: BOOT_TIMEOUT_MS, background: true });
  }, BOOT_TIMEOUT_MS);
  afterAll(async () => {
    await vm?.stop();
  });

  describe('while it is wanted', () => {
    it('loses what was not synced when the power is cut', async () => {
      await vm.sh('echo old > /var/lib/state; sync; echo new > /var/lib/unsynced');
      await vm.reboot('power-cut');
      expect(await vm.output(['cat', '/var/lib/state'])).toBe('old\n');
      expect((await vm.exec(['test', '-s', '/var/lib/unsynced'])).code).toBe(1);
    });

    it('comes back from a panic', async () => {
      const before = vm.guest.bootId;
      await vm.reboot('panic');
      expect(vm.guest.bootId).not.toBe(before);
    });
  });

  it('tells of a panic nobody asked for, with the last words of the console', async () => {
    const crashing = vm.exec(['sh', '-c', 'echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger']);
    await expect(crashing).rejects.toMatchObject({ code: 'VM_PANIC', message: expect.stringContaining('sysrq') });
    await expect(vm.exec(['true'])).rejects.toMatchObject({ code: 'VM_PANIC' });
  });

  it('ends the VM when the kernel does not come up in time', async () => {
    await expect(startVm({ target: 'arm64-6.1', bootTimeoutMs: 50 })).rejects.toMatchObject({ code: 'VM_BOOT' });
  });
});
