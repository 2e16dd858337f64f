import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { listLinks, listPrograms, openObject } from '@bpfleet/node-libbpf';
import { describeWithKernel, hasCapability } from '@bpfleet/testkit';
import { encodeLeaseSheet } from './core/lease-sheet.js';
import { attachProgram, type NamedLink } from './kernel/attach.js';
import { BootClock } from './kernel/boot-clock.js';
import { compileBpf } from './testing/compile.js';
import { prioritySource } from './testing/priority-probe.js';

const reaper = fileURLToPath(new URL('../reap/build/host/bpfleet-reap', import.meta.url));
const PINS = `/sys/fs/bpf/bpfleet-reap-test-${process.pid}`;

describeWithKernel('bpfleet-reap', ['root', 'bpf', 'bpffs', 'tracefs', 'clang'], () => {
  const clock = new BootClock();
  let object: Buffer;
  let leases: string;

  beforeAll(() => {
    // Another name: the tests of the agent count their programs by theirs.
    object = compileBpf(prioritySource.replaceAll('on_getpriority', 'reaped'));
    expect(existsSync(reaper)).toBe(true);
  });

  beforeEach(() => {
    leases = mkdtempSync(join(tmpdir(), 'bpfleet-leases-'));
    mkdirSync(PINS);
  });

  afterEach(() => {
    rmSync(PINS, { recursive: true, force: true });
    rmSync(leases, { recursive: true, force: true });
  });

  /** Attached, and held by nothing but its pins. */
  function pinRun(device: string, run: string): number {
    for (const kind of ['programs', 'maps', 'links']) mkdirSync(join(PINS, device, run, kind), { recursive: true });
    const loaded = openObject(object, { name: 'reaped' }).load();
    const [program] = loaded.programs;
    if (!program) throw new Error('the object has no program');
    program.pin(join(PINS, device, run, 'programs', program.name));
    const link = program.attach();
    link.pin(join(PINS, device, run, 'links', program.name));
    const { id } = program;
    link.close();
    loaded.close();
    return id;
  }

  /** A tc program on a cable of its own, held by nothing but its pins. */
  function pinTcRun(device: string, run: string, name: string): number {
    for (const kind of ['programs', 'links']) mkdirSync(join(PINS, device, run, kind), { recursive: true });
    const source = `#include <linux/bpf.h>
      #include <bpf/bpf_helpers.h>
      SEC("tc") int reaped_tc(struct __sk_buff *skb) { return -1; }
      char LICENSE[] SEC("license") = "GPL";`;
    const loaded = openObject(compileBpf(source), { name: 'reaped_tc' }).load();
    const program = loaded.program('reaped_tc');
    program.pin(join(PINS, device, run, 'programs', program.name));
    const ifindex = Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8'));
    const [{ link }] = attachProgram(program, { interface: name, direction: 'egress' }) as [NamedLink];
    expect(link.info()).toMatchObject({ type: 'tcx', ifindex, attachType: 'tcx_egress' });
    link.pin(join(PINS, device, run, 'links', program.name));
    const { id } = program;
    link.close();
    loaded.close();
    return id;
  }

  const isLoaded = (program: number): boolean => listPrograms().some(({ id }) => id === program);

  /** The kernel frees what lost its last pin in a worker of its own and tells nobody: jest's time limit ends the wait. */
  async function gone(...programs: number[]): Promise<void> {
    while (programs.some(isLoaded)) await new Promise((resolve) => setImmediate(resolve));
  }

  function reap(...args: string[]): { status: number | null; stdout: string; stderr: string } {
    return spawnSync(reaper, ['--pins', PINS, '--leases', leases, ...args], { encoding: 'utf8', timeout: 10_000 });
  }

  function writeSheet(device: string, sheet: { bootId?: string; ago?: number; runs?: Record<string, number> }): void {
    const { bootId, seconds } = clock.now();
    const heartbeat = { bootId: sheet.bootId ?? bootId, seconds: seconds - (sheet.ago ?? 0) };
    const runs = Object.entries(sheet.runs ?? {}).map(([run, left]) => ({ run, untilSeconds: seconds + left }));
    writeFileSync(join(leases, `${device}.leases`), encodeLeaseSheet({ heartbeat, runs }));
  }

  it('leaves a living agent alone, but for the run whose lease has lapsed', async () => {
    const stays = pinRun('dev1', 'r1');
    const lapsed = pinRun('dev1', 'r2');
    const starting = pinRun('dev1', 'r3');
    writeSheet('dev1', { ago: 200, runs: { r1: 600, r2: -2 } });
    expect(reap()).toMatchObject({ status: 0, stdout: 'reaping dev1 r2: its lease has lapsed\n', stderr: '' });
    await gone(lapsed);
    expect([stays, starting].map(isLoaded)).toEqual([true, true]);
    expect(reap()).toMatchObject({ status: 0, stdout: '' });
  });

  const onCable = hasCapability('netns') ? it : it.skip;
  onCable.each([
    ['whose lease has lapsed', { runs: { r1: -2 } }, 'its lease has lapsed'],
    ['of a dead agent', { ago: 301, runs: { r1: 600 } }, 'its agent is dead'],
  ])('detaches a tc program %s from its interface [needs netns]', async (_, sheet, why) => {
    const name = `bprp${process.pid % 100_000}`;
    execFileSync('ip', ['link', 'add', name, 'type', 'veth', 'peer', 'name', `${name}p`]);
    try {
      const program = pinTcRun('dev1', 'r1', name);
      const attached = (): boolean => listLinks().some(({ programId }) => programId === program);
      expect(attached()).toBe(true);
      writeSheet('dev1', sheet);
      expect(reap()).toMatchObject({ status: 0, stdout: `reaping dev1 r1: ${why}\n` });
      await gone(program);
      expect(attached()).toBe(false);
    } finally {
      execFileSync('ip', ['link', 'del', name]);
    }
  });

  it.each([
    ['its agent is dead', { ago: 301, runs: { r1: 600 } }],
    ['its leases are of another boot', { bootId: '00000000-0000-0000-0000-000000000000', runs: { r1: 600 } }],
    ['its agent left no leases', undefined],
  ])('takes everything of a device out of the kernel: %s', async (why, sheet) => {
    const programs = [pinRun('dev1', 'r1'), pinRun('dev1', 'r2')];
    const other = pinRun('dev2', 'r1');
    writeSheet('dev2', { runs: { r1: 600 } });
    if (sheet) writeSheet('dev1', sheet);
    expect(reap('--dry-run').stdout).toContain(`would reap dev1 r1: ${why}`);
    expect(programs.map(isLoaded)).toEqual([true, true]);
    const { status, stdout } = reap();
    expect(status).toBe(0);
    expect(stdout.trim().split('\n').sort()).toEqual([`reaping dev1 r1: ${why}`, `reaping dev1 r2: ${why}`]);
    await gone(...programs);
    expect(existsSync(join(PINS, 'dev1'))).toBe(false);
    expect(isLoaded(other)).toBe(true);
  });

  it.each([
    ['cut short', 'bpfleet-leases 1\nboot x\nheartbeat 1\nrun r1 99999999\n'],
    ['of another version', 'bpfleet-leases 2\nend\n'],
    ['without a heartbeat', 'bpfleet-leases 1\nboot x\nend\n'],
    ['with a number that is none', 'bpfleet-leases 1\nboot x\nheartbeat 1e9\nend\n'],
    ['of letters without end', 'x'.repeat(200_000)],
    ['empty', ''],
  ])('does not believe a sheet that is %s', async (_, text) => {
    const program = pinRun('dev1', 'r1');
    writeFileSync(join(leases, 'dev1.leases'), text);
    expect(reap()).toMatchObject({ status: 0, stdout: 'reaping dev1 r1: its leases are garbled\n' });
    await gone(program);
  });

  it('reports a sheet that it cannot read, and touches nothing of that device', () => {
    const program = pinRun('dev1', 'r1');
    writeFileSync(join(leases, 'elsewhere'), 'bpfleet-leases 1\n');
    symlinkSync(join(leases, 'elsewhere'), join(leases, 'dev1.leases'));
    const { status, stdout, stderr } = reap();
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain('cannot read the leases of dev1');
    expect(isLoaded(program)).toBe(true);
  });

  it('removes nothing on a file system that is no bpffs, and does nothing where nothing was ever pinned', () => {
    const plain = mkdtempSync(join(tmpdir(), 'bpfleet-no-bpffs-'));
    mkdirSync(join(plain, 'dev1', 'r1'), { recursive: true });
    expect(reap('--pins', plain)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('not on a bpf file system'),
    });
    expect(existsSync(join(plain, 'dev1', 'r1'))).toBe(true);
    rmSync(plain, { recursive: true });
    expect(reap('--pins', plain)).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });

  it('refuses words that it does not know', () => {
    expect(reap('--all')).toMatchObject({ status: 2, stderr: expect.stringContaining('usage:') });
  });

  it('is small and needs nothing but the C library', () => {
    expect(statSync(reaper).size).toBeLessThan(64 * 1024);
    const { stdout } = spawnSync('readelf', ['-d', reaper], { encoding: 'utf8' });
    expect([...stdout.matchAll(/NEEDED.*\[(.+)\]/g)].map(([, name]) => name)).toEqual(['libc.so.6']);
  });
});
