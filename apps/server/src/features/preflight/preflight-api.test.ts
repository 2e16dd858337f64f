import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Preflight } from '@bpfleet/api';
import { describeWithKernel } from '@bpfleet/testkit';
import type { Facts } from '@bpfleet/wire';
import { PrismaService } from '../../platform/prisma/prisma.service.js';
import { KernelList } from '../kernels/index.js';
import {
  compileCore,
  READS_ELSEWHERE,
  READS_LONG,
  READS_OLD_STATE,
  READS_PID,
} from '../kernels/testing/core-object.js';
import { foreignBtf } from '../kernels/testing/kernel-btf.js';
import { ReleaseCatalogue } from '../releases/catalogue/index.js';
import { ReleaseReader } from './release-reader.js';
import { kernelFacts, PaperFleet } from './testing/fleet.js';
import { VerdictReader } from './verdict-reader.js';

const MIB = 1024 ** 2;
const TP_BTF = 'SEC("tp_btf/sys_enter") int p(struct task_struct *t) { return t->pid; }';
const FENTRY = 'SEC("fentry/do_unlinkat") int p(void *ctx) { return 0; }';
const PLAIN = 'SEC("raw_tp/sys_enter") int p(void *ctx) { return 0; }';
const RING_4_MIB = `struct { int (*type)[27]; int (*max_entries)[${4 * MIB}]; } ring SEC(".maps"); ${PLAIN}`;
const TUNED = `const volatile int old = 0; SEC("raw_tp/sys_enter") int p(struct task_struct___old *t) { return old ? t->state : 0; }`;

const old = kernelFacts('arm64-5.10');
const middle = kernelFacts('arm64-6.1');
const recent = kernelFacts('arm64-6.12');
const armhf = kernelFacts('armhf-6.1');

describeWithKernel('pre-flight', ['clang'], () => {
  let fleet: PaperFleet;
  const objects = new Map<string, Buffer>();

  beforeAll(async () => {
    for (const source of [
      READS_PID,
      READS_LONG,
      READS_OLD_STATE,
      TP_BTF,
      FENTRY,
      PLAIN,
      RING_4_MIB,
      TUNED,
      READS_ELSEWHERE,
    ]) {
      objects.set(source, compileCore(source));
    }
    fleet = await PaperFleet.start();
    await fleet.knowTypes('arm64-5.10', 'arm64-6.1', 'arm64-6.12');
    await fleet.api.call('addBtf', { query: { buildId: armhf.kernelBuildId ?? '' }, body: foreignBtf('armhf-6.1') });
  });
  afterAll(() => fleet?.stop());
  beforeEach(async () => {
    await fleet.get(PrismaService).run.deleteMany();
    await fleet.get(PrismaService).device.deleteMany();
  });

  const publish = (source: string, extra?: string) => fleet.release(objects.get(source) as Buffer, extra);
  const ask = (releaseId: string, params = {}): Promise<Preflight> =>
    fleet.api.call('preflight', { body: { releaseId, selector: 'all', params } });

  /** By kernel: what it comes to, and why. */
  function byKernel({ groups }: Preflight): Record<string, [string, number, string]> {
    return Object.fromEntries(
      groups.map(({ kernel, verdict, devices, reasons }) => [
        kernel?.kernelRelease ?? 'untold',
        [verdict, devices, reasons.map(({ kind }) => kind).join(' ')],
      ]),
    );
  }

  /** The only answer. */
  async function answerFor(facts: Facts, releaseId: string, params = {}) {
    await fleet.device(facts);
    const { groups } = await ask(releaseId, params);
    expect(groups).toHaveLength(1);
    return groups[0] as Preflight['groups'][number];
  }

  it('says for each kernel group who takes a field that only some kernels have, with counts that add up', async () => {
    const release = await publish(READS_OLD_STATE);
    for (const facts of [old, old, middle, recent, undefined]) await fleet.device(facts);
    await fleet.prove(release, old);
    const result = await ask(release);
    expect(byKernel(result)).toEqual({
      [old.kernelRelease]: ['takes', 2, 'proven'],
      [middle.kernelRelease]: ['refuses', 1, 'poison'],
      [recent.kernelRelease]: ['refuses', 1, 'poison'],
      untold: ['unknown', 1, 'not_told'],
    });
    expect(result).toMatchObject({ devices: 5, takes: 2, refuses: 2, unknown: 1, pending: 0, groupsLeftOff: 0 });
    expect(result.sample).toHaveLength(5);
    const refused = result.groups.find(({ kernel }) => kernel?.kernelRelease === recent.kernelRelease);
    expect(refused?.reasons[0]?.sentence).toMatch(/`task_struct\.state` is gone in this kernel; it has `__state`/);
  });

  it('claims only resolution until a kernel was asked, and then says which kernel, and how near it is', async () => {
    const release = await publish(READS_PID);
    const sibling = { ...middle, kernelBuildId: 'ee'.repeat(20), kernelRelease: '6.1.0-2-arm64' };
    for (const facts of [middle, sibling]) await fleet.device(facts);
    expect(byKernel(await ask(release))).toEqual({
      [middle.kernelRelease]: ['unknown', 1, 'unproven'],
      [sibling.kernelRelease]: ['unknown', 1, 'unproven'],
    });
    await fleet.prove(release, sibling);
    const { groups } = await ask(release);
    expect(groups.map(({ verdict, proof }) => [verdict, proof?.closeness, proof?.by]).sort()).toEqual([
      ['takes', 'same_group', 'lab'],
      ['takes', 'same_series', 'lab'],
    ]);
  });

  it('takes the word of the server’s own kernel for the same build, and of nobody for another architecture', async () => {
    const release = await publish(READS_PID);
    const { kernelRelease, kernelArch, kernelBuildId } = middle;
    const verdict = { kernelRelease, kernelArch, kernelBuildId, verdict: 'accepted', programs: [] };
    await fleet.get(PrismaService).verdict.create({ data: { releaseId: release, ...verdict } });
    expect(await answerFor(middle, release)).toMatchObject({
      verdict: 'takes',
      proof: { closeness: 'same_build', by: 'server' },
    });
    await fleet.device(armhf);
    expect((await ask(release)).takes).toBe(1);
  });

  it('resolves what nobody has looked at on the spot, once, and says of the rest that it is being looked at', async () => {
    const release = await publish(READS_PID);
    await fleet.device(middle);
    const verdicts = () => fleet.get(PrismaService).kernelVerdict.count({ where: { releaseId: release } });
    const catalogued = await fleet.get(ReleaseCatalogue).get(release);
    const facts = await fleet.get(ReleaseReader).factsFor(catalogued, {}, ['arm64']);
    const { items } = await fleet.api.call('listKernels', {});
    const kernels = await fleet.get(KernelList).groups(items.map(({ id }) => id));
    const knownOf = await fleet.get(VerdictReader).knownOf(catalogued, facts, kernels, { left: 0 });
    expect([knownOf(kernels[0]).resolution, await verdicts()]).toEqual([{ word: 'pending' }, 0]);
    expect((await ask(release)).groups).toMatchObject([{ resolution: 'accepted' }]);
    await ask(release);
    expect(await verdicts()).toBe(1);
    // What other code found out does not count.
    await fleet.get(PrismaService).$executeRaw`UPDATE "KernelVerdict" SET version = version - 1`;
    await ask(release);
    await ask(release);
    expect(await verdicts()).toBe(2);
  });

  it('does not know what types are still on their way, and says so', async () => {
    const release = await publish(READS_PID);
    const answer = await answerFor({ ...middle, btfDigest: 'd'.repeat(64) }, release);
    expect(answer).toMatchObject({
      verdict: 'unknown',
      resolution: 'impossible',
      reasons: [{ kind: 'btf_wanted' }, {}],
    });
  });

  it('leaves open what only a type of a module would decide, but where the kernel shows no types', async () => {
    const release = await publish(READS_ELSEWHERE);
    for (const facts of [recent, armhf]) await fleet.device(facts);
    await fleet.prove(release, recent);
    expect(byKernel(await ask(release))).toEqual({
      [recent.kernelRelease]: ['unknown', 1, 'type_elsewhere proven'],
      [armhf.kernelRelease]: ['refuses', 1, 'poison'],
    });
  });

  it('asks no types for what needs none', async () => {
    const release = await publish(PLAIN);
    const untyped = { ...armhf, kernelBuildId: null };
    await fleet.device(untyped);
    await fleet.prove(release, untyped);
    expect((await ask(release)).groups).toMatchObject([
      { verdict: 'takes', resolution: 'not_needed', types: 'not_needed' },
    ]);
  });

  it.each<[string, string, Facts, string | undefined, RegExp]>([
    ['tp_btf where no BTF is shown', TP_BTF, armhf, undefined, /tp_btf\/sys_enter\) attaches by the BTF .* shows none/],
    ['8 bytes of a field that has 4', READS_LONG, armhf, undefined, /^The server refuses it.*reads 8 bytes .* has 4/],
    ['a feature that is missing', PLAIN, middle, 'requires: { features: [netkit] }', /lacks netkit/],
    [
      'a kernel older than any that is tested',
      PLAIN,
      { ...armhf, kernelRelease: '4.19.0-21-armmp' },
      undefined,
      /4\.19\.0/,
    ],
    [
      'a ring of 4 MiB in 64 MiB',
      RING_4_MIB,
      { ...middle, memoryBytes: 64 * MIB },
      'budget: { map_bytes: 8MiB }',
      /65536 KiB of memory and lets one probe have 4096 KiB/,
    ],
    ['the same over its budget', RING_4_MIB, middle, 'budget: { map_bytes: 4MiB }', /budget is 4096 KiB/],
    ['fentry where the agent found none', FENTRY, { ...middle, lacks: ['fentry'] }, undefined, /needs fentry/],
    ['an agent too old for tailored BTF', READS_PID, { ...armhf, understands: [] }, undefined, /too old/],
  ])('refuses whatever was proven: %s', async (_, source, facts, extra, sentence) => {
    const release = await publish(source, extra);
    await fleet.device(facts);
    await fleet.prove(release, facts);
    const { groups } = await ask(release);
    expect(groups).toMatchObject([{ verdict: 'refuses', reasons: [{ sentence: expect.stringMatching(sentence) }] }]);
  });

  it('refuses what the lab’s kernel of that group refused, with the reason', async () => {
    const release = await publish(READS_PID);
    const reasons = [{ kind: 'verifier', program: 'p', sentence: 'It reads past the end of a packet.' }];
    await fleet.device(middle);
    await fleet.prove(release, middle, { verdict: 'refused', reasons });
    expect(await ask(release)).toMatchObject({
      groups: [
        {
          verdict: 'refuses',
          reasons: [{ sentence: 'This kernel refused it: p: It reads past the end of a packet.' }],
        },
      ],
    });
  });

  it('asks the types of a kernel for its hooks, where only another build of its series was tried', async () => {
    const build = { ...middle, kernelBuildId: 'ee'.repeat(20), kernelRelease: '6.1.0-99-arm64' };
    await fleet.device(build);
    for (const [section, expected] of [
      ['kprobe/do_unlinkat', ['takes', ['proven']]],
      ['kprobe/_do_fork', ['unknown', ['hook_unnamed', 'proven']]],
      ['raw_tp/sched_switch', ['takes', ['proven']]],
      ['raw_tp/bpf_map_create', ['unknown', ['hook_unnamed', 'proven']]],
    ] as const) {
      const release = await fleet.release(compileCore(`SEC("${section}") int p(void *ctx) { return 0; }`));
      await fleet.device(middle);
      await fleet.prove(release, middle);
      const { groups } = await ask(release);
      const other = groups.find(({ kernel }) => kernel?.kernelRelease === build.kernelRelease);
      expect([section, other?.verdict, other?.reasons.map(({ kind }) => kind)]).toEqual([section, ...expected]);
    }
  });

  it('takes no word of the lab that was about other types, or for which no kernel was asked', async () => {
    const release = await publish(READS_PID);
    await fleet.device(middle);
    await fleet.prove(release, middle, { btfDigest: 'e'.repeat(64) });
    expect((await ask(release)).groups).toMatchObject([{ verdict: 'unknown', reasons: [{ kind: 'unproven' }] }]);
    const reasons = [{ kind: 'types', sentence: 'It is not offered.' }];
    await fleet.prove(release, middle, { verdict: 'refused', reasons });
    expect((await ask(release)).groups).toMatchObject([{ verdict: 'unknown', reasons: [{ kind: 'unproven' }] }]);
  });

  it('loads a kernel without BTF by one that is made for it, which awaits its signature until it is offered', async () => {
    const release = await publish(READS_PID);
    await fleet.device(armhf);
    await fleet.prove(release, armhf);
    const { groups } = await ask(release);
    expect(groups).toMatchObject([{ verdict: 'takes', types: 'awaiting_signature', resolution: 'accepted' }]);
    expect(groups[0]?.reasons.map(({ kind }) => kind)).toEqual(['proven', 'awaiting_signature']);
  });

  it('refuses a kernel whose BTF nobody gave, and says how to give it', async () => {
    const release = await publish(READS_PID);
    const answer = await answerFor({ ...armhf, kernelBuildId: 'b0'.repeat(20) }, release);
    expect(answer).toMatchObject({ verdict: 'refuses', types: 'missing', reasons: [{ kind: 'btf_missing' }] });
  });

  it('does not know what a parameter decides, unless it has the value that was proven', async () => {
    const release = await publish(TUNED, 'params: { old: { default: 0 } }');
    await fleet.device(middle);
    await fleet.prove(release, middle);
    expect((await ask(release)).takes).toBe(1);
    expect((await ask(release, { old: 1 })).groups).toMatchObject([
      { verdict: 'unknown', reasons: [{ kind: 'poison' }, { kind: 'other_params' }, { kind: 'proven' }] },
    ]);
  });

  /** As the lab names what these parameters make of the object's data. */
  async function globalsOf(releaseId: string, params: Record<string, number>): Promise<string> {
    const release = await fleet.get(ReleaseCatalogue).get(releaseId);
    const facts = await fleet.get(ReleaseReader).factsFor(release, params, ['arm64']);
    return facts('arm64').globals;
  }

  it('knows what a kernel of the lab did with these very parameters, and names them', async () => {
    const release = await publish(TUNED, 'params: { old: { default: 0 } }');
    await fleet.device(middle);
    await fleet.prove(release, middle);
    await fleet.prove(release, middle, { globals: await globalsOf(release, { old: 1 }) });
    const reasons = [{ kind: 'verifier', sentence: 'It is poisoned.' }];
    await fleet.prove(release, middle, { globals: await globalsOf(release, { old: 2 }), verdict: 'refused', reasons });
    const told = async (params: Record<string, number>) => {
      const [group] = (await ask(release, params)).groups;
      return [group?.verdict, group?.reasons.map(({ sentence }) => sentence).join(' ')];
    };
    expect(await told({})).toEqual(['takes', 'This very kernel has loaded it.']);
    expect(await told({ old: 1 })).toEqual(['takes', 'This very kernel has loaded it with old = 1.']);
    expect(await told({ old: 2 })).toEqual(['refuses', 'This kernel refused it with old = 2: It is poisoned.']);
    expect((await told({ old: 3 }))[0]).toBe('unknown');
  });

  it('asks the lab to find out what it did not know, a few times, where the lab has such a kernel', async () => {
    const release = await publish(TUNED, 'params: { old: { default: 0 } }');
    await fleet.device(middle);
    await fleet.prove(release, middle);
    const prisma = fleet.get(PrismaService);
    const asked = () => prisma.labParams.findMany({ where: { releaseId: release } });
    await ask(release, { old: 1 });
    expect(await asked()).toEqual([]);

    const at = new Date('2026-01-01T00:00:00Z');
    const kernel = { name: 'board', target: 'arm64-6.1', dueAt: at, createdBy: 'kari', createdAt: at };
    const group = await prisma.kernelGroup.findFirstOrThrow({ where: { kernelRelease: middle.kernelRelease } });
    await prisma.labKernel.create({ data: { ...kernel, id: 'k', kernelGroupId: group.id } });
    const told = async (params: Record<string, number>) =>
      (await ask(release, params)).groups[0]?.reasons.some(({ kind }) => kind === 'asked_lab');
    expect([await told({}), await told({ old: 1 }), await told({ old: 1 })]).toEqual([false, true, true]);
    expect(await asked()).toMatchObject([
      { kernelArch: 'arm64', params: { old: 1 }, globals: await globalsOf(release, { old: 1 }) },
    ]);
    for (let old = 2; old < 9; old++) await ask(release, { old });
    expect(await asked()).toHaveLength(4);
    expect((await asked()).map(({ params }) => params)).toContainEqual({ old: 8 });
    await fleet.prove(release, middle, { globals: await globalsOf(release, { old: 8 }) });
    expect(await told({ old: 8 })).toBe(false);
    await prisma.labKernel.deleteMany();
  });

  it('knows without a proof that a parameter keeps it from what is gone, and says what it was not asked with', async () => {
    const release = await publish(TUNED, 'params: { old: { default: 1 }, nothing: { default: 0 } }');
    expect(await answerFor(middle, release)).toMatchObject({
      resolution: 'unknown',
      reasons: [{ kind: 'poison' }, { kind: 'unproven' }],
    });
    expect((await ask(release, { old: 0 })).groups).toMatchObject([
      { verdict: 'unknown', resolution: 'accepted', reasons: [{ kind: 'unproven' }] },
    ]);
    await fleet.prove(release, middle, {
      verdict: 'refused',
      reasons: [{ kind: 'verifier', sentence: 'It is poisoned.' }],
    });
    expect((await ask(release)).refuses).toBe(1);
    // What the programs do not hold changes nothing.
    expect((await ask(release, { nothing: 1 })).refuses).toBe(1);
    expect((await ask(release, { old: 0 })).groups).toMatchObject([
      {
        verdict: 'unknown',
        resolution: 'accepted',
        reasons: [{ sentence: expect.stringMatching(/default parameters, and old differs.*It is poisoned/) }],
      },
    ]);
  });

  it('adds up what else a device has and is to have, and says the sums', async () => {
    const release = await publish(RING_4_MIB, 'budget: { map_bytes: 8MiB }');
    const other = await publish(PLAIN);
    const facts = { ...middle, memoryBytes: 128 * MIB };
    await fleet.prove(release, facts);
    const alone = await fleet.device(facts, 'alone');
    const [full, waiting] = [await fleet.device(facts, 'full'), await fleet.device(facts, 'waiting')];
    const over = { state: 'REJECTED', mapBytes: 32 * MIB };
    const gone = { wanted: false, mapBytes: 32 * MIB };
    for (const more of [over, gone]) await fleet.running(alone, other, more);
    // This would be replaced.
    await fleet.running(alone, release, { mapBytes: 32 * MIB });
    await fleet.running(full, other, { mapBytes: 20 * MIB });
    await fleet.running(full, release, { mapBytes: 9 * MIB, kind: 'debug' });
    await fleet.running(waiting, other, { mapBytes: 20 * MIB });
    await fleet.running(waiting, other, { state: 'OFFERED', mapBytes: 9 * MIB });
    const { groups } = await ask(release);
    const answers = groups.map(({ verdict, reasons: [first] }) => [verdict, first?.kind, first?.sentence ?? '']).sort();
    const sums = /take \d+ KiB beside the 29696 KiB of 2 other runs, together \d+ KiB; .* together have 32768 KiB/;
    expect(answers).toEqual([
      ['refuses', 'memory_together', expect.stringMatching(sums)],
      ['takes', 'proven', expect.any(String)],
      ['unknown', 'memory_together', expect.stringMatching(sums)],
    ]);
  });

  it('refuses bad questions in words, and strangers', async () => {
    const releaseId = await publish(PLAIN);
    const call = (body: object) => fleet.api.call('preflight', { body: { releaseId, selector: 'all', ...body } });
    await expect(call({ releaseId: 'none' })).rejects.toMatchObject({ status: 404, code: 'RELEASE_UNKNOWN' });
    await expect(call({ selector: 'arch=' })).rejects.toMatchObject({ status: 422, code: 'SELECTOR_INVALID' });
    await expect(call({ params: { nothing: 1 } })).rejects.toMatchObject({ status: 422, code: 'PARAM_INVALID' });
    const anonymous = fleet.server.anonymous.call('preflight', { body: { releaseId, selector: 'all' } });
    await expect(anonymous).rejects.toMatchObject({ status: 401 });
  });
});
