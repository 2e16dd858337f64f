import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { KernelUpgrade } from '@bpfleet/api';
import { describeWithKernel } from '@bpfleet/testkit';
import { PrismaService } from '../../../platform/prisma/prisma.service.js';
import { ControlSql } from '../../../platform/sql/control-sql.js';
import { kernelGroupOf } from '../../kernels/groups/index.js';
import { compileCore, READS_OLD_STATE, READS_PID } from '../../kernels/testing/core-object.js';
import { foreignBtf } from '../../kernels/testing/kernel-btf.js';
import { kernelFacts, PaperFleet } from '../testing/fleet.js';
import { isOfSeries } from './targets.js';

const MIB = 1024 ** 2;
const old = kernelFacts('arm64-5.10');
const middle = kernelFacts('arm64-6.1');
const recent = kernelFacts('arm64-6.12');
const armhf = kernelFacts('armhf-6.1');

describe('isOfSeries', () => {
  it.each([
    ['6.12.73+deb13-arm64', '6.12', true],
    ['6.1.0-50-arm64', '6.12', false],
    ['6.12', '6.1', false],
    ['custom', '6.1', false],
  ])('%s is of %s: %s', (release, series, expected) => {
    expect(isOfSeries(release, series)).toBe(expected);
  });
});

describeWithKernel('what breaks if devices move to another kernel', ['clang'], () => {
  let fleet: PaperFleet;
  let stays: string;
  let breaks: string;

  beforeAll(async () => {
    fleet = await PaperFleet.start();
    await fleet.knowTypes('arm64-5.10', 'arm64-6.1', 'arm64-6.12');
    stays = await fleet.release(compileCore(READS_PID));
    breaks = await fleet.release(compileCore(READS_OLD_STATE));
  });
  afterAll(() => fleet?.stop());
  beforeEach(async () => {
    const prisma = fleet.get(PrismaService);
    await prisma.run.deleteMany();
    await prisma.device.deleteMany();
    await prisma.kernelVerdict.deleteMany();
    await prisma.kernelGroup.deleteMany();
    await prisma.kernelBuild.deleteMany();
  });

  const ask = (body: object): Promise<KernelUpgrade> =>
    fleet.api.call('kernelUpgrade', { body: { selector: 'all', ...body } });

  /** A group as the lab makes one: no device is in it. */
  async function lab(facts = recent): Promise<string> {
    const device = await fleet.device(facts);
    await fleet.get(PrismaService).device.delete({ where: { id: device } });
    return kernelGroupOf(facts).id;
  }

  const shown = ({ rows }: KernelUpgrade) =>
    rows.map(({ release, kernel, verdict, devices, reasons }) => [
      release.id,
      kernel?.kernelRelease ?? null,
      verdict,
      devices,
      reasons[0]?.kind,
    ]);

  it('says for each release that runs on them, what breaks first, with what the lab’s kernel of that series said', async () => {
    await lab();
    for (let count = 0; count < 3; count++) {
      const device = await fleet.device(old);
      await fleet.running(device, stays);
      if (count < 2) await fleet.running(device, breaks);
    }
    await fleet.prove(stays, recent);
    const result = await ask({ series: '6.12' });
    expect(shown(result)).toEqual([
      [breaks, recent.kernelRelease, 'refuses', 2, 'poison'],
      [stays, recent.kernelRelease, 'takes', 3, 'proven'],
    ]);
    expect(result).toMatchObject({ devices: 3, runs: 5, takes: 3, refuses: 2, unknown: 0, pending: 0 });
    expect(result.kernels).toMatchObject([{ kernelRelease: recent.kernelRelease, id: kernelGroupOf(recent).id }]);
  });

  it('adds up what the maps of all runs of a device take there, but for those that break there anyway', async () => {
    await lab();
    const ring = `struct { int (*type)[27]; int (*max_entries)[${4 * MIB}]; } ring SEC(".maps");`;
    const large = (reads: string) => fleet.release(compileCore(`${ring} ${reads}`), 'budget: { map_bytes: 8MiB }');
    const [good, poisoned] = [await large(READS_PID), await large(READS_OLD_STATE)];
    await fleet.prove(good, recent);
    // Room for five rings and no sixth.
    const facts = { ...old, memoryBytes: 96 * MIB };
    const [full, room, broken] = [await fleet.device(facts), await fleet.device(facts), await fleet.device(facts)];
    for (let count = 0; count < 6; count++) await fleet.running(full, good);
    for (let count = 0; count < 5; count++) {
      await fleet.running(room, good);
      await fleet.running(broken, good);
    }
    await fleet.running(broken, poisoned);
    const result = await ask({ series: '6.12' });
    expect(shown(result)).toEqual([
      [poisoned, recent.kernelRelease, 'refuses', 1, 'poison'],
      [good, recent.kernelRelease, 'unknown', 6, 'memory_together'],
      [good, recent.kernelRelease, 'takes', 10, 'proven'],
    ]);
    expect(result.rows[1]?.reasons[0]?.sentence).toMatch(
      /beside the \d+ KiB of 5 other runs, together .* have 24576 KiB/,
    );
  });

  it('counts only what is to run now, on the devices that the selector holds', async () => {
    await lab();
    const [here, there] = [await fleet.device(old, 'here'), await fleet.device(old, 'there')];
    await fleet.running(here, breaks, { state: 'REMOVED', wanted: false });
    await fleet.running(here, breaks, { state: 'REJECTED' });
    await fleet.running(here, stays);
    await fleet.running(there, breaks);
    const result = await ask({ selector: 'site=here', series: '6.12' });
    expect([result.devices, shown(result).map(([release]) => release)]).toEqual([1, [stays]]);
  });

  it('asks one kernel group by its id, and knows none that is not there', async () => {
    const id = await lab();
    await fleet.running(await fleet.device(old), breaks);
    expect(shown(await ask({ kernelGroupId: id }))).toMatchObject([
      [breaks, recent.kernelRelease, 'refuses', 1, 'poison'],
    ]);
    await expect(ask({ kernelGroupId: 'f'.repeat(64) })).rejects.toMatchObject({ status: 404, code: 'KERNEL_UNKNOWN' });
    await expect(ask({})).rejects.toMatchObject({ status: 400 });
    await expect(ask({ series: '6' })).rejects.toMatchObject({ status: 400 });
    await expect(ask({ series: '6.12', kernelGroupId: id })).rejects.toMatchObject({ status: 400 });
  });

  it('does not know what no kernel of their architecture is there to say', async () => {
    await lab();
    await fleet.running(await fleet.device(armhf), stays);
    const result = await ask({ series: '6.12' });
    expect(shown(result)).toEqual([[stays, null, 'unknown', 1, 'no_kernel']]);
    expect(await ask({ series: '6.12', arch: 'arm64' })).toMatchObject({ runs: 0, rows: [] });
  });

  it('keeps a device’s user land and JIT setting: what was proven with others is not known of it', async () => {
    await lab();
    await fleet.prove(stays, recent);
    for (const facts of [
      { ...old, userBits: 32 as const },
      { ...old, jit: 'off' as const },
    ]) {
      await fleet.running(await fleet.device(facts), stays);
    }
    const { rows } = await ask({ series: '6.12' });
    expect(rows.map(({ verdict, kernel }) => [verdict, kernel?.id, kernel?.userBits, kernel?.jit]).sort()).toEqual([
      ['unknown', null, 32, 'on'],
      ['unknown', null, 64, 'off'],
    ]);
  });

  it('believes of a kernel that other devices run what their agents found missing there', async () => {
    const needs = await fleet.release(compileCore(READS_PID), 'requires: { features: [netkit] }');
    await fleet.running(await fleet.device({ ...old, features: [...old.features, 'netkit'], lacks: [] }), needs);
    await fleet.device(recent);
    expect(shown(await ask({ series: '6.12' }))).toMatchObject([
      [needs, recent.kernelRelease, 'refuses', 1, 'feature'],
    ]);
  });

  it('believes of a kernel that only the lab runs what it said in its VM, but an agent on it more', async () => {
    const multi = await fleet.release(compileCore('SEC("kprobe.multi/tcp_v4_connect") int p(void *c) { return 0; }'));
    await fleet.running(await fleet.device(old), multi);
    const group = await lab();
    await fleet.prove(multi, recent);
    const labKernel = (lacks: string[]) => ({
      ...{ id: 'l1', name: 'l1', target: 'arm64-6.12', kernelArgs: [], kernelGroupId: group },
      ...{ features: ['kprobe', 'kprobes'], lacks, dueAt: new Date(0), createdBy: 'kari', createdAt: new Date(0) },
    });
    const { labKernel: kept } = fleet.get(PrismaService);
    try {
      await kept.create({ data: labKernel(['kprobe_multi']) });
      const result = await ask({ series: '6.12' });
      expect(shown(result)).toEqual([[multi, recent.kernelRelease, 'refuses', 1, 'attach_type']]);
      expect(result.rows[0]?.reasons[0]?.sentence).toMatch(/needs kprobe_multi, which this kernel does not have/);
      await fleet.device({ ...recent, features: [...recent.features, 'kprobe_multi'], lacks: [] });
      expect(shown(await ask({ series: '6.12' }))).toMatchObject([[multi, recent.kernelRelease, 'takes', 1, 'proven']]);
    } finally {
      await kept.deleteMany();
    }
  });

  it('takes from the device whether BPF is among its security modules, which its command line says', async () => {
    const blocks = await fleet.release(compileCore('SEC("lsm/file_open") int p(void *c) { return 0; }'));
    const [without, withBpf] = [['lockdown'], ['lockdown', 'ipe', 'bpf']];
    const { labKernel: kept } = fleet.get(PrismaService);
    const shownFrom = async (device: string[], target: string[]) => {
      const facts = { ...recent, lsm: target };
      const group = await lab(facts);
      await fleet.prove(blocks, facts);
      const lacks = target.includes('bpf') ? [] : ['active_bpf_lsm'];
      const can = { features: ['lsm', 'fentry', 'hash', 'ringbuf', 'raw_tracepoint'], lacks };
      const named = { id: 'l1', name: 'l1', target: 'arm64-6.12', kernelArgs: [], createdBy: 'kari' };
      await kept.create({
        data: { ...named, ...can, kernelGroupId: group, dueAt: new Date(0), createdAt: new Date(0) },
      });
      await fleet.running(await fleet.device({ ...old, lsm: device }), blocks);
      const [row] = (await ask({ kernelGroupId: group })).rows;
      return [row?.verdict, row?.reasons[0]?.kind, row?.proof?.closeness, row?.kernel?.lsm.includes('bpf')];
    };
    try {
      expect(await shownFrom(withBpf, without)).toEqual(['takes', 'proven', 'same_series', true]);
      await fleet.get(PrismaService).run.deleteMany();
      await kept.deleteMany();
      expect(await shownFrom(without, withBpf)).toEqual(['refuses', 'attach_type', 'same_series', false]);
      await fleet.get(PrismaService).run.deleteMany();
      await kept.deleteMany();
      expect(await shownFrom(['yama', 'bpf'], withBpf)).toEqual(['takes', 'proven', 'same_group', true]);
    } finally {
      await kept.deleteMany();
    }
  });

  it('goes by the types of a build that an administrator added, where no kernel of it is known', async () => {
    const build = { buildId: 'cd'.repeat(20), release: '6.12.99-board', arch: 'arm64' as const };
    await fleet.api.call('addBtf', { query: build, body: foreignBtf('arm64-6.12') });
    const device = await fleet.device(old);
    for (const release of [stays, breaks]) await fleet.running(device, release);
    const result = await ask({ series: '6.12' });
    expect(shown(result)).toEqual([
      [breaks, build.release, 'refuses', 1, 'poison'],
      [stays, build.release, 'unknown', 1, 'unproven'],
    ]);
    expect(result.rows[1]?.resolution).toBe('accepted');
  });

  it('counts thousands of devices', async () => {
    await lab();
    await fleet.running(await fleet.device(old), stays);
    await fleet.get(ControlSql).pool.query(
      `INSERT INTO "Device" (id, name, labels, facts, "kernelGroupId")
       SELECT 'dmany' || lpad(n::text, 7, '0'), 'many', '{}', $1, $2 FROM generate_series(1, 2000) n`,
      [JSON.stringify(middle), null],
    );
    await fleet.get(ControlSql).pool.query(
      `INSERT INTO "Run" (id, "deviceId", "releaseId", kind, intent, params, state, "updatedAt")
       SELECT 'r' || id, id, $1, 'assignment', 'a1', '{}', 'ATTACHED', now() FROM "Device" WHERE name = 'many'`,
      [breaks],
    );
    const result = await ask({ series: '6.12' });
    expect(result).toMatchObject({ runs: 2001, refuses: 2000, unknown: 1 });
  });
});
