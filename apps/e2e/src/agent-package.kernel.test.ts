import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { startProgram, until, type StartedProcess } from './process.js';
import { repositoryDir, Stack } from './stack.js';
import { ThrowAwayRoot } from './throw-away-root.js';

const LONG_MS = 600_000;
const HERE: Record<string, string> = { x64: 'x64', arm64: 'arm64', arm: 'armv7' };
const PINS = '/run/bpfleet/bpf/bpfleet';

/** What the unit says, so that what it grants is what is tested. */
function unitSetting(file: string, name: string): string {
  const text = readFileSync(join(repositoryDir, 'apps/agent/package/files', file), 'utf8');
  return [...text.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].at(-1)?.[1] ?? '';
}

/** Runs as the unit runs it: its user, its capabilities, nothing to gain. */
function asUnit(unit: string, command: string): string {
  const capabilities = unitSetting(unit, 'AmbientCapabilities')
    .split(' ')
    .map((name) => `+${name.replace(/^CAP_/, '').toLowerCase()}`)
    .join(',');
  const flags = [
    '--reuid bpfleet-agent --regid bpfleet-agent --init-groups --no-new-privs',
    `--inh-caps=-all,${capabilities} --ambient-caps=-all,${capabilities} --bounding-set=-all,${capabilities}`,
  ];
  return `ulimit -l unlimited; exec setpriv ${flags.join(' ')} ${command}`;
}

const needs = ['root', 'bpf', 'bpffs', 'tracefs', 'clang', 'bpftool', 'overlayfs'] as const;

describeWithKernel('a device that installs the agent', needs, () => {
  let stack: Stack;
  let device: ThrowAwayRoot;
  let agent: StartedProcess | undefined;
  const packages = mkdtempSync(join(tmpdir(), 'bpfleet-packages-'));

  beforeAll(async () => {
    const arch = HERE[process.arch] ?? '';
    const script = join(repositoryDir, 'apps/agent/package/main.mjs');
    const build = promisify(execFile)(process.execPath, [script, '--arch', arch, '--format', 'tar', '--out', packages]);
    stack = await Stack.start({ environment: { BPFLEET_PACKAGES_DIR: packages } });
    device = await ThrowAwayRoot.make();
    await build;
  }, LONG_MS);
  afterAll(async () => {
    await agent?.end('SIGTERM');
    await device?.stop();
    await stack?.stop();
    rmSync(packages, { recursive: true, force: true });
  }, LONG_MS);

  const startAgent = async (unit: string): Promise<void> => {
    const [, , ...words] = unitSetting('bpfleet-agent.service', 'ExecStart').split(' ');
    const command = asUnit(unit, ['/opt/bpfleet-agent/bin/bpfleet-agent run', ...words].join(' '));
    await device.sh(`install -d -m 755 -o bpfleet-agent -g bpfleet-agent /run/bpfleet`);
    const prepared = await device.sh(unitSetting('bpfleet-bpffs.service', 'ExecStart'));
    expect(prepared).toMatchObject({ code: 0, stderr: '' });
    agent = await startProgram('agent', device.command('sh', '-c', command), {}, join(stack.dir, 'log/agent.log'));
  };

  const theDevice = () =>
    until('the device is online', async () => {
      const { items } = await stack.api.call('listDevices', {});
      return items.find(({ online }) => online);
    });

  const newToken = () => stack.api.call('createEnrolmentToken', { body: { name: 'a device' } });

  it(
    'installs with the line that the server shows, and refuses what is not what was built',
    async () => {
      const { command, token } = await newToken();
      expect(command).toContain(`u=${stack.url}/agent/install.sh; `);
      expect(command).toContain('| sh -s -- bpf1.');
      const script = `curl -fsSL ${stack.url}/agent/install.sh`;
      const bent = `${script} | sed 's/ tar \\(bpfleet[^ ]*\\) ..../ tar \\1 0000/' | sh -s -- ${token}`;
      const refused = await device.sh(bent);
      expect(refused.code).not.toBe(0);
      expect(refused.stderr).toContain('nothing was installed');
      expect((await device.sh('ls /opt/bpfleet-agent')).code).not.toBe(0);
      const replaced = await device.sh(command.replace(' in ', ' in 0'));
      expect(replaced).toMatchObject({ code: 1, stderr: expect.stringContaining('nothing was run') });
      expect((await device.sh('ls /opt/bpfleet-agent')).code).not.toBe(0);

      const installed = await device.sh(command);
      expect(installed.stderr).toMatch(/installed version \d+\.\d+\.\d+, \d+ MiB/);
      expect(installed).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/^\{"enrolled":true,"device":"d\w+"\}\n$/),
      });
      expect(installed.stderr).toContain('start the agent as root');
      const owners = await device.sh("find /var/lib/bpfleet-agent -exec stat -c '%U %a %n' {} + | sort");
      expect(owners.stdout.split('\n')).toContain('bpfleet-agent 600 /var/lib/bpfleet-agent/identity/key.pem');
      expect(owners.stdout).not.toContain('root ');
    },
    LONG_MS,
  );

  it(
    'runs as its own user with the capabilities of its unit, measures, and pins in a bpffs of its own',
    async () => {
      await startAgent('bpfleet-agent.service');
      const { id } = await theDevice();
      await stack.assign('count_syscalls', id);
      const status = await device.sh(`cat /proc/${agent?.pid}/status`);
      expect(status.stdout).not.toMatch(/^Uid:\s+0\b/m);
      const run = await until('it is measured', async () => {
        const { items } = await stack.api.call('listRuns', { query: { device: id, live: 'true' } });
        return items.find(({ stats }) => stats?.measured);
      });
      expect((await device.sh(`ls ${PINS}/${id}`)).stdout.trim()).toBe(run.id);
      expect(Object.keys((await device.sh(`ls /sys/fs/bpf/bpfleet/${id}`)).stdout)).toEqual([]);
    },
    LONG_MS,
  );

  it(
    'is brought up to date without a token and without a gap, and keeps its identity',
    async () => {
      const { id } = await theDevice();
      const before = (await device.sh(`ls ${PINS}/${id}`)).stdout;
      const { token } = await newToken();
      const script = `curl -fsSL ${stack.url}/agent/install.sh`;
      const foreign = await device.sh(`${script} | sh -s -- ${token.replace(/\w{64}$/, 'f'.repeat(64))}`);
      expect(foreign).toMatchObject({ code: 1, stderr: expect.stringContaining('another fleet') });
      expect(foreign.stderr).not.toContain('fetching');
      // The line for a new device does it too, without enrolling it once more.
      const again = await device.sh((await newToken()).command);
      expect(again).toMatchObject({ code: 0, stdout: '', stderr: expect.stringContaining('keeps its identity') });
      expect((await device.sh('ls -A /opt')).stdout).not.toContain('.bpfleet-install');
      const updated = await device.sh(`${script} | sh`);
      expect(updated).toMatchObject({ code: 0, stderr: expect.stringContaining('keeps its identity') });
      await agent?.end('SIGUSR2');
      expect((await device.sh(`ls ${PINS}/${id}`)).stdout).toBe(before);
      await startAgent('bpfleet-agent.service');
      await stack.attached('count_syscalls', id);
      expect((await theDevice()).id).toBe(id);
    },
    LONG_MS,
  );

  it(
    'goes without CAP_SYS_ADMIN when it is not granted, and says that it does not measure',
    async () => {
      await agent?.end('SIGUSR2');
      await startAgent('least-privilege.conf');
      const { id } = await theDevice();
      await until('it is not measured', async () => {
        const { items } = await stack.api.call('listRuns', { query: { device: id, live: 'true' } });
        return items.some(({ stats }) => stats && !stats.measured);
      });
    },
    LONG_MS,
  );

  it(
    'leaves nothing in the kernel when it is removed, even by a dead agent',
    async () => {
      const { id } = await theDevice();
      await agent?.end('SIGKILL');
      agent = undefined;
      const pinned = await device.sh(`bpftool -j link show pinned "$(echo ${PINS}/${id}/*/links/*)"`);
      const { id: link } = JSON.parse(pinned.stdout) as { id: number };
      expect(link).toBeGreaterThan(0);
      const removed = await device.sh('/opt/bpfleet-agent/lib/setup stop && /opt/bpfleet-agent/lib/setup remove');
      expect(removed).toMatchObject({ code: 0 });
      expect((await device.sh('grep /run/bpfleet /proc/mounts; ls /run/bpfleet')).stdout).toBe('');
      await until('the link is gone', async () => (await device.sh(`bpftool link show id ${link}`)).code !== 0);
    },
    LONG_MS,
  );
});
